package clock_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
)

// subject is a clock that real time moves, and what it promises.
type subject struct {
	name     string
	clock    clock.Clock
	ahead    time.Duration // how far it may be ahead of the wall clock
	behind   time.Duration // and behind
	early    time.Duration // how early a wait may end, its rate being but measured
	unfenced time.Duration // by how much readings of two CPUs may be out of order
	set      bool          // it goes back with the wall clock
}

func realClocks(t *testing.T) []subject {
	t.Helper()
	coarse, err := clock.NewCoarse(clock.NewMonotonic(), time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, coarse.Close()) })
	clocks := []subject{
		{name: "system", clock: clock.System{}, set: true},
		{name: "monotonic", clock: clock.NewMonotonic(), ahead: time.Millisecond, behind: time.Millisecond},
		{name: "coarse", clock: coarse, ahead: time.Millisecond, behind: 10 * time.Second},
		{name: "default", clock: clock.Default(), ahead: time.Millisecond, behind: time.Millisecond, early: 10 * time.Microsecond, unfenced: 50 * time.Microsecond},
	}
	tsc, err := clock.NewTSC()
	if err != nil {
		t.Log("tests go without TSC:", err)
		return clocks
	}
	return append(clocks, subject{
		name: "tsc", clock: tsc, ahead: time.Millisecond, behind: time.Millisecond,
		early: 10 * time.Microsecond, unfenced: 50 * time.Microsecond,
	})
}

func TestNowIsTheTime(t *testing.T) {
	for _, c := range realClocks(t) {
		t.Run(c.name, func(t *testing.T) {
			for range 100 {
				before := time.Now()
				now := c.clock.Now()
				after := time.Now()
				require.GreaterOrEqual(t, now, before.Add(-c.behind).UnixNano())
				require.LessOrEqual(t, now, after.Add(c.ahead).UnixNano())
				require.NoError(t, c.clock.Wait(t.Context(), now+int64(time.Millisecond)))
			}
		})
	}
}

// Each reader compares with its own last reading, and with the latest that any
// of them had before.
func TestNowDoesNotGoBack(t *testing.T) {
	for _, c := range realClocks(t) {
		if c.set {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var latest, backward, unordered atomic.Int64
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					var last int64
					for range 200_000 {
						seen := latest.Load()
						now := c.clock.Now()
						raise(&latest, now)
						raise(&backward, last-now)
						raise(&unordered, seen-now)
						last = now
					}
				})
			}
			readers.Wait()
			t.Log("out of order by up to", time.Duration(unordered.Load()))
			assert.Zero(t, backward.Load(), "one goroutine's readings went back")
			assert.LessOrEqual(t, unordered.Load(), int64(c.unfenced))
		})
	}
}

func raise(a *atomic.Int64, to int64) {
	for now := a.Load(); now < to && !a.CompareAndSwap(now, to); now = a.Load() {
	}
}

func TestWaitReachesItsTime(t *testing.T) {
	for _, c := range realClocks(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, d := range []time.Duration{
				1, 2 * time.Microsecond, 100 * time.Microsecond, time.Millisecond,
				clock.UninterruptibleWait, clock.UninterruptibleWait + 1, 30 * time.Millisecond,
			} {
				for range 3 {
					until := c.clock.Now() + int64(d)
					require.NoError(t, c.clock.Wait(t.Context(), until))
					require.GreaterOrEqual(t, c.clock.Now(), until-int64(c.early), "after a wait of %v", d)
				}
			}
		})
	}
}

func TestWaitForThePastReturnsAtOnce(t *testing.T) {
	for _, c := range realClocks(t) {
		for _, until := range []int64{math.MinInt64, -1, 0, c.clock.Now() - 1, c.clock.Now()} {
			start := time.Now()
			require.NoError(t, c.clock.Wait(t.Context(), until), c.name)
			require.Less(t, time.Since(start), 10*time.Second, c.name)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	for _, c := range realClocks(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, until := range []int64{c.clock.Now() + int64(time.Hour), math.MaxInt64} {
				cancelled, cancel := context.WithCancel(t.Context())
				cancel()
				require.ErrorIs(t, c.clock.Wait(cancelled, until), context.Canceled)

				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- c.clock.Wait(ctx, until) }()
				select {
				case err := <-ended:
					require.Fail(t, "it did not wait", err)
				case <-time.After(10 * time.Millisecond):
				}
				cancel()
				select {
				case err := <-ended:
					require.ErrorIs(t, err, context.Canceled)
				case <-time.After(10 * time.Second):
					require.Fail(t, "it waits on after its context has ended")
				}

				ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
				require.ErrorIs(t, c.clock.Wait(ctx, until), context.DeadlineExceeded)
				cancel()
			}
		})
	}
}

// More waiters than may hold a thread each.
func TestManyWait(t *testing.T) {
	for _, c := range realClocks(t) {
		var waiters sync.WaitGroup
		for range 200 {
			waiters.Go(func() {
				until := c.clock.Now() + int64(time.Millisecond)
				if assert.NoError(t, c.clock.Wait(t.Context(), until)) {
					assert.GreaterOrEqual(t, c.clock.Now(), until-int64(c.early), c.name)
				}
			})
		}
		waiters.Wait()
	}
}

// A look at the operating system's clock now and then may allocate.
func TestNowDoesNotAllocate(t *testing.T) {
	const readings = 100_000
	clocks := realClocks(t)
	frozen, running := clocktest.New(time.Now()), clocktest.New(time.Now())
	running.Run(1)
	clocks = append(clocks, subject{name: "clocktest frozen", clock: frozen}, subject{name: "clocktest running", clock: running})
	for _, c := range clocks {
		// In one run, for AllocsPerRun rounds down to whole allocations. The
		// coarse clock's goroutine is counted too.
		allocs := testing.AllocsPerRun(1, func() {
			for range readings {
				c.clock.Now()
			}
		})
		assert.Less(t, allocs/readings, 0.01, c.name)
	}
}
