package layout

import (
	"fmt"
	"math"
	"time"
)

// Min returns the smallest ID whose time is at or after t: with t at or before
// the epoch, 0. After the start of the last tick there is none, and the error is
// [ErrPastEnd].
func (l Layout) Min(t time.Time) (ID, error) {
	tick := l.ceil(t)
	if tick > l.MaxTick() {
		return 0, l.errPastEnd(t)
	}
	return ID(tick << l.TimeShift()), nil
}

// Max returns the largest ID whose time is at or before t: with t at or after the
// start of the last tick, [Layout.MaxID]. Before the epoch there is none, and the
// error is [ErrBeforeEpoch].
func (l Layout) Max(t time.Time) (ID, error) {
	tick, _ := l.floor(t)
	if tick < 0 {
		return 0, l.errBeforeEpoch(t)
	}
	return l.lastOf(min(tick, l.MaxTick())), nil
}

// Range returns the IDs of a time range, for a query on a key column: exactly
// the IDs with from ≤ time < to satisfy lo ≤ id < hi. The time of an ID being
// the start of its tick, a tick belongs to the range if its start does. A time
// before the epoch counts as the epoch, one past the last tick as the end. If no
// tick starts within the range, lo == hi.
//
// One past the largest ID of a layout of 63 bits does not fit an int64. There,
// a range up to the end has hi = 2^63 − 1, and that single ID stays out.
//
// With from after to, the error is a [*FieldError].
func (l Layout) Range(from, to time.Time) (lo, hi ID, err error) {
	if from.After(to) {
		return 0, 0, &FieldError{"range", fmt.Sprintf("%s to %s", rfc3339(from), rfc3339(to)), "must not end before it starts"}
	}
	return l.firstOf(l.ceil(from)), l.firstOf(l.ceil(to)), nil
}

// firstOf returns the smallest ID of a tick from 0 to MaxTick + 1, or the largest
// int64 where that would be 2^63.
func (l Layout) firstOf(tick int64) ID {
	return ID(min(uint64(tick)<<l.TimeShift(), math.MaxInt64))
}

// lastOf returns the largest ID of a tick from 0 to MaxTick.
func (l Layout) lastOf(tick int64) ID {
	return ID(tick<<l.TimeShift() | (1<<l.TimeShift() - 1))
}
