package layout_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestEasyFlakeDefaults(t *testing.T) {
	l, err := layout.EasyFlake(8, 8, 1675859040, 3)
	require.NoError(t, err)
	assert.Equal(t, layout.Default(), l)
}

// TestEasyFlakeEpoch has ticks that Python 3 computed: int(epoch * 10**scale).
func TestEasyFlakeEpoch(t *testing.T) {
	for _, c := range []struct {
		epoch float64
		scale int
		ticks int64
	}{
		{1675859040, 0, 1675859040},
		{1675859040, 6, 1675859040000000},
		{1675859040.123, 0, 1675859040},
		{1675859040.123, 3, 1675859040123},
		{1675859040.123, 6, 1675859040123000},
		{1675859040.999, 3, 1675859040999},
		{1675859040.7, 1, 16758590407},
		{1675859040.29, 2, 167585904029},
		{1675859040.12345, 5, 167585904012345},
		{1675859040.001, 6, 1675859040001000},
		{0.29, 2, 28}, // 0.29 is a little less in binary
		{1.1, 1, 11},
		{0, 3, 0},
		{0.9, 0, 0},
		{9214646399.5, 0, 9214646399},
	} {
		l, err := layout.EasyFlake(8, 8, c.epoch, c.scale)
		require.NoError(t, err)
		unit := time.Duration(math.Round(1e9 / math.Pow10(c.scale)))
		assert.Equal(t, unit, l.Unit())
		assert.Equal(t, c.ticks, l.Epoch().UnixNano()/int64(unit), "%v at scale %d", c.epoch, c.scale)
		assert.Zero(t, l.Epoch().UnixNano()%int64(unit), "the epoch must be a whole tick")
		assert.Equal(t, 63, l.Bits())
	}
}

// TestEasyFlakeTicks follows EasyFlake's own formula: the tick of a time is the
// difference of two truncations, of the time and of the epoch.
func TestEasyFlakeTicks(t *testing.T) {
	for scale := range 7 {
		l, err := layout.EasyFlake(4, 5, 1675859040.123456, scale)
		require.NoError(t, err)
		for _, nanos := range []int64{1800000000_000000000, 1800000000_999999999, 1700000000_123456789} {
			perTick := int64(l.Unit())
			want := nanos/perTick - l.Epoch().UnixNano()/perTick
			got, err := l.Tick(time.Unix(0, nanos))
			require.NoError(t, err)
			assert.Equal(t, want, got, "scale %d", scale)
		}
		id, err := l.Compose(123, 9, 31)
		require.NoError(t, err)
		assert.Equal(t, layout.ID(123<<9|9<<5|31), id)
	}
}

func TestEasyFlakeErrors(t *testing.T) {
	for _, c := range []struct {
		node, sequence int
		epoch          float64
		scale          int
		field          string
	}{
		{0, 8, 1675859040, 3, "node bits"},
		{-1, 8, 1675859040, 3, "node bits"},
		{62, 8, 1675859040, 3, "sequence bits"},
		{64, 8, 1675859040, 3, "node bits"},
		{8, 0, 1675859040, 3, "sequence bits"},
		{8, -8, 1675859040, 3, "sequence bits"},
		{8, 55, 1675859040, 3, "sequence bits"},
		{8, 8, -1, 3, "epoch"},
		{8, 8, -1e-300, 3, "epoch"},
		{8, 8, math.NaN(), 3, "epoch"},
		{8, 8, math.Inf(1), 3, "epoch"},
		{8, 8, math.Inf(-1), 3, "epoch"},
		{8, 8, math.MaxFloat64, 6, "epoch"},
		{8, 8, 9214646400, 0, "epoch"},
		{8, 8, 1675859040, -1, "time scale"},
		{8, 8, 1675859040, 7, "time scale"},
	} {
		l, err := layout.EasyFlake(c.node, c.sequence, c.epoch, c.scale)
		assert.True(t, l.IsZero())
		var field *layout.FieldError
		require.ErrorAs(t, err, &field, "%+v", c)
		assert.Equal(t, c.field, field.Field, "%+v", c)
		assert.Equal(t, c.field == "epoch", strings.HasPrefix(field.Reason, "must be Unix seconds"), "%+v", c)
	}
	_, err := layout.EasyFlake(8, 8, math.Inf(1), 3)
	require.EqualError(t, err, `layout: epoch "+Inf": must be Unix seconds between 0 (1970-01-01) and 9214646399 (2261-12-31)`)
	_, err = layout.EasyFlake(8, 8, 0, 9)
	require.EqualError(t, err, `layout: time scale 9: must be between 0 and 6`)
}
