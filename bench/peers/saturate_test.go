package peers

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkSaturate asks for more IDs than a layout has, of all that can make IDs of
// that layout. %rate is what came of what the layout allows; %cpu is the time that
// all threads of the process spent, in percent of one CPU.
func BenchmarkSaturate(b *testing.B) {
	for _, l := range []struct {
		name string
		text string  // what this project calls it
		rate float64 // IDs a second
		who  []string
	}{
		{"easyflake", own, 256e3, nil},
		{"twitter", "twitter", 4096e3, []string{"bwmarrin", "godruoyi"}},
		{"sonyflake2", "sonyflake2", 25_600, []string{"sonyflake2"}},
		{"sno", "unit=4ms,node=8,sequence=16", 16_384e3, []string{"sno"}},
	} {
		for _, i := range contenders(b) {
			text := l.text
			if slices.Contains(l.who, i.name) {
				text = own
			} else if !isEasyflake(i.name) {
				continue
			}
			for _, goroutines := range []int{1, 8} {
				b.Run(fmt.Sprintf("impl=%s/layout=%s/goroutines=%d", i.name, l.name, goroutines), func(b *testing.B) {
					saturate(b, i.start(b, text), goroutines, l.rate)
				})
			}
		}
	}
}

func saturate(b *testing.B, o ops, goroutines int, rate float64) {
	b.Helper()
	b.ReportAllocs()
	before := processCPU()
	together(b, o, goroutines)
	spent := processCPU() - before
	elapsed := b.Elapsed().Seconds()
	b.ReportMetric(100*float64(b.N)/elapsed/rate, "%rate")
	if spent > 0 {
		b.ReportMetric(100*spent.Seconds()/elapsed, "%cpu")
	}
}

// together makes b.N IDs, as many in each goroutine.
func together(b *testing.B, o ops, goroutines int) {
	b.Helper()
	crew(b, goroutines, func(i int) {
		for range share(b.N, i, goroutines) {
			if err := o.next(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
