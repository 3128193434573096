package generator

import (
	"math"
	"math/bits"

	"github.com/easyflake/easyflake/layout"
)

// ticks turns the clock's nanoseconds into a layout's ticks without dividing: it
// multiplies by the unit's reciprocal, rounded up, as in Granlund & Montgomery,
// "Division by Invariant Integers using Multiplication" (1994), theorem 4.2.
// With l = ⌈log2 unit⌉ and m = ⌈2^(63+l) / unit⌉, ⌊m·x / 2^(63+l)⌋ = ⌊x / unit⌋
// for all x < 2^63, and m fits 64 bits.
type ticks struct {
	epoch int64 // Unix nanoseconds
	unit  int64
	m     uint64
	shift uint8 // l - 1, for the high word of m·x is already shifted by 64
	last  int64 // the last tick that begins within the range of an int64
}

func newTicks(l layout.Layout) ticks {
	t := ticks{epoch: l.Epoch().UnixNano(), unit: int64(l.Unit())}
	width := bits.Len64(uint64(t.unit - 1)) // ≥ 1: a unit has 1000 ns or more
	hi, lo := uint64(1)<<(width-1), uint64(t.unit-1)
	t.m, _ = bits.Div64(hi, lo, uint64(t.unit))
	t.shift = uint8(width - 1)
	t.last = (math.MaxInt64 - t.epoch) / t.unit
	return t
}

// at returns the tick that a time since the epoch lies in. It needs 0 ≤ ns.
func (t *ticks) at(sinceEpoch uint64) uint64 {
	hi, _ := bits.Mul64(sinceEpoch, t.m)
	return hi >> (t.shift & 63)
}

// start returns when a tick begins, in Unix nanoseconds, or the end of their
// range if it begins after that.
func (t *ticks) start(tick uint64) int64 {
	if tick > uint64(t.last) {
		return math.MaxInt64
	}
	return t.epoch + int64(tick)*t.unit
}
