package generator

import (
	"runtime"
	"sync/atomic"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// Sharded gives each P, the scheduler's processors, blocks of sequence numbers
// out of one shared word, so that goroutines on different CPUs do not meet. Its
// IDs are unique, and ordered to one tick under [Wait] with a clock that does not
// step back: of two calls, if one returns before the other begins, the tick of
// its ID is not the later one (on a [clock.TSC], whose readings on two CPUs may
// pass each other by the time of a memory access, it may be, by one). Within a
// tick there is no order across Ps. It is the fastest strategy, and the only one
// that gets faster with more CPUs.
type Sharded struct {
	core
	shards atomic.Pointer[shards]
	_      pad
	word   atomicWord
}

// NewSharded returns a Sharded generator of IDs of a layout, for the node of a
// source. It must be closed to give the source back. GOMAXPROCS may change while
// it is in use.
func NewSharded(l layout.Layout, src Source, opts ...Option) (*Sharded, error) {
	g := new(Sharded)
	g.word.done.Store(noneDone)
	g.shards.Store(newShards(runtime.GOMAXPROCS(0), nil))
	if err := g.open(l, src, opts, g, (*shardAttempt)(g)); err != nil {
		return nil, err
	}
	return g, nil
}

// Next returns a new ID. It waits for the clock as the policy and the limits say;
// [Sharded.NextContext] can be interrupted.
func (g *Sharded) Next() (layout.ID, error) {
	var reading uint64
	var t *shards
	var s *shard
	if g.tsc != nil {
		// The bare counter is enough: the shard knows what it reads in its tick. It
		// is read last: pinning was measured to cost nothing before it, while the
		// reading is under way, and its own time after it.
		t = g.shards.Load()
		s = t.pin()
		reading = clock.Cycles()
	} else {
		// Other clocks are read before pinning, for they may be anybody's code.
		if g.coarse != nil {
			reading = uint64(g.coarse.Now())
		} else {
			reading = uint64(g.clock.Now())
		}
		t = g.shards.Load()
		s = t.pin()
	}
	// The fast path: there is a block of the tick that the clock shows, and
	// the window that it was reserved under is in force.
	if reading-s.start < s.length && s.left != 0 && s.window == g.window.Load() {
		id := s.id
		s.id = id + g.step
		s.left--
		t.unpin(s)
		return layout.ID(id), nil
	}
	t.unpin(s)
	sp, err := g.acquire(g.ctx, (*shardAttempt)(g), 1)
	return layout.ID(sp.id), err
}

// shardAttempt takes single numbers from the blocks.
type shardAttempt Sharded

func (a *shardAttempt) attempt(now int64, fresh bool, _ uint64) (span, verdict) {
	g := (*Sharded)(a)
	t := g.shards.Load()
	s := t.pin()
	if s == t.none {
		t.unpin(s)
		t = g.grow()
		if s = t.pin(); s == t.none { // GOMAXPROCS was raised again
			t.unpin(s)
			return span{}, verdict{kind: reread}
		}
	}
	sp, v := g.fromShard(s, uint64(len(t.of)), now, fresh)
	t.unpin(s)
	return sp, v
}

// fromShard takes a number from the block of a pinned shard, or from a new block.
func (g *Sharded) fromShard(s *shard, procs uint64, now int64, fresh bool) (span, verdict) {
	if s.left != 0 {
		window := g.window.Load()
		switch {
		case s.window != window && !window.continues(s.window),
			now < g.epoch, g.at(uint64(now-g.epoch)) > s.tick:
			s.discard()
		default:
			s.window = window
			v := g.reach(s.tick, now, true, false, fresh)
			if v.kind != granted {
				return span{}, v
			}
			s.goodFor(&g.core, min(now, g.start(s.tick)), g.start(s.tick+1))
			return s.take(g.step), v
		}
	}
	// A tick's rest is shared out in ever smaller blocks, so that at its end
	// no P sits on numbers that another one waits for.
	const rounds = 4
	first, n, window, v := g.word.reserve(&g.core, now, fresh, uint64(s.size), rounds*procs)
	if v.kind != granted {
		return span{}, v
	}
	g.restock(s, first, n, window, now)
	return s.take(g.step), v
}

// restock puts a block into a pinned, empty shard.
func (g *Sharded) restock(s *shard, first, n uint64, window *snapshot, now int64) {
	tick := first >> g.sequenceBits
	switch {
	case tick == s.tick: // back in the same tick: it needs more at once
		s.size = min(2*s.size, maxBlock)
	case s.wasted:
		s.size = max(s.size/2, 1)
	}
	s.wasted = false
	s.window = window
	s.tick = tick
	s.id = g.compose(first, window)
	s.left = uint32(n)
	// A tick ahead of the clock was allowed for this reading; it is for later
	// ones too.
	s.goodFor(&g.core, min(now, g.start(tick)), g.start(tick+1))
}

// grow makes shards for Ps that have come.
func (g *Sharded) grow() *shards {
	g.control.Lock()
	defer g.control.Unlock()
	t := g.shards.Load()
	if n := runtime.GOMAXPROCS(0); n > len(t.of) {
		t = newShards(n, t)
		g.shards.Store(t)
	}
	return t
}

func (g *Sharded) attempt(now int64, fresh bool, want uint64) (span, verdict) {
	first, n, s, v := g.word.reserve(&g.core, now, fresh, want, 1)
	if v.kind != granted {
		return span{}, v
	}
	return g.span(first, n, s), v
}

func (g *Sharded) load() uint64 { return g.word.load() }

func (g *Sharded) seal() uint64 { return g.word.seal() }

func (g *Sharded) move(to uint64) { g.word.move(&g.core, to) }

// issued is what was reserved, without what was thrown away and what is left in
// the blocks.
func (g *Sharded) issued() int64 {
	left, discarded := g.shards.Load().sum()
	return g.word.issued(&g.core) - left - discarded
}

func (g *Sharded) discarded() int64 {
	_, discarded := g.shards.Load().sum()
	return discarded
}
