package clock

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCarryOn(t *testing.T) {
	const (
		at = machineStart
		ms = int64(time.Millisecond)
		h  = int64(time.Hour)
	)
	for _, test := range []struct {
		name                     string
		shown, wall, aheadBefore int64
		next, ahead              int64
		stepped                  bool
	}{
		{"in step", at, at, 0, at, 0, false},
		{"wall ahead by a nanosecond", at, at + 1, 0, at + 1, 0, false},
		{"wall ahead by an hour", at, at + h, 0, at + h, 0, false},
		{"wall behind, as two readings are", at, at - ms + 1, 0, at, ms - 1, false},
		{"wall set back by a millisecond", at, at - ms, 0, at, ms, true},
		{"wall set back by an hour", at, at - h, 0, at, h, true},
		{"still set back", at, at - h, h, at, h, false},
		{"still set back, with jitter", at, at - h - ms + 1, h, at, h + ms - 1, false},
		{"set back once more", at, at - 2*h, h, at, 2 * h, true},
		{"set forward again by half", at, at - h/2, h, at, h / 2, false},
		{"set forward again by all", at, at, h, at, 0, false},
		{"set forward by more", at, at + h, h, at + h, 0, false},
		{"before 1970", -h, -2 * h, 0, -h, h, true},
		{"set back to the beginning of int64", 0, math.MinInt64 + 1, 0, 0, math.MaxInt64, true},
	} {
		next, ahead, stepped := carryOn(test.shown, test.wall, test.aheadBefore)
		assert.Equal(t, test.next, next, test.name)
		assert.Equal(t, test.ahead, ahead, test.name)
		assert.Equal(t, test.stepped, stepped, test.name)
	}
}

// A wall clock on its way, looked at ten times a second.
func TestCarryOnCountsEachStepOnce(t *testing.T) {
	shown, ahead, steps := int64(machineStart), int64(0), 0
	look := func(wall int64) {
		var stepped bool
		before := shown
		shown, ahead, stepped = carryOn(shown+int64(anchorLife), wall, ahead)
		if stepped {
			steps++
		}
		require.GreaterOrEqual(t, shown, before+int64(anchorLife))
		require.Equal(t, shown-wall, ahead)
	}
	off := int64(0)
	for i := range 100 {
		jitter := int64(i%7) * int64(100*time.Microsecond)
		switch i {
		case 20:
			off = -int64(time.Second)
		case 40:
			off = -int64(2 * time.Second)
		case 60:
			off = int64(time.Minute)
		case 80:
			off = 0
		}
		look(machineStart + int64(i+1)*int64(anchorLife) + off - jitter)
	}
	assert.Equal(t, 3, steps)
	assert.InDelta(t, time.Minute, ahead, float64(stepTolerance))
}

// shift moves m against the wall clock, as if that had been set by -d since m
// last looked; it looks again with the next reading.
func (m *Monotonic) shift(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.anchor.Store(&anchor{start: m.anchor.Load().start + int64(d)})
}

func TestMonotonicWhenTheWallClockIsSet(t *testing.T) {
	const off = float64(10 * time.Second) // hangs of this machine included
	m := NewMonotonic()
	assert.Zero(t, m.Offset())
	assert.Zero(t, m.BackwardSteps())

	m.shift(time.Hour)
	before := time.Now().Add(time.Hour).UnixNano()
	now := m.Now()
	assert.GreaterOrEqual(t, now, before-int64(stepTolerance))
	assert.InDelta(t, time.Hour, m.Offset(), off)
	assert.EqualValues(t, 1, m.BackwardSteps())

	elapsed := time.Since(m.origin)
	m.shift(0) // looks again, and finds nothing new
	assert.GreaterOrEqual(t, m.Now(), now)
	assert.InDelta(t, time.Hour, m.Offset(), off)
	assert.EqualValues(t, 1, m.BackwardSteps())

	assert.GreaterOrEqual(t, m.anchor.Load().until, elapsed+anchorLife, "it looks too often")

	m.shift(-2 * time.Hour) // the wall clock is an hour ahead now
	assert.InDelta(t, 0, m.Now()-time.Now().UnixNano(), off)
	assert.InDelta(t, 0, m.Offset(), off)
	assert.EqualValues(t, 1, m.BackwardSteps())
}

func TestReadBoth(t *testing.T) {
	for range 1000 {
		before := time.Now()
		at := readBoth()
		require.False(t, at.Before(before))
		require.False(t, time.Now().Before(at))
	}
}
