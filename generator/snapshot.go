package generator

import "github.com/easyflake/easyflake/layout"

// snapshot is the window in force as the hot path wants it. It is immutable and
// fills its cache lines, so that reading it costs nothing while others write
// next to it. The one without ticks stands for no window.
type snapshot struct {
	from    uint64 // the window's first tick
	ticks   uint64 // and how many it has
	node    uint64 // the node's bits, in their place in an ID
	until   uint64
	granted int64 // Unix nanoseconds by the generator's clock
	window  layout.Window
	_       [64]byte
}

func newSnapshot(l layout.Layout, w layout.Window, now int64) *snapshot {
	return &snapshot{
		from:    uint64(w.From),
		until:   uint64(w.Until),
		ticks:   uint64(w.Until - w.From),
		node:    uint64(w.Node) << l.NodeShift(),
		granted: now,
		window:  w,
	}
}

func (s *snapshot) empty() bool { return s.ticks == 0 }

// continues reports whether s is the same lease as older, its window as long or
// longer: what was reserved under older may be stamped under s.
func (s *snapshot) continues(older *snapshot) bool {
	return !older.empty() && s.window.Node == older.window.Node && s.from == older.from && s.until >= older.until
}
