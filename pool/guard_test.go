package pool

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watch is a guard with the two clocks that it looks at.
type watch struct {
	*testing.T
	guard
	wall    int64
	elapsed time.Duration
}

func newWatch(t *testing.T, mark int64) *watch {
	t.Helper()
	w := &watch{T: t, wall: noon, elapsed: time.Hour}
	w.begin(mark, reading{w.wall, w.elapsed, w.elapsed})
	return w
}

// pass lets time pass on both clocks.
func (w *watch) pass(d time.Duration) { w.wall, w.elapsed = w.wall+int64(d), w.elapsed+d }

// is looks at the clocks, and compares the time to go by.
func (w *watch) is(now int64, jumped bool) {
	w.Helper()
	got, gotJumped := w.look(reading{w.wall, w.elapsed, w.elapsed})
	assert.Equal(w, jumped, gotJumped, "jumped")
	assert.Equal(w, now, got, "the time differs by %v", time.Duration(got-now))
}

func TestGuardFollows(t *testing.T) {
	w := newWatch(t, 0)
	w.is(noon, false)
	for range 10 {
		w.pass(time.Minute)
		w.is(w.wall, false)
	}
}

func TestGuardBegins(t *testing.T) {
	// Behind the mark, the time goes on from the mark until the wall clock has come
	// there.
	w := newWatch(t, noon+int64(time.Hour))
	w.is(noon+int64(time.Hour), false)
	w.pass(time.Minute)
	w.is(noon+int64(time.Hour+time.Minute), false)
	w.wall += int64(400 * time.Millisecond) // and is no nearer for that
	w.is(noon+int64(time.Hour+time.Minute), false)
	w.pass(24 * time.Hour)
	w.is(noon+int64(25*time.Hour+time.Minute), false)

	// Ahead of it, the wall clock counts: having been switched off is no jump.
	w = newWatch(t, noon-int64(1000*time.Hour))
	w.is(noon, false)
}

func TestGuardTolerance(t *testing.T) {
	for _, c := range []struct {
		after, step time.Duration
		jumped      bool
	}{
		{0, 500 * time.Millisecond, false},
		{0, 500*time.Millisecond + 1, true},
		{time.Second, 501 * time.Millisecond, false},
		{time.Second, 501*time.Millisecond + 1, true},
		{time.Hour, 4100 * time.Millisecond, false},
		{time.Hour, 4100*time.Millisecond + 1, true},
		{0, 292 * 365 * 24 * time.Hour, true},
	} {
		for _, back := range []bool{false, true} {
			w := newWatch(t, 0)
			w.pass(c.after)
			expected := w.wall
			step := c.step
			if back {
				step = -step
			}
			w.wall += int64(step)
			if !c.jumped && !back {
				expected = w.wall
			}
			w.is(expected, c.jumped)
		}
	}
}

func TestGuardJumpGoesAway(t *testing.T) {
	for _, far := range []time.Duration{time.Hour, -time.Hour} {
		w := newWatch(t, 0)
		w.wall += int64(far)
		for i := range 10 {
			w.is(noon+int64(i)*int64(time.Second), true)
			w.pass(time.Second)
		}
		w.wall -= int64(far)
		w.is(noon+int64(10*time.Second), false)
		// It is judged as if it had never been away.
		w.wall += int64(600 * time.Millisecond)
		w.is(noon+int64(10*time.Second), true)
	}
}

func TestGuardJumpIsNotForgotten(t *testing.T) {
	// A jump is compared with what was believed before it, not with itself.
	w := newWatch(t, 0)
	w.wall += int64(time.Hour)
	for range 100 {
		w.pass(10 * time.Second)
		_, jumped := w.look(reading{w.wall, w.elapsed, w.elapsed})
		require.True(t, jumped)
	}
}

func TestGuardNeverGoesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for range 200 {
		w := newWatch(t, noon-int64(time.Hour)+r.Int64N(int64(2*time.Hour)))
		last, _ := w.look(reading{w.wall, w.elapsed, w.elapsed})
		for range 200 {
			w.pass(time.Duration(r.Int64N(int64(3 * time.Second))))
			if r.IntN(4) == 0 {
				w.wall += r.Int64N(int64(2*time.Second)) - int64(time.Second)
			}
			now, jumped := w.look(reading{w.wall, w.elapsed, w.elapsed})
			require.GreaterOrEqual(t, now, last)
			if !jumped {
				require.GreaterOrEqual(t, now, w.wall)
			}
			require.Equal(t, now, w.at(w.elapsed))
			last = now
		}
	}
}

func TestGuardAccepts(t *testing.T) {
	for _, far := range []time.Duration{100 * time.Hour, -100 * time.Hour} {
		w := newWatch(t, noon+int64(time.Hour))
		w.wall += int64(far)
		_, jumped := w.look(reading{w.wall, w.elapsed, w.elapsed})
		require.True(t, jumped)
		w.accept(reading{w.wall, w.elapsed, w.elapsed})
		w.is(w.wall, false)
		w.pass(time.Minute)
		w.is(w.wall, false)
	}
}

func TestGuardAtTheEndsOfTime(t *testing.T) {
	for _, wall := range []int64{math.MinInt64, math.MinInt64 + int64(time.Hour), -1, 0, math.MaxInt64 - 1, math.MaxInt64} {
		w := newWatch(t, 0)
		w.wall = wall
		if _, jumped := w.look(reading{w.wall, w.elapsed, w.elapsed}); !jumped {
			t.Errorf("a wall clock that goes from %d to %d has not jumped", noon, wall)
		}
	}
	// The one distance whose negative is itself.
	var g guard
	g.begin(0, reading{})
	_, jumped := g.look(reading{wall: math.MinInt64})
	assert.True(t, jumped)
}
