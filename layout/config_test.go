package layout_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestDefault(t *testing.T) {
	l := layout.Default()
	assert.Equal(t, mustNew(t, layout.DefaultConfig()), l)
	assert.Equal(t, int64(1675859040), l.Epoch().Unix())
	assert.Equal(t, time.Millisecond, l.Unit())
	assert.Equal(t, 47, l.TimeBits())
	assert.Equal(t, 8, l.NodeBits())
	assert.Equal(t, 8, l.SequenceBits())
	assert.Equal(t, layout.TimeNodeSequence, l.Order())
	assert.Equal(t, 63, l.Bits())
	assert.False(t, l.IsZero())
	assert.True(t, layout.Layout{}.IsZero())
	assert.InDelta(t, 256_000, l.Rate(), 0)
}

func TestConfigRoundTrips(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		l := randomLayout(r)
		require.Equal(t, l, mustNew(t, l.Config()))
	}
}

func TestNewTimeBits(t *testing.T) {
	for _, c := range []struct {
		name   string
		config layout.Config
		want   int
	}{
		{"what is left", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Millisecond, NodeBits: 10, SequenceBits: 12}, 41},
		{"fewer than what is left", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Millisecond, TimeBits: 40, NodeBits: 10, SequenceBits: 12}, 40},
		{"one bit", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Millisecond, NodeBits: 31, SequenceBits: 31}, 1},
		{"at most 62", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Microsecond}, 62},
		// 2^52 s from 1970 are within 2^53 s, from any later epoch 2^53 are not.
		{"at most 285 million years", layout.Config{Epoch: time.Unix(1, 0), Unit: time.Second}, 52},
		{"exactly 285 million years", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Second}, 53},
		{"exactly 285 million years, as asked", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Second, TimeBits: 53}, 53},
		{"2^64 seconds are no panic", layout.Config{Epoch: time.Unix(0, 0), Unit: 4 * time.Second}, 51},
		{"hours", layout.Config{Epoch: time.Unix(0, 0), Unit: time.Hour}, 41},
		{"the longest unit", layout.Config{Epoch: time.Unix(9214646399, 999999999), Unit: math.MaxInt64, SequenceBits: 40}, 19},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := mustNew(t, c.config)
			assert.Equal(t, c.want, l.TimeBits())
		})
	}
}

func TestNewNormalisesOrderOfOneField(t *testing.T) {
	for _, c := range []layout.Config{
		{Epoch: time.Unix(0, 0), Unit: time.Second, NodeBits: 8},
		{Epoch: time.Unix(0, 0), Unit: time.Second, SequenceBits: 8},
		{Epoch: time.Unix(0, 0), Unit: time.Second},
	} {
		want := mustNew(t, c)
		c.Order = layout.TimeSequenceNode
		assert.Equal(t, want, mustNew(t, c), "one meaning must be one layout")
	}
}

func TestNewErrors(t *testing.T) {
	good := layout.DefaultConfig()
	for _, c := range []struct {
		name   string
		change func(*layout.Config)
		field  string
		reason string
	}{
		{"epoch before 1970", func(c *layout.Config) { c.Epoch = time.Unix(-1, 0) }, "epoch", "must lie between 1970-01-01 and 2261-12-31"},
		{"zero epoch", func(c *layout.Config) { c.Epoch = time.Time{} }, "epoch", "must lie between 1970-01-01 and 2261-12-31"},
		{"epoch in 2262", func(c *layout.Config) { c.Epoch = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC) }, "epoch", "must lie between 1970-01-01 and 2261-12-31"},
		{"no unit", func(c *layout.Config) { c.Unit = 0 }, "unit", "must be at least 1µs"},
		{"negative unit", func(c *layout.Config) { c.Unit = -time.Second }, "unit", "must be at least 1µs"},
		{"unit below 1 µs", func(c *layout.Config) { c.Unit = 999 }, "unit", "must be at least 1µs"},
		{"negative node bits", func(c *layout.Config) { c.NodeBits = -1 }, "node bits", "must be between 0 and 62"},
		{"too many node bits", func(c *layout.Config) { c.NodeBits = 63 }, "node bits", "must be between 0 and 62"},
		{"negative sequence bits", func(c *layout.Config) { c.SequenceBits = -1 }, "sequence bits", "must be between 0 and 62"},
		{"too many sequence bits", func(c *layout.Config) { c.SequenceBits = 1 << 30 }, "sequence bits", "must be between 0 and 62"},
		{"no bit left", func(c *layout.Config) { c.NodeBits, c.SequenceBits = 31, 32 }, "sequence bits", "with 31 node bits nothing is left for the time: together they may take 62 of the 63 bits"},
		{"negative time bits", func(c *layout.Config) { c.TimeBits = -1 }, "time bits", "must be between 1 and 47 (of 63 bits, 8 are node and 8 sequence), or 0 for what is left"},
		{"too many time bits", func(c *layout.Config) { c.TimeBits = 48 }, "time bits", "must be between 1 and 47 (of 63 bits, 8 are node and 8 sequence), or 0 for what is left"},
		{"63 time bits", func(c *layout.Config) { c.NodeBits, c.SequenceBits, c.TimeBits = 0, 0, 63 }, "time bits", "must be between 1 and 62 (of 63 bits, 0 are node and 0 sequence), or 0 for what is left"},
		{"too long a life", func(c *layout.Config) { c.Unit = time.Hour; c.TimeBits = 47 }, "time bits", "so many ticks of 1h0m0s end more than 285 million years from now; take fewer"},
		{"just too long a life", func(c *layout.Config) { c.Epoch, c.Unit, c.TimeBits, c.NodeBits = time.Unix(1, 0), time.Second, 53, 0 }, "time bits", "so many ticks of 1s end more than 285 million years from now; take fewer"},
		{"unknown order", func(c *layout.Config) { c.Order = 2 }, "order", "must be time-node-sequence or time-sequence-node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := good
			c.change(&config)
			l, err := layout.New(config)
			assert.True(t, l.IsZero())
			var field *layout.FieldError
			require.ErrorAs(t, err, &field)
			assert.Equal(t, c.field, field.Field)
			assert.Equal(t, c.reason, field.Reason)
		})
	}
}

func TestFieldErrorMessage(t *testing.T) {
	require.EqualError(t, &layout.FieldError{Field: "node", Value: int64(256), Reason: "is large"}, "layout: node 256: is large")
	require.EqualError(t, &layout.FieldError{Field: "unit", Value: time.Second, Reason: "is long"}, "layout: unit 1s: is long")
	require.EqualError(t, &layout.FieldError{Field: "key", Value: "a\nb", Reason: "is odd"}, `layout: key "a\nb": is odd`)
}

func TestOrderString(t *testing.T) {
	assert.Equal(t, "time-node-sequence", layout.TimeNodeSequence.String())
	assert.Equal(t, "time-sequence-node", layout.TimeSequenceNode.String())
	assert.Equal(t, "Order(7)", layout.Order(7).String())
}
