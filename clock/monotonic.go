package clock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// anchorLife is how often a Monotonic looks at the wall clock.
	anchorLife = 100 * time.Millisecond
	// stepTolerance is the difference above which the wall clock is said to
	// have stepped: more than reading two clocks one after the other costs.
	stepTolerance = time.Millisecond
)

// Monotonic is the wall clock as it was when first read, carried on by the
// operating system's monotonic clock. Setting the wall clock back does not move
// it; where the wall clock is found ahead (set forward, or after a suspend, which
// the monotonic clock does not count), it goes forward to it. It looks ten times
// a second, and only while it is read.
type Monotonic struct {
	_      pad
	origin time.Time              // with its monotonic reading; never written again
	anchor atomic.Pointer[anchor] // read by everyone, written ten times a second
	_      pad

	mu    sync.Mutex // owns the writing of all fields
	steps atomic.Uint64
	ahead atomic.Int64
}

// pad keeps what is read by every CPU away from what some CPU writes. Two
// lines, for CPUs fetch them in pairs.
type pad [128]byte

// anchor ties the monotonic clock, counted from a Monotonic's origin, to Unix
// time. It is immutable, and takes a cache line of its own.
type anchor struct {
	start int64         // Unix nanoseconds at the origin
	until time.Duration // since the origin; then it is time to look again
	_     [48]byte
}

// NewMonotonic returns a clock anchored at the wall clock of this moment.
func NewMonotonic() *Monotonic {
	m := &Monotonic{origin: readBoth()}
	m.anchor.Store(&anchor{start: m.origin.UnixNano(), until: anchorLife})
	return m
}

// Now returns the anchored Unix time in nanoseconds.
func (m *Monotonic) Now() int64 {
	_, ns := m.read()
	return ns
}

// read returns the time since the origin on the monotonic clock, and the Unix
// time.
func (m *Monotonic) read() (elapsed time.Duration, ns int64) {
	a := m.anchor.Load()
	elapsed = time.Since(m.origin)
	if elapsed < a.until {
		return elapsed, a.start + int64(elapsed)
	}
	return m.renew(a)
}

// Wait implements [Clock].
func (m *Monotonic) Wait(ctx context.Context, until int64) error { return wait(ctx, m, until) }

// Offset returns how far the clock is ahead of the wall clock, as of its last
// look at it (at most 100 ms ago while the clock is read): above zero after the
// wall clock was set back.
func (m *Monotonic) Offset() time.Duration { return time.Duration(m.ahead.Load()) }

// BackwardSteps returns how often the wall clock was found set back, by a
// millisecond or more, while this clock went on.
func (m *Monotonic) BackwardSteps() uint64 { return m.steps.Load() }

// renew looks at the wall clock and anchors anew.
func (m *Monotonic) renew(seen *anchor) (elapsed time.Duration, ns int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.anchor.Load(); a != seen { // another goroutine was faster
		elapsed = time.Since(m.origin)
		return elapsed, a.start + int64(elapsed)
	}
	at := readBoth()
	elapsed = at.Sub(m.origin)
	ns, ahead, stepped := carryOn(seen.start+int64(elapsed), at.UnixNano(), m.ahead.Load())
	if stepped {
		m.steps.Add(1)
	}
	m.ahead.Store(ahead)
	m.anchor.Store(&anchor{start: ns - int64(elapsed), until: elapsed + anchorLife})
	return elapsed, ns
}

// carryOn is the rule of a Monotonic: from the time that it shows, the wall
// clock's, and how far it was ahead before, to the time that it shows next. It
// never goes back, and goes forward to a wall clock that is ahead.
func carryOn(shown, wall, aheadBefore int64) (next, ahead int64, steppedBack bool) {
	next = max(shown, wall)
	ahead = next - wall
	return next, ahead, ahead-aheadBefore >= int64(stepTolerance)
}

// readBoth reads the wall clock and the monotonic clock as nearly at once as it
// can: of several readings the one in which the wall clock is furthest ahead,
// since time.Now reads it first and may be interrupted in between.
func readBoth() time.Time {
	best := time.Now()
	for range 2 {
		if t := time.Now(); t.UnixNano()-best.UnixNano() > int64(t.Sub(best)) {
			best = t
		}
	}
	return best
}
