//go:build !windows

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// witness notes all that a server has acknowledged to its clients, and all that they
// have told it, and says what contradicts a pool's promises.
type witness struct {
	layout layout.Layout

	mu     sync.Mutex // owns the fields below
	leases map[pool.Token][]*witnessed
	wrongs []string
	late   int // leases lost after their windows, which is no fault of the server's
}

// witnessed is a lease that a server has acknowledged. A token may be that of two:
// where a request that was given up comes to the server when the first one is over.
type witnessed struct {
	token pool.Token
	node  int64
	from  int64
	until int64 // the highest one acknowledged
	// last is the lowest one that a release was sent with. Whether it came through
	// or not, the holder stamps nothing after it.
	last int64
}

// end is where the ticks end that the holder may stamp. Where a release was sent and
// not answered, the server may go by another end, but by none before this one.
func (w *witnessed) end() int64 { return min(w.until, max(w.last, w.from-1)+1) }

const notReleased = math.MaxInt64 - 1

func newWitness(l layout.Layout) *witness {
	return &witness{layout: l, leases: make(map[pool.Token][]*witnessed)}
}

func (w *witness) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrongs = append(w.wrongs, fmt.Sprintf(format, args...))
}

func (w *witness) found() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.wrongs)
}

// apart is how far the clocks of a server and of its clients may be apart here, where
// all go by one machine's.
const apart = 100 * time.Millisecond

// over reports whether a window may be over by anybody's clock.
func (w *witness) over(until int64) bool {
	return !time.Now().Add(apart).Before(w.layout.Time(until))
}

// granted notes what was acknowledged.
func (w *witness) granted(g pool.Grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, lease := range w.leases[g.Token] {
		if lease.node == g.Node && lease.from == g.From {
			lease.until = max(lease.until, g.Until)
			return
		}
	}
	w.leases[g.Token] = append(w.leases[g.Token], &witnessed{g.Token, g.Node, g.From, g.Until, notReleased})
}

// released notes that a release is about to be sent.
func (w *witness) released(r pool.Release) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, lease := range w.leases[r.Token] {
		if lease.node == r.Node {
			lease.last = min(lease.last, r.Last)
		}
	}
}

// held returns a token's lease of a node that nobody has tried to give back.
func (w *witness) held(token pool.Token, node int64) (witnessed, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	latest, ok := witnessed{}, false
	for _, lease := range w.leases[token] {
		if lease.node == node && lease.last == notReleased && (!ok || lease.from > latest.from) {
			latest, ok = *lease, true
		}
	}
	return latest, ok
}

// lost judges an answer that a lease is not its holder's, who says that it was
// before.
func (w *witness) lost(what string, before witnessed, err error) {
	if !errors.Is(err, pool.ErrLeaseLost) && !errors.Is(err, pool.ErrRevoked) {
		return
	}
	if w.over(before.until) {
		w.mu.Lock()
		w.late++
		w.mu.Unlock()
		return
	}
	w.wrong("%s of node %d, acknowledged until %d, %v from now, was refused: %v", what, before.node, before.until, time.Until(w.layout.Time(before.until)), err)
}

// snapshot returns the leases that a server must know at any moment from now on,
// until their windows are over or a release is sent.
func (w *witness) snapshot() []witnessed {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []witnessed
	for _, leases := range w.leases {
		for _, lease := range leases {
			if lease.last == notReleased && !w.over(lease.until) {
				all = append(all, *lease)
			}
		}
	}
	return all
}

// listed compares what a server lists with what was acknowledged before, and returns
// how many leases it could compare.
func (w *witness) listed(before []witnessed, list []pool.NodeInfo) int {
	nodes := make(map[int64]pool.NodeInfo, len(list))
	for _, info := range list {
		nodes[info.Node] = info
	}
	compared := 0
	for _, lease := range before {
		if now, ok := w.held(lease.token, lease.node); !ok || now.from != lease.from || w.over(lease.until) {
			continue // it has ended meanwhile
		}
		compared++
		info, ok := nodes[lease.node]
		if !ok || info.Holder != lease.token.String() || info.From != lease.from || info.Until < lease.until {
			w.wrong("node %d, acknowledged as [%d, %d) to %v, is listed as %+v", lease.node, lease.from, lease.until, lease.token, info)
		}
	}
	return compared
}

// overlaps looks for windows of one node that overlap, and returns how often a node
// has gone from one holder to another.
func (w *witness) overlaps() (handed int) {
	w.mu.Lock()
	var all []*witnessed
	for _, leases := range w.leases {
		for _, lease := range leases {
			if lease.end() > lease.from {
				all = append(all, lease)
			}
		}
	}
	w.mu.Unlock()
	slices.SortFunc(all, func(a, b *witnessed) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.from, b.from), cmp.Compare(a.end(), b.end()))
	})
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if a.node != b.node {
			continue
		}
		handed++
		// Sorted by their beginnings, windows overlap only if neighbours do.
		if b.from < a.end() {
			w.wrong("node %d: [%d, %d) of %v overlaps [%d, %d) of %v", a.node, a.from, a.end(), a.token, b.from, b.end(), b.token)
		}
	}
	return handed
}

// watched is a client's pool, of which a witness sees everything. begin is called
// with each request, and what it returns where it was acknowledged.
type watched struct {
	pool.Pool

	witness *witness
	begin   func() (acknowledged func())
}

// Acquire implements [pool.Pool].
func (p *watched) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	acknowledged := p.begin()
	g, err := p.Pool.Acquire(ctx, namespace, l, token)
	if err == nil {
		p.witness.granted(g)
		acknowledged()
	}
	return g, err //nolint:wrapcheck // passed through
}

// Renew implements [pool.Pool].
func (p *watched) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	acknowledged := p.begin()
	before, held := p.witness.held(r.Token, r.Node)
	g, err := p.Pool.Renew(ctx, r)
	switch {
	case err == nil:
		if g.Until < r.Until {
			p.witness.wrong("node %d: a renewal made the window shorter: %d, then %d", r.Node, r.Until, g.Until)
		}
		p.witness.granted(g)
		acknowledged()
	case held:
		// A release that was sent meanwhile may have come first.
		if _, still := p.witness.held(r.Token, r.Node); still {
			p.witness.lost("a renewal", before, err)
		}
	}
	return g, err //nolint:wrapcheck // passed through
}

// Release implements [pool.Pool].
func (p *watched) Release(ctx context.Context, r pool.Release) error {
	acknowledged := p.begin()
	before, first := p.witness.held(r.Token, r.Node)
	p.witness.released(r)
	err := p.Pool.Release(ctx, r)
	switch {
	case err == nil:
		acknowledged()
	case first:
		p.witness.lost("the first release", before, err)
	}
	return err //nolint:wrapcheck // passed through
}
