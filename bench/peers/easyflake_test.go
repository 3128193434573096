package peers

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

func strategies() []string { return []string{"mutex", "atomic", "sharded"} }

func easyflakeName(strategy, clk string) string { return "easyflake-" + strategy + "-" + clk }

// defaultClock names the clock that generators have on this machine.
func defaultClock() string {
	if _, err := clock.NewTSC(); err != nil {
		return "monotonic"
	}
	return "tsc"
}

// easyflakes returns this project's strategies with each of its clocks; at its own
// layout, whose ceiling is all there is to see with any of them, with the default one.
func easyflakes() []impl {
	clocks := []string{"monotonic", "system", "coarse"}
	if defaultClock() == "tsc" {
		clocks = append([]string{"tsc"}, clocks...)
	}
	var list []impl
	for _, strategy := range strategies() {
		for _, clk := range clocks {
			start := func(tb testing.TB, text string) ops {
				tb.Helper()
				return easyflakeOps(tb, strategy, easyflakeLayout(tb, text), newClock(tb, clk))
			}
			layouts := []string{wide}
			if clk == defaultClock() {
				layouts = []string{own, wide}
			}
			list = append(list, impl{easyflakeName(strategy, clk), layouts, start})
		}
	}
	return list
}

// easyflakeLayout returns the layout of a name here, or one as layout.Parse reads it.
func easyflakeLayout(tb testing.TB, text string) layout.Layout {
	tb.Helper()
	switch text {
	case own:
		text = "easyflake"
	case wide:
		text = "unit=1ms,node=0,sequence=22"
	}
	l, err := layout.Parse(text)
	require.NoError(tb, err)
	return l
}

func easyflakeOps(tb testing.TB, strategy string, l layout.Layout, c clock.Clock) ops {
	tb.Helper()
	switch strategy {
	case "mutex":
		g, err := generator.NewMutex(l, generator.Static(0), generator.WithClock(c))
		begin(tb, g, err)
		return ops{next: discard(g.Next), loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last layout.ID
			for pb.Next() {
				id, err := g.Next()
				if err != nil {
					b.Error(err)
					return
				}
				last = id
			}
			runtime.KeepAlive(last)
		}}
	case "atomic":
		g, err := generator.NewAtomic(l, generator.Static(0), generator.WithClock(c))
		begin(tb, g, err)
		return ops{next: discard(g.Next), loop: func(b *testing.B, pb *testing.PB) {
			b.Helper()
			var last layout.ID
			for pb.Next() {
				id, err := g.Next()
				if err != nil {
					b.Error(err)
					return
				}
				last = id
			}
			runtime.KeepAlive(last)
		}}
	}
	g, err := generator.NewSharded(l, generator.Static(0), generator.WithClock(c))
	begin(tb, g, err)
	return ops{next: discard(g.Next), loop: func(b *testing.B, pb *testing.PB) {
		b.Helper()
		var last layout.ID
		for pb.Next() {
			id, err := g.Next()
			if err != nil {
				b.Error(err)
				return
			}
			last = id
		}
		runtime.KeepAlive(last)
	}}
}

// closer is a generator that must be closed.
type closer interface {
	generator.Generator
	Close() error
}

// begin makes the first ID: a window starts with the next tick, which is not part
// of what is measured.
func begin(tb testing.TB, g closer, err error) {
	tb.Helper()
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, g.Close()) })
	_, err = g.Next()
	require.NoError(tb, err)
}

// discard returns a function that makes an ID and keeps only the error.
func discard[T any](next func() (T, error)) func() error {
	return func() error {
		id, err := next()
		runtime.KeepAlive(id)
		return err
	}
}

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
	c, err := clock.NewCoarse(clock.Default(), time.Millisecond)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}

// newTSC returns a TSC clock that has watched its counter for long enough to use
// it.
func newTSC(tb testing.TB) *clock.TSC {
	tb.Helper()
	c, err := clock.NewTSC()
	require.NoError(tb, err)
	for start := c.Now(); c.Now() < start+int64(20*time.Millisecond); {
	}
	return c
}
