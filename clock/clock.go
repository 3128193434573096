package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits for it. Implement it to bring a clock of your
// own; a generator asks nothing else of it.
type Clock interface {
	// Now returns the time in nanoseconds since 1970-01-01T00:00:00Z. It may
	// step in either direction: generators cope.
	Now() int64

	// Wait returns nil once Now reaches until (Unix nanoseconds), or once as
	// much time has passed as was missing when it was called, so that a clock
	// that stands still or steps back meanwhile cannot hold the caller for
	// ever: read Now again. It returns ctx.Err() when ctx ends first; a wait
	// of up to [UninterruptibleWait] may finish before it notices. Call it
	// without holding a lock.
	Wait(ctx context.Context, until int64) error
}

// UninterruptibleWait is the longest that this package's clocks sleep without
// watching the context.
const UninterruptibleWait = 2 * time.Millisecond

// Default returns a new clock, the fastest exact one that is safe on this
// machine: [TSC] where the operating system itself keeps time by the CPU's
// cycle counter, [Monotonic] elsewhere.
func Default() Clock {
	if c, err := NewTSC(); err == nil {
		return c
	}
	return NewMonotonic()
}

var (
	_ Clock = System{}
	_ Clock = (*Monotonic)(nil)
	_ Clock = (*TSC)(nil)
	_ Clock = (*Coarse)(nil)
)
