package sim

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// machine is a place where clients run, one after the other, and its clock.
type machine struct {
	*world
	slot   int
	wall   wallClock
	back   int // how often its clock was set back
	cur    *client
	fresh  uint64 // IDs made since healing began
	before int64  // the last tick reserved until then
	why    error  // that the last client did not start, or was last refused

	byHand bool  // it has a node of its own, and no pool
	node   int64 // that one
	top    int64 // the highest tick stamped on it here
}

// maxClones bounds the copies made of clients in a run.
const maxClones = 2

// client is one life of a client's process: a lease, and generators on it.
type client struct {
	*process
	m *machine

	waiters []*waiter
	calls   map[*call]struct{}
	server  int

	grant  pool.Grant // the last one that it heard of
	nonce  pool.Token // of its last renewal
	forged *pool.Grant
	mute   bool // a copy that makes no IDs: it has the original's lease
	twin   bool // it is a copy
	brief  bool // it makes one ID and closes, and another one follows at once
	used   bool // it is brief, and has begun to
	bare   bool // its generator is closed, and there could be no other

	layout  layout.Layout
	lease   *pool.Lease
	from    generator.Source // the lease, or a node numbered by hand
	past    int64            // by hand: the highest tick stamped before
	gen     *source
	bursts  []*burst
	closing bool
	claim   *claim
	lost    pool.Token // of its last lease that was lost: it has stopped to use it
}

// source is a generator, and what it promises.
type source struct {
	ids interface {
		Next() (layout.ID, error)
		Fill([]layout.ID) (int, error)
		Close() error
		LastTick() int64
		Stats() generator.Stats
	}
	strict bool // its IDs increase; else only their ticks do, and only if ticks
	ticks  bool
	back   int // of its machine, when it was made
	most   layout.ID
	issued uint64
	lost   bool // some of what it has issued is not counted
	fails  bool
	lead   int64 // how many ticks ahead of the clock it may be
}

// burst is a call of a client's program that makes IDs. Bursts of one client are
// one goroutine each; one that is preempted goes on when those begun since are
// over.
type burst struct {
	due *parked
}

// start starts a client.
func (m *machine) start(forged *pool.Grant) {
	if m.cur != nil && !m.cur.dead {
		return
	}
	if m.byHand {
		m.startByHand()
		return
	}
	p := m.newProcess("client" + string('0'+rune(m.slot)))
	c := &client{process: p, m: m, calls: make(map[*call]struct{}), server: p.rng.IntN(m.p.Servers), forged: forged, layout: m.layoutNow(p.rng)}
	m.cur = c
	c.read = func() (int64, int) { return m.wall.at(m.now), m.back }
	if forged != nil {
		c.twin, c.mute = true, m.p.Break != Copies
		h := m.ghost.holding(forged.Token)
		h.owners = append(h.owners, c)
		c.grant = *forged
	}
	if c.brief = forged == nil && m.faulty(m.p.Brief); c.brief {
		m.count.Brief++
	}
	m.say(p.name, "starts")
	ctx, cancel := context.WithCancel(context.Background())
	p.ending = cancel
	if m.faulty(100) {
		m.after(between(m.rng, int64(m.p.Latency), int64(m.p.Terms.Window)), p, func() {
			if c.gen == nil {
				p.kind = keeping
				cancel()
			}
		})
	}
	m.after(0, p, func() {
		p.spawn(keeping, func() {
			err := c.begin(ctx)
			cancel()
			p.arrive("begun", 0, func() { c.begun(err) })
		})
	})
}

// begin acquires a lease and makes a generator. It runs in a goroutine of the
// client.
func (c *client) begin(ctx context.Context) error {
	lease, err := pool.Acquire(ctx, port{c}, theName, c.layout,
		pool.WithClock(clientClock{c}), pool.WithLeaseLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err //nolint:wrapcheck // looked at as it is
	}
	c.from = lease
	g, err := c.generator()
	if err != nil {
		return errors.Join(err, lease.Close())
	}
	c.lease, c.gen = lease, g
	return nil
}

