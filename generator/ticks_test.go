package generator

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// units are those that a reciprocal gets wrong first: powers of two and their
// neighbours, primes, and what people use.
func units(r *rand.Rand) []time.Duration {
	all := []time.Duration{
		time.Microsecond, 1001, 1009, 1013, 7919, 100 * time.Microsecond, time.Millisecond, 1234567,
		4 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 999999937,
		1_000_000_007, time.Minute, time.Hour, 24 * time.Hour, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64/2 + 1, math.MaxInt64 / 3,
	}
	for bit := 10; bit < 63; bit++ {
		for d := -1; d <= 1; d++ {
			if u := time.Duration(1)<<bit + time.Duration(d); u >= time.Microsecond {
				all = append(all, u)
			}
		}
	}
	for range 2000 {
		all = append(all, time.Duration(1000+r.Int64N(math.MaxInt64-1000)>>r.IntN(53)))
	}
	return all
}

func TestTicksAgreeWithDivision(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, unit := range units(r) {
		unit = max(unit, time.Microsecond)
		l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: unit})
		require.NoError(t, err, "unit %d", unit)
		ticks := newTicks(l)
		u := uint64(unit)
		check := func(ns uint64) {
			if got := ticks.at(ns); got != ns/u {
				require.Equal(t, ns/u, got, "%d ns in ticks of %d ns", ns, u)
			}
		}
		// Around whole ticks a rounded reciprocal is wrong, if anywhere.
		last := math.MaxInt64 / u
		for _, tick := range []uint64{0, 1, 2, last / 2, last - min(last, 1), last, r.Uint64N(last + 1), r.Uint64N(last + 1)} {
			ns := min(tick, last) * u
			check(ns)
			check((ns + u/2) & math.MaxInt64)
			if ns > 0 {
				check(ns - 1)
			}
			if ns < math.MaxInt64 {
				check(ns + 1)
			}
		}
		check(math.MaxInt64)
		check(math.MaxInt64 - 1)
		for range 100 {
			check(r.Uint64() >> (1 + r.IntN(63)))
		}
	}
}

func TestTickStart(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, unit := range units(r) {
		unit = max(unit, time.Microsecond)
		epoch := r.Int64N(1 << 62)
		l, err := layout.New(layout.Config{Epoch: time.Unix(0, epoch), Unit: unit})
		require.NoError(t, err)
		ticks := newTicks(l)
		last := (math.MaxInt64 - epoch) / int64(unit)
		for _, tick := range []int64{0, last / 2, last, r.Int64N(last + 1)} {
			start := ticks.start(uint64(tick))
			require.Equal(t, epoch+tick*int64(unit), start)
			require.Equal(t, uint64(tick), ticks.at(uint64(start-epoch)))
		}
		for _, tick := range []uint64{uint64(last) + 1, uint64(last) + 2, math.MaxInt64, 1 << 62, math.MaxUint64} {
			require.Equal(t, int64(math.MaxInt64), ticks.start(tick), "a tick that begins after 2262")
		}
	}
}
