package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// core is what all strategies share: the constants, the window in force, the
// source, waiting and counting. Calls that only make IDs read its first part and
// write nothing of it.
type core struct {
	_ pad
	rule
	clock     clock.Clock
	tsc       *clock.TSC    // the clock, where it is one: a direct call is cheaper
	coarse    *clock.Coarse // the same
	high, low uint8         // how far a word's tick and sequence move up to their place in an ID
	step      uint64
	window    atomic.Pointer[snapshot] // written under control
	strategy  strategy
	single    attempter // of one number, as Next takes them
	layout    layout.Layout
	source    Source
	ctx       context.Context //nolint:containedctx // the generator's life, ended by Close
	cancel    context.CancelFunc
	_         pad

	gate    gate
	closing sync.Once

	control sync.Mutex // owns the fields below, and changes of window
	closed  bool
	moved   bool          // the word has left its first place
	changed chan struct{} // closed, and made anew, with each change of window

	counters
	_ pad
}

// strategy is how a generator keeps its word.
type strategy interface {
	attempter // of numbers in a row, of one tick

	// load returns the word without its mark, seal marks it and does the
	// same, move replaces a marked word by a greater one without a mark.
	load() uint64
	seal() uint64
	move(to uint64)

	issued() int64
	discarded() int64
}

// attempter tries to reserve up to want numbers with one reading of the clock.
type attempter interface {
	attempt(now int64, fresh bool, want uint64) (span, verdict)
}

// span is a run of n IDs, each a step after the one before.
type span struct {
	id uint64
	n  uint64
}

// span gives numbers reserved under a window their shape.
func (c *core) span(first, n uint64, s *snapshot) span {
	return span{c.compose(first, s), n}
}

func (c *core) compose(number uint64, s *snapshot) uint64 {
	return number&^c.mask<<(c.high&63) | s.node | number&c.mask<<(c.low&63)
}

// open prepares a core and attaches it to its source.
func (c *core) open(l layout.Layout, src Source, opts []Option, st strategy, single attempter) error {
	if l.IsZero() {
		return &OptionError{"layout", "(zero)", "is none: take layout.Default() or layout.New"}
	}
	if src == nil {
		return ErrNoSource
	}
	if of := src.Layout(); !of.IsZero() && of != l {
		return &LayoutMismatchError{Generator: l, Source: of}
	}
	o, err := resolve(l, opts)
	if err != nil {
		return err
	}
	now := o.clock.Now()
	// Under a year of life is for people to hear of, not for programs to stop at.
	if err := l.Check(time.Unix(0, now)); errors.Is(err, layout.ErrLifeOver) {
		return err
	}
	lead := o.overflow.lead.Truncate(l.Unit())
	c.rule = rule{
		ticks:        newTicks(l),
		sequenceBits: uint8(l.SequenceBits()),
		mask:         uint64(l.MaxSequence()),
		maxTick:      uint64(l.MaxTick()),
		lead:         int64(lead),
		patience:     int64(o.backward),
		fail:         o.overflow.fail,
	}
	// No clock reaches a tick that begins after clocks end.
	c.maxTick = min(c.maxTick, uint64(c.ticks.last))
	c.clock, c.layout, c.source = o.clock, l, src
	c.tsc, _ = o.clock.(*clock.TSC)
	c.coarse, _ = o.clock.(*clock.Coarse)
	c.strategy, c.single = st, single
	c.high = uint8(l.NodeBits())
	c.low = uint8(l.SequenceShift())
	c.step = 1 << c.low
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.changed = make(chan struct{})
	c.window.Store(new(snapshot))
	st.seal()

	start := int64(1)
	if now >= c.epoch {
		start += int64(c.at(uint64(now - c.epoch)))
	}
	start += int64(lead / l.Unit())
	ok, err := src.Attach(start, c.grant, c.seal)
	if err == nil && !ok {
		err = ErrSourceInUse
	}
	if err != nil {
		c.cancel()
		return fmt.Errorf("generator: attaching to the source: %w", err)
	}
	return nil
}

