package peers

import (
	"runtime"
	"testing"
	"time"
)

// BenchmarkLatency times every single call, from as many goroutines as -cpu says,
// and reports the distribution. That takes two readings of the clock, of which about
// one is in each time; impl=floor-nothing, which does nothing, shows how much.
func BenchmarkLatency(b *testing.B) {
	nothing := impl{"floor-nothing", []string{none}, func(testing.TB, string) ops {
		return ops{next: func() error { return nil }}
	}}
	for _, i := range append([]impl{nothing}, contenders(b)...) {
		b.Run("impl="+i.name+"/layout="+i.freest(), func(b *testing.B) {
			latency(b, i.start(b, i.freest()))
		})
	}
}

func latency(b *testing.B, o ops) {
	b.Helper()
	goroutines := runtime.GOMAXPROCS(0)
	times := make([]histogram, goroutines)
	began := time.Now() // time.Since(began) reads the monotonic clock only
	b.ReportAllocs()
	crew(b, goroutines, func(i int) {
		h := &times[i]
		for range share(b.N, i, goroutines) {
			from := time.Since(began)
			err := o.next()
			h.add(time.Since(began) - from)
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	all := &times[0]
	for i := range times[1:] {
		all.merge(&times[i+1])
	}
	for _, p := range []struct {
		unit string
		q    float64
	}{{"p50-ns", 0.5}, {"p90-ns", 0.9}, {"p99-ns", 0.99}, {"p99.9-ns", 0.999}, {"p99.99-ns", 0.9999}, {"max-ns", 1}} {
		b.ReportMetric(float64(all.quantile(p.q)), p.unit)
	}
}
