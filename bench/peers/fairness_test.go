package peers

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// BenchmarkFairness lets goroutines take from one pile of work for as long as there
// is any. %slowest and %fastest are what the slowest and the fastest of them made,
// in percent of an even share: 100 and 100 is perfectly fair.
func BenchmarkFairness(b *testing.B) {
	for _, i := range contenders(b) {
		for _, goroutines := range []int{2, 8} {
			b.Run(fmt.Sprintf("impl=%s/layout=%s/goroutines=%d", i.name, i.freest(), goroutines), func(b *testing.B) {
				fairness(b, i.start(b, i.freest()), goroutines)
			})
		}
	}
}

func fairness(b *testing.B, o ops, goroutines int) {
	b.Helper()
	// By the handful, so that the pile itself is not what they contend for.
	const handful = 64
	var pile struct {
		_     [128]byte
		taken atomic.Int64
		_     [128]byte
	}
	made := make([]int, goroutines)
	b.ReportAllocs()
	crew(b, goroutines, func(i int) {
		mine := 0
		for {
			until := pile.taken.Add(handful)
			n := min(handful, int64(b.N)-(until-handful))
			if n <= 0 {
				break
			}
			for range n {
				if err := o.next(); err != nil {
					b.Error(err)
					return
				}
			}
			mine += int(n)
		}
		made[i] = mine
	})
	even := float64(b.N) / float64(goroutines)
	b.ReportMetric(100*float64(slices.Min(made))/even, "%slowest")
	b.ReportMetric(100*float64(slices.Max(made))/even, "%fastest")
}
