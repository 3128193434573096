package clock

import (
	"context"
	"math"
	"runtime"
	"time"
)

// How a wait is spent, by what is left of it. The runtime's timers count whole
// milliseconds on Linux: waiting for 1 ms ticks with them loses a tenth of the
// ticks. A precise sleep is not interrupted, so that only the end of a long wait is
// spent in it.
const (
	// spinBelow is less than any sleep takes.
	spinBelow = 5 * time.Microsecond
	// recheck bounds how late a step of the clock is noticed.
	recheck = 100 * time.Millisecond
)

// wait implements Clock.Wait for clocks that advance with real time.
func wait(ctx context.Context, c interface{ Now() int64 }, until int64) error {
	var start time.Time
	var missing, passed time.Duration
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := missingFrom(c.Now(), until)
		if left <= 0 {
			return nil
		}
		still := false
		if start.IsZero() {
			start, missing = time.Now(), left
		} else {
			before := passed
			passed = time.Since(start)
			still = passed == before
			left = min(left, missing-passed)
		}
		switch {
		case left <= 0:
			return nil
		case left > UninterruptibleWait:
			t := time.NewTimer(min(left-UninterruptibleWait/2, recheck))
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
		case still:
			// Time moves only while goroutines sleep: in a bubble of
			// testing/synctest, where the waits below would never end.
			time.Sleep(left)
		case left <= spinBelow:
			runtime.Gosched()
		default:
			preciseSleep(left)
		}
	}
}

// missingFrom returns the time from now to until, at most what a Duration holds,
// and nothing where until has passed.
func missingFrom(now, until int64) time.Duration {
	left := until - now
	switch {
	case until <= now:
		return 0
	case left < 0:
		return math.MaxInt64
	}
	return time.Duration(left)
}
