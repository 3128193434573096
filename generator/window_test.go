package generator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

func TestWindowBoundsTheTicks(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 2)
		c := clockAt(105)
		src := newLease(layout.Window{Node: 7, From: 100, Until: 110})
		g := open(t, l, src, WithClock(c))
		for tick := int64(105); tick < 110; tick++ {
			p := mustNext(t, l, g)
			assert.Equal(t, []int64{7, tick}, []int64{p.Node, p.Tick})
			c.Advance(time.Millisecond)
		}
		for range 3 { // from Until on
			id, err := g.Next()
			require.ErrorIs(t, err, ErrNoLease)
			require.Zero(t, id)
			n, err := g.Fill(make([]layout.ID, 3))
			require.ErrorIs(t, err, ErrNoLease)
			require.Zero(t, n)
			c.Advance(20 * time.Millisecond)
		}
		assert.Equal(t, int64(109), g.LastTick())
		assert.Equal(t, int64(109), src.seal())
	})
}

// A block is reserved under a window and used up later: not after the window.
func TestBlocksEndWithTheirWindow(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 10)
		c := clockAt(105)
		src := newLease(layout.Window{Node: 7, From: 100, Until: 106})
		g := open(t, l, src, WithClock(c))
		for range 300 { // blocks have become long by now
			mustNext(t, l, g)
		}
		last := src.seal()
		assert.Equal(t, int64(105), last)
		for range 300 {
			_, err := g.Next()
			require.ErrorIs(t, err, ErrNoLease)
		}
		require.NoError(t, src.grant(layout.Window{Node: 8, From: last + 1, Until: 200}))
		c.Advance(time.Millisecond)
		for range 300 {
			p := mustNext(t, l, g)
			require.Equal(t, []int64{8, 106}, []int64{p.Node, p.Tick})
		}
	})
}

// A node given to another in the middle of a tick must not be stamped any more,
// and its successor's numbers of that tick are none of ours.
func TestNodeChangesInTheMiddleOfATick(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		c := clockAt(105)
		src := newLease(layout.Window{Node: 7, From: 100, Until: 1000})
		g := open(t, l, src, WithClock(c))
		for range 5 {
			mustNext(t, l, g)
		}
		require.NoError(t, src.grant(layout.Window{Node: 8, From: 90, Until: 1000})) // without a seal
		// The word was moved to the end of tick 105: nobody can tell whose its
		// numbers were, so the new window begins in the next tick.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got := make(chan layout.ID)
		go func() {
			id, err := g.Next()
			assert.NoError(t, err)
			got <- id
		}()
		require.NoError(t, c.BlockUntil(ctx, 1))
		c.Advance(time.Millisecond)
		p, err := l.Decompose(<-got)
		require.NoError(t, err)
		assert.Equal(t, []int64{8, 106, 0}, []int64{p.Node, p.Tick, p.Sequence})
	})
}

// With nothing stamped, what a seal reports gives the successor everything back.
func TestSealWithNothingStamped(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		for _, from := range []int64{1, 2, 100, 105, 106, 5000, l.MaxTick()} {
			src := newLease(layout.Window{Node: 7, From: from, Until: l.MaxTick() + 1})
			g := open(t, l, src, WithClock(clockAt(105)))
			assert.Equal(t, from-1, g.LastTick(), "LastTick, window from %d", from)
			assert.Equal(t, from-1, src.seal(), "window from %d", from)
			// The same again, for another node, further on, and nearer: what is
			// reported never lies outside of what a pool accepts.
			for _, w := range []layout.Window{{Node: 8, From: from, Until: from + 1}, {Node: 9, From: max(1, from-1), Until: from + 1}} {
				require.NoError(t, src.grant(w))
				last := src.seal()
				assert.GreaterOrEqual(t, last, w.From-1)
				assert.Less(t, last, w.Until)
			}
		}
	})
}

