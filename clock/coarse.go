package clock

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Coarse is another clock's time, read once in a while by a goroutine of its
// own: a reading costs one load, and is stale by up to the period, and by what
// the scheduler adds where all CPUs are busy (10 ms are common). It must be
// closed.
type Coarse struct {
	_   pad
	now atomic.Int64 // 0 once run has ended; read by everyone, written once a period
	_   pad

	base   Clock
	mu     sync.Mutex // held from reading base to storing it: readings stay in order
	closed bool
	stop   context.CancelFunc
	ended  chan struct{}
}

// NewCoarse starts a clock that reads base once in a period, a millisecond or so.
// Without a positive period it returns an error.
func NewCoarse(base Clock, period time.Duration) (*Coarse, error) {
	if period <= 0 {
		return nil, fmt.Errorf("clock: period %v of a coarse clock must be positive", period)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Coarse{base: base, stop: stop, ended: make(chan struct{})}
	c.refresh()
	go c.run(ctx, period)
	return c, nil
}

// Now returns base's Unix time in nanoseconds as of the last refresh.
func (c *Coarse) Now() int64 {
	if ns := c.now.Load(); ns != 0 {
		return ns
	}
	return c.base.Now()
}

// Wait implements [Clock]. Whoever has waited knows the time, and refreshes it
// for all.
func (c *Coarse) Wait(ctx context.Context, until int64) error {
	err := c.base.Wait(ctx, until)
	c.refresh()
	return err
}

// Close ends the goroutine, and returns when it has ended; from then on the clock
// reads base each time. It is safe to call more than once.
func (c *Coarse) Close() error {
	c.stop()
	<-c.ended
	return nil
}

// run ends when the clock is closed, or when base fails to wait: nobody refreshes
// the time any more, and a stale one must not stay behind.
func (c *Coarse) run(ctx context.Context, period time.Duration) {
	defer close(c.ended)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		c.now.Store(0)
	}()
	for {
		now := c.base.Now()
		until := now + int64(period)
		if until < now {
			until = math.MaxInt64
		}
		if c.base.Wait(ctx, until) != nil {
			return
		}
		c.refresh()
	}
}

func (c *Coarse) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.now.Store(c.base.Now())
	}
}
