package generator

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// A clock can show no time after 2262-04-11T23:47:16.854775807Z. A tick that
// begins later can never be reached, nor lie within a limit of it: where clocks
// end, IDs do, as where the layout's life does.
func TestNoTicksWhereClocksEnd(t *testing.T) {
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Hour, TimeBits: 22})
	require.NoError(t, err)
	const last = math.MaxInt64 / int64(time.Hour)
	require.Less(t, last, l.MaxTick())
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for name, p := range map[string]Overflow{"wait": Wait(), "borrow": Borrow(10 * time.Hour), "fail": Fail()} {
			t.Run(name, func(t *testing.T) {
				src := newLease(layout.Window{From: last - 1, Until: last + 5})
				c := clocktest.New(time.Unix(0, math.MaxInt64))
				g := open(t, l, src, WithClock(c), WithOverflow(p))
				require.Equal(t, last, mustNext(t, l, g).Tick)
				id, err := g.Next()
				require.ErrorIs(t, err, layout.ErrPastEnd, "%d", id)
				require.Equal(t, last, g.LastTick())
			})
		}
	})
}