func TestSealReportsTheLastTickReserved(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, sequenceBits := range []int{0, 1, 4, 10} {
			l := small(t, 20, 8, sequenceBits)
			c := clockAt(200)
			src := newLease(layout.Window{Node: 7, From: 100, Until: 1000})
			g := open(t, l, src, WithClock(c))
			for tick := int64(200); tick < 220; tick += 3 {
				mustNext(t, l, g)
				assert.Equal(t, tick, g.LastTick())
				c.Advance(3 * time.Millisecond)
			}
			last := src.seal()
			assert.Equal(t, int64(218), last)
			assert.Equal(t, int64(218), g.LastTick())
			assert.Equal(t, int64(218), src.seal(), "sealing again")
			require.NoError(t, g.Close())
			assert.Equal(t, []int64{218}, src.detached)
		}
	})
}

// LastTick must count what is only borrowed, too.
func TestSealReportsBorrowedTicks(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 0)
		src := newLease(layout.Window{Node: 7, From: 100, Until: 1000})
		g := open(t, l, src, WithClock(clockAt(200)), WithOverflow(Borrow(10*time.Millisecond)))
		n, err := g.Fill(make([]layout.ID, 11))
		require.NoError(t, err)
		require.Equal(t, 11, n)
		assert.Equal(t, int64(210), src.seal())
	})
}

// A block reserves ticks, used up or not.
func TestSealReportsBlocks(t *testing.T) {
	// Only the P that a block is left with throws it away.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := small(t, 20, 8, 12)
	c := clockAt(200)
	src := newLease(layout.Window{Node: 7, From: 100, Until: 1000})
	g, err := NewSharded(l, src, WithClock(c))
	require.NoError(t, err)
	defer g.Close()
	for range 200 {
		mustNext(t, l, g)
	}
	word := g.word.load()
	require.Greater(t, word, uint64(200)<<12|200, "no block is left to speak of")
	assert.Equal(t, int64(200), src.seal())
	require.NoError(t, src.grant(layout.Window{Node: 8, From: 150, Until: 1000}))
	c.Advance(time.Millisecond)
	assert.Equal(t, int64(8), mustNext(t, l, g).Node)
	assert.Positive(t, g.Stats().Discarded)
}

func TestWindowFromTickZero(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, sequenceBits := range []int{0, 3} {
			l := small(t, 10, 8, sequenceBits)
			c := clocktest.New(l.Epoch())
			src := newLease(layout.Window{Node: 7, From: 0, Until: 5})
			g := open(t, l, src, WithClock(c))
			// Tick 0 itself may count as reserved; the others must not.
			for tick := int64(1); tick < 5; tick++ {
				c.Advance(time.Millisecond)
				p := mustNext(t, l, g)
				assert.Equal(t, tick, p.Tick)
			}
			c.Advance(time.Millisecond)
			_, err := g.Next()
			require.ErrorIs(t, err, ErrNoLease)
			last := src.seal()
			assert.Equal(t, int64(4), last)
		}
	})
}

func TestWindowUpToTheLastTick(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, bits := range [][3]int{{6, 8, 2}, {6, 8, 0}, {13, 0, 50}, {62, 0, 1}} {
			l := small(t, bits[0], bits[1], bits[2])
			for _, until := range []int64{l.MaxTick() + 1, math.MaxInt64} {
				first := l.MaxTick() - 3
				if l.Time(first).After(time.Unix(0, math.MaxInt64)) {
					continue // clocks do not get there
				}
				c := clocktest.New(l.Time(first))
				src := newLease(layout.Window{Node: 0, From: first, Until: until})
				g := open(t, l, src, WithClock(c))
				for tick := first; tick <= l.MaxTick(); tick++ {
					assert.Equal(t, tick, mustNext(t, l, g).Tick)
					c.Advance(time.Millisecond)
				}
				_, err := g.Next()
				require.ErrorIs(t, err, layout.ErrPastEnd)
				assert.Equal(t, l.MaxTick(), g.LastTick())
				assert.Equal(t, l.MaxTick(), src.seal())
				// There are no ticks left for any window.
				if err := src.grant(layout.Window{Node: 0, From: l.MaxTick(), Until: until}); err == nil {
					c.StepBack(time.Millisecond)
					id, err := nextOrWaits(t, c, g)
					assert.Error(t, err, "%d after the last number", id)
				}
			}
		}
	})
}

