package layout

import (
	"errors"
	"fmt"
	"time"
)

// Verdicts of [Layout.Check], each in a [*LifeError].
var (
	// ErrLifeOver says that the layout has no tick for the time any more:
	// generators and servers must stop.
	ErrLifeOver = errors.New("the layout's life is over")

	// ErrLifeUnderYear says that the life ends within 365 days: too soon to begin
	// with such a layout.
	ErrLifeUnderYear = errors.New("less than a year of the layout's life is left")

	// ErrLifeUnderThreeYears says that the life ends within 3 × 365 days: a
	// warning to plan its successor.
	ErrLifeUnderThreeYears = errors.New("less than three years of the layout's life are left")
)

// A year has 365 days here, as in EasyFlake.
const year = 365 * 24 * time.Hour

// LifeError reports that a layout's life is over, or will be soon.
type LifeError struct {
	// Now is the time that was checked.
	Now time.Time
	// End is the end of the layout's life: [Layout.End].
	End time.Time
	// Left is the life left at Now; zero or less when it is over.
	Left time.Duration
	// Err is [ErrLifeOver], [ErrLifeUnderYear] or [ErrLifeUnderThreeYears], for
	// errors.Is.
	Err error
}

// Error returns the verdict, the end of life and what to do.
func (e *LifeError) Error() string {
	const remedy = "take a later epoch, a coarser unit, or fewer node and sequence bits, and try it with easyflake-cli layout"
	if e.Left <= 0 {
		return fmt.Sprintf("layout: %v since %s; %s", e.Err, rfc3339(e.End), remedy)
	}
	return fmt.Sprintf("layout: %v: it ends in %d days, at %s; %s", e.Err, e.Left/(24*time.Hour), rfc3339(e.End), remedy)
}

// Unwrap returns the verdict.
func (e *LifeError) Unwrap() error { return e.Err }

// Warning reports whether there is time enough to go on, and to plan: it is true
// for [ErrLifeUnderThreeYears] only.
func (e *LifeError) Warning() bool { return errors.Is(e.Err, ErrLifeUnderThreeYears) }

// Check judges how much of the layout's life is left at now. It returns nil or a
// [*LifeError] with exactly one verdict, [ErrBeforeEpoch] if the life has not
// begun, and a [*FieldError] for the zero Layout.
func (l Layout) Check(now time.Time) error {
	if l.IsZero() {
		return errZero()
	}
	tick, _ := l.floor(now)
	if tick < 0 {
		return l.errBeforeEpoch(now)
	}
	end := l.End()
	left := end.Sub(now) // saturates after 292 years, which is enough life
	var verdict error
	switch {
	case left <= 0:
		verdict = ErrLifeOver
	case left < year:
		verdict = ErrLifeUnderYear
	case left < 3*year:
		verdict = ErrLifeUnderThreeYears
	default:
		return nil
	}
	return &LifeError{Now: now, End: end, Left: left, Err: verdict}
}
