package layout

import (
	"errors"
	"fmt"
)

// Errors of times and ticks that a layout cannot express.
var (
	// ErrBeforeEpoch says that a time lies before the layout's epoch, where
	// there are no ticks.
	ErrBeforeEpoch = errors.New("before the layout's epoch")

	// ErrPastEnd says that a time or tick lies past the layout's last tick.
	// Ticks never wrap.
	ErrPastEnd = errors.New("past the layout's last tick")
)

// FieldError reports one field of a configuration or of an ID that is out of
// its range.
type FieldError struct {
	// Field is the field's name: "epoch", "unit", "time bits", "node bits",
	// "sequence bits", "order", "tick", "node", "sequence", "id", …
	Field string
	// Value is what was given.
	Value any
	// Reason names the limit that Value broke.
	Reason string
}

// Error returns "layout: FIELD VALUE: REASON", with text in quotes.
func (e *FieldError) Error() string {
	if s, ok := e.Value.(string); ok {
		return fmt.Sprintf("layout: %s %s: %s", e.Field, quote(s), e.Reason)
	}
	return fmt.Sprintf("layout: %s %v: %s", e.Field, e.Value, e.Reason)
}