func TestWindowFarInTheFuture(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 4)
		c := clockAt(1000)
		src := newLease(layout.Window{Node: 7, From: 1 << 30, Until: 1 << 31})
		g := open(t, l, src, WithClock(c), WithBackwardLimit(time.Second))
		done := make(chan error)
		go func() {
			_, err := g.Next()
			done <- err
		}()
		require.NoError(t, c.BlockUntil(t.Context(), 1))
		c.Advance(time.Second)
		var behind *ClockBackwardError
		require.ErrorAs(t, <-done, &behind, "never counts up from the window's start")
		require.Equal(t, time.UnixMilli(1<<30).Sub(c.Time()), behind.By)
		assert.Zero(t, g.Stats().BackwardSteps, "a window of the future is no step of the clock")
		assert.Equal(t, int64(1<<30-1), g.LastTick())

		c.Jump(behind.By)
		assert.Equal(t, int64(1<<30), mustNext(t, l, g).Tick)
	})
}

// A window that began before ticks already stamped goes on after them.
func TestWindowFromBeforeWhatWasStamped(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 2)
		for _, stamped := range []int{1, 3, 4} { // of the tick's four
			c := clockAt(500)
			src := newLease(layout.Window{Node: 7, From: 400, Until: 1000})
			g := open(t, l, src, WithClock(c))
			n, err := g.Fill(make([]layout.ID, stamped))
			require.NoError(t, err)
			require.Equal(t, stamped, n)
			for _, node := range []int64{8, 7, 8, 7} {
				require.NoError(t, src.grant(layout.Window{Node: node, From: 300, Until: 900}))
				before := g.LastTick()
				c.Advance(5 * time.Millisecond)
				p := mustNext(t, l, g)
				assert.Equal(t, node, p.Node)
				assert.Greater(t, p.Tick, before)
			}
		}
	})
}

// The window covers nothing that is still to come: no ID of it, ever.
func TestWindowThatIsOverAlready(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 2)
		c := clockAt(500)
		src := newLease(layout.Window{Node: 7, From: 400, Until: 1000})
		g := open(t, l, src, WithClock(c))
		mustNext(t, l, g)
		require.NoError(t, src.grant(layout.Window{Node: 8, From: 400, Until: 450}))
		c.Advance(time.Millisecond)
		_, err := g.Next()
		require.ErrorIs(t, err, ErrNoLease)
		c.StepBack(100 * time.Millisecond) // into that window
		id, err := nextOrWaits(t, c, g)
		require.Error(t, err, "%d", id)
		last := src.seal()
		assert.True(t, last >= 399 && last < 450, "sealed at %d", last)
	})
}

// nextOrWaits lets time pass for a call that waits.
func nextOrWaits(t *testing.T, c *clocktest.Clock, g Generator) (layout.ID, error) {
	t.Helper()
	var id layout.ID
	var err error
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		id, err = g.Next()
	}()
	for passed := 0; c.BlockUntil(ctx, 1) == nil; passed++ {
		require.Less(t, passed, 5000, "waiting for ever, though time passes")
		c.StepBack(time.Second)
		c.Advance(time.Second)
	}
	<-ctx.Done()
	return id, err
}

func TestRenewalDisturbsNothing(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 8)
		c := clockAt(500)
		w := layout.Window{Node: 7, From: 400, Until: 501}
		src := newLease(w)
		g := open(t, l, src, WithClock(c), WithOverflow(Fail())) // rather than wait
		// Every renewal in the middle of a tick; its sequence goes on.
		for range 200 {
			p := mustNext(t, l, g)
			require.Equal(t, []int64{7, 500}, []int64{p.Node, p.Tick})
			w.Until++
			require.NoError(t, src.grant(w))
		}
		s := g.Stats()
		assert.Equal(t, uint64(200), s.Issued)
		assert.Zero(t, s.Discarded)
		assert.Zero(t, s.Waits)
		assert.Equal(t, int64(500), g.LastTick())
		c.Advance(200 * time.Millisecond)
		assert.Equal(t, int64(700), mustNext(t, l, g).Tick)
		c.Advance(time.Millisecond)
		_, err := g.Next()
		require.ErrorIs(t, err, ErrNoLease)
	})
}

