package property

import (
	"context"
	"math"

	"github.com/easyflake/easyflake/layout"
)

// stopwatch is a clock for one goroutine. It stands still until it is told to
// move; a wait makes the time pass, unless it was told otherwise. A copy goes on
// by itself.
type stopwatch struct {
	now, latest int64
	still       int64 // so many waits find the clock where it was
	slip        int64 // the wait after them finds it further back by as much, in ns
	waits       uint64
	waited      int64 // ns by this clock
}

func (c *stopwatch) Now() int64 { return c.now }

func (c *stopwatch) Wait(ctx context.Context, until int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.wait(until)
	return nil
}

func (c *stopwatch) wait(until int64) {
	c.waits++
	began := c.now
	switch {
	case until <= c.now:
	case c.still > 0:
		c.still--
	case c.slip > 0:
		c.set(later(c.now, -c.slip))
		c.slip = 0
	default:
		c.set(until)
	}
	c.waited += max(0, c.now-began)
}

func (c *stopwatch) set(now int64) {
	c.now = now
	c.latest = max(c.latest, now)
}

// model is what a strictly increasing generator is documented to do, one ID at a
// time and in whole ticks. It goes by a clock of its own.
type model struct {
	l      layout.Layout
	policy policy
	c      stopwatch
	window layout.Window

	last     int64 // the highest tick that a number was taken of, or that was passed over
	used     int64 // how many of its numbers are gone
	borrowed uint64
}

// next makes an ID, or says why there is none.
func (m *model) next() (layout.Parts, refusal) {
	unit, limit := int64(m.l.Unit()), int64(halves(m.l, m.policy.back))
	end := min(m.l.MaxTick(), lastOfClocks(m.l))
	patient, stalled := false, int64(0)
	for {
		clock := tickOf(m.l, m.c.now)
		switch {
		case m.window.IsEmpty():
			return layout.Parts{}, noLease
		case clock < 0:
			return layout.Parts{}, beforeEpoch
		case clock > end:
			return layout.Parts{}, pastEnd
		}
		// The clock's tick, or else the one in use, or else the one after it.
		tick, begun := clock, false
		if m.last >= clock {
			tick, begun = m.last, true
			if m.used > m.l.MaxSequence() {
				tick, begun = m.last+1, false
			}
		}
		missing := beginOf(m.l, tick) - m.c.now
		if missing > m.policy.ahead()*unit {
			missing -= m.policy.ahead() * unit
		} else {
			missing = 0
		}
		switch {
		case missing == 0, begun && missing <= limit:
			switch {
			case tick > end:
				return layout.Parts{}, pastEnd
			case !m.window.Contains(tick):
				return layout.Parts{}, noLease
			}
			return m.take(tick, clock), ""
		case begun, missing > max(limit, unit): // too far behind to wait for, but once
			if patient || limit == 0 {
				return layout.Parts{}, behind
			}
			patient = true
			m.c.wait(m.c.now + limit)
		case m.policy.overflow == fails && tick != m.window.From:
			return layout.Parts{}, exhausted
		default:
			until := m.c.now + missing
			m.c.wait(until)
			if m.c.now < until {
				if stalled += missing; stalled-unit > limit {
					return layout.Parts{}, behind
				}
			}
		}
	}
}

// take takes the next number of a tick, which the clock may not have reached.
func (m *model) take(tick, clock int64) layout.Parts {
	if tick != m.last {
		m.last, m.used = tick, 0
		if tick > clock {
			m.borrowed++
		}
	}
	m.used++
	return layout.Parts{Tick: tick, Node: m.window.Node, Sequence: m.used - 1}
}

// usedUp is the model after its tick has no number left.
func (m model) usedUp() model {
	m.used = math.MaxInt64
	return m
}

// hardlyUsed is the model with all numbers of its tick left but one.
func (m model) hardlyUsed() model {
	m.used = 1
	return m
}
