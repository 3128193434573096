package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/easyflake/easyflake/layout"
)

// Namespace is what a set of IDs that must differ has in common: one layout, for
// ever, and one table of who has which node.
type Namespace struct {
	Name   string
	Layout layout.Layout
	// Ranges say what the nodes are for. They do not overlap. A node that is in
	// none is never leased.
	Ranges []Range
	Terms  Terms
	// Floor is the tick before which no window begins any more: raised when the
	// store may have forgotten windows that it granted.
	Floor int64
}

// Range is a run of nodes, First and Last included.
type Range struct {
	First, Last int64
	Use         Use
	// Floor is the tick before which no window of these nodes begins: those
	// that others numbered before need time to come to rest.
	Floor int64
}

// Use says what nodes are for.
type Use uint8

const (
	// Leased nodes are the pool's to grant to whoever asks.
	Leased Use = iota
	// ByHand nodes are numbered by people, and never leased.
	ByHand
	// Legacy nodes are for streams to EasyFlake for Python: leased only to the
	// server of those streams, by [Local.AcquireLegacy].
	Legacy
)

// String returns "leased", "by-hand" or "legacy".
func (u Use) String() string {
	switch u {
	case Leased:
		return "leased"
	case ByHand:
		return "by-hand"
	case Legacy:
		return "legacy"
	}
	return fmt.Sprintf("Use(%d)", uint8(u))
}

// Terms are the lengths that a namespace's leases go by.
type Terms struct {
	// Skew is how far the clocks of clients may differ from the pool's: a
	// window begins that long before now, so that a client whose clock is
	// behind can use it at once.
	Skew time.Duration
	// FirstWindow is how far a new lease reaches: short, so that processes that
	// crash at once do not use up the nodes.
	FirstWindow time.Duration
	// Window is how far a renewed lease reaches, in the end: each renewal
	// doubles the window until then.
	Window time.Duration
	// Horizon is how far ahead of now no window ever reaches.
	Horizon time.Duration
}

// maxHorizon bounds a namespace's terms, so that no sum of a few of them leaves 64
// bits of nanoseconds. A tick must be so short that three of them fit.
const maxHorizon = 10 * 365 * 24 * time.Hour

// DefaultTerms returns the terms for a layout: skew 1 s, windows of 10 s at first
// and 60 s later, horizon 2 min. They are longer where ticks are long: the skew is
// at least one, so that the tick that it is now can always be used at once, and a
// window has at least three. No terms fit a layout whose ticks are longer than a
// third of ten years; see [Namespace.Validate].
func DefaultTerms(l layout.Layout) Terms {
	unit := min(l.Unit(), maxHorizon/3)
	t := Terms{
		Skew:        max(time.Second, unit),
		FirstWindow: max(10*time.Second, 3*unit),
	}
	t.Window = max(time.Minute, t.FirstWindow)
	t.Horizon = min(max(2*time.Minute, 2*t.Window), maxHorizon)
	return t
}

// NewNamespace returns a namespace in which all nodes of the layout are leased,
// with the default terms.
func NewNamespace(name string, l layout.Layout) Namespace {
	return Namespace{
		Name:   name,
		Layout: l,
		Ranges: []Range{{Last: l.MaxNode()}},
		Terms:  DefaultTerms(l),
	}
}

// maxName bounds a namespace's name, so that it fits a key of every engine.
const maxName = 255

