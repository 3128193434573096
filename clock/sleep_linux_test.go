package clock

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPreciseSleepSleeps(t *testing.T) {
	for _, d := range []time.Duration{time.Microsecond, 100 * time.Microsecond, 2 * time.Millisecond} {
		start := time.Now()
		preciseSleep(d)
		assert.GreaterOrEqual(t, time.Since(start), d)
	}
}

// The runtime ends a program that has 10,000 threads, and a thread in a system call
// keeps a P: sleepers must have neither.
func TestPreciseSleepTakesNoThreads(t *testing.T) {
	before := threads(t)
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			for range 3 {
				preciseSleep(UninterruptibleWait)
			}
		})
	}
	during := threads(t)
	wg.Wait()
	assert.Less(t, max(during, threads(t)), before+100)
}

func TestPreciseSleepWithoutTimers(t *testing.T) {
	a := newAlarm()
	require.NotNil(t, a)
	require.True(t, a.sleep(time.Microsecond))
	require.NoError(t, a.file.Close())
	assert.False(t, a.sleep(time.Microsecond), "a closed timer says that it cannot sleep")
}

func TestPreciseSleepAllocatesNothing(t *testing.T) {
	a := newAlarm()
	require.NotNil(t, a)
	assert.Zero(t, testing.AllocsPerRun(100, func() { a.sleep(time.Microsecond) }))
	require.NoError(t, a.file.Close())
}

func threads(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if n, ok := strings.CutPrefix(line, "Threads:"); ok {
			count, err := strconv.Atoi(strings.TrimSpace(n))
			require.NoError(t, err)
			return count
		}
	}
	require.Fail(t, "no number of threads in /proc/self/status")
	return 0
}
