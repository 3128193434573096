// Package generator makes unique, time-sortable IDs, by one of three strategies,
// [Mutex], [Atomic] and [Sharded]:
//
//	strategy   order                             for
//	Mutex      strictly increasing               many goroutines that need order
//	Atomic     strictly increasing               few goroutines that need order
//	Sharded    by tick; none within a tick       speed on many CPUs
//
// All are unique, whatever the clock does: a generator only ever stamps ticks
// within the window of its [Source], each number of a tick once, and never goes
// back. A clock that is wrong can stop it or delay it.
//
//	g, err := generator.NewSharded(layout.Default(), generator.Static(1))
//	…
//	defer g.Close()
//	id, err := g.Next()
//
// # Errors
//
// A call either returns an ID or one of these, to be told apart with errors.Is
// and errors.As: [ErrExhausted], [*ClockBackwardError],
// [layout.ErrBeforeEpoch], [layout.ErrPastEnd], [ErrNoLease], [ErrClosed], and
// the context's own error from the methods that take one.
package generator
