package generator

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
)

// crew are goroutines at a gate, in a bubble: synctest.Wait returns when all that
// can happen has happened.
type crew struct {
	gate  gate
	clock *clocktest.Clock
	left  atomic.Int32 // by nil
	quit  atomic.Int32 // by an error
}

func (c *crew) come(ctx context.Context, until time.Duration) {
	at := c.clock.Now() + int64(until)
	go func() {
		if c.gate.wait(ctx, c.clock, at) == nil {
			c.left.Add(1)
		} else {
			c.quit.Add(1)
		}
	}()
	synctest.Wait()
}

// comeWithContext is come for one who may give up.
func (c *crew) comeWithContext(t *testing.T, until time.Duration) context.CancelFunc {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c.come(ctx, until)
	return cancel
}

// state checks who has left, and how many sleep at the clock, unless that is -1.
func (c *crew) state(t *testing.T, left, quit, sleepers int) {
	t.Helper()
	synctest.Wait()
	if sleepers < 0 {
		sleepers = c.clock.Sleepers()
	}
	assert.Equal(t, []int{left, quit, sleepers}, []int{int(c.left.Load()), int(c.quit.Load()), c.clock.Sleepers()}, "left, gave up, asleep")
}

func newCrew() *crew { return &crew{clock: clocktest.New(time.Unix(1000, 0))} }

// However many wait, one sleeps.
func TestGateWakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		for range 3 {
			before := int(c.left.Load())
			for range 100 {
				c.come(t.Context(), time.Second)
			}
			c.state(t, before, 0, 1)
			c.clock.Advance(time.Second - 1)
			c.state(t, before, 0, 1)
			c.clock.Advance(1)
			c.state(t, before+100, 0, 0)
		}
	})
}

func TestGateLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		var cancels []context.CancelFunc
		for range 4 { // each would lead if those before had given up
			cancels = append(cancels, c.comeWithContext(t, time.Second))
		}
		for range 5 {
			c.come(t.Context(), time.Second)
		}
		c.state(t, 0, 0, 1)
		for i, cancel := range cancels {
			cancel()
			c.state(t, 0, i+1, 1)
		}
		c.clock.Advance(time.Second)
		c.state(t, 5, 4, 0)
	})
}

func TestGateFollowerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		c.come(t.Context(), time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		for range 5 {
			c.come(ctx, time.Second)
		}
		cancel()
		c.state(t, 0, 5, 1)
		c.clock.Advance(time.Second)
		c.state(t, 1, 5, 0)
	})
}

// Whoever waits for an earlier moment must not sleep as long as the leader.
func TestGateForAnEarlierMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		c.come(t.Context(), time.Hour)
		c.come(t.Context(), time.Second)
		c.come(t.Context(), time.Second)
		c.clock.Advance(time.Second)
		c.state(t, 2, 0, 1)
		c.clock.Advance(time.Hour)
		c.state(t, 3, 0, 0)
	})
}

// Whoever waits for a later moment waits until then, though the leader leaves: a
// call that gives up on the clock must have waited for its own whole limit.
func TestGateForALaterMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		c.come(t.Context(), time.Second)
		c.come(t.Context(), time.Minute)
		c.come(t.Context(), time.Hour)
		c.come(t.Context(), time.Hour)
		c.clock.Advance(time.Second)
		c.state(t, 1, 0, -1) // any of the others may lead now
		c.clock.Advance(time.Minute - time.Second)
		c.state(t, 2, 0, -1)
		c.clock.Advance(time.Hour)
		c.state(t, 4, 0, 0)
	})
}

// Anyone may come and give up at any time; in the end nobody is left behind.
func TestGateLeavesNobodyBehind(t *testing.T) {
	seed := uint64(51)
	r := rand.New(rand.NewPCG(seed, 52))
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew()
			var cancels []context.CancelFunc
			for range 60 {
				switch r.IntN(6) {
				case 0, 1, 2:
					until := []time.Duration{0, 1, time.Second, time.Second, time.Minute}[r.IntN(5)]
					cancels = append(cancels, c.comeWithContext(t, until))
				case 3:
					if len(cancels) > 0 {
						cancels[r.IntN(len(cancels))]()
					}
				case 4:
					c.clock.Advance(time.Duration(r.Int64N(int64(2 * time.Second))))
				case 5:
					c.clock.StepBack(time.Duration(r.Int64N(int64(time.Second))))
				}
			}
			c.clock.Advance(2 * time.Minute)
			synctest.Wait()
			for range 200 { // those who came for later moments sleep in turn
				c.clock.Advance(2 * time.Minute)
				synctest.Wait()
			}
			require.Equal(t, len(cancels), int(c.left.Load()+c.quit.Load()), "seed %d: someone waits for ever", seed)
			require.Zero(t, c.clock.Sleepers())
		}) // which fails if a goroutine is left
	}
}

// The limit is each caller's own: one who comes while another has waited for most
// of its limit does not give up together with that one.
func TestEachCallerHasItsOwnLimit(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 4)
		synctest.Test(t, func(t *testing.T) {
			c := clockAt(1_000_000)
			g := open(t, l, Static(1), WithClock(c), WithBackwardLimit(time.Second))
			c.Advance(time.Millisecond)
			mustNext(t, l, g)
			c.StepBack(time.Minute)
			var gone atomic.Int32
			call := func() {
				go func() {
					var behind *ClockBackwardError
					_, err := g.Next()
					assert.ErrorAs(t, err, &behind)
					gone.Add(1)
				}()
				synctest.Wait()
			}
			call()
			c.Advance(900 * time.Millisecond)
			call()
			call()
			c.Advance(100 * time.Millisecond)
			synctest.Wait()
			assert.Equal(t, int32(1), gone.Load())
			c.Advance(899 * time.Millisecond)
			synctest.Wait()
			assert.Equal(t, int32(1), gone.Load())
			for range 3 { // one of them may have to sleep anew
				c.Advance(time.Second)
				synctest.Wait()
			}
			assert.Equal(t, int32(3), gone.Load())
		})
	})
}

// Calls that end leave no goroutine behind, whatever ended them.
func TestNoGoroutineIsLeft(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		l := small(t, 40, 8, 0)
		synctest.Test(t, func(t *testing.T) { // fails if one is
			c := clockAt(1000)
			g := open(t, l, Static(1), WithClock(c))
			ctx, cancel := context.WithCancel(context.Background())
			for range 10 {
				go func() { _, _ = g.NextContext(ctx) }()
				go func() { _, _ = g.Next() }()
			}
			for range 5 {
				synctest.Wait()
				c.Advance(time.Millisecond)
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
			require.NoError(t, g.Close())
		})
	})
}

// A generator has no goroutine of its own that anyone has to stop.
func TestNoGoroutineOfItsOwn(t *testing.T) {
	before := runtime.NumGoroutine()
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		during := runtime.NumGoroutine() // with the subtest's own
		for range 50 {
			g := open(t, small(t, 40, 8, 4), newLease(), WithClock(clockAt(1000)))
			_, err := g.Next()
			require.ErrorIs(t, err, ErrNoLease)
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), during)
	})
	// A goroutine of an earlier test may take a moment to end.
	for range 1_000_000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}