// generator makes a generator on the client's lease or node.
func (c *client) generator() (*source, error) {
	w := c.world
	g := &source{back: c.m.back}
	if c.olds.Load() > 0 { // its first reading is one from before the stop
		g.back = c.oldBack
	}
	opts := []generator.Option{generator.WithClock(clientClock{c})}
	switch c.rng.IntN(4) {
	case 0, 1:
		g.ticks = true
	case 2:
		w.count.Borrowed++
		lead := pick(c.rng, w.unit(), 10*w.unit(), w.p.Terms.FirstWindow)
		g.lead = int64(lead / w.unit())
		opts = append(opts, generator.WithOverflow(generator.Borrow(lead)))
	case 3:
		g.fails = true
		opts = append(opts, generator.WithOverflow(generator.Fail()))
	}
	if c.rng.IntN(3) == 0 {
		opts = append(opts, generator.WithBackwardLimit(pick(c.rng, 0, w.p.layout.Unit(), w.p.Terms.FirstWindow)))
	}
	var err error
	switch c.rng.IntN(3) {
	case 0:
		g.ids, err = generator.NewMutex(c.layout, c.from, opts...)
		g.strict = true
	case 1:
		g.ids, err = generator.NewAtomic(c.layout, c.from, opts...)
		g.strict = true
	default:
		g.ids, err = generator.NewSharded(c.layout, c.from, opts...)
	}
	return g, err //nolint:wrapcheck // looked at as it is
}

// begun is when the client has a lease and a generator, or could not get them.
func (c *client) begun(err error) {
	w := c.world
	if c.dead {
		return
	}
	if err == nil {
		w.say(c.name, "holds node %d, [%d, %d)", c.grant.Node, c.grant.From, c.grant.Until)
		if c.brief {
			w.after(0, c.process, c.makes)
		}
		return
	}
	c.m.why = err
	if _, off := errors.AsType[*pool.ClockOffError](err); off {
		w.count.ClockOff++
	}
	w.say(c.name, "cannot start")
	if w.trace.out != nil {
		w.trace.out.Write([]byte("                            " + err.Error() + "\n")) //nolint:errcheck // a person reads along
	}
	c.kill()
	w.after(between(w.rng, int64(w.p.Terms.FirstWindow)/4, int64(w.p.Terms.Window)), nil, func() { c.m.start(nil) })
}

// heard is when the reply to a request has come.
func (c *client) heard(x *call) {
	if x.op != acquiring {
		return
	}
	c.mute = false // another lease than that of the original
	for range c.rng.IntN(3) {
		c.after(between(c.rng, 1, int64(c.p.Terms.FirstWindow)), c.process, c.makes)
	}
	if c.gen != nil {
		c.world.count.Handovers++
	}
}

// refused is when a request has come to nothing.
func (c *client) refused(x *call) {
	w := c.world
	if errors.Is(x.err, pool.ErrLeaseLost) {
		if x.op == renewing {
			c.lost = x.held
		}
		switch {
		case x.why == toSuccessor:
			w.count.Taken++
		case x.why == toCopy && c.twin:
			w.count.CloneRefused++
		case x.why == toCopy:
			w.count.OriginalRefused++
		}
		return
	}
	if c.rng.IntN(2) == 0 {
		c.server = c.rng.IntN(w.p.Servers)
	}
}

// crash ends the client at once.
func (c *client) crash() {
	w := c.world
	w.count.ClientCrashes++
	w.say(c.name, "crashes")
	c.kill()
}

// shut ends the client as its program would.
func (c *client) shut(then func()) {
	if c.gen == nil || c.closing || c.dead {
		return
	}
	c.closing = true
	w := c.world
	w.say(c.name, "closes")
	w.after(0, c.process, func() {
		c.spawn(keeping, func() {
			if c.rng.IntN(2) == 0 {
				_ = c.gen.ids.Close()
			}
			if c.lease != nil {
				_ = c.lease.Close() // what it could not give back is free later
			}
			_ = c.gen.ids.Close()
			c.arrive("closed", 0, func() {
				// It lives on for a while, with goroutines that were preempted.
				lives := between(c.rng, 1, int64(c.p.Terms.FirstWindow))
				if c.brief {
					lives = 1
				}
				c.after(lives, c.process, func() {
					c.kill()
					then()
				})
			})
		})
	})
}

// top returns the burst that may run.
func (c *client) top() *burst {
	if len(c.bursts) == 0 {
		return nil
	}
	return c.bursts[len(c.bursts)-1]
}

// makes starts a burst, if the client is in a state for it.
func (c *client) makes() {
	if c.gen == nil || c.mute || len(c.bursts) > 2 || slices.ContainsFunc(c.waiters, func(w *waiter) bool { return w.k.kind == making }) {
		return
	}
	if c.brief && c.used {
		return
	}
	c.used = true
	b := &burst{}
	c.bursts = append(c.bursts, b)
	c.spawn(making, func() {
		c.make()
		c.arrive("burst", int64(len(c.bursts)), func() { c.made() })
	})
}

