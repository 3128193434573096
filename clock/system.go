package clock

import (
	"context"
	"time"
)

// System is the operating system's wall clock, as it is: setting it moves Now
// at once, backwards too.
type System struct{}

// Now returns the wall clock's Unix time in nanoseconds.
func (System) Now() int64 { return time.Now().UnixNano() }

// Wait implements [Clock].
func (c System) Wait(ctx context.Context, until int64) error { return wait(ctx, c, until) }
