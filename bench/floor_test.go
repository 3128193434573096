package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/easyflake/easyflake/clock"
)

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// BenchmarkFloor measures what the strategies are made of, each in the loop that
// BenchmarkNext has. What the goroutines share they share there as well.
func BenchmarkFloor(b *testing.B) {
	type pad [128]byte
	var shared struct {
		_     pad
		add   atomic.Uint64
		_     pad
		cas   atomic.Uint64
		_     pad
		mu    sync.Mutex
		value uint64
		_     pad
	}
	run := func(op string, f func(b *testing.B, pb *testing.PB)) {
		b.Run("op="+op, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) { f(b, pb) })
		})
	}
	run("loop", func(_ *testing.B, pb *testing.PB) {
		for pb.Next() {
		}
	})
	system := clock.System{}
	run("system", func(_ *testing.B, pb *testing.PB) {
		var last int64
		for pb.Next() {
			last = system.Now()
		}
		runtime.KeepAlive(last)
	})
	monotonic := clock.NewMonotonic()
	run("monotonic", func(_ *testing.B, pb *testing.PB) {
		var last int64
		for pb.Next() {
			last = monotonic.Now()
		}
		runtime.KeepAlive(last)
	})
	b.Run("op=coarse", func(b *testing.B) {
		coarse := newCoarse(b)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			var last int64
			for pb.Next() {
				last = coarse.Now()
			}
			runtime.KeepAlive(last)
		})
	})
	run("add", func(_ *testing.B, pb *testing.PB) {
		for pb.Next() {
			shared.add.Add(1)
		}
	})
	run("cas", func(_ *testing.B, pb *testing.PB) {
		for pb.Next() {
			for old := shared.cas.Load(); !shared.cas.CompareAndSwap(old, old+1); old = shared.cas.Load() {
			}
		}
	})
	run("mutex", func(_ *testing.B, pb *testing.PB) {
		for pb.Next() {
			shared.mu.Lock()
			shared.value++
			shared.mu.Unlock()
		}
	})
	run("pin", func(_ *testing.B, pb *testing.PB) {
		var p int
		for pb.Next() {
			p = procPin()
			procUnpin()
		}
		runtime.KeepAlive(p)
	})
	b.Run("op=tsc", func(b *testing.B) {
		tsc := newTSC(b)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			var last int64
			for pb.Next() {
				last = tsc.Now()
			}
			runtime.KeepAlive(last)
		})
	})
	b.Run("op=pin+tsc", func(b *testing.B) {
		newTSC(b) // or skip
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			var last uint64
			var p int
			for pb.Next() {
				p = procPin()
				last = clock.Cycles() // cheaper in this order, see Sharded.Next
				procUnpin()
			}
			runtime.KeepAlive(last)
			runtime.KeepAlive(p)
		})
	})
}
