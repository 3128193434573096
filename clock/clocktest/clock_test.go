package clocktest_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
)

var start = time.Date(2026, time.March, 14, 15, 9, 26, 535_897_932, time.UTC)

// waiter is a goroutine in Wait.
type waiter struct{ ended chan error }

// wait starts one, and returns when it is waiting, or has ended.
func wait(ctx context.Context, c *clocktest.Clock, until int64) waiter {
	w := waiter{make(chan error, 1)}
	go func() { w.ended <- c.Wait(ctx, until) }()
	synctest.Wait()
	return w
}

func (w waiter) waits() bool {
	synctest.Wait()
	return len(w.ended) == 0
}

func TestFrozen(t *testing.T) {
	c := clocktest.New(start)
	for range 3 {
		assert.Equal(t, start.UnixNano(), c.Now())
		assert.Equal(t, start, c.Time())
	}
}

func TestMoves(t *testing.T) {
	c := clocktest.New(start)
	c.Advance(time.Second)
	assert.Equal(t, start.Add(time.Second), c.Time())
	c.Jump(time.Hour)
	assert.Equal(t, start.Add(time.Hour+time.Second), c.Time())
	c.StepBack(2 * time.Hour)
	assert.Equal(t, start.Add(time.Second-time.Hour), c.Time())
	assert.Equal(t, c.Time().UnixNano(), c.Now())
}

func TestAdvanceWakesByTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		near := wait(t.Context(), c, c.Now()+10)
		far := wait(t.Context(), c, c.Now()+20)
		assert.Equal(t, 2, c.Sleepers())
		c.Advance(9)
		assert.True(t, near.waits())
		c.Advance(1)
		assert.False(t, near.waits())
		require.NoError(t, <-near.ended)
		assert.True(t, far.waits())
		assert.Equal(t, 1, c.Sleepers())
		c.Advance(time.Hour)
		require.NoError(t, <-far.ended)
		assert.Zero(t, c.Sleepers())
	})
}

func TestAdvanceWakesByTheTimeThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		c.Advance(time.Minute) // what passed before a wait began does not count
		w := wait(t.Context(), c, c.Now()+10)
		c.StepBack(time.Hour)
		c.Advance(9)
		assert.True(t, w.waits())
		c.Advance(1)
		assert.False(t, w.waits(), "the clock stepped back meanwhile: it must not hold the waiter")
		require.NoError(t, <-w.ended)
		assert.Less(t, c.Now(), start.UnixNano())
	})
}

func TestJumpWakesByTheReadingOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		w := wait(t.Context(), c, c.Now()+10)
		c.StepBack(100)
		c.Jump(50) // no time has passed
		assert.True(t, w.waits())
		c.Jump(59)
		assert.True(t, w.waits())
		c.Jump(1)
		assert.False(t, w.waits())
		assert.NoError(t, <-w.ended)
	})
}

func TestStepBackWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		w := wait(t.Context(), c, c.Now()+10)
		for range 5 {
			c.StepBack(time.Hour)
			assert.True(t, w.waits())
		}
		assert.Equal(t, 1, c.Sleepers())
		c.Advance(10)
		assert.NoError(t, <-w.ended)
	})
}

func TestWaitForThePast(t *testing.T) {
	c := clocktest.New(start)
	for _, until := range []int64{math.MinInt64, 0, c.Now() - 1, c.Now()} {
		require.NoError(t, c.Wait(t.Context(), until))
	}
	assert.Zero(t, c.Sleepers())
}

// Half of int64 lies between: more than a Duration holds.
func TestWaitForTheEndOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(time.Unix(0, math.MinInt64/2))
		c.Advance(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		w := wait(ctx, c, math.MaxInt64)
		c.Advance(1000 * time.Hour)
		assert.True(t, w.waits())
		cancel()
		assert.ErrorIs(t, <-w.ended, context.Canceled)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		ctx, cancel := context.WithCancel(t.Context())
		w := wait(ctx, c, c.Now()+10)
		other := wait(t.Context(), c, c.Now()+10)
		cancel()
		require.ErrorIs(t, <-w.ended, context.Canceled)
		assert.Equal(t, 1, c.Sleepers())
		require.ErrorIs(t, c.Wait(ctx, c.Now()+10), context.Canceled)
		require.ErrorIs(t, c.Wait(ctx, 0), context.Canceled)
		assert.True(t, other.waits())
		c.Advance(10)
		assert.NoError(t, <-other.ended)
	})
}

func TestRunAndFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		near := wait(t.Context(), c, c.Now()+10)
		far := wait(t.Context(), c, c.Now()+1000)
		c.Run(3)
		assert.NoError(t, <-near.ended)
		assert.NoError(t, <-far.ended)
		at := start.UnixNano() + 1000
		assert.Equal(t, at, c.Time().UnixNano(), "it came to what the last one waited for")
		assert.Equal(t, at+3, c.Now())
		assert.Equal(t, at+6, c.Now())
		assert.Equal(t, at+6, c.Time().UnixNano(), "Time does not move it")

		require.NoError(t, c.Wait(t.Context(), at+100))
		assert.Equal(t, at+103, c.Now())
		require.NoError(t, c.Wait(t.Context(), at), "never back")
		assert.Equal(t, at+106, c.Now())

		c.Freeze()
		assert.Equal(t, at+106, c.Now())
		w := wait(t.Context(), c, at+107)
		assert.True(t, w.waits())
		c.Advance(1)
		assert.NoError(t, <-w.ended)
	})
}

func TestBlockUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.New(start)
		require.NoError(t, c.BlockUntil(t.Context(), 0))

		blocked := waiter{make(chan error, 1)}
		go func() { blocked.ended <- c.BlockUntil(t.Context(), 3) }()
		var waiters []waiter
		for range 3 {
			assert.True(t, blocked.waits())
			waiters = append(waiters, wait(t.Context(), c, c.Now()+10))
		}
		assert.NoError(t, <-blocked.ended)
		assert.NoError(t, c.BlockUntil(t.Context(), 2), "at least")
		c.Advance(10)
		for _, w := range waiters {
			require.NoError(t, <-w.ended)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, c.BlockUntil(ctx, 1), context.DeadlineExceeded)
	})
}

// For the race detector, and for sleepers that nobody wakes.
func TestConcurrentUse(t *testing.T) {
	c := clocktest.New(start)
	ctx, cancel := context.WithCancel(t.Context())
	var movers, sleepers sync.WaitGroup
	for range 4 {
		sleepers.Go(func() {
			for ctx.Err() == nil {
				_ = c.Wait(ctx, c.Now()+int64(time.Millisecond))
			}
		})
		sleepers.Go(func() {
			for ctx.Err() == nil {
				_ = c.BlockUntil(ctx, 1)
			}
		})
	}
	for range 2 {
		movers.Go(func() {
			for range 2000 {
				c.Advance(time.Millisecond)
				c.Jump(time.Second)
				c.StepBack(time.Second)
				c.Run(1)
				c.Now()
				c.Freeze()
				c.Time()
				c.Sleepers()
			}
		})
	}
	movers.Wait()
	cancel()
	sleepers.Wait()
	assert.Zero(t, c.Sleepers())
}
