package peers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// BenchmarkNext makes one ID at a time, from as many goroutines as -cpu says.
func BenchmarkNext(b *testing.B) {
	for _, i := range impls() {
		for _, l := range i.layouts {
			b.Run("impl="+i.name+"/layout="+l, func(b *testing.B) {
				o := i.start(b, l)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) { o.loop(b, pb) })
			})
		}
	}
}

// BenchmarkFill makes IDs by the batch, which no other library here can. ns/id is
// the time for one ID.
func BenchmarkFill(b *testing.B) {
	const n = 256
	type filler interface {
		closer
		Fill(dst []layout.ID) (int, error)
	}
	for _, strategy := range strategies() {
		b.Run("impl="+easyflakeName(strategy, defaultClock())+"/layout=wide/n=256", func(b *testing.B) {
			l, opt := easyflakeLayout(b, wide), generator.WithClock(newClock(b, defaultClock()))
			var g filler // its call is 1/256 of what is measured
			var err error
			switch strategy {
			case "mutex":
				g, err = generator.NewMutex(l, generator.Static(0), opt)
			case "atomic":
				g, err = generator.NewAtomic(l, generator.Static(0), opt)
			case "sharded":
				g, err = generator.NewSharded(l, generator.Static(0), opt)
			}
			begin(b, g, err)
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

// TestImpls holds that everything that is measured makes IDs in each of its layouts,
// and that no two things have one name.
func TestImpls(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range impls() {
		require.False(t, seen[i.name], i.name)
		seen[i.name] = true
		for _, l := range i.layouts {
			t.Run(i.name+"/"+l, func(t *testing.T) {
				o := i.start(t, l)
				for range 10 {
					require.NoError(t, o.next())
				}
			})
		}
	}
}
