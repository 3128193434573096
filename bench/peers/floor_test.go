package peers

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// floors returns what no generator can go below: a number that is unique but tells
// no time, and a time that is not unique, read from the operating system in the
// cheapest way that it has, which is what the fastest of the peers reads, and from
// the CPU's counter.
func floors() []impl {
	list := []impl{
		{"floor-counter", []string{none}, startCounter},
		{"floor-since", []string{none}, startSince},
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

// startSince reads the monotonic clock alone: [time.Now] reads the wall clock too, and
// takes about twice as long.
func startSince(testing.TB, string) ops {
	began := time.Now()
	return ops{
		loop: func(_ *testing.B, pb *testing.PB) {
			var last time.Duration
			for pb.Next() {
				last = time.Since(began)
			}
			runtime.KeepAlive(last)
		},
		next: func() error {
			runtime.KeepAlive(time.Since(began))
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
