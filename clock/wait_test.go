package clock

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissingFrom(t *testing.T) {
	for _, test := range []struct {
		now, until int64
		want       time.Duration
	}{
		{machineStart, machineStart, 0},
		{machineStart, machineStart + 1, 1},
		{machineStart, machineStart - 1, 0},
		{machineStart, math.MinInt64, 0},
		{machineStart, math.MaxInt64, math.MaxInt64 - machineStart},
		{-1, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, math.MaxInt64, math.MaxInt64},
		{math.MaxInt64, math.MinInt64, 0},
	} {
		assert.Equal(t, test.want, missingFrom(test.now, test.until), "%d %d", test.now, test.until)
	}
}

// A user who tests with testing/synctest has our clocks in the bubble, where
// time moves only while all goroutines sleep: in a system call, or in a loop, a
// wait would never end.
func TestWaitInASynctestBubble(t *testing.T) {
	for _, d := range []time.Duration{1, 3 * time.Microsecond, time.Millisecond, UninterruptibleWait, 30 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			for _, c := range []Clock{System{}, NewMonotonic()} {
				start := time.Now()
				until := c.Now() + int64(d)
				require.NoError(t, c.Wait(t.Context(), until))
				assert.GreaterOrEqual(t, c.Now(), until)
				assert.Equal(t, d, time.Since(start), "%T waited longer than it had to", c)
			}
		})
	}
}

// stuck is a clock that real time does not move.
type stuck int64

func (c stuck) Now() int64 { return int64(c) }

// The clock never gets there, but what was missing when Wait was called passes.
func TestWaitEndsOnAClockThatStandsStill(t *testing.T) {
	for _, d := range []time.Duration{time.Microsecond, 100 * time.Microsecond, 5 * time.Millisecond} {
		start := time.Now()
		require.NoError(t, wait(t.Context(), stuck(machineStart), machineStart+int64(d)))
		assert.GreaterOrEqual(t, time.Since(start), d)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.NoError(t, wait(t.Context(), stuck(machineStart), machineStart+int64(time.Hour)))
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

// stepping is a wall clock that someone sets by a while after it was made.
type stepping struct {
	made  time.Time
	after time.Duration
	by    time.Duration
}

func (c stepping) Now() int64 {
	now := time.Now()
	if now.Sub(c.made) >= c.after {
		now = now.Add(c.by)
	}
	return now.UnixNano()
}

func TestWaitWhileTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forward := stepping{made: time.Now(), after: time.Minute, by: time.Hour}
		require.NoError(t, wait(t.Context(), forward, forward.Now()+int64(30*time.Minute)))
		took := time.Since(forward.made)
		assert.GreaterOrEqual(t, took, time.Minute)
		assert.LessOrEqual(t, took, time.Minute+recheck, "the step was noticed late")
	})
	synctest.Test(t, func(t *testing.T) {
		back := stepping{made: time.Now(), after: time.Minute, by: -time.Hour}
		require.NoError(t, wait(t.Context(), back, back.Now()+int64(30*time.Minute)))
		assert.Equal(t, 30*time.Minute, time.Since(back.made), "a step back must not hold the caller")
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+recheck/3)
		defer cancel()
		require.ErrorIs(t, wait(ctx, System{}, start.Add(time.Hour).UnixNano()), context.DeadlineExceeded)
		assert.Equal(t, time.Minute+recheck/3, time.Since(start), "it is to end at once, not at the next look at the clock")
	})
}
