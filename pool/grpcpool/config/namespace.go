package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func (d *decoder) namespaces(n *node) (all []pool.Namespace) {
	first := make(map[string]int)
	d.list(n, func(_ int, item *node) {
		ns, ok := d.namespace(item)
		if !ok {
			return
		}
		if line, twice := first[ns.Name]; twice {
			d.fail(item, fmt.Sprintf("namespace %q is given twice, first in line %d", shorten(ns.Name), line))
			return
		}
		first[ns.Name] = item.Line
		all = append(all, ns)
	})
	return all
}

// kept is a range of nodes that are not leased, and where it stands.
type kept struct {
	pool.Range
	at *node
}

func (d *decoder) namespace(n *node) (pool.Namespace, bool) {
	before := len(d.wrong)
	var (
		name   string
		l      layout.Layout
		ranges []kept
		terms  []func(*pool.Terms)
	)
	// The terms depend on the layout, which may come after them.
	term := func(name string, set func(*pool.Terms, *node)) key {
		return key{name, func(n *node) { terms = append(terms, func(t *pool.Terms) { set(t, n) }) }}
	}
	seen := d.mapping(n, []key{
		{"name", func(n *node) { name, _ = d.text(n) }},
		{"layout", func(n *node) {
			if text, ok := d.text(n); ok {
				var err error
				if l, err = layout.Parse(text); err != nil {
					d.failAt(n.Line, n.path, err.Error(), err)
				}
			}
		}},
		{"by_hand", func(n *node) {
			d.list(n, func(_ int, item *node) { ranges = d.nodes(ranges, item, pool.ByHand) })
		}},
		{"legacy", func(n *node) { ranges = d.nodes(ranges, n, pool.Legacy) }},
		term("skew", func(t *pool.Terms, n *node) { t.Skew = d.duration(n) }),
		term("first_window", func(t *pool.Terms, n *node) { t.FirstWindow = d.duration(n) }),
		term("window", func(t *pool.Terms, n *node) { t.Window = d.duration(n) }),
		term("horizon", func(t *pool.Terms, n *node) { t.Horizon = d.duration(n) }),
	})
	if seen != nil {
		d.require(n, seen, "name", "layout")
	}
	if l.IsZero() {
		return pool.Namespace{}, false // reported
	}
	ns := pool.NewNamespace(name, l)
	for _, set := range terms {
		set(&ns.Terms)
	}
	ns.Ranges = d.divide(l.MaxNode(), ranges)
	if len(d.wrong) > before {
		return pool.Namespace{}, false
	}
	if err := ns.Validate(); err != nil {
		line, path := n.Line, n.path
		if field, ok := errors.AsType[*layout.FieldError](err); ok {
			// The nearest that there is to the field's name: "first window".
			if at := seen[strings.ReplaceAll(field.Field, " ", "_")]; at != nil {
				line, path = at.Line, at.path
			}
		}
		d.failAt(line, path, err.Error(), err)
		return pool.Namespace{}, false
	}
	return ns, true
}

func (d *decoder) require(n *node, seen map[string]*node, names ...string) {
	for _, name := range names {
		if seen[name] == nil {
			d.fail(n, fmt.Sprintf("the key %q is missing", name))
		}
	}
}

// nodes reads "FIRST-LAST" or one number.
func (d *decoder) nodes(all []kept, n *node, use pool.Use) []kept {
	if n.Kind == 0 || len(n.Content) > 0 {
		d.fail(n, "must be nodes, such as 0-15, not "+describe(n.Node))
		return all
	}
	from, to, isRange := strings.Cut(n.Value, "-")
	if !isRange {
		to = from
	}
	first, err1 := strconv.ParseUint(from, 10, 63)
	last, err2 := strconv.ParseUint(to, 10, 63)
	if err1 != nil || err2 != nil || first > last {
		d.fail(n, "must be nodes, the first and the last, such as 0-15, not "+describe(n.Node))
		return all
	}
	return append(all, kept{pool.Range{First: int64(first), Last: int64(last), Use: use}, n})
}

// divide returns all ranges of nodes up to a largest: those that are kept, and
// between them those that are leased.
func (d *decoder) divide(largest int64, ranges []kept) []pool.Range {
	slices.SortStableFunc(ranges, func(a, b kept) int { return cmp.Compare(a.First, b.First) })
	var all []pool.Range
	next := int64(0) // the first node that is in none yet
	for _, r := range ranges {
		switch {
		case r.Last > largest:
			d.fail(r.at, fmt.Sprintf("must lie between 0 and %d, which is the layout's largest node", largest))
			continue
		case r.First < next:
			d.fail(r.at, "shares nodes with another range")
			continue
		case r.First > next:
			all = append(all, pool.Range{First: next, Last: r.First - 1})
		}
		all = append(all, r.Range)
		next = r.Last + 1
	}
	if next <= largest {
		all = append(all, pool.Range{First: next, Last: largest})
	}
	return all
}
