package clock

import (
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewTSC(t *testing.T) {
	c, err := NewTSC()
	if err != nil {
		t.Log("this machine has none:", err)
		require.ErrorIs(t, err, ErrNoTSC)
		assert.Nil(t, c)
		assert.Greater(t, len(err.Error()), len(ErrNoTSC.Error())+len(": "), "it must say why")
		assert.IsType(t, (*Monotonic)(nil), Default())
		return
	}
	assert.Equal(t, "amd64", runtime.GOARCH)
	assert.IsType(t, c, Default())
	assert.Zero(t, c.Faults())
	assert.Zero(t, c.BackwardSteps())
	assert.Zero(t, c.Offset())
}

func TestTSCFollowsALineAfterAWhile(t *testing.T) {
	c, err := NewTSC()
	if err != nil {
		t.Log("this machine has none:", err)
		return
	}
	assert.Zero(t, c.line.Load().span, "it has not watched the counter yet")
	stretches := make(map[*line]bool)
	for range 40 {
		require.NoError(t, c.Wait(t.Context(), c.Now()+int64(5*time.Millisecond)))
		before := time.Now().UnixNano()
		now := c.Now()
		after := time.Now().UnixNano()
		require.Greater(t, now, before-int64(tolerance))
		require.Less(t, now, after+int64(tolerance))
		if l := c.line.Load(); l.span != 0 {
			stretches[l] = true
		}
	}
	t.Log("faults:", c.Faults())
	if c.Faults() == 0 {
		assert.Greater(t, len(stretches), 5, "it is but a slow Monotonic")
	}
}

// Once forsaken, the counter must not cost the lock as well.
func TestTSCForsaken(t *testing.T) {
	c := &TSC{slow: NewMonotonic()}
	c.line.Store(&line{ns: time.Now().UnixNano() + int64(time.Hour), forsaken: true})
	c.mu.Lock()
	assert.Equal(t, c.line.Load().ns, c.Now(), "never back behind what was shown")
	c.line.Store(&line{ns: 1, forsaken: true})
	assert.InDelta(t, 0, c.Now()-time.Now().UnixNano(), float64(10*time.Second))
	c.mu.Unlock()

	// Who comes with an older line finds it out in time.
	assert.InDelta(t, 0, c.resync(new(line))-time.Now().UnixNano(), float64(10*time.Second))
	assert.Zero(t, c.calibration, "nothing is calibrated any more")
}

func TestTSCCountsFaults(t *testing.T) {
	c := &TSC{slow: NewMonotonic()}
	c.line.Store(new(line))
	before := c.Now()
	assert.Zero(t, c.Faults())
	c.calibration.old.cycles += math.MaxInt64 // as if the counter went back since
	assert.GreaterOrEqual(t, c.Now(), before)
	assert.EqualValues(t, 1, c.Faults())
	assert.Zero(t, c.line.Load().span)
}

// On a counter that is no good, TSC is a Monotonic: 0 for ever is what rdtsc
// gives where there is none.
func TestTSCWithoutACounter(t *testing.T) {
	if rdtsc() != 0 {
		t.Log("there is one: TestCalibrationLeavesAStrangeCounterAlone feeds a stopped one")
		return
	}
	c := &TSC{slow: NewMonotonic()}
	c.line.Store(new(line))
	for last := c.Now(); !c.line.Load().forsaken; {
		now := c.Now()
		require.GreaterOrEqual(t, now, last)
		last = now
	}
	assert.EqualValues(t, faultLimit, c.Faults())
	assert.InDelta(t, 0, c.Now()-time.Now().UnixNano(), float64(10*time.Second))
}

// Readers race for the lock at the end of every stretch.
func TestTSCResyncIsSharedByReaders(t *testing.T) {
	c, err := NewTSC()
	if err != nil {
		t.Log("this machine has none:", err)
		c = &TSC{slow: NewMonotonic()}
		c.line.Store(new(line))
	}
	require.NoError(t, c.Wait(t.Context(), c.Now()+int64(2*stretch)))
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 2000 {
				c.resync(c.line.Load()) // as from a CPU whose counter is a little behind
			}
		})
	}
	readers.Wait()
	t.Log("faults:", c.Faults())
	if err == nil {
		assert.Zero(t, c.Faults(), "a stretch that was not over counted as a fault")
	}
}