// Making a window shorter is no renewal: what is reserved beyond must not be
// stamped any more. The clock stands still, so that nothing else ends the blocks.
func TestShorterWindow(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 8)
		c := clockAt(500)
		src := newLease(layout.Window{Node: 7, From: 400, Until: 1000})
		g := open(t, l, src, WithClock(c), WithOverflow(Fail()))
		for range 50 {
			mustNext(t, l, g)
		}
		require.NoError(t, src.grant(layout.Window{Node: 7, From: 400, Until: 500}))
		for range 50 {
			id, err := g.Next()
			require.Error(t, err, "%d is of a tick that was taken away", id)
		}
		c.Advance(time.Millisecond)
		_, err := g.Next()
		require.ErrorIs(t, err, ErrNoLease)
	})
}

// Neither is one that begins elsewhere: it ends the window in force, and is waited
// for like any new one.
func TestWindowOfTheSameNodeThatBeginsElsewhere(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 8)
		for _, from := range []int64{300, 399, 401, 499, 500, 501, 700} {
			c := clockAt(500)
			src := newLease(layout.Window{Node: 7, From: 400, Until: 1000})
			g := open(t, l, src, WithClock(c), WithOverflow(Fail()))
			for range 50 {
				mustNext(t, l, g)
			}
			require.NoError(t, src.grant(layout.Window{Node: 7, From: from, Until: 1000}))
			require.Equal(t, max(500, from-1), g.LastTick(), "from %d", from)
			c.Jump(time.Duration(max(from, 501)-500) * time.Millisecond)
			p := mustNext(t, l, g)
			require.Equal(t, []int64{max(from, 501), 0}, []int64{p.Tick, p.Sequence}, "from %d", from)
		}
	})
}

func TestGrantRefuses(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 10, 3, 4)
		c := clockAt(500)
		good := layout.Window{Node: 7, From: 400, Until: 600}
		src := newLease(good)
		g := open(t, l, src, WithClock(c))
		var field *layout.FieldError
		for _, w := range []layout.Window{
			{Node: 8, From: 400, Until: 600},
			{Node: -1, From: 400, Until: 600},
			{Node: 1, From: 600, Until: 600},
			{Node: 1, From: 601, Until: 600},
			{Node: 1, From: -1, Until: 600},
			{Node: 1, From: 1024, Until: 1025},
			{Node: 1, From: 1024, Until: math.MaxInt64},
			{Node: 1, From: 0, Until: 0},
			{Node: 1, From: 10, Until: math.MinInt64},
			{Node: math.MaxInt64, From: 10, Until: 600},
		} {
			require.ErrorAs(t, src.grant(w), &field, "%v", w)
		}
		assert.Equal(t, int64(7), mustNext(t, l, g).Node, "a grant refused changes nothing")
		require.NoError(t, g.Close())
		require.ErrorIs(t, src.grant(good), ErrClosed)
		_, err := g.Next()
		require.ErrorIs(t, err, ErrClosed)
	})
}

// Sealing after Close, as a lease may that learns of it late, changes nothing.
func TestSealAfterClose(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		src := newLease(layout.Window{Node: 7, From: 400, Until: 600})
		g := open(t, l, src, WithClock(clockAt(500)))
		mustNext(t, l, g)
		require.NoError(t, g.Close())
		assert.Equal(t, int64(500), src.seal())
		assert.Equal(t, []int64{500}, src.detached)
		require.NoError(t, g.Close())
		assert.Equal(t, []int64{500}, src.detached, "closing again reports nothing")
		_, err := g.Next()
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestNoLease(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		src := newLease() // none yet
		g := open(t, l, src, WithClock(clockAt(500)))
		assert.Zero(t, g.Stats().LeaseAge)
		_, err := g.Next()
		require.ErrorIs(t, err, ErrNoLease)
		require.NoError(t, src.grant(layout.Window{Node: 7, From: 500, Until: 600}))
		assert.Equal(t, int64(7), mustNext(t, l, g).Node)
		src.seal()
		_, err = g.Next()
		require.ErrorIs(t, err, ErrNoLease)

		lost := errors.New("lost for good")
		src.end(lost)
		_, err = g.Next()
		require.ErrorIs(t, err, ErrNoLease)
		require.ErrorIs(t, err, lost)
		_, err = g.NextContext(t.Context())
		require.ErrorIs(t, err, ErrNoLease)
		require.ErrorIs(t, err, lost)
	})
}

