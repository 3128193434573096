package clock_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
)

const period = time.Millisecond

func newCoarse(t *testing.T) (*clock.Coarse, *clocktest.Clock) {
	t.Helper()
	base := clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
	c, err := clock.NewCoarse(base, period)
	require.NoError(t, err)
	synctest.Wait()
	return c, base
}

func TestCoarseRefreshesOnceAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, base := newCoarse(t)
		for range 10 {
			fresh := base.Now()
			assert.Equal(t, fresh, c.Now())
			for range 9 {
				base.Advance(period / 10)
				synctest.Wait()
				assert.Equal(t, fresh, c.Now(), "refreshed before the period's end")
			}
			base.Advance(period / 10)
			synctest.Wait()
			assert.Equal(t, fresh+int64(period), c.Now())
		}
		assert.NoError(t, c.Close())
	})
}

func TestCoarseFollowsABaseThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, base := newCoarse(t)
		base.StepBack(time.Hour)
		synctest.Wait()
		assert.NotEqual(t, base.Now(), c.Now())
		base.Advance(period)
		synctest.Wait()
		assert.Equal(t, base.Now(), c.Now(), "a step back must not hold the refreshing")
		base.Jump(time.Hour)
		synctest.Wait()
		assert.Equal(t, base.Now(), c.Now())
		assert.NoError(t, c.Close())
	})
}

func TestCoarseWaitRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, base := newCoarse(t)
		base.Advance(period / 4)
		until := base.Now() + int64(period/4)
		ended := make(chan error, 1)
		go func() { ended <- c.Wait(t.Context(), until) }()
		synctest.Wait()
		assert.Equal(t, 2, base.Sleepers())
		base.Advance(period / 4)
		require.NoError(t, <-ended)
		assert.Equal(t, until, c.Now())
		assert.Equal(t, 1, base.Sleepers(), "it was not the period's end that refreshed")

		base.Advance(period / 4)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Wait(ctx, math.MaxInt64), context.Canceled)
		assert.Equal(t, base.Now(), c.Now())
		assert.NoError(t, c.Close())
	})
}

// A bubble does not end before its goroutines have.
func TestCoarseClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, base := newCoarse(t)
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() { assert.NoError(t, c.Close()) })
		}
		closers.Wait()
		require.NoError(t, c.Close())
		assert.Zero(t, base.Sleepers(), "its goroutine is still waiting")

		for range 3 {
			base.Advance(1)
			assert.Equal(t, base.Now(), c.Now(), "after Close it reads its base")
		}
		require.NoError(t, c.Wait(t.Context(), base.Now()), "and waits by it")
		base.Advance(1)
		assert.Equal(t, base.Now(), c.Now(), "a wait must not bring a stale time back")
	})
}

// lingering is slow to notice that a context has ended.
type lingering struct{ *clocktest.Clock }

func (c lingering) Wait(ctx context.Context, until int64) error {
	err := c.Clock.Wait(ctx, until)
	time.Sleep(time.Second)
	return err
}

func TestCoarseCloseWaitsForItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := lingering{clocktest.New(time.Now())}
		c, err := clock.NewCoarse(base, period)
		require.NoError(t, err)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		assert.Equal(t, time.Second, time.Since(start))
		base.Advance(1)
		assert.Equal(t, base.Now(), c.Now())
	})
}

func TestNewCoarseNeedsAPeriod(t *testing.T) {
	for _, p := range []time.Duration{0, -1, math.MinInt64} {
		c, err := clock.NewCoarse(clock.System{}, p)
		require.Error(t, err)
		assert.Nil(t, c)
		assert.Contains(t, err.Error(), p.String())
	}
}

// The end of such a period is past the end of int64.
func TestCoarseWithAnEndlessPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := clocktest.New(time.Now())
		c, err := clock.NewCoarse(base, math.MaxInt64)
		require.NoError(t, err)
		synctest.Wait() // for ever, if the goroutine does not sleep
		fresh := c.Now()
		base.Advance(time.Hour)
		synctest.Wait()
		assert.Equal(t, 1, base.Sleepers())
		assert.Equal(t, fresh, c.Now())
		assert.NoError(t, c.Close())
	})
}

// broken can be read, but not waited for.
type broken struct{ *clocktest.Clock }

var errBroken = errors.New("broken")

func (broken) Wait(context.Context, int64) error { return errBroken }

func TestCoarseOnABaseThatFailsToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := broken{clocktest.New(time.Now())}
		c, err := clock.NewCoarse(base, period)
		require.NoError(t, err)
		synctest.Wait()
		base.Advance(time.Hour)
		assert.Equal(t, base.Now(), c.Now(), "nobody refreshes it: it must not be stale")
		require.ErrorIs(t, c.Wait(t.Context(), 0), errBroken)
		assert.NoError(t, c.Close())
	})
}

func TestCoarseStaysInOrderWhileManyRefreshIt(t *testing.T) {
	base := clocktest.New(time.Now())
	c, err := clock.NewCoarse(base, period)
	require.NoError(t, err)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := c.Now()
			for range 5000 {
				base.Advance(period / 10)
				asked := base.Now()
				err := c.Wait(t.Context(), asked)
				now := c.Now()
				if err != nil || now < max(last, asked) {
					assert.Fail(t, "a refresh was overtaken by an older one", "%v: %d", err, now)
					return
				}
				last = now
			}
		})
	}
	readers.Wait()
	assert.NoError(t, c.Close())
}
