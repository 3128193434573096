package property

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/easyflake/easyflake/layout"
)

// fields are what two IDs of a layout are made of.
type fields struct{ tick, node, sequence int64 }

type composition struct {
	shape shape
	a, b  fields
}

func (c composition) String() string { return fmt.Sprintf("%v, %+v and %+v", c.shape, c.a, c.b) }

func drawFields(c chance, l layout.Layout) fields {
	return fields{c.edgy(l.MaxTick()), c.edgy(l.MaxNode()), c.edgy(l.MaxSequence())}
}

// within brings fields into the range of a layout that became smaller.
func (f fields) within(l layout.Layout) fields {
	return fields{min(f.tick, l.MaxTick()), min(f.node, l.MaxNode()), min(f.sequence, l.MaxSequence())}
}

func (f fields) smaller() []fields {
	var all []fields
	for _, n := range smallerNumbers(f.tick) {
		all = append(all, fields{n, f.node, f.sequence})
	}
	for _, n := range smallerNumbers(f.node) {
		all = append(all, fields{f.tick, n, f.sequence})
	}
	for _, n := range smallerNumbers(f.sequence) {
		all = append(all, fields{f.tick, f.node, n})
	}
	return all
}

var compositions = kind[composition]{
	draw: func(c chance) composition {
		s := shapes.draw(c)
		l := s.layout()
		v := composition{s, drawFields(c, l), drawFields(c, l)}
		if c.oneIn(2) {
			v.b.tick = v.a.tick
		}
		if c.oneIn(2) {
			v.b.node = v.a.node
		}
		return v
	},
	smaller: func(v composition) []composition {
		var all []composition
		for _, s := range shapes.smaller(v.shape) {
			l := s.layout()
			all = append(all, composition{s, v.a.within(l), v.b.within(l)})
		}
		for _, f := range v.a.smaller() {
			all = append(all, composition{v.shape, f, v.b})
		}
		for _, f := range v.b.smaller() {
			all = append(all, composition{v.shape, v.a, f})
		}
		return all
	},
}

// Compose and Decompose undo each other; IDs sort by tick first, then by what
// the layout's order says.
func TestComposeAndDecompose(t *testing.T) {
	forAll(t, cheap, compositions, func(v composition) string {
		l := v.shape.layout()
		var ids [2]layout.ID
		for i, f := range []fields{v.a, v.b} {
			id, err := l.Compose(f.tick, f.node, f.sequence)
			if err != nil {
				return err.Error()
			}
			p, err := l.Decompose(id)
			if err != nil || (fields{p.Tick, p.Node, p.Sequence}) != f || !p.Time.Equal(l.Time(f.tick)) {
				return fmt.Sprintf("%+v is composed to %d, and that decomposed to %+v (%v)", f, id, p, err)
			}
			ids[i] = id
		}
		want := cmp.Or(cmp.Compare(v.a.tick, v.b.tick), cmp.Compare(v.a.node, v.b.node), cmp.Compare(v.a.sequence, v.b.sequence))
		if l.Order() == layout.TimeSequenceNode {
			want = cmp.Or(cmp.Compare(v.a.tick, v.b.tick), cmp.Compare(v.a.sequence, v.b.sequence), cmp.Compare(v.a.node, v.b.node))
		}
		if cmp.Compare(ids[0], ids[1]) != want {
			return fmt.Sprintf("they sort as %d and %d", ids[0], ids[1])
		}
		return ""
	})
}

type anyID struct {
	shape shape
	id    layout.ID
}

func (v anyID) String() string { return fmt.Sprintf("%v, ID %d", v.shape, int64(v.id)) }

// anyIDs are numbers that are IDs of the layout, more often than not.
var anyIDs = kind[anyID]{
	draw: func(c chance) anyID {
		s := shapes.draw(c)
		most := s.layout().MaxID()
		switch c.below(4) {
		case 0:
			return anyID{s, layout.ID(c.between(math.MinInt64, math.MaxInt64))}
		case 1:
			return anyID{s, layout.ID(uint64(most) + 1 + uint64(c.below(3)))}
		}
		return anyID{s, layout.ID(c.edgy(int64(most)))}
	},
	smaller: func(v anyID) []anyID {
		var all []anyID
		for _, s := range shapes.smaller(v.shape) {
			all = append(all, anyID{s, v.id})
		}
		for _, n := range smallerNumbers(int64(v.id)) {
			all = append(all, anyID{v.shape, layout.ID(n)})
		}
		return all
	},
}

// Every number up to the largest ID is one ID of the layout, and none else is.
func TestDecomposeAndCompose(t *testing.T) {
	forAll(t, cheap, anyIDs, func(v anyID) string {
		l := v.shape.layout()
		p, err := l.Decompose(v.id)
		if v.id < 0 || v.id > l.MaxID() {
			if err == nil || p != (layout.Parts{}) || l.CheckID(v.id) == nil {
				return fmt.Sprintf("is none of the layout, but decomposed to %+v (%v)", p, err)
			}
			return ""
		}
		if err != nil || l.CheckID(v.id) != nil {
			return fmt.Sprintf("%v, %v", err, l.CheckID(v.id))
		}
		back, err := l.Compose(p.Tick, p.Node, p.Sequence)
		if err != nil || back != v.id {
			return fmt.Sprintf("is %+v, and that composed is %d (%v)", p, back, err)
		}
		return ""
	})
}