// Where Next returns ErrNoLease, NextContext waits for what ends it.
func TestNextContextWaitsForALease(t *testing.T) {
	window := layout.Window{Node: 7, From: 400, Until: 600}
	lost := errors.New("lost for good")
	for _, c := range []struct {
		name string
		// The lease is not there, or has run out.
		begin func(*testing.T, *lease, *clocktest.Clock)
		end   func(*testing.T, *lease, *clocktest.Clock, full, context.CancelFunc)
		want  error
	}{
		{"none yet, granted", func(*testing.T, *lease, *clocktest.Clock) {}, func(t *testing.T, src *lease, _ *clocktest.Clock, _ full, _ context.CancelFunc) {
			t.Helper()
			require.NoError(t, src.grant(window))
		}, nil},
		{"sealed, another node", func(t *testing.T, src *lease, _ *clocktest.Clock) {
			t.Helper()
			require.NoError(t, src.grant(window))
			src.seal()
		}, func(t *testing.T, src *lease, _ *clocktest.Clock, _ full, _ context.CancelFunc) {
			t.Helper()
			require.NoError(t, src.grant(layout.Window{Node: 8, From: 450, Until: 600}))
		}, nil},
		{"run out, renewed late", func(t *testing.T, src *lease, c *clocktest.Clock) {
			t.Helper()
			require.NoError(t, src.grant(window))
			c.Advance(200 * time.Millisecond)
		}, func(t *testing.T, src *lease, _ *clocktest.Clock, _ full, _ context.CancelFunc) {
			t.Helper()
			later := window
			later.Until = 900
			require.NoError(t, src.grant(later))
		}, nil},
		{"ended for good", func(*testing.T, *lease, *clocktest.Clock) {}, func(_ *testing.T, src *lease, _ *clocktest.Clock, _ full, _ context.CancelFunc) {
			src.end(lost)
		}, lost},
		{"closed", func(*testing.T, *lease, *clocktest.Clock) {}, func(t *testing.T, _ *lease, _ *clocktest.Clock, g full, _ context.CancelFunc) {
			t.Helper()
			require.NoError(t, g.Close())
		}, ErrClosed},
		{"cancelled", func(*testing.T, *lease, *clocktest.Clock) {}, func(_ *testing.T, _ *lease, _ *clocktest.Clock, _ full, cancel context.CancelFunc) {
			cancel()
		}, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, open opener) {
				t.Helper()
				l := small(t, 20, 8, 4)
				synctest.Test(t, func(t *testing.T) {
					src, clk := newLease(), clockAt(500)
					g := open(t, l, src, WithClock(clk))
					c.begin(t, src, clk)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					var returned atomic.Int32
					for range 3 {
						go func() {
							id, err := g.NextContext(ctx)
							if c.want == nil {
								assert.NoError(t, err)
							} else {
								assert.ErrorIs(t, err, c.want)
								assert.Zero(t, id)
							}
							returned.Add(1)
						}()
					}
					synctest.Wait()
					require.Zero(t, returned.Load(), "NextContext does not wait")
					_, err := g.Next()
					require.ErrorIs(t, err, ErrNoLease)

					c.end(t, src, clk, g, cancel)
					synctest.Wait()
					if c.want == nil { // the tick of a change may be used up
						clk.Advance(10 * time.Millisecond)
						synctest.Wait()
					}
					require.Equal(t, int32(3), returned.Load(), "NextContext waits on")
				})
			})
		})
	}
}

func TestSourceInUse(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, src := range []Source{Static(7), newLease(layout.Window{Node: 7, From: 1, Until: 2000})} {
			l := small(t, 20, 8, 4)
			c := clockAt(500)
			first := open(t, l, src, WithClock(c))
			for _, k := range kinds {
				g, err := k.open(l, src, WithClock(c))
				require.ErrorIs(t, err, ErrSourceInUse)
				require.Nil(t, g)
			}
			c.Advance(time.Millisecond)
			mustNext(t, l, first)
			require.NoError(t, first.Close())
			require.NoError(t, open(t, l, src, WithClock(c)).Close())
		}
	})
}

