package generator

import (
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// Errors of making an ID. Clocks outside of the layout's life get
// [layout.ErrBeforeEpoch] and [layout.ErrPastEnd].
var (
	// ErrExhausted says that the sequence of the current tick is used up and
	// the policy is [Fail]. The next tick brings new numbers.
	ErrExhausted = errors.New("generator: the tick's sequence is used up; try again in the next tick, or choose more sequence bits")

	// ErrNoLease says that no window allows the current tick: the lease of
	// the node was lost, given back or not renewed in time. Where the source
	// can heal, it ends by itself; [Mutex.NextContext] waits for that.
	ErrNoLease = errors.New("generator: no lease for the current tick")

	// ErrClosed says that the generator has been closed.
	ErrClosed = errors.New("generator: closed")
)

// Errors of making a generator.
var (
	// ErrSourceInUse says that another open generator has the source. Close
	// that one first, or share it: generators are safe for concurrent use.
	ErrSourceInUse = errors.New("generator: the source serves another open generator")

	// ErrNoSource says that no source was given.
	ErrNoSource = errors.New("generator: no source of nodes: give Static(node) or a lease")
)

// ClockBackwardError says that the clock stands so far behind the last ID, or
// the start of the window, that waiting for it is not sensible; or that it stands
// still, and has been waited for as long as the limit. Then By is within the limit.
type ClockBackwardError struct {
	// By is how long the clock needs to get where an ID could be made.
	By time.Duration
	// Limit is what would have been waited for.
	Limit time.Duration
}

// Error says what is wrong with the clock and what to do.
func (e *ClockBackwardError) Error() string {
	if e.By <= e.Limit {
		return fmt.Sprintf("generator: the clock is behind by %v, and stood still or went back while it was waited for, up to the limit of %v: correct this machine's clock, or wait", e.By, e.Limit)
	}
	return fmt.Sprintf("generator: the clock is behind by %v, more than the limit of %v: it was set back, or this machine's clock is wrong; correct it or wait", e.By, e.Limit)
}

// LayoutMismatchError says that a source grants windows of one layout, and the
// generator was to make IDs of another.
type LayoutMismatchError struct {
	Generator layout.Layout
	Source    layout.Layout
}

// Error names both layouts.
func (e *LayoutMismatchError) Error() string {
	return fmt.Sprintf("generator: the source's layout is %v, the generator's %v: give both the same", e.Source, e.Generator)
}

// OptionError says which option of a constructor is out of range.
type OptionError struct {
	Option string
	Value  any
	Reason string
}

// Error returns "generator: OPTION VALUE: REASON".
func (e *OptionError) Error() string {
	return fmt.Sprintf("generator: %s %v: %s", e.Option, e.Value, e.Reason)
}
