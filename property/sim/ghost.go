package sim

import (
	"slices"

	"github.com/easyflake/easyflake/pool"
)

// ghost remembers all that was ever granted, whatever clocks, stores, servers and
// clients have forgotten: each holder's window of each node, from the first tick
// that it was given to the last that it may stamp. Grants count from the moment at
// which the server had decided, whether or not anybody heard of them.
type ghost struct {
	w      *world
	nodes  map[int64][]*claim // by node, in the order of their first ticks
	tokens map[pool.Token]*holding
	stored map[int64]stored // by node
	shown  []written        // what the store has, though it may not be durable yet
	synced map[lease]int64  // up to where a lease is durably on record
	floor  int64            // the namespace's, at its revision
	floorR uint64
	latest int64 // the highest of the pool's times at a grant
	tokenN int64
}

// holding is what is known of a token.
type holding struct {
	token  pool.Token
	number int64 // for the trace
	owners []*client
	claims []*claim
	back   *call // gives its lease back
	shown  map[uint64]shown
}

// shown is the nonce that a revision was renewed with.
type shown struct {
	nonce pool.Token
	by    *instance
	life  int
}

// renewed takes note of a renewal granted, and reports whether it is a repetition: of
// two copies of a client that show the same revision, one may be renewed, as far as the
// store remembers.
func (g *ghost) renewed(i *instance, r pool.Renewal) (repeated bool) {
	h := g.holding(r.Token)
	if h.shown == nil {
		h.shown = make(map[uint64]shown)
	}
	before, again := h.shown[r.Revision]
	now := shown{r.Nonce, i, g.w.engine.life}
	h.shown[r.Revision] = now
	if again && before.nonce != now.nonce && before.life == now.life && (before.by == now.by || !g.w.p.Exclusive) {
		g.w.fail("holder %d was renewed twice at revision %d, with different nonces", h.number, r.Revision)
	}
	return again && before.nonce == now.nonce && before.life == now.life
}

// stored is what the store has of a lease.
type stored struct {
	nodeRecord
	life int
}

// lease is one window of a holder, however long it becomes.
type lease struct {
	node, from int64
	token      pool.Token
}

// written is up to where the store shows a lease.
type written struct {
	lease
	until int64
}

// wrote takes note of a node's record. It reaches as far as what is granted, or that
// would be granted again after a restart; a lease's revision is never lowered, nor
// reached by two renewals: one of them would be a copy's; and no window begins, or goes
// on, under the floor that the namespace has at that moment. The store shows the record
// from now on. It is durable when a write that somebody was told of has waited for it.
func (g *ghost) wrote(node int64, value []byte) {
	r, err := readNode(value)
	if err != nil {
		g.w.fail("the record of node %d: %v", node, err)
	}
	now, before := stored{r, g.w.engine.life}, g.stored[node]
	g.stored[node] = now
	if now.Token.IsZero() {
		g.w.count.FreeRecords++
		return
	}
	g.w.count.LeaseRecords++
	g.shown = append(g.shown, written{lease{node, now.From, now.Token}, now.Until})
	h := g.holding(now.Token)
	switch floor := g.floorNow(); {
	case now.Token != before.Token || now.From != before.From || now.life != before.life:
		if now.From < floor {
			g.w.fail("holder %d has node %d from tick %d on, under the floor of tick %d", h.number, node, now.From, floor)
		}
	case now.Until > before.Until && before.Until <= floor:
		g.w.fail("holder %d had node %d up to tick %d, under the floor of tick %d, and is renewed", h.number, node, before.Until, floor)
	}
	if now.Token == before.Token && now.From == before.From && now.life == before.life &&
		(now.Revision < before.Revision || now.Revision == before.Revision && now.Nonce != before.Nonce) {
		g.w.fail("the lease of holder %d was at revision %d in the store, and is written at revision %d by another renewal", h.number, before.Revision, now.Revision)
	}
	for _, c := range h.claims {
		if c.node == node && c.from == now.From && c.life == now.life && !c.sealed && c.until > now.Until {
			g.w.fail("node %d was granted to holder %d up to tick %d, and is written up to tick %d", node, h.number, c.until, now.Until)
		}
	}
}

