package generator

import (
	"sync"

	"github.com/easyflake/easyflake/layout"
)

// Mutex keeps its word under a lock, never held while waiting or while reading
// the clock. Its IDs are strictly increasing across all goroutines: of two
// calls, if one returns before the other begins, its ID is the smaller one. It
// is the simplest strategy, and among many goroutines the fastest of the
// strictly increasing ones.
type Mutex struct {
	core
	_    pad
	mu   sync.Mutex
	word uint64
	done int64 // as atomicWord's
	_    pad
}

// NewMutex returns a Mutex generator of IDs of a layout, for the node of a
// source. It must be closed to give the source back.
func NewMutex(l layout.Layout, src Source, opts ...Option) (*Mutex, error) {
	g := new(Mutex)
	g.done = noneDone
	if err := g.open(l, src, opts, g, g); err != nil {
		return nil, err
	}
	return g, nil
}

// Next returns an ID greater than all before. It waits for the clock as the
// policy and the limits say; [Mutex.NextContext] can be interrupted.
func (g *Mutex) Next() (layout.ID, error) {
	now := g.now()
	// The fast path: the clock shows a tick of the window, and it is the
	// word's or a later one. The rest is for rule.next to judge.
	if now >= g.epoch {
		tick := g.at(uint64(now - g.epoch))
		base := tick << (g.sequenceBits & 63)
		g.mu.Lock()
		window := g.window.Load()
		number := max(g.word+1, base)
		if g.word < mark && tick-window.from < window.ticks && number-base <= g.mask {
			if number&g.mask == 0 {
				g.done += g.used(g.word)
			}
			g.word = number
			g.mu.Unlock()
			return layout.ID(g.compose(number, window)), nil
		}
		g.mu.Unlock()
	}
	s, err := g.acquire(g.ctx, g, 1)
	return layout.ID(s.id), err
}

func (g *Mutex) attempt(now int64, fresh bool, want uint64) (span, verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	window := g.window.Load()
	first, room, v := g.next(g.word, window, now, fresh)
	if v.kind != granted {
		return span{}, v
	}
	if first&g.mask == 0 {
		g.done += g.used(g.word)
		g.countBorrowed(g.word, first, now)
	}
	n := min(want, room)
	g.word = first + n - 1
	return g.span(first, n, window), v
}

func (g *Mutex) load() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.word &^ mark
}

func (g *Mutex) seal() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.word |= mark
	return g.word &^ mark
}

func (g *Mutex) move(to uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done += g.used(g.word&^mark) - g.used(to)
	g.word = to
}

func (g *Mutex) issued() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done + g.used(g.word)
}

func (g *Mutex) discarded() int64 { return 0 }