type wildFields struct {
	shape shape
	fields
}

func (v wildFields) String() string { return fmt.Sprintf("%v, %+v", v.shape, v.fields) }

// A field that is too large by any amount, or negative, is refused by name, and
// spills into no other.
func TestComposeRefusesWhatDoesNotFit(t *testing.T) {
	around := func(c chance, most int64) int64 {
		switch c.below(6) {
		case 0:
			return most + 1
		case 1:
			return -1
		case 2:
			return c.between(math.MinInt64, math.MaxInt64)
		}
		return c.edgy(most)
	}
	all := kind[wildFields]{
		draw: func(c chance) wildFields {
			s := shapes.draw(c)
			l := s.layout()
			return wildFields{s, fields{around(c, l.MaxTick()), around(c, l.MaxNode()), around(c, l.MaxSequence())}}
		},
		smaller: func(v wildFields) []wildFields {
			var all []wildFields
			for _, s := range shapes.smaller(v.shape) {
				all = append(all, wildFields{s, v.fields})
			}
			for _, f := range v.fields.smaller() {
				all = append(all, wildFields{v.shape, f})
			}
			return all
		},
	}
	forAll(t, cheap, all, func(v wildFields) string {
		l := v.shape.layout()
		wrong := ""
		for _, f := range []struct {
			name    string
			v, most int64
		}{{"sequence", v.sequence, l.MaxSequence()}, {"node", v.node, l.MaxNode()}, {"tick", v.tick, l.MaxTick()}} {
			if f.v < 0 || f.v > f.most {
				wrong = f.name
			}
		}
		id, err := l.Compose(v.tick, v.node, v.sequence)
		var field *layout.FieldError
		switch {
		case wrong == "" && err != nil:
			return err.Error()
		case wrong != "" && (err == nil || id != 0 || !errors.As(err, &field) || field.Field != wrong):
			return fmt.Sprintf("the %s does not fit, but Compose gives %d (%v)", wrong, id, err)
		}
		return ""
	})
}

type windowCase struct {
	shape  shape
	window layout.Window
	tick   int64
}

func (v windowCase) String() string { return fmt.Sprintf("%v, %v, tick %d", v.shape, v.window, v.tick) }

// smallerWindows keep their values apart.
func smallerWindows(w layout.Window) []layout.Window {
	var all []layout.Window
	for _, n := range smallerNumbers(w.Node) {
		all = append(all, layout.Window{Node: n, From: w.From, Until: w.Until})
	}
	for _, n := range smallerNumbers(w.From) {
		all = append(all, layout.Window{Node: w.Node, From: n, Until: w.Until})
	}
	for _, n := range smallerNumbers(w.Until) {
		all = append(all, layout.Window{Node: w.Node, From: w.From, Until: n})
	}
	return all
}

func drawWindow(c chance, l layout.Layout) layout.Window {
	anywhere := func(most int64) int64 {
		switch c.below(8) {
		case 0:
			return -1 - c.below(2)
		case 1:
			return most + c.below(3)
		case 2:
			return c.between(math.MinInt64, math.MaxInt64)
		}
		return c.edgy(most)
	}
	w := layout.Window{Node: c.edgy(l.MaxNode()), From: anywhere(l.MaxTick()), Until: anywhere(l.MaxTick() + 1)}
	if c.oneIn(4) {
		w.Node = anywhere(l.MaxNode())
	}
	if w.Until < w.From && c.oneIn(2) {
		w.From, w.Until = w.Until, w.From
	}
	return w
}

// A window allows the ticks from its first up to, not including, its end, and
// must lie within its layout.
func TestWindows(t *testing.T) {
	all := kind[windowCase]{
		draw: func(c chance) windowCase {
			s := shapes.draw(c)
			w := drawWindow(c, s.layout())
			tick := pick(c, w.From-1, w.From, w.From+1, w.Until-1, w.Until, c.between(math.MinInt64, math.MaxInt64))
			return windowCase{s, w, tick}
		},
		smaller: func(v windowCase) []windowCase {
			var all []windowCase
			for _, s := range shapes.smaller(v.shape) {
				all = append(all, windowCase{s, v.window, v.tick})
			}
			for _, w := range smallerWindows(v.window) {
				all = append(all, windowCase{v.shape, w, v.tick})
			}
			for _, n := range smallerNumbers(v.tick) {
				all = append(all, windowCase{v.shape, v.window, n})
			}
			return all
		},
	}
	forAll(t, cheap, all, func(v windowCase) string {
		l, w := v.shape.layout(), v.window
		fits := 0 <= w.Node && w.Node <= l.MaxNode() && 0 <= w.From && w.Until <= l.MaxTick()+1
		err := l.CheckWindow(w)
		var field *layout.FieldError
		switch {
		case fits && err != nil:
			return err.Error()
		case !fits && !errors.As(err, &field):
			return fmt.Sprintf("lies outside of the layout, but CheckWindow says %v", err)
		case w.Contains(v.tick) != (v.tick >= w.From && v.tick < w.Until):
			return fmt.Sprintf("contains the tick: %v", w.Contains(v.tick))
		case w.Contains(v.tick) && w.IsEmpty():
			return "is empty, but contains a tick"
		case !w.IsEmpty() && !(w.Contains(w.From) && w.Contains(w.Until-1)):
			return "is not empty, but does not contain its first or its last tick"
		}
		return ""
	})
}
