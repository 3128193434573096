package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// RangesMismatchError says that a namespace's nodes are for other uses than those
// asked for. They never change: whoever has a node now would not be asked.
type RangesMismatchError struct {
	Namespace string
	// Have are the ranges stored, Want those asked for.
	Have, Want []Range
}

// Error names both.
func (e *RangesMismatchError) Error() string {
	return fmt.Sprintf("pool: namespace %q has the nodes %s, not %s: ask for those that it has, or for another namespace", e.Namespace, rangesText(e.Have), rangesText(e.Want))
}

func rangesText(ranges []Range) string {
	if len(ranges) == 0 {
		return "(none)"
	}
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}

// TermsMismatchError says that a namespace's leases go by other lengths than those
// asked for. They never change: floors rely on the horizon that windows were
// granted by.
type TermsMismatchError struct {
	Namespace string
	// Have are the terms stored, Want those asked for.
	Have, Want Terms
}

// Error names each length that differs.
func (e *TermsMismatchError) Error() string {
	var differ []string
	for _, x := range []struct {
		name       string
		have, want time.Duration
	}{
		{"skew", e.Have.Skew, e.Want.Skew},
		{"first window", e.Have.FirstWindow, e.Want.FirstWindow},
		{"window", e.Have.Window, e.Want.Window},
		{"horizon", e.Have.Horizon, e.Want.Horizon},
	} {
		if x.have != x.want {
			differ = append(differ, fmt.Sprintf("%s %v, not %v", x.name, x.have, x.want))
		}
	}
	return fmt.Sprintf("pool: namespace %q has %s: ask for what it has, or for another namespace", e.Namespace, strings.Join(differ, ", "))
}

// EnsureNamespace makes sure that there is a namespace like this one: a server calls
// it at its start, for each that it was configured with. One that is missing is
// created, as by [Local.CreateNamespace]. One that exists must have the same layout,
// ranges and terms, else the error is a [*LayoutMismatchError], a
// [*RangesMismatchError] or a [*TermsMismatchError]; floors do not count, and neither
// does the order of the ranges, nor whether a run of nodes is written as one range or
// as several.
//
// A layout whose life is over, or has not begun, is an error also where the namespace
// exists. One with less than three years left is said in the log, with less than one
// it is not created.
func (p *Local) EnsureNamespace(ctx context.Context, n Namespace) error {
	if err := n.Validate(); err != nil {
		return err
	}
	s, err := p.space(ctx, n.Name)
	if _, ok := errors.AsType[*UnknownNamespaceError](err); ok {
		if err := p.CreateNamespace(ctx, n); !errors.Is(err, ErrExists) {
			return err
		}
		s, err = p.space(ctx, n.Name) // another server was first
	}
	if err != nil {
		return err
	}
	if err := s.current().like(&n); err != nil {
		return err
	}
	wall, err := p.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	err = n.Layout.Check(time.Unix(0, wall))
	if life, ok := errors.AsType[*layout.LifeError](err); ok && life.Left > 0 {
		p.log.WarnContext(ctx, "the layout of a namespace ends soon", "namespace", n.Name, "warning", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("pool: namespace %q: %w", n.Name, err)
	}
	return nil
}

// like returns in what a stored namespace differs from one asked for.
func (n *Namespace) like(want *Namespace) error {
	switch {
	case n.Layout != want.Layout:
		return &LayoutMismatchError{Namespace: n.Name, Have: n.Layout, Want: want.Layout}
	case !slices.Equal(plain(n.Ranges), plain(want.Ranges)):
		return &RangesMismatchError{Namespace: n.Name, Have: plain(n.Ranges), Want: plain(want.Ranges)}
	case n.Terms != want.Terms:
		return &TermsMismatchError{Namespace: n.Name, Have: n.Terms, Want: want.Terms}
	}
	return nil
}

// plain returns ranges in the one way that all who mean the same write them: in
// order, as long as possible, without floors.
func plain(ranges []Range) []Range {
	var all []Range
	for _, r := range slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return cmp.Compare(a.First, b.First) }) {
		r.Floor = 0
		if last := len(all) - 1; last >= 0 && all[last].Use == r.Use && all[last].Last == r.First-1 {
			all[last].Last = r.Last
			continue
		}
		all = append(all, r)
	}
	return all
}
