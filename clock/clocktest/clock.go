// Package clocktest provides a clock for tests, which stands still until it is
// told to move, in any direction.
package clocktest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/clock"
)

// Clock is a fake [clock.Clock]. It is safe for concurrent use.
//
// Time passes by [Clock.Advance]; [Clock.Jump] and [Clock.StepBack] set the
// clock without time passing, as an operator or NTP would. Sleepers wake when
// the clock reads what they wait for, or when as much time has passed as was
// missing when they began.
type Clock struct {
	now  atomic.Int64
	step atomic.Int64 // by how much each reading moves the clock; 0: frozen

	mu       sync.Mutex // owns all below, and every move but that of a reading
	elapsed  int64
	sleepers map[*sleeper]struct{}
	arrived  chan struct{} // closed, and made anew, when a sleeper arrives
}

type sleeper struct {
	until   int64  // on the clock
	began   int64  // in elapsed time
	missing uint64 // from began on
	wake    chan struct{}
}

var _ clock.Clock = (*Clock)(nil)

// New returns a frozen clock that reads at.
func New(at time.Time) *Clock {
	c := &Clock{sleepers: make(map[*sleeper]struct{}), arrived: make(chan struct{})}
	c.now.Store(at.UnixNano())
	return c
}

// Now returns the clock's Unix time in nanoseconds.
func (c *Clock) Now() int64 {
	if step := c.step.Load(); step != 0 {
		return c.now.Add(step)
	}
	return c.now.Load()
}

// Time returns what Now would, as a time; it never moves the clock.
func (c *Clock) Time() time.Time { return time.Unix(0, c.now.Load()).UTC() }

// Advance lets d pass, which must not be negative.
func (c *Clock) Advance(d time.Duration) { c.move(d, d) }

// Jump sets the clock forward by d, without time passing.
func (c *Clock) Jump(d time.Duration) { c.move(d, 0) }

// StepBack sets the clock back by d, without time passing.
func (c *Clock) StepBack(d time.Duration) { c.move(-d, 0) }

// Run lets the clock run by itself: each reading moves it on by step, and whoever
// waits finds the time come at once. It wakes all sleepers.
func (c *Clock) Run(step time.Duration) {
	c.step.Store(int64(step))
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.sleepers {
		c.raise(s.until)
		c.wake(s)
	}
}

// Freeze ends what Run began: readings move the clock no more.
func (c *Clock) Freeze() { c.step.Store(0) }

// Sleepers returns how many goroutines are waiting.
func (c *Clock) Sleepers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sleepers)
}

// BlockUntil returns when at least n goroutines are waiting, or ctx is done.
func (c *Clock) BlockUntil(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		there, arrived := len(c.sleepers), c.arrived
		c.mu.Unlock()
		if there >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Wait implements [clock.Clock].
func (c *Clock) Wait(ctx context.Context, until int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	if c.step.Load() != 0 {
		c.raise(until)
	}
	now := c.now.Load()
	if until <= now {
		c.mu.Unlock()
		return nil
	}
	s := &sleeper{until: until, began: c.elapsed, missing: uint64(until - now), wake: make(chan struct{})}
	c.sleepers[s] = struct{}{}
	close(c.arrived)
	c.arrived = make(chan struct{})
	c.mu.Unlock()

	select {
	case <-s.wake:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sleepers, s)
		return ctx.Err()
	}
}

// move sets the clock by d, and lets pass time pass.
func (c *Clock) move(d, pass time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now.Add(int64(d))
	c.elapsed += int64(pass)
	for s := range c.sleepers {
		if now >= s.until || uint64(c.elapsed-s.began) >= s.missing {
			c.wake(s)
		}
	}
}

// raise moves the clock up to at least ns; readings may move it meanwhile.
func (c *Clock) raise(ns int64) {
	for now := c.now.Load(); now < ns && !c.now.CompareAndSwap(now, ns); now = c.now.Load() {
	}
}

// wake needs c.mu.
func (c *Clock) wake(s *sleeper) {
	delete(c.sleepers, s)
	close(s.wake)
}
