package layout

import "fmt"

// Window says which ticks a node may stamp on its IDs: those from From up to,
// but not including, Until. It is the immutable snapshot that a pool hands to a
// generator. Windows of one node never overlap; that alone keeps the IDs of its
// successive holders apart.
type Window struct {
	Node  int64
	From  int64
	Until int64
}

// Contains reports whether the window allows the tick.
func (w Window) Contains(tick int64) bool { return w.From <= tick && tick < w.Until }

// IsEmpty reports whether the window allows no tick at all.
func (w Window) IsEmpty() bool { return w.From >= w.Until }

// String returns "node N, ticks [FROM, UNTIL)".
func (w Window) String() string {
	return fmt.Sprintf("node %d, ticks [%d, %d)", w.Node, w.From, w.Until)
}

// CheckWindow returns a [*FieldError] if a window lies outside of the layout:
// its node or any of its ticks.
func (l Layout) CheckWindow(w Window) error {
	if err := l.CheckNode(w.Node); err != nil {
		return err
	}
	if w.From < 0 {
		return &FieldError{"window", w, "must not start before tick 0"}
	}
	if w.Until > l.MaxTick()+1 {
		return &FieldError{"window", w, fmt.Sprintf("must not reach past the layout's last tick, %d", l.MaxTick())}
	}
	return nil
}
