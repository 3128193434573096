package generator

import (
	"github.com/easyflake/easyflake/layout"
)

// Atomic reserves each number by compare-and-swap on one word. Its IDs are
// strictly increasing across all goroutines: of two calls, if one returns before
// the other begins, its ID is the smaller one. It is the fastest of the strictly
// increasing strategies where few goroutines call at once; among many, [Mutex]
// wastes less.
type Atomic struct {
	core
	word atomicWord
}

// NewAtomic returns an Atomic generator of IDs of a layout, for the node of a
// source. It must be closed to give the source back.
func NewAtomic(l layout.Layout, src Source, opts ...Option) (*Atomic, error) {
	g := new(Atomic)
	g.word.done.Store(noneDone)
	if err := g.open(l, src, opts, g, g); err != nil {
		return nil, err
	}
	return g, nil
}

// Next returns an ID greater than all before. It waits for the clock as the
// policy and the limits say; [Atomic.NextContext] can be interrupted.
func (g *Atomic) Next() (layout.ID, error) {
	now := g.now()
	// The fast path: the clock shows a tick of the window, and it is the
	// word's or a later one. The rest is for rule.next to judge.
	if now >= g.epoch {
		tick := g.at(uint64(now - g.epoch))
		base := tick << (g.sequenceBits & 63)
		word := g.word.value.Load()
		window := g.window.Load() // after the word; see reserve
		number := max(word+1, base)
		if word < mark && tick-window.from < window.ticks && number-base <= g.mask &&
			g.word.value.CompareAndSwap(word, number) {
			if number&g.mask == 0 {
				g.word.done.Add(g.used(word))
			}
			return layout.ID(g.compose(number, window)), nil
		}
	}
	s, err := g.acquire(g.ctx, g, 1)
	return layout.ID(s.id), err
}

func (g *Atomic) attempt(now int64, fresh bool, want uint64) (span, verdict) {
	first, n, s, v := g.word.reserve(&g.core, now, fresh, want, 1)
	if v.kind != granted {
		return span{}, v
	}
	return g.span(first, n, s), v
}

func (g *Atomic) load() uint64 { return g.word.load() }

func (g *Atomic) seal() uint64 { return g.word.seal() }

func (g *Atomic) move(to uint64) { g.word.move(&g.core, to) }

func (g *Atomic) issued() int64 { return g.word.issued(&g.core) }

func (g *Atomic) discarded() int64 { return 0 }