func (c *client) made() {
	c.bursts = c.bursts[:len(c.bursts)-1]
	if b := c.top(); b != nil && b.due != nil {
		k := b.due
		b.due = nil
		c.world.after(0, c.process, k.resume)
	}
	if c.brief {
		c.shut(func() { c.m.start(nil) })
	}
}

// preempt keeps the goroutine that runs, of a burst, from going on for a while.
func (c *client) preempt(d int64) {
	b := c.top()
	_ = c.park("preempt", 0, func(k *parked) {
		if c.rng.IntN(3) == 0 { // others make use of it
			c.world.after(1+c.rng.Int64N(d), c.process, c.makes)
		}
		c.world.after(d, c.process, func() {
			if c.top() != b {
				b.due = k
				return
			}
			k.resume()
		})
	})
}

// make makes IDs. It runs in a goroutine of its own.
func (c *client) make() {
	w := c.world
	switch n := c.rng.IntN(100); {
	case c.brief:
		c.next(1)
	case (n < 4 || n < 50 && len(c.bursts) > 1) && !c.closing && !w.quiet:
		c.reopen()
	case n < 60:
		if !c.next(1 + c.rng.IntN(12)) {
			return
		}
	default:
		size := 1 + c.rng.IntN(64)
		if w.p.Big > 0 && c.rng.IntN(4) == 0 {
			size = w.p.Big
		}
		// A few ticks' worth at most: each further one is waited for.
		size = int(min(int64(size), (8+c.gen.lead)*(w.p.layout.MaxSequence()+1)))
		ids := w.borrow(size)
		g, most := c.gen, c.gen.most
		n, err := g.ids.Fill(ids)
		c.took(g, ids[:n], most, false)
		w.spare = append(w.spare, ids)
		if err != nil {
			c.failed(err)
		}
	}
	c.counted()
}

// next makes so many IDs, one by one, and reports whether it got them.
func (c *client) next(n int) bool {
	var one [1]layout.ID
	for range n {
		g, most := c.gen, c.gen.most
		id, err := g.ids.Next()
		if err != nil {
			c.failed(err)
			return false
		}
		one[0] = id
		if !c.took(g, one[:], most, true) {
			return false
		}
	}
	return true
}

// borrow returns room for so many IDs, in memory that was used for others before.
func (w *world) borrow(n int) []layout.ID {
	for i, s := range w.spare {
		if cap(s) >= n {
			w.spare = append(w.spare[:i], w.spare[i+1:]...)
			return s[:n]
		}
	}
	return make([]layout.ID, n)
}

// reopen replaces the client's generator by another one on the same lease, whatever
// calls of it have been preempted.
func (c *client) reopen() {
	w := c.world
	c.kind = keeping // the lease's lock is held while the clock is read
	defer func() { c.kind = making }()
	_ = c.gen.ids.Close()
	g, err := c.generator()
	if err != nil || c.dead {
		c.bare = true // the old one is left, and refuses
		return
	}
	c.gen, c.bare = g, false
	w.count.Reopened++
	if len(c.bursts) > 1 {
		w.count.ReopenedInside++
	}
}

func (c *client) failed(err error) {
	w := c.world
	var back *generator.ClockBackwardError
	switch {
	case errors.Is(err, generator.ErrNoLease):
		w.count.NoLease++
	case errors.As(err, &back):
		w.count.Backward++
	}
}

// counted checks the generator's own count, which is exact when no other call is
// under way.
func (c *client) counted() {
	g := c.gen
	if c.dead || g.lost || len(c.bursts) != 1 {
		return
	}
	c.kind = keeping // the clock is read: no other goroutine may have its turn
	s := g.ids.Stats()
	c.kind = making
	if s.Issued != g.issued && !c.dead {
		c.fail("%s counts %d IDs, and has returned %d: %T %+v", c.name, s.Issued, g.issued, g.ids, s)
	}
}

