package generator

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// A stamp swaps the word before it counts what the tick before has used. Until
// then the sum is below zero in the first tick of a window, which moved the word
// over numbers that nobody got: no one must read that as 2^64 − 1023.
func TestStatsInTheMiddleOfTheFirstStamp(t *testing.T) {
	l := small(t, 40, 8, 10)
	g, err := NewAtomic(l, newLease(layout.Window{Node: 1, From: 1000, Until: 2000}), WithClock(clockAt(1000)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	assert.Zero(t, g.Stats().Issued)

	word := g.word.value.Load()
	require.True(t, g.word.value.CompareAndSwap(word, word+1))
	assert.LessOrEqual(t, g.Stats().Issued, uint64(1))
	g.word.done.Add(g.used(word))
	assert.Equal(t, uint64(1), g.Stats().Issued)
}

// still is a clock that does not move, whatever one waits.
type still struct{ *clocktest.Clock }

func (still) Wait(context.Context, int64) error { return nil }

// What a user reads must not contradict itself: half a millisecond is not more
// than a limit of ten.
func TestClockThatStandsStillIsNotSaidToBeBeyondTheLimit(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		g := open(t, small(t, 40, 8, 1), Static(1), WithClock(still{clockAt(1000)}), WithBackwardLimit(10*time.Millisecond))
		_, err := g.Next()
		var behind *ClockBackwardError
		require.ErrorAs(t, err, &behind)
		assert.Equal(t, &ClockBackwardError{By: time.Millisecond / 2, Limit: 10 * time.Millisecond}, behind)
		require.ErrorContains(t, err, "stood still")
		require.NotContains(t, err.Error(), "more than")
	})
	err := &ClockBackwardError{By: time.Hour, Limit: time.Second}
	assert.Equal(t, "generator: the clock is behind by 1h0m0s, more than the limit of 1s: it was set back, or this machine's clock is wrong; correct it or wait", err.Error())
}
