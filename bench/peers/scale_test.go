package peers

import (
	"fmt"
	"strings"
	"testing"
)

func isEasyflake(name string) bool { return strings.HasPrefix(name, "easyflake-") }

// BenchmarkGoroutines makes IDs in more and more goroutines. ids/s is what all make
// together.
func BenchmarkGoroutines(b *testing.B) {
	for _, i := range contenders(b) {
		if i.freest() == own {
			continue // the ceiling of its layout is all there would be to see
		}
		for _, goroutines := range []int{1, 4, 16, 64, 256, 1024} {
			b.Run(fmt.Sprintf("impl=%s/layout=%s/goroutines=%d", i.name, i.freest(), goroutines), func(b *testing.B) {
				o := i.start(b, i.freest())
				b.ReportAllocs()
				together(b, o, goroutines)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ids/s")
			})
		}
	}
}

// BenchmarkSequence makes IDs of layouts with ticks of 1 ms and from 4 sequence bits
// on, from as many goroutines as -cpu says. ids/s nears 1000 · 2^sequence until the
// code itself is what takes the time.
func BenchmarkSequence(b *testing.B) {
	for _, i := range contenders(b) {
		most := 0
		switch {
		case isEasyflake(i.name):
			most = 22
		case i.name == "bwmarrin":
			most = 20
		case i.name == "sonyflake2":
			most = 20
		}
		for bits := 4; bits <= most; bits += 2 {
			b.Run(fmt.Sprintf("impl=%s/sequence=%d", i.name, bits), func(b *testing.B) {
				text := fmt.Sprintf("sequence=%d", bits)
				if isEasyflake(i.name) {
					text = fmt.Sprintf("unit=1ms,node=0,sequence=%d", bits)
				}
				o := i.start(b, text)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) { o.loop(b, pb) })
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ids/s")
			})
		}
	}
}