// now reads the clock.
func (c *core) now() int64 {
	switch {
	case c.tsc != nil:
		return c.tsc.Now()
	case c.coarse != nil:
		return c.coarse.Now()
	}
	return c.clock.Now()
}

// acquire reserves until something is reserved or waiting is over. ctx is c.ctx
// for calls that only Close ends.
func (c *core) acquire(ctx context.Context, a attempter, want uint64) (span, error) {
	var patient bool  // waited for the clock to come back, once
	var stalled int64 // waited for a clock that does not get there
	now := c.clock.Now()
	for fresh := false; ; fresh = true {
		s, v := a.attempt(now, fresh, want)
		if v.behind != 0 {
			c.countStep(v.behind)
		}
		var until int64
		switch v.kind {
		case granted:
			return s, nil
		case reread:
			now = c.clock.Now()
			continue
		case await:
			until = now + v.ns
		case tooFar:
			if patient || c.patience == 0 {
				return span{}, &ClockBackwardError{By: time.Duration(v.ns), Limit: time.Duration(c.patience)}
			}
			patient = true
			until = now + c.patience
		default:
			return span{}, c.refusal(v.kind, now)
		}
		began := now
		if err := c.wait(ctx, until); err != nil {
			return span{}, err
		}
		now = c.clock.Now()
		c.countWait(now - began)
		// A clock that stands still is waited for no longer than one that
		// was set back.
		if v.kind == await && now < until {
			if stalled += v.ns; stalled-c.unit > c.patience {
				return span{}, &ClockBackwardError{By: time.Duration(until - now), Limit: time.Duration(c.patience)}
			}
		}
	}
}

// wait waits for the clock, without a lock, until ctx or the generator ends.
func (c *core) wait(ctx context.Context, until int64) error {
	both := c.ctx
	if ctx != c.ctx && ctx.Done() != nil {
		var cancel context.CancelFunc
		both, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
	}
	if err := c.gate.wait(both, c.clock, until); err != nil {
		if c.ctx.Err() != nil {
			return ErrClosed
		}
		return fmt.Errorf("generator: waiting for the clock: %w", err)
	}
	return nil
}

// refusal says why no number can be had, whatever one waits.
func (c *core) refusal(k kind, now int64) error {
	switch k {
	case exhausted:
		return ErrExhausted
	case beforeEpoch:
		return fmt.Errorf("generator: the clock reads %s, %w, %s",
			time.Unix(0, now).UTC().Format(time.RFC3339Nano), layout.ErrBeforeEpoch, c.layout.Epoch().Format(time.RFC3339Nano))
	case pastEnd:
		return fmt.Errorf("generator: the clock reads %s, %w: the layout's life ended at %s; choose a new layout",
			time.Unix(0, now).UTC().Format(time.RFC3339Nano), layout.ErrPastEnd, c.layout.End().Format(time.RFC3339Nano))
	}
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	if err := c.source.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLease, err)
	}
	if w := c.window.Load(); !w.empty() {
		return fmt.Errorf("%w: the window is %v, and was not renewed in time", ErrNoLease, w.window)
	}
	return ErrNoLease
}

// acquireContext is acquire of one number that also waits for a lease, while the
// source can still bring one.
func (c *core) acquireContext(ctx context.Context) (span, error) {
	var changed <-chan struct{}
	for {
		if err := ctx.Err(); err != nil {
			return span{}, fmt.Errorf("generator: %w", err)
		}
		s, err := c.acquire(ctx, c.single, 1)
		if err == nil || !errors.Is(err, ErrNoLease) || c.source.Err() != nil {
			return s, err
		}
		if changed == nil { // from here on no change can be missed: try once more
			changed = c.change()
			continue
		}
		select {
		case <-changed:
			changed = nil
		case <-c.source.Done():
			if c.source.Err() == nil {
				return span{}, err
			}
		case <-c.ctx.Done():
			return span{}, ErrClosed
		case <-ctx.Done():
			return span{}, fmt.Errorf("generator: waiting for a lease: %w", ctx.Err())
		}
	}
}