// floorNow returns the floor that the namespace's record has.
func (g *ghost) floorNow() int64 {
	if r := g.w.engine.namespace(theName); r.Revision != g.floorR {
		n, err := readNamespace(r.Value)
		if err != nil {
			g.w.fail("the namespace's record: %v", err)
			return g.floor
		}
		g.floor, g.floorR = *n.Floor, r.Revision
	}
	return g.floor
}

// sync takes note that all the store shows is durable: a write that came after it was
// acknowledged, or the store was opened anew.
func (g *ghost) sync() {
	for _, x := range g.shown {
		g.synced[x.lease] = max(g.synced[x.lease], x.until)
	}
	g.shown = g.shown[:0]
}

// restored takes note that the store is an old copy: what was written since is gone.
func (g *ghost) restored() {
	clear(g.synced)
	clear(g.stored)
	g.shown = g.shown[:0]
	for _, n := range g.w.engine.nodes(theName, 0, g.w.p.layout.MaxNode()) {
		r, err := readNode(n.Value)
		if err != nil {
			g.w.fail("the record of node %d in an old copy: %v", n.Node, err)
		}
		g.stored[n.Node] = stored{r, g.w.engine.life}
		if !r.Token.IsZero() {
			g.shown = append(g.shown, written{lease{n.Node, r.From, r.Token}, r.Until})
		}
	}
	g.sync()
}

// claim is a window that somebody was given.
type claim struct {
	of          *holding
	node        int64
	from, until int64
	stamped     int64 // the last tick stamped, from - 1 if none
	life        int   // of the engine that has the latest grant
	sealed      bool  // given back: nothing is stamped from until on
	apart       int64 // with A2 broken: the first tick that a copy may stamp
	cloned      int64 // the same: until when two may stamp the same
	early       bool  // with A2 broken: given back by one of two that hold it
}

func newGhost(w *world) *ghost {
	return &ghost{w: w, nodes: make(map[int64][]*claim), tokens: make(map[pool.Token]*holding), stored: make(map[int64]stored), synced: make(map[lease]int64)}
}

// holding returns what is known of a token.
func (g *ghost) holding(t pool.Token) *holding {
	h := g.tokens[t]
	if h == nil {
		g.tokenN++
		h = &holding{token: t, number: g.tokenN}
		g.tokens[t] = h
	}
	return h
}

// claim returns the window that a grant is of, as far as it is known.
func (h *holding) claim(g pool.Grant) *claim {
	for _, c := range h.claims {
		if c.node == g.Node && c.from == g.From {
			return c
		}
	}
	return nil
}

// loss is why a lease was lost, as far as that is counted.
type loss uint8

const (
	forOther    loss = iota // reasons: a floor, a release, an old copy of the store
	toCopy                  // renewed at that revision by a copy of its holder
	toSuccessor             // the node is somebody else's
)

// lost says why a renewal was refused.
func (g *ghost) lost(r pool.Renewal) loss {
	now := g.stored[r.Node].Token
	before, again := g.holding(r.Token).shown[r.Revision]
	switch {
	case now == r.Token && again && before.nonce != r.Nonce && before.life == g.w.engine.life:
		return toCopy
	case now != r.Token && !now.IsZero():
		return toSuccessor
	}
	return forOther
}

func (h *holding) ownedBy(c *client) bool { return slices.Contains(h.owners, c) }

