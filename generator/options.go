package generator

import (
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// DefaultBackwardLimit is how far a clock may step back before generators give
// up on it, where [WithBackwardLimit] says nothing else. With ticks longer than
// a third of it, it is three ticks.
const DefaultBackwardLimit = time.Second

// Option changes a generator's default behaviour.
type Option func(*options)

type options struct {
	clock    clock.Clock
	overflow Overflow
	backward time.Duration
	given    bool // backward was
}

// WithClock sets the clock. The default is [clock.Default], a new one for each
// generator.
func WithClock(c clock.Clock) Option { return func(o *options) { o.clock = c } }

// WithOverflow sets what happens when a tick's sequence is used up. The default
// is [Wait].
func WithOverflow(p Overflow) Option { return func(o *options) { o.overflow = p } }

// WithBackwardLimit sets how far the clock may be behind the last ID, or behind
// the window's start, for a generator to go on: below the limit it uses up the
// sequence it has and waits, beyond it waits for as long as the limit and then
// returns a [*ClockBackwardError]. Zero is a limit too.
func WithBackwardLimit(d time.Duration) Option {
	return func(o *options) { o.backward, o.given = d, true }
}

// Overflow is a policy for when the sequence of a tick is used up: [Wait],
// [Borrow] or [Fail].
type Overflow struct {
	fail bool
	lead time.Duration
}

// Wait waits for the next tick. IDs are never ahead of the clock.
func Wait() Overflow { return Overflow{} }

// Borrow takes the numbers of coming ticks, up to limit ahead of the clock
// (rounded down to whole ticks), then waits. Bursts do not wait, at the price of
// IDs that claim to be up to limit younger than they are.
func Borrow(limit time.Duration) Overflow { return Overflow{lead: limit} }

// Fail returns [ErrExhausted]. It uses up nothing of coming ticks.
func Fail() Overflow { return Overflow{fail: true} }

// resolve applies the options to the defaults and validates the result as a
// whole.
func resolve(l layout.Layout, opts []Option) (options, error) {
	o := options{backward: max(DefaultBackwardLimit, saturate(3, l.Unit()))}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if o.clock == nil {
		o.clock = clock.Default()
	}
	if o.backward < 0 {
		return o, &OptionError{"backward limit", o.backward, "must not be negative"}
	}
	if o.overflow.lead < 0 {
		return o, &OptionError{"borrow limit", o.overflow.lead, "must not be negative"}
	}
	return o, nil
}

// saturate returns n × d, or the longest duration.
func saturate(n int64, d time.Duration) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	if d > longest/time.Duration(n) {
		return longest
	}
	return time.Duration(n) * d
}
