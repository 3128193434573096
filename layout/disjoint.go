package layout

import (
	"fmt"
	"time"
)

// OverlapError reports that IDs of a new layout can collide with, or sort before,
// those of the old one.
type OverlapError struct {
	// Old and New are the two layouts.
	Old, New Layout
	// At is when the new one was to take over.
	At time.Time
	// OldMax is the largest ID that the old layout can have given before At.
	OldMax ID
	// NewMin is the smallest ID that the new layout can give from At on.
	NewMin ID
	// SafeFrom is the earliest time from which the new layout can be used, if the
	// old one still stops at At. It is the zero Time if there is none.
	SafeFrom time.Time
}

// Error says which IDs overlap, and from when on they would not.
func (e *OverlapError) Error() string {
	message := fmt.Sprintf("layout: IDs from %s on could collide with, or sort before, older ones: the old layout reaches up to %d, the new one starts at %d",
		rfc3339(e.At), int64(e.OldMax), int64(e.NewMin))
	if e.SafeFrom.IsZero() {
		return message + "; no later time changes that: take an earlier epoch, a finer unit, or more node and sequence bits"
	}
	return message + "; the new one is safe from " + rfc3339(e.SafeFrom) + " on"
}

// Disjoint reports whether the newer layout can take over from the older one at
// the time at: nil, or an [*OverlapError]. Generators of the older layout must
// stamp only ticks that start before at, those of the newer only ticks that a
// clock shows from at on. Clocks that differ, and ticks borrowed from the
// future, are for the caller to allow for.
//
// Colliding and sorting wrongly come to the same. The older layout can have given
// any number from 0 up to its largest ID before at, as every pattern of its bits
// up to the last tick is an ID, and those above its fields are 0. The newer layout
// gives all its IDs from the first one of the tick of at on. So either that first
// one is larger than all older ones, and nothing collides and everything sorts,
// or it can be equal to an older one itself. Nothing of this depends on the order
// of the fields or on which epoch is earlier: a layout whose epoch is still to
// come starts at 0. One whose life is over at the time at has no ID that could be
// in the way; that is for [Layout.Check] to say.
func Disjoint(older, newer Layout, at time.Time) error {
	if older.IsZero() || newer.IsZero() {
		return errZero()
	}
	stop := older.ceil(at)
	start, _ := newer.floor(at)
	if stop == 0 || start > newer.MaxTick() {
		return nil // one of the two has no ID at all
	}
	oldMax, newMin := older.lastOf(stop-1), newer.firstOf(max(start, 0))
	if newMin > oldMax {
		return nil
	}
	e := &OverlapError{Old: older, New: newer, At: at, OldMax: oldMax, NewMin: newMin}
	if safe := int64(oldMax)>>newer.TimeShift() + 1; safe <= newer.MaxTick() {
		e.SafeFrom = newer.Time(safe)
	}
	return e
}
