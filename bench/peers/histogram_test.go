package peers

import (
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// histogram counts durations without allocating: up to 2·2^subBits ns each has a
// bucket of its own, beyond that every power of two has 2^subBits of them, and so
// no duration is off by more than 1/2^subBits.
type histogram struct {
	counts [(64 - subBits) << subBits]uint64
	total  uint64
	max    time.Duration
}

const subBits = 6

// bucket returns which bucket counts d, negative ones as 0.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// longest returns the longest duration that bucket i counts.
func longest(i int) time.Duration {
	shift := max(i>>subBits-1, 0)
	first := uint64(i-shift<<subBits) << shift
	return time.Duration(first + 1<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i := range o.counts {
		h.counts[i] += o.counts[i]
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// quantile returns the duration that the part q of all did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.total))), 1)
	seen := uint64(0)
	for i := range h.counts {
		if seen += h.counts[i]; seen >= rank {
			return min(longest(i), h.max)
		}
	}
	return h.max
}

// TestHistogramBuckets holds that each duration lies in its bucket, next to one that
// ends just below.
func TestHistogramBuckets(t *testing.T) {
	values := []time.Duration{0, 1, 127, 128, 129, 1000, math.MaxInt32, math.MaxInt64 - 1, math.MaxInt64}
	for shift := range 63 {
		values = append(values, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for _, d := range values {
		i := bucket(d)
		require.LessOrEqual(t, d, longest(i), d)
		require.InEpsilon(t, float64(d)+1, float64(longest(i))+1, 1.0/(1<<subBits), d)
		if i > 0 {
			require.Greater(t, d, longest(i-1), d)
		}
	}
	require.Equal(t, bucket(0), bucket(-5))
	require.Len(t, histogram{}.counts, bucket(math.MaxInt64)+1)
}

// TestHistogramQuantiles compares with sorted durations.
func TestHistogramQuantiles(t *testing.T) {
	var all []time.Duration
	var a, b histogram
	for i := range 5000 {
		d := time.Duration(i*i%7919 + i%3*1000)
		all = append(all, d)
		if i%2 == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	a.merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0.0001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[int(math.Ceil(q*5000))-1]
		require.InEpsilon(t, float64(want)+1, float64(a.quantile(q))+1, 1.0/(1<<subBits), q)
	}
	require.Equal(t, all[4999], a.quantile(1))
	require.Zero(t, testing.AllocsPerRun(100, func() { a.add(123) }))
}
