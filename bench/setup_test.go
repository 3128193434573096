package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// wide is a layout whose sequence no generator here can use up, so that what is
// measured is the code and not the layout's ceiling.
const wide = "unit=1ms,node=0,sequence=24"

func parseLayout(tb testing.TB, text string) layout.Layout {
	tb.Helper()
	l, err := layout.Parse(text)
	require.NoError(tb, err)
	return l
}

// strategy is what all generators of this project can do, as far as it is
// measured.
type strategy interface {
	generator.Generator
	Fill(dst []layout.ID) (int, error)
	Close() error
	Stats() generator.Stats
}

func strategies() []string { return []string{"mutex", "atomic", "sharded"} }

func newGenerator(tb testing.TB, name string, l layout.Layout, c clock.Clock, opts ...generator.Option) strategy {
	tb.Helper()
	return newGeneratorOf(tb, name, l, generator.Static(0), c, opts...)
}

// newGeneratorOf makes a generator of a node of the source.
func newGeneratorOf(tb testing.TB, name string, l layout.Layout, src generator.Source, c clock.Clock, opts ...generator.Option) strategy {
	tb.Helper()
	opts = append(opts, generator.WithClock(c))
	var g strategy
	var err error
	switch name {
	case "mutex":
		g, err = generator.NewMutex(l, src, opts...)
	case "atomic":
		g, err = generator.NewAtomic(l, src, opts...)
	case "sharded":
		g, err = generator.NewSharded(l, src, opts...)
	}
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, g.Close()) })
	// A window starts with the next tick: not part of what is measured.
	_, err = g.Next()
	require.NoError(tb, err)
	return g
}

func clocks() []string { return []string{"system", "monotonic", "tsc", "coarse"} }

func newClock(tb testing.TB, name string) clock.Clock {
	tb.Helper()
	switch name {
	case "system":
		return clock.System{}
	case "monotonic":
		return clock.NewMonotonic()
	case "tsc":
		return newTSC(tb)
	}
	return newCoarse(tb)
}

// newTSC returns a TSC clock that has watched its counter for long enough to
// use it.
func newTSC(tb testing.TB) *clock.TSC {
	tb.Helper()
	c, err := clock.NewTSC()
	if err != nil {
		tb.Skip(err)
	}
	for start := c.Now(); c.Now() < start+int64(20*time.Millisecond); {
	}
	return c
}

func newCoarse(tb testing.TB) *clock.Coarse {
	tb.Helper()
	c, err := clock.NewCoarse(clock.Default(), time.Millisecond)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}
