package property

import (
	"fmt"

	"github.com/easyflake/easyflake/layout"
)

// lessor is a generator.Source that grants windows as a pool does: those of one
// node never overlap, and what a seal gives back is granted again. It remembers
// them all. Only one goroutine may use it; generators may be used by others
// meanwhile.
type lessor struct {
	l     layout.Layout
	grant func(layout.Window) error
	seal  func() int64

	attached bool
	start    int64           // what the last generator said that it may start at
	current  layout.Window   // without ticks: none
	over     []layout.Window // cut to what was used, where that was reported
	free     map[int64]int64 // by node, the first tick that nobody was given
	wrong    string          // the first report that cannot be

	// Each grant of another window moves a generator up to the window, or by
	// a tick if it is there already.
	moves, highest int64
}

func newLessor(l layout.Layout) *lessor { return &lessor{l: l, free: make(map[int64]int64)} }

func (s *lessor) Layout() layout.Layout { return s.l }

func (s *lessor) Attach(start int64, grant func(layout.Window) error, seal func() int64) (bool, error) {
	if s.attached {
		return false, nil
	}
	s.attached, s.start, s.grant, s.seal = true, start, grant, seal
	return true, nil
}

func (s *lessor) Detach(last int64) {
	s.attached = false
	s.end(last)
}

func (*lessor) Done() <-chan struct{} { return nil }

func (*lessor) Err() error { return nil }

// end ends the current window; the ticks after last are free again.
func (s *lessor) end(last int64) {
	w := s.current
	if w.IsEmpty() {
		return
	}
	if last < w.From-1 || last >= w.Until {
		s.wrong = fmt.Sprintf("%v ended with a last tick of %d", w, last)
		last = w.Until - 1
	}
	w.Until = last + 1
	s.free[w.Node] = w.Until
	s.over = append(s.over, w)
	s.current = layout.Window{}
}

// change does what a step says about the window.
func (s *lessor) change(one step, now int64) error {
	switch one.act {
	case extend:
		if s.current.IsEmpty() {
			return nil
		}
		s.current.Until = min(s.l.MaxTick()+1, s.current.Until+one.n)
	case replace:
		if !s.open(one.n&s.l.MaxNode(), later(tickOf(s.l, now), one.at), one.ticks) {
			return nil
		}
	case seal:
		if !s.current.IsEmpty() {
			s.end(s.seal())
		}
		return nil
	default:
		return nil
	}
	return s.grant(s.current)
}

// open makes current a window of a node, from a tick or the first one after it
// that is free. It returns false, and has done nothing, where there is none.
func (s *lessor) open(node, from, ticks int64) bool {
	free := s.free[node]
	if w := s.current; w.Node == node {
		free = max(free, w.Until) // nobody reports a seal
	}
	w := layout.Window{Node: node, From: max(0, from, free)}
	w.Until = min(s.l.MaxTick()+1, w.From+ticks)
	if w.Until <= max(1, w.From) || // tick 0 is nobody's
		w.From > lastOfClocks(s.l) {
		return false
	}
	if !s.current.IsEmpty() {
		s.end(s.current.Until - 1)
	}
	s.current = w
	s.moves++
	s.highest = max(s.highest, w.From-1)
	return true
}

// allowed says why an ID lies in none of the windows, if it does not.
func (s *lessor) allowed(p layout.Parts) string {
	for _, w := range s.over {
		if w.Node == p.Node && w.Contains(p.Tick) {
			return ""
		}
	}
	if w := s.current; w.Node == p.Node && w.Contains(p.Tick) {
		return ""
	}
	return fmt.Sprintf("%+v lies in no window, as far as each was used: %v, at last %v", p, s.over, s.current)
}
