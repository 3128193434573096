package generator

import (
	"sync/atomic"
	"time"
)

// Stats counts what a generator has done. Each figure is exact when no call is
// under way; while some are, it may be off by what they do, and Issued, which is
// not counted but derived from the word, by up to a tick's numbers. Whoever exports
// it as a counter, which must not go down, should export the largest seen.
type Stats struct {
	// Issued is the number of IDs returned.
	Issued uint64
	// Waits is how often a call waited for the clock, and WaitTime how long
	// all of them did together, by that clock.
	Waits    uint64
	WaitTime time.Duration
	// BackwardSteps is how often the clock was found behind the IDs made
	// before. Sharded may miss a step that leads behind an earlier one: a P
	// with a block from then finds nothing new.
	BackwardSteps uint64
	// BorrowedTicks is how many ticks were begun before the clock reached
	// them; see [Borrow].
	BorrowedTicks uint64
	// Discarded is how many sequence numbers were reserved and thrown away,
	// because their tick was over before they were needed. Only Sharded
	// reserves in advance.
	Discarded uint64
	// LeaseAge is how long ago the window in force was granted or made
	// longer; zero without one.
	LeaseAge time.Duration
}

// counters are written on slow paths only.
type counters struct {
	waits    atomic.Uint64
	waited   atomic.Int64
	borrowed atomic.Uint64
	steps    atomic.Uint64
	stepTick atomic.Uint64 // the tick that the clock was last found behind
}

// Stats returns the figures so far.
func (c *core) Stats() Stats {
	s := Stats{
		Issued:        uint64(max(0, c.strategy.issued())), // below zero in the middle of the first calls
		Waits:         c.waits.Load(),
		WaitTime:      time.Duration(c.waited.Load()),
		BackwardSteps: c.steps.Load(),
		BorrowedTicks: c.borrowed.Load(),
		Discarded:     uint64(c.strategy.discarded()),
	}
	if w := c.window.Load(); !w.empty() {
		s.LeaseAge = time.Duration(max(0, c.clock.Now()-w.granted))
	}
	return s
}

func (c *core) countWait(ns int64) {
	c.waits.Add(1)
	c.waited.Add(max(0, ns))
}

// countBorrowed counts the ticks between the clock's and that of a number just
// reserved, as far as the word had not come before.
func (c *core) countBorrowed(word, first uint64, now int64) {
	if c.lead == 0 {
		return
	}
	from := max(word>>c.sequenceBits, c.at(uint64(now-c.epoch)))
	if to := first >> c.sequenceBits; to > from {
		c.borrowed.Add(to - from)
	}
}

// countStep counts a clock found behind a tick that was begun. While it is
// behind, the tick stays the same, and is counted once.
func (c *core) countStep(tick uint64) {
	if seen := c.stepTick.Load(); tick > seen && c.stepTick.CompareAndSwap(seen, tick) {
		c.steps.Add(1)
	}
}