// A later generator on a static source starts after what the earlier one
// reserved, also where the clock has been set back meanwhile.
func TestStaticStartsAfterTheLastTick(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		c := clockAt(500)
		src := Static(7)
		var last int64
		for range 5 {
			g := open(t, l, src, WithClock(c), WithOverflow(Borrow(3*time.Millisecond)))
			c.Jump(20 * time.Millisecond)
			_, err := g.Fill(make([]layout.ID, 50)) // borrows
			require.NoError(t, err)
			before := last
			last = g.LastTick()
			assert.Greater(t, last, before)
			require.NoError(t, g.Close())

			c.StepBack(10 * time.Millisecond)
			next := open(t, l, src, WithClock(c), WithOverflow(Borrow(3*time.Millisecond)))
			assert.Equal(t, last, next.LastTick(), "nothing stamped, and starting after tick %d", last)
			c.Jump(40 * time.Millisecond)
			assert.Greater(t, mustNext(t, l, next).Tick, last)
			last = next.LastTick()
			require.NoError(t, next.Close())
		}
	})
}

// An earlier process may have stamped the clock's tick, and borrowed more.
func TestStaticStartsAfterTheClock(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		for _, borrow := range []int64{0, 1, 5} {
			lead := time.Duration(borrow)*time.Millisecond + 999*time.Microsecond // less than a tick counts for nothing
			c := clockAt(500)
			g := open(t, l, Static(7), WithClock(c), WithOverflow(Borrow(lead)))
			require.Equal(t, 500+borrow, g.LastTick())
			done := make(chan layout.ID)
			go func() {
				id, err := g.Next()
				assert.NoError(t, err)
				done <- id
			}()
			require.NoError(t, c.BlockUntil(t.Context(), 1))
			c.Advance(500 * time.Microsecond)
			p, err := l.Decompose(<-done)
			require.NoError(t, err)
			assert.Equal(t, 501+borrow, p.Tick)
		}
	})
}

func TestLayoutMismatch(t *testing.T) {
	l, other := small(t, 20, 8, 4), small(t, 20, 8, 5)
	for _, k := range kinds {
		src := newLease()
		src.of = other
		g, err := k.open(l, src, WithClock(clockAt(1)))
		var mismatch *LayoutMismatchError
		require.ErrorAs(t, err, &mismatch)
		assert.Equal(t, LayoutMismatchError{Generator: l, Source: other}, *mismatch)
		assert.Nil(t, g)
		assert.False(t, src.attached)

		src.of = l
		g, err = k.open(l, src, WithClock(clockAt(1)))
		require.NoError(t, err)
		require.NoError(t, g.Close())
	}
}

func TestConstructorsRefuse(t *testing.T) {
	l := small(t, 20, 8, 4)
	var field *layout.FieldError
	var option *OptionError
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			clk := WithClock(clockAt(1))
			for _, node := range []int64{-1, 256, math.MaxInt64, math.MinInt64} {
				_, err := k.open(l, Static(node), clk)
				require.ErrorAs(t, err, &field, "node %d", node)
				assert.Equal(t, "node", field.Field)
				assert.Equal(t, node, field.Value)
				assert.Contains(t, err.Error(), "between 0 and 255")
			}
			_, err := k.open(l, nil, clk)
			require.ErrorIs(t, err, ErrNoSource)
			_, err = k.open(layout.Layout{}, Static(1), clk)
			require.Error(t, err)
			_, err = k.open(l, Static(1), clk, WithBackwardLimit(-1))
			require.ErrorAs(t, err, &option)
			assert.Equal(t, time.Duration(-1), option.Value)
			_, err = k.open(l, Static(1), clk, WithOverflow(Borrow(-time.Second)))
			require.ErrorAs(t, err, &option)
			assert.Equal(t, -time.Second, option.Value)

			// A source that a constructor refused for is not taken.
			src := Static(1)
			_, err = k.open(l, src, clk, WithBackwardLimit(-1))
			require.Error(t, err)
			g, err := k.open(l, src, clk)
			require.NoError(t, err)
			require.NoError(t, g.Close())
		})
	}
}