// Validate returns a [*layout.FieldError] for the first field that is out of
// range.
func (n Namespace) Validate() error {
	if n.Name == "" || len(n.Name) > maxName {
		return &layout.FieldError{Field: "namespace", Value: n.Name, Reason: fmt.Sprintf("must have 1 to %d bytes", maxName)}
	}
	if n.Name[0] == '.' {
		return &layout.FieldError{Field: "namespace", Value: n.Name, Reason: "must not begin with a dot"}
	}
	if !utf8.ValidString(n.Name) { // which a database's text must be, and a message's
		return &layout.FieldError{Field: "namespace", Value: strings.ToValidUTF8(n.Name, "\uFFFD"), Reason: "must be UTF-8"}
	}
	for _, c := range n.Name {
		if c <= ' ' || c == '/' || c == 0x7f {
			return &layout.FieldError{Field: "namespace", Value: n.Name, Reason: "must not contain spaces, control characters or slashes"}
		}
	}
	if n.Layout.IsZero() {
		return &layout.FieldError{Field: "layout", Value: n.Layout, Reason: "must be given; a namespace never changes it"}
	}
	ranges := slices.SortedFunc(slices.Values(n.Ranges), func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	for i, r := range ranges {
		switch {
		case r.First > r.Last || r.First < 0 || r.Last > n.Layout.MaxNode():
			return &layout.FieldError{Field: "node range", Value: r, Reason: fmt.Sprintf("must lie between 0 and %d, and not end before it begins", n.Layout.MaxNode())}
		case i > 0 && r.First <= ranges[i-1].Last:
			return &layout.FieldError{Field: "node range", Value: r, Reason: fmt.Sprintf("overlaps with %v", ranges[i-1])}
		case r.Use > Legacy:
			return &layout.FieldError{Field: "node range", Value: r, Reason: "has an unknown use"}
		}
	}
	return n.Terms.validate(n.Layout)
}

// String returns "FIRST-LAST USE".
func (r Range) String() string { return fmt.Sprintf("%d-%d %v", r.First, r.Last, r.Use) }

func (t Terms) validate(l layout.Layout) error {
	switch { // whatever could overflow below
	case l.Unit() > maxHorizon/3:
		return &layout.FieldError{Field: "layout", Value: l, Reason: fmt.Sprintf("its ticks of %v are too long to be leased: a window has at least three, and no window reaches further than %v", l.Unit(), maxHorizon)}
	case t.Horizon > maxHorizon:
		return &layout.FieldError{Field: "horizon", Value: t.Horizon, Reason: fmt.Sprintf("must be at most %v", maxHorizon)}
	case t.Skew < 0:
		return &layout.FieldError{Field: "skew", Value: t.Skew, Reason: "must not be negative"}
	case t.Skew > maxHorizon/2:
		return &layout.FieldError{Field: "skew", Value: t.Skew, Reason: fmt.Sprintf("must be at most %v", maxHorizon/2)}
	}
	least := max(2*t.Skew, 3*l.Unit())
	switch {
	case t.FirstWindow < least:
		return &layout.FieldError{Field: "first window", Value: t.FirstWindow, Reason: fmt.Sprintf("must be at least %v: twice the skew, and three ticks", least)}
	case t.Window < t.FirstWindow:
		return &layout.FieldError{Field: "window", Value: t.Window, Reason: fmt.Sprintf("must not be shorter than the first window, %v", t.FirstWindow)}
	case t.Horizon < t.Window:
		return &layout.FieldError{Field: "horizon", Value: t.Horizon, Reason: fmt.Sprintf("must not be shorter than the window, %v", t.Window)}
	}
	return nil
}

// rangeOf returns the range that a node is in.
func (n *Namespace) rangeOf(node int64) (Range, bool) {
	for _, r := range n.Ranges {
		if r.First <= node && node <= r.Last {
			return r, true
		}
	}
	return Range{}, false
}

// leases returns [ErrNotLeasable] for a node that nobody can have a lease of.
func (n *Namespace) leases(node int64) error {
	if r, ok := n.rangeOf(node); !ok || r.Use == ByHand {
		return fmt.Errorf("%w: node %d of %q", ErrNotLeasable, node, n.Name)
	}
	return nil
}

// count returns how many nodes the namespace has of a use.
func (n *Namespace) count(use Use) int64 {
	var sum int64
	for _, r := range n.Ranges {
		if r.Use == use {
			sum += r.Last - r.First + 1
		}
	}
	return sum
}
