package peers

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// floors returns what no generator can go below: a number that is unique but tells
// no time, and a time that is not unique, read from the operating system and from
// the CPU's counter.
func floors() []impl {
	list := []impl{
		{"floor-counter", []string{none}, startCounter},
		{"floor-clock", []string{none}, startClock},
	}
	if defaultClock() == "tsc" {
		list = append(list, impl{"floor-tsc", []string{none}, startTSC})
	}
	return list
}

func startCounter(testing.TB, string) ops {
	// A cache line, and the one that is fetched with it, for the counter alone.
	n := &struct {
		_ [128]byte
		v atomic.Uint64
		_ [128]byte
	}{}
	return ops{
		loop: func(_ *testing.B, pb *testing.PB) {
			var last uint64
			for pb.Next() {
				last = n.v.Add(1)
			}
			runtime.KeepAlive(last)
		},
		next: func() error {
			n.v.Add(1)
			return nil
		},
	}
}

func startClock(testing.TB, string) ops {
	return ops{
		loop: func(_ *testing.B, pb *testing.PB) {
			var last int64
			for pb.Next() {
				last = time.Now().UnixNano()
			}
			runtime.KeepAlive(last)
		},
		next: func() error {
			runtime.KeepAlive(time.Now().UnixNano())
			return nil
		},
	}
}

func startTSC(tb testing.TB, _ string) ops {
	tb.Helper()
	c := newTSC(tb)
	return ops{
		loop: func(_ *testing.B, pb *testing.PB) {
			var last int64
			for pb.Next() {
				last = c.Now()
			}
			runtime.KeepAlive(last)
		},
		next: func() error {
			runtime.KeepAlive(c.Now())
			return nil
		},
	}
}