func TestLeaseAge(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 20, 8, 4)
		c := clockAt(500)
		w := layout.Window{Node: 7, From: 400, Until: 600}
		src := newLease(w)
		g := open(t, l, src, WithClock(c))
		c.Advance(30 * time.Millisecond)
		assert.Equal(t, 30*time.Millisecond, g.Stats().LeaseAge)
		w.Until = 700
		require.NoError(t, src.grant(w))
		assert.Zero(t, g.Stats().LeaseAge)
		c.Advance(20 * time.Millisecond)
		assert.Equal(t, 20*time.Millisecond, g.Stats().LeaseAge)
		c.StepBack(time.Second)
		assert.Zero(t, g.Stats().LeaseAge)
		src.seal()
		assert.Zero(t, g.Stats().LeaseAge)
	})
}

// steppers calls at before and after each step of a change of window.
type steppers struct {
	strategy
	at    func()
	seals int
}

func (s *steppers) seal() uint64 {
	s.at()
	word := s.strategy.seal()
	s.seals++
	s.at() // the word is marked
	return word
}

func (s *steppers) move(to uint64) {
	s.at() // the new window is there
	s.strategy.move(to)
	s.at()
}

// TestEveryInterleavingOfAStampAndAChange cuts a stamp into its three steps, as
// Atomic and Sharded take them: load the word, load the window, swap the word. It
// puts them at all places of all kinds of changes of the window. If the swap
// succeeds, the window must be in force at that moment: otherwise an ID is
// stamped under a window that another process may have by now.
func TestEveryInterleavingOfAStampAndAChange(t *testing.T) {
	grantTo := func(node int64) func(*lease) {
		return func(src *lease) { _ = src.grant(layout.Window{Node: node, From: 1, Until: 1000}) }
	}
	seal := func(src *lease) { src.seal() }
	changes := map[string][]func(*lease){
		"another node":                {grantTo(8)},
		"away and back":               {grantTo(8), grantTo(7)},
		"sealed":                      {seal},
		"sealed, another node":        {seal, grantTo(8)},
		"sealed, the same node":       {seal, grantTo(7)},
		"sealed twice, another node":  {seal, seal, grantTo(8)},
		"there and gone, there again": {seal, grantTo(8), seal, grantTo(9)},
		"two at once":                 {grantTo(8), grantTo(9)},
		"shorter":                     {func(src *lease) { _ = src.grant(layout.Window{Node: 7, From: 1, Until: 500}) }},
		"from elsewhere":              {func(src *lease) { _ = src.grant(layout.Window{Node: 7, From: 2, Until: 1000}) }},
		"renewed, another node":       {func(src *lease) { _ = src.grant(layout.Window{Node: 7, From: 1, Until: 1001}) }, grantTo(8)},
	}
	for name, change := range changes {
		for _, sequenceBits := range []int{0, 2} {
			for used := range 1<<sequenceBits + 1 { // numbers of the tick, before the stamp
				for _, clockMoves := range []int64{0, 1} {
					t.Run(fmt.Sprintf("%s, %d bits, %d used, clock on by %d", name, sequenceBits, used, clockMoves), func(t *testing.T) {
						interleave(t, change, sequenceBits, used, clockMoves)
					})
				}
			}
		}
	}
}

