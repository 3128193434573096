package clock

import "math/bits"

// Cycles reads the counter itself. It costs less than Now, and can only be
// compared: with what [TSC.Interval] returns, to see whether the time has come.
func Cycles() uint64 { return rdtsc() }

// Interval returns for which readings of the counter Now returns times with from
// ≤ time < until (Unix nanoseconds): length readings, the first of them start. It
// tells what is known at present, and so never more than the next 10 ms, or less:
// no readings at all where the clock is not running on the counter just then.
func (c *TSC) Interval(from, until int64) (start, length uint64) {
	l := c.line.Load()
	if l.span == 0 || until <= l.ns {
		return 0, 0
	}
	first, end := l.cycles(from-l.ns), l.cycles(until-l.ns)
	if first >= end {
		return 0, 0
	}
	return l.base + first, end - first
}

// cycles returns after how many cycles of the line ns nanoseconds have passed on
// it, within its span.
func (l *line) cycles(ns int64) uint64 {
	if ns <= 0 {
		return 0
	}
	// The first reading for which reading × rate ≥ ns × 2^32.
	hi, lo := bits.Mul64(uint64(ns), 1<<32)
	lo, carry := bits.Add64(lo, l.rate-1, 0)
	if hi += carry; hi >= l.rate {
		return l.span
	}
	n, _ := bits.Div64(hi, lo, l.rate)
	return min(n, l.span)
}
