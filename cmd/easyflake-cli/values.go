package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// layoutValue is a layout on the command line.
type layoutValue struct {
	layout.Layout
	given string // what was typed
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *layoutValue) UnmarshalText(text []byte) error {
	v.given = string(text)
	return plain(v.Layout.UnmarshalText(text))
}

// completions are what a shell suggests.
func (layoutValue) completions() []string { return presetNames(nil) }

// presetNames returns the names of all presets, or of those with the layout l.
func presetNames(l *layout.Layout) []string {
	names := []string{}
	for _, p := range layout.Presets() {
		if l == nil || p.Layout == *l {
			names = append(names, p.Name)
		}
	}
	return names
}

// countValue is how many of something.
type countValue int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *countValue) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return &plainError{fmt.Errorf("%q must be a whole number from 0 to 9223372036854775807, as in -n 1000000", text)}
	}
	*v = countValue(n)
	return nil
}

// timeValue is a time: RFC 3339, or a date for its midnight in UTC.
type timeValue struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *timeValue) UnmarshalText(text []byte) error {
	s := string(text)
	for _, format := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(format, s); err == nil {
			v.Time = t.UTC()
			return nil
		}
	}
	return plain(&layout.FieldError{
		Field:  "time",
		Value:  s,
		Reason: "must be as in RFC 3339, such as 2030-01-31T12:00:00Z, or a date such as 2030-01-31",
	})
}

// parseNode reads a node number. Its range is the layout's to know, so that a
// number too large for an int64 gets the same error as any other out of range.
func parseNode(l layout.Layout, s string) (int64, error) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, wrong(&layout.FieldError{Field: "node", Value: s, Reason: "must be a whole number"})
	}
	node, err := strconv.ParseInt(s, 10, 64)
	if err != nil { // past the range, on either side: ParseInt returns the nearest
		return 0, wrongf("node %s: must be between 0 and %d (%d node bits)", s, l.MaxNode(), l.NodeBits())
	}
	if err := l.CheckNode(node); err != nil {
		return 0, wrong(err)
	}
	return node, nil
}