func interleave(t *testing.T, changes []func(*lease), sequenceBits, used int, clockMoves int64) {
	t.Helper()
	l := small(t, 20, 8, sequenceBits)
	// run makes the change, and takes the stamp's steps at the given places. It
	// returns how many places there are, and whether the stamp succeeded.
	run := func(places [3]int) (count int, stamped bool) {
		src := newLease(layout.Window{Node: 7, From: 1, Until: 1000})
		c := clockAt(500)
		g, err := NewAtomic(l, src, WithClock(c), WithOverflow(Borrow(3*time.Millisecond)))
		require.NoError(t, err)
		defer g.Close()
		if used > 0 {
			_, err = g.Fill(make([]layout.ID, used))
			require.NoError(t, err)
		}
		now := c.Now() + clockMoves*int64(time.Millisecond)

		var word uint64
		var window *snapshot
		var seals int
		change := &steppers{strategy: g}
		steps := [3]func(){
			func() { word = g.word.value.Load() },
			func() { window, seals = g.window.Load(), change.seals },
			func() {
				first, _, v := g.next(word, window, now, true)
				if v.kind != granted || !g.word.value.CompareAndSwap(word, first) {
					return
				}
				stamped = true
				require.Zero(t, word&mark, "stamped a word that was marked")
				now := g.window.Load()
				renewed := now.window.Node == window.window.Node && now.window.From == window.window.From && now.window.Until >= window.window.Until
				require.True(t, seals == change.seals && renewed, "places %v: stamped %d of tick %d under a window that is over: %v",
					places, first, first>>sequenceBits, window.window)
			},
		}
		place := func() {
			for i, p := range places {
				if p == count {
					steps[i]()
				}
			}
			count++
		}
		change.at = place
		g.strategy = change
		place()
		for _, step := range changes {
			step(src)
			place()
		}
		g.strategy = g
		return count, stamped
	}

	n, _ := run([3]int{-1, -1, -1})
	var succeeded int
	for a := range n {
		for b := a; b < n; b++ {
			for c := b; c < n; c++ {
				if _, ok := run([3]int{a, b, c}); ok {
					succeeded++
				}
			}
		}
	}
	require.Positive(t, succeeded, "no stamp ever succeeds: this test proves nothing")
}

// The greatest word there is, the last number of the last tick of a layout that
// leaves no bit between word and mark, is all ones once it is marked: adding to it
// gives 0, which must not pass for a number of any tick, while the window is still
// the old one.
func TestNothingFollowsTheGreatestWordWhileItIsMarked(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 41, 0, 22)
		c := clockAt(l.MaxTick() - 1)
		src := newLease(layout.Window{From: l.MaxTick() - 1, Until: l.MaxTick() + 1})
		g := open(t, l, src, WithClock(c))
		c.Advance(time.Millisecond)
		all := uint64(l.MaxSequence()) + 1
		s, v := g.base().strategy.attempt(c.Now(), true, all)
		require.Equal(t, granted, v.kind)
		require.Equal(t, all, s.n)

		change := &steppers{strategy: g.base().strategy}
		change.at = func() {
			if change.seals > 0 { // before that it would wait for the clock
				id, err := g.Next()
				assert.Error(t, err, "%d was made a second time", id)
			}
		}
		g.base().strategy = change
		assert.Equal(t, l.MaxTick(), src.seal())
		_, err := g.Next()
		require.ErrorIs(t, err, ErrNoLease)
		assert.Equal(t, l.MaxTick(), g.LastTick())
	})
}

// telling is a clock that tells when it is read.
type telling struct {
	*clocktest.Clock
	read chan struct{}
}

func (c telling) Now() int64 {
	now := c.Clock.Now()
	select {
	case c.read <- struct{}{}:
	default:
	}
	return now
}

// Under Mutex a stamp is one step, as long as it looks at the window under the
// lock. Here the window changes while calls stand before the lock.
func TestMutexLooksAtTheWindowUnderTheLock(t *testing.T) {
	l := small(t, 20, 8, 4)
	for _, way := range []string{"Next", "Fill"} {
		for range 50 {
			c := telling{clockAt(500), make(chan struct{}, 1)}
			src := newLease(layout.Window{Node: 7, From: 1, Until: 1000})
			g, err := NewMutex(l, src, WithClock(c))
			require.NoError(t, err)
			<-c.read
			for len(c.read) > 0 {
				<-c.read
			}
			g.mu.Lock()
			got := make(chan layout.ID)
			go func() {
				dst := make([]layout.ID, 1)
				var err error
				if way == "Next" {
					dst[0], err = g.Next()
				} else {
					_, err = g.Fill(dst)
				}
				assert.NoError(t, err)
				got <- dst[0]
			}()
			<-c.read
			for range 50 { // let it come to the lock; if it does not, nothing is tested
				runtime.Gosched()
			}
			next := newSnapshot(l, layout.Window{Node: 8, From: 1, Until: 1000}, 0)
			g.window.Store(next)
			g.mu.Unlock()
			p, err := l.Decompose(<-got)
			require.NoError(t, err)
			require.Equal(t, int64(8), p.Node, "%s: stamped under the window from before the lock", way)
			require.NoError(t, g.Close())
		}
	}
}
