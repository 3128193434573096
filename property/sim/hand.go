package sim

import (
	"errors"
	"math/rand/v2"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// A node numbered by hand has no pool and no memory: what is stamped before a
// restart is kept from being stamped again by assumption A5 alone, and by A4 that
// nobody else has the number. Both are kept here, unless they are broken on purpose.

// errEarly is why a process does not start yet: A5 says that it must not.
var errEarly = errors.New("sim: the clock is not past every tick stamped before")

// byHand sets up the machines of nodes numbered by hand.
func (w *world) byHand() {
	for i := range w.p.Hands {
		w.ghost.byHand(w.p.Nodes + i)
		w.settleByHand(w.p.Nodes + i)
	}
	if w.p.Break == TwoSources && !w.handsLeased() {
		w.settleByHand(w.p.Nodes)
	}
}

// handsLeased reports whether A4 is broken by the pool, which has been told that
// the nodes numbered by hand were its to lease.
func (w *world) handsLeased() bool { return w.p.Break == TwoSources && w.seed%2 == 0 }

func (w *world) settleByHand(node int64) {
	m := &machine{world: w, slot: len(w.machines), wall: wallClock{w.now, w.now, 0}, byHand: true, node: node}
	w.machines = append(w.machines, m)
	w.after(w.rng.Int64N(int64(w.p.Terms.Window)), nil, func() { m.start(nil) })
	m.bursts()
}

// startByHand starts a process that has its node's number from its configuration.
func (m *machine) startByHand() {
	if m.p.Break == EarlyClocks && m.top > 0 && m.rng.IntN(2) == 0 { // to where it has been before
		back := between(m.rng, int64(m.unit()), int64(m.p.Terms.FirstWindow))
		m.set(m.p.layout.Time(m.top).UnixNano()-back, 0)
	}
	p := m.newProcess("hand" + string('0'+rune(m.slot)))
	c := &client{process: p, m: m, layout: m.p.layout, from: generator.Static(m.node), past: m.top}
	m.cur = c
	h := m.ghost.holding(handToken(m.node))
	h.owners = append(h.owners, c)
	m.say(p.name, "starts")
	m.after(0, p, func() {
		p.spawn(keeping, func() {
			err := c.beginByHand()
			p.arrive("begun", 0, func() { c.begunByHand(err) })
		})
	})
}

// beginByHand makes a generator. It runs in a goroutine of the client.
func (c *client) beginByHand() error {
	if c.tick(c.m.wall.at(c.now)) <= c.past {
		if c.p.Break != EarlyClocks {
			return errEarly
		}
		c.count.Early++
	}
	g, err := c.generator() // whose first reading of the clock is that of above
	if err != nil {
		return err
	}
	c.gen = g
	return nil
}

func (c *client) begunByHand(err error) {
	w := c.world
	switch {
	case c.dead:
	case err == nil:
		w.say(c.name, "has node %d", c.m.node)
		w.after(0, c.process, c.makes)
	default:
		w.say(c.name, "cannot start")
		if errors.Is(err, errEarly) {
			w.count.EarlyRefused++
		}
		c.m.why = err
		c.kill()
		w.after(between(w.rng, int64(w.p.Terms.FirstWindow), int64(w.p.Terms.Window)), nil, func() { c.m.start(nil) })
	}
}

// handToken stands for whoever has a node numbered by hand.
func handToken(node int64) pool.Token {
	return pool.Token{0: 0xff, 1: 'h', 2: byte(node >> 8), 3: byte(node)}
}

// byHand allows all ticks of a node to those who have it by hand. A pool that grants
// any of them is wrong.
func (g *ghost) byHand(node int64) {
	h := g.holding(handToken(node))
	x := &claim{of: h, node: node, until: g.w.p.layout.MaxTick() + 1, stamped: -1}
	h.claims = append(h.claims, x)
	g.nodes[node] = append(g.nodes[node], x)
}

// pooled returns the machines whose clients have leases.
func (w *world) pooled() []*machine {
	var found []*machine
	for _, m := range w.machines {
		if !m.byHand {
			found = append(found, m)
		}
	}
	return found
}

// handsGoOn asserts, after healing, that processes make IDs on the nodes numbered by
// hand, unless a clock that was wrong has put them into the future.
func (w *world) handsGoOn() {
	soon := w.tick(w.now - int64(3*w.p.Terms.Window+20*w.p.Burst)) // there was time enough since
	for _, m := range w.machines {
		switch {
		case !m.byHand:
		case m.fresh > 0:
			w.count.HandsProgress++
		case m.cur != nil && m.cur.gen != nil && m.cur.gen.ids.LastTick() >= soon: // where it began, perhaps
		case m.top < soon:
			w.fail("on node %d, numbered by hand, no IDs are made again: %v", m.node, m.why)
		}
	}
}

// layoutNow is the one that a client which starts now goes by.
func (w *world) layoutNow(r *rand.Rand) layout.Layout {
	if w.changed && r.IntN(2) == 0 {
		return w.p.second
	}
	return w.p.layout
}
