package bench

import (
	"fmt"
	"sync"
	"testing"

	"github.com/easyflake/easyflake/clock"
)

// BenchmarkSaturate asks for more IDs than the default layout has, 256 in a
// millisecond. %rate is what came of what the layout allows; %cpu is the time
// that all threads of the process spent, in percent of one CPU.
func BenchmarkSaturate(b *testing.B) {
	for _, gen := range strategies() {
		for _, goroutines := range []int{1, 2, 8, 64} {
			b.Run(fmt.Sprintf("gen=%s/goroutines=%d", gen, goroutines), func(b *testing.B) {
				saturate(b, gen, goroutines)
			})
		}
	}
}

func saturate(b *testing.B, gen string, goroutines int) {
	b.Helper()
	l := parseLayout(b, "easyflake")
	g := newGenerator(b, gen, l, clock.Default())
	b.ReportAllocs()
	b.ResetTimer()
	before := processCPU()
	var wg sync.WaitGroup
	for i := range goroutines {
		share := b.N / goroutines
		if i < b.N%goroutines {
			share++
		}
		wg.Go(func() {
			for range share {
				if _, err := g.Next(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	elapsed := b.Elapsed().Seconds()
	b.ReportMetric(100*float64(b.N)/elapsed/l.Rate(), "%rate")
	if spent := processCPU() - before; spent > 0 {
		b.ReportMetric(100*spent.Seconds()/elapsed, "%cpu")
	}
}
