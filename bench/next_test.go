package bench

import (
	"testing"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// BenchmarkNext makes one ID at a time, from as many goroutines as -cpu says.
func BenchmarkNext(b *testing.B) {
	for _, gen := range strategies() {
		b.Run("gen="+gen, func(b *testing.B) {
			for _, clk := range clocks() {
				b.Run("clock="+clk, func(b *testing.B) {
					b.Run("layout=wide", func(b *testing.B) { benchmarkNext(b, gen, clk, wide) })
					b.Run("layout=easyflake", func(b *testing.B) { benchmarkNext(b, gen, clk, "easyflake") })
				})
			}
		})
	}
}

func benchmarkNext(b *testing.B, gen, clk, text string) {
	b.Helper()
	runNext(b, newGenerator(b, gen, parseLayout(b, text), newClock(b, clk)))
}

func runNext(b *testing.B, g strategy) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	switch g := g.(type) { // called as users call them: not through an interface
	case *generator.Mutex:
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := g.Next(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	case *generator.Atomic:
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := g.Next(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	case *generator.Sharded:
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := g.Next(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
}

// BenchmarkFill makes IDs by the batch; ns/id is the time for one ID.
func BenchmarkFill(b *testing.B) {
	const n = 256
	for _, gen := range strategies() {
		b.Run("gen="+gen+"/clock=tsc/layout=wide/n=256", func(b *testing.B) {
			g := newGenerator(b, gen, parseLayout(b, wide), newClock(b, "tsc"))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				dst := make([]layout.ID, n)
				for pb.Next() {
					if _, err := g.Fill(dst); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/id")
		})
	}
}
