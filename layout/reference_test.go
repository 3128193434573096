package layout_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// This file is the slow, readable twin of the package: whatever the fast code
// says about random and edge values, it must say too.

// edgeIDs are where encoders and fields break first.
func edgeIDs() []layout.ID {
	ids := []layout.ID{0, 1, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt32, math.MaxUint32, 1 << 53, 1<<53 - 1}
	for _, base := range []int64{10, 16, 32, 36, 58, 62} {
		for power := base; power > 0 && power <= math.MaxInt64/base; power *= base {
			ids = append(ids, layout.ID(power-1), layout.ID(power), layout.ID(power+1))
		}
	}
	return ids
}

// randomID takes the width at random first, so that small IDs come up too.
func randomID(r *rand.Rand) layout.ID {
	return layout.ID(r.Uint64() >> (1 + r.IntN(63)))
}

// randomLayout returns any layout that New accepts.
func randomLayout(r *rand.Rand) layout.Layout {
	units := []time.Duration{
		time.Microsecond, 1234567, 100 * time.Microsecond, time.Millisecond, 4 * time.Millisecond,
		10 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Minute, time.Hour,
	}
	for {
		l, err := layout.New(layout.Config{
			Epoch:        time.Unix(r.Int64N(1<<32), r.Int64N(1e9)),
			Unit:         units[r.IntN(len(units))],
			TimeBits:     r.IntN(50),
			NodeBits:     r.IntN(20),
			SequenceBits: r.IntN(20),
			Order:        layout.Order(r.IntN(2)),
		})
		if err == nil {
			return l
		}
	}
}

func slowEncode(id layout.ID, alphabet string, width int) string {
	n, base, digit := big.NewInt(int64(id)), big.NewInt(int64(len(alphabet))), new(big.Int)
	s := ""
	for n.Sign() > 0 {
		n.DivMod(n, base, digit)
		s = string(alphabet[digit.Int64()]) + s
	}
	return strings.Repeat(alphabet[:1], max(0, width-len(s))) + s
}

func bigNanos(t time.Time) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

func slowTime(l layout.Layout, tick int64) time.Time {
	n := new(big.Int).Mul(big.NewInt(tick), big.NewInt(int64(l.Unit())))
	n.Add(n, bigNanos(l.Epoch()))
	seconds, nanos := new(big.Int).DivMod(n, big.NewInt(1e9), new(big.Int))
	return time.Unix(seconds.Int64(), nanos.Int64()).UTC()
}

// slowTick may leave the layout at either end.
func slowTick(l layout.Layout, t time.Time) *big.Int {
	n := new(big.Int).Sub(bigNanos(t), bigNanos(l.Epoch()))
	return n.Div(n, big.NewInt(int64(l.Unit()))) // Euclidean, and so down
}

func mustNew(tb testing.TB, c layout.Config) layout.Layout {
	tb.Helper()
	l, err := layout.New(c)
	require.NoError(tb, err)
	return l
}

func mustParse(tb testing.TB, text string) layout.Layout {
	tb.Helper()
	l, err := layout.Parse(text)
	require.NoError(tb, err)
	return l
}

func at(tb testing.TB, text string) time.Time {
	tb.Helper()
	t, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(tb, err)
	return t
}
