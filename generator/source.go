package generator

import (
	"math"
	"sync"

	"github.com/easyflake/easyflake/layout"
)

// Source gives a generator its node, and says in which ticks it may use it. The
// sources here are [Static] nodes; a pool's lease is another. It names no type
// of this package, so that a lease can satisfy it without knowing generators.
//
// A source serves one open generator at a time, which it tells of every window
// through the two functions that Attach receives. It calls them in the order in
// which things happen to the lease, from any goroutine, never while a call of
// its own from the generator waits for the same lock.
type Source interface {
	// Layout is the layout whose ticks the windows count; the zero Layout
	// means that any will do.
	Layout() layout.Layout

	// Attach claims the source for a generator, until Detach. It returns
	// false, and has done nothing, if another generator has it or if there is
	// an error. It grants the window in force, if there is one, before it
	// returns.
	//
	// start is the first tick that may be stamped where nobody vouches for
	// the ticks before it: the one after the clock's, plus what the generator
	// may borrow, for an earlier process may have borrowed as much.
	//
	// grant opens a window. Where node and From are those of the window in
	// force it makes that longer; otherwise it ends that, as seal does. An
	// Until past the layout's last tick means its end. It refuses a node that
	// the layout does not have and a window without ticks with a
	// [*layout.FieldError], and anything with [ErrClosed] once the generator
	// is closed.
	//
	// seal ends the window in force: when it returns, no ID can be made until
	// the next grant, and no tick after the one it returns has been, or will
	// be, stamped under that window. With nothing stamped that is the tick
	// before the window.
	Attach(start int64, grant func(layout.Window) error, seal func() (last int64)) (bool, error)

	// Detach gives the source back. last is as from seal; a later generator
	// starts after it.
	Detach(last int64)

	// Done is closed when the source will never grant a window again; a nil
	// channel never is. Err then says why.
	Done() <-chan struct{}
	Err() error
}

// Static returns a source for a node numbered by hand. Nobody keeps its number
// apart from others': there must be one live source of it at a time in all
// processes, and since it remembers nothing across restarts, the clock must
// then be past every tick stamped before. To be safe from the last tick of an
// earlier process, it starts with the tick after the clock's, plus the limit of
// [Borrow]: the first ID waits for that. Generators that use the source one after
// the other need layouts with the same ticks, for it remembers the last one.
func Static(node int64) Source { return &static{node: node, last: -1} }

type static struct {
	node int64

	mu       sync.Mutex
	attached bool
	last     int64 // the highest tick an earlier generator reserved
}

func (s *static) Layout() layout.Layout { return layout.Layout{} }

func (s *static) Attach(start int64, grant func(layout.Window) error, _ func() int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return false, nil
	}
	if err := grant(layout.Window{Node: s.node, From: max(start, s.last+1), Until: math.MaxInt64}); err != nil {
		return false, err
	}
	s.attached = true
	return true, nil
}

func (s *static) Detach(last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = false
	s.last = max(s.last, last)
}

func (s *static) Done() <-chan struct{} { return nil }

func (s *static) Err() error { return nil }