// granted takes note of a grant.
func (g *ghost) granted(grant pool.Grant) {
	g.latest = max(g.latest, grant.Now)
	h := g.holding(grant.Token)
	if until := g.synced[lease{grant.Node, grant.From, grant.Token}]; until < grant.Until {
		g.w.fail("node %d was granted to holder %d for [%d, %d), and is durably on record up to tick %d", grant.Node, h.number, grant.From, grant.Until, until)
	}
	g.w.count.GrantsOnRecord++
	mine := h.claim(grant)
	all := g.nodes[grant.Node]
	switch {
	case mine == nil:
		mine = &claim{of: h, node: grant.Node, from: grant.From, until: grant.Until, stamped: grant.From - 1}
		h.claims = append(h.claims, mine)
		i, _ := slices.BinarySearchFunc(all, grant.From, func(c *claim, from int64) int { return int(min(1, max(-1, c.from-from))) })
		// One that begins later than with the next tick is a repetition of what another
		// server has granted, which crashed before it said so.
		if i > 0 && i == len(all) && grant.From <= g.w.tick(grant.Now)+1 && !all[i-1].sealed && all[i-1].until > g.w.tick(grant.Now) && g.w.count.Restores == 0 && !g.w.p.broken() {
			g.w.fail("node %d was granted to holder %d while the window of holder %d lasts, up to tick %d: it is tick %d", grant.Node, h.number, all[i-1].of.number, all[i-1].until, g.w.tick(grant.Now))
		}
		if i > 0 && all[i-1].until == grant.From && all[i-1].until > all[i-1].from {
			g.w.count.Contiguous++
		}
		g.nodes[grant.Node] = slices.Insert(all, i, mine)
	case mine.sealed || grant.Until <= mine.until:
		return
	default:
		mine.until = grant.Until
	}
	mine.life = g.w.engine.life
	if grant.From >= grant.Until {
		g.w.fail("a window without ticks was granted: node %d [%d, %d)", grant.Node, grant.From, grant.Until)
	}
	if grant.Until > g.w.p.layout.MaxTick()+1 || grant.From < 0 {
		g.w.fail("a window that the layout does not have was granted: node %d [%d, %d)", grant.Node, grant.From, grant.Until)
	}
	for _, c := range g.nodes[grant.Node] {
		if c == mine || max(c.from, mine.from) >= min(c.until, mine.until) {
			continue
		}
		g.w.count.Overlaps++
		// What was granted in one life of the store is kept apart whatever was lost before.
		if !g.w.p.broken() || g.w.p.Break == LostWrites && c.life == mine.life {
			g.w.fail("node %d was granted for [%d, %d) to holder %d, and for [%d, %d) to holder %d",
				c.node, c.from, c.until, c.of.number, mine.from, mine.until, h.number)
			return
		}
	}
}

// evidence takes note that a renewal was refused. If it shows a window that the store
// does not know, no window may begin any more before that one's end; unless the pool's
// clock has been set back since it was granted.
func (g *ghost) evidence(r pool.Renewal, clockRight bool) {
	if r.Until <= g.stored[r.Node].Highest {
		return
	}
	g.w.count.Evidence++
	if floor := g.floorNow(); floor < r.Until && clockRight {
		g.w.fail("holder %d shows node %d up to tick %d, which the store does not know, and the floor stays at tick %d", g.holding(r.Token).number, r.Node, r.Until, floor)
	}
}

// sealed takes note that a holder stamps nothing after a tick any more. It is true
// from when the release was sent.
func (g *ghost) sealed(r pool.Release) {
	h := g.holding(r.Token)
	for _, c := range h.claims {
		if c.node != r.Node || r.Last < c.from-1 || r.Last >= c.until || c.sealed {
			continue
		}
		if len(h.owners) > 1 && g.w.p.Break == Copies {
			c.early = true // it speaks for one of them, and the other stamps on
			continue
		}
		if c.stamped > r.Last {
			g.w.fail("holder %d gives node %d back as stamped up to tick %d, and has stamped tick %d", h.number, r.Node, r.Last, c.stamped)
		}
		c.until, c.sealed = r.Last+1, true
	}
}

// stamping returns the claim that allows a client a tick of a node, nil if none
// does; one of a lease that it has lost only if there is no other.
func (g *ghost) stamping(c *client, node, tick int64) (found *claim) {
	for _, x := range g.nodes[node] {
		if x.from <= tick && tick < x.until && x.of.ownedBy(c) {
			if found = x; x.of.token != c.lost {
				return x
			}
		}
	}
	return found
}

// busyUntil returns when the last window of a node ends.
func (g *ghost) busyUntil(node int64) int64 {
	var until int64
	for _, c := range g.nodes[node] {
		until = max(until, c.until)
	}
	return until
}