// took checks IDs that a generator has just returned; most is the greatest that it
// had returned when the call began, and at once says that nothing was waited for since
// they were reserved. It returns false if the process is dead, and
// nobody will ever have seen them.
func (c *client) took(g *source, ids []layout.ID, most layout.ID, atOnce bool) bool {
	if c.dead {
		g.lost = true
		return false
	}
	w := c.world
	l := c.layout
	timeShift, nodeShift, seqShift := uint(l.TimeShift()), uint(l.NodeShift()), uint(l.SequenceShift())
	seqBits, numberBits := uint(l.SequenceBits()), uint(l.SequenceBits()+l.TimeBits())
	step := layout.ID(1) << seqShift
	g.issued += uint64(len(ids))
	ordered := g.ticks && g.back == c.m.back
	for i := 0; i < len(ids); {
		id := ids[i]
		tick, node, seq := int64(id)>>timeShift, int64(id)>>nodeShift&l.MaxNode(), int64(id)>>seqShift&l.MaxSequence()
		run := 1
		for room := l.MaxSequence() - seq + 1; i+run < len(ids) && int64(run) < room && ids[i+run] == id+layout.ID(run)*step; {
			run++
		}
		switch {
		case id < 0 || tick > l.MaxTick():
			w.fail("%s made ID %d, which is none of the layout's", c.name, id)
		case g.strict && id <= most:
			w.fail("%s made ID %d after ID %d", c.name, id, most)
		case ordered && tick < int64(most)>>timeShift:
			w.fail("%s made an ID of tick %d after one of tick %d", c.name, tick, int64(most)>>timeShift)
		}
		last := ids[i+run-1]
		most = max(most, last)
		if x := c.claim; x == nil || x.node != node || tick < x.from || tick >= x.until {
			if c.claim = w.ghost.stamping(c, node, tick); c.claim == nil {
				w.fail("%s stamped tick %d of node %d, which it was not granted", c.name, tick, node)
				return true
			}
		}
		if c.claim.sealed && atOnce {
			w.fail("%s stamped tick %d of node %d after it had given the node back", c.name, tick, node)
		}
		if c.claim.of.token == c.lost && atOnce {
			// With A1 broken it may have been granted the same tick again.
			if c.claim = w.ghost.stamping(c, node, tick); c.claim.of.token == c.lost {
				w.fail("%s stamped tick %d of node %d after it had heard that the lease was lost", c.name, tick, node)
			}
		}
		c.claim.stamped = max(c.claim.stamped, tick)
		c.m.top = max(c.m.top, tick)
		w.trace.made(id, run)
		number := uint64(node)<<numberBits | uint64(tick)<<seqBits | uint64(seq)
		if w.p.Break == TwoLayouts {
			number = uint64(id)
			if double, which := w.own[c.layout == w.p.second].add(number, uint64(run)); double > 0 {
				w.fail("%s made %d IDs of tick %d of node %d that were made before under the same layout, %d among them", c.name, double, tick, node, which)
			}
		}
		if double, which := w.ids.add(number, uint64(run)); double > 0 {
			w.doubled(c, tick, node, double, which)
		}
		i += run
	}
	g.most = max(g.most, most)
	w.count.IDs += uint64(len(ids))
	c.m.fresh += uint64(len(ids))
	return true
}

// doubled is when IDs were made that had been made before.
func (w *world) doubled(c *client, tick, node int64, double, which uint64) {
	w.count.Doubles += double
	if !w.p.broken() {
		w.fail("%s made %d IDs of tick %d of node %d that were made before, number %#x among them", c.name, double, tick, node, which)
		return
	}
	switch w.p.Break {
	case Copies:
		if !slices.ContainsFunc(w.ghost.nodes[node], func(x *claim) bool {
			end := x.cloned
			if end > 0 && x.early { // somebody else may have been granted the rest
				end = max(end, x.until)
			}
			return x.apart <= tick && tick < end
		}) {
			w.fail("%s made IDs of tick %d of node %d twice, and no copies had that tick together", c.name, tick, node)
		}
	case LostWrites:
		lives := make(map[int]bool)
		for _, x := range w.ghost.nodes[node] {
			if x.from <= tick && tick < x.until {
				lives[x.life] = true
			}
		}
		if len(lives) < 2 {
			w.fail("%s made IDs of tick %d of node %d twice, and it was not granted by the store and by an old copy of it", c.name, tick, node)
		}
	case TwoSources:
		if node < w.p.Nodes {
			w.fail("%s made IDs of tick %d of node %d twice, and nobody has numbered that by hand", c.name, tick, node)
		}
	case EarlyClocks:
		if !c.m.byHand || tick > c.past {
			w.fail("%s made IDs of tick %d of node %d twice; up to tick %d they had been made before it started", c.name, tick, node, c.past)
		}
	}
}
