// Package clock provides the clocks that generators stamp IDs with: Unix time
// in nanoseconds, and a way to wait for a moment of it.
//
//	System     the wall clock; every step of it is visible
//	Monotonic  anchored to the wall clock, never runs backwards
//	TSC        Monotonic at the price of reading the CPU's cycle counter
//	Coarse     one atomic load; as stale as its period
//
// [Default] picks the fastest exact one that is safe on this machine. Package
// clocktest has a fake one. All clocks are safe for concurrent use.
package clock
