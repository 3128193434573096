package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// Result is what came of a run.
type Result struct {
	Seed     uint64
	Params   Params
	Counters Counters
	Hash     uint64 // of the trace: equal for equal seeds
	Failure  string // what promise was broken; empty if none was
	Tail     string // what happened last before that
}

// Runner runs worlds one after the other, and keeps the memory for their IDs.
type Runner struct {
	Break Assumption // one to break on purpose
	Out   io.Writer  // where the trace is written, if anywhere

	ids   *idSet
	spare [][]layout.ID
}

// Run runs the world of a seed. It must be called in a bubble of testing/synctest,
// with GOMAXPROCS at 1 and crypto/rand seeded: see Seed in the tests.
func (r *Runner) Run(seed uint64) Result {
	if r.ids == nil {
		r.ids = newIDSet()
	}
	r.ids.clear()
	rng := rand.New(rand.NewPCG(seed, 0xea5f1a4e)) //nolint:gosec // a seed must repeat
	w := &world{seed: seed, rng: rng, p: drawParams(rng, r.Break), ids: r.ids, engine: newEngine(), spare: r.spare, held: make(map[int64][]*call)}
	w.p.add(rand.New(rand.NewPCG(seed, 0x1a7e4))) //nolint:gosec // the same
	w.now = w.p.Start.UnixNano()
	w.latency = w.p.Latency
	w.trace = trace{start: w.now, out: r.Out}
	w.ghost = newGhost(w)
	w.live()
	r.spare = w.spare
	w.count.Seeds = 1
	w.count.Virtual = time.Duration(w.now - w.trace.start)
	res := Result{Seed: seed, Params: w.p, Counters: w.count, Hash: w.trace.hash, Failure: w.failure}
	if w.failure != "" {
		res.Tail = w.trace.tail()
	}
	return res
}

// live lets the world's time pass from its beginning to its end.
func (w *world) live() {
	w.create()
	for i := range w.p.Servers {
		v := w.newServer(i)
		w.servers = append(w.servers, v)
		v.boot()
	}
	for i := range w.p.Clients {
		m := &machine{world: w, slot: i, wall: wallClock{w.now, w.now, 0}}
		if w.rng.IntN(3) > 0 { // few clocks are right
			skew := int64(w.p.Terms.Skew)
			m.wall.set(w.now, w.now+w.rng.Int64N(2*skew+1)-skew, w.rng.Int64N(200)-100)
		}
		w.machines = append(w.machines, m)
		w.after(w.rng.Int64N(int64(w.p.Terms.Window)), nil, func() { m.start(nil) })
		m.bursts()
	}
	w.byHand()
	if w.p.Break == TwoLayouts {
		w.own = map[bool]*idSet{false: newIDSet(), true: newIDSet()}
		w.after(int64(w.p.Faults)/4, nil, w.changeLayout)
	}
	w.backups = append(w.backups, w.engine.snapshot())
	w.trouble()
	w.run(w.now + int64(w.p.Faults))
	w.heal()
	w.end()
}

// create creates the namespace.
func (w *world) create() {
	n := pool.NewNamespace(theName, w.p.layout)
	n.Terms = w.p.Terms
	n.Ranges = []pool.Range{{Last: w.p.Nodes - 1}}
	if w.handsLeased() {
		n.Ranges[0].Last += w.p.Hands
	} else if w.p.Hands > 0 {
		n.Ranges = append(n.Ranges, pool.Range{First: w.p.Nodes, Last: w.p.Nodes + w.p.Hands - 1, Use: pool.ByHand})
	}
	now := w.now
	if w.p.Ending { // years ago
		now = w.p.layout.End().Add(-3 * 365 * 24 * time.Hour).UnixNano()
	}
	if err := pool.New(plainStore{w.engine, stopped{now}, w.p.Exclusive}).CreateNamespace(context.Background(), n); err != nil {
		w.fail("creating the namespace: %v", err)
	}
}

// changeLayout writes another layout into the namespace's record, past all rules.
func (w *world) changeLayout() {
	r := w.engine.namespace(theName)
	r.Value = bytes.Replace(r.Value, []byte(w.p.layout.String()), []byte(w.p.second.String()), 1)
	if _, err := w.engine.write(pool.Write{Namespace: theName, NamespaceRevision: r.Revision, OfNamespace: true, Value: r.Value}); err != nil {
		w.fail("writing another layout: %v", err)
	}
	w.say("operator", "writes another layout into the namespace's record")
	w.changed = true
}

// bursts has whoever runs on a machine make IDs now and then.
func (m *machine) bursts() {
	d := 1 + m.rng.Int64N(2*int64(m.p.Burst))
	if m.rng.IntN(4) == 0 {
		d = between(m.rng, int64(m.unit())/8, int64(m.p.Burst))
	}
	m.after(d, nil, func() {
		if c := m.cur; c != nil && !c.dead {
			m.after(0, c.process, c.makes)
		}
		m.bursts()
	})
}

// heal sets everything right, and sees whether all go on.
func (w *world) heal() {
	if w.failure != "" {
		return
	}
	w.quiet = true
	w.say("world", "heals")
	w.latency = min(w.latency, w.p.Terms.FirstWindow/20) // else no window is long enough to use
	for _, v := range w.servers {
		v.apart = false
		clear(v.cut)
		v.wall.set(w.now, w.now, 0)
		if v.inst != nil {
			v.inst.goOn()
			if v.inst.failed || v.inst.wrong {
				v.crash()
			}
		}
		w.after(int64(time.Millisecond), nil, v.boot)
	}
	for _, m := range w.machines {
		m.set(w.now, 0)
		if c := m.cur; c != nil {
			c.goOn()
			if (c.mute || c.bare) && !c.dead { // it keeps a node that it makes nothing with
				c.crash()
			}
		}
		w.after(int64(time.Millisecond), nil, func() { m.start(nil) })
	}
	terms := w.p.Terms
	w.accept()
	soon := w.tick(w.now+int64(terms.Horizon)) + 3
	far := w.far(soon)
	w.run(w.now + int64(2*terms.Horizon+4*terms.Window+40*time.Second))
	for _, m := range w.machines {
		m.fresh, m.before = 0, m.lastTick()
	}
	w.run(w.now + int64(terms.Window+20*w.p.Burst))
	if w.failure != "" || w.p.Ending {
		return // there may be nothing left to make
	}
	if w.p.Break == TwoLayouts {
		return // the pool refuses who goes by the other one
	}
	clients := w.pooled()
	well := 0
	for _, m := range clients {
		// Of a layout with two IDs a second, a large burst may take longer than this.
		if m.fresh > 0 || m.lastTick() > m.before {
			well++
		} else if !m.exempt() {
			w.fail("%s makes no IDs again, and no rule keeps it from that: %v", m.cur.name, m.why)
		}
	}
	w.count.Progress += well
	w.count.Exempt += len(clients) - well
	if expected := w.expected(far); well < expected {
		w.fail("of %d clients only %d make IDs again, and there are nodes for %d", len(clients), well, expected)
	}
	w.handsGoOn()
}

// far returns the nodes whose windows lie far in the future, where clocks that were
// wrong have put them; all of them under a floor that does.
func (w *world) far(soon int64) map[int64]bool {
	under := w.ghost.floorNow() > soon
	far := make(map[int64]bool)
	for node := range w.p.Nodes {
		if under || max(w.ghost.busyUntil(node), w.recordedUntil(node)) > soon {
			far[node] = true
		}
	}
	return far
}

// expected returns how many clients must make IDs again: those for whom there are
// nodes. Who has one whose window lies far in the future keeps it.
func (w *world) expected(far map[int64]bool) int {
	free := 0
	for node := range w.p.Nodes {
		if !far[node] && !w.ghost.stored[node].Retired {
			free++
		}
	}
	return max(0, min(len(w.pooled())-len(far), free))
}

// lastTick returns the last tick that the machine's generator has reserved, -1 if it has
// no generator.
func (m *machine) lastTick() int64 {
	if m.cur == nil || m.cur.gen == nil {
		return -1
	}
	return m.cur.gen.ids.LastTick()
}

// exempt reports whether a client need not make IDs though all is right again: the pool
// has no node for it, or not yet; or what it holds, or has stamped, lies in the future,
// where a clock that was wrong has put it.
func (m *machine) exempt() bool {
	c := m.cur
	if m.why == nil {
		now := m.tick(m.now)
		return c.gen != nil && (c.grant.From > now || c.gen.ids.LastTick() >= now)
	}
	var exhausted *pool.ExhaustedError
	var notYet *pool.NotYetError
	var off *pool.ClockOffError
	return errors.As(m.why, &exhausted) || errors.As(m.why, &notYet) || errors.As(m.why, &off)
}

// recordedUntil returns the tick before which the store has a node as taken: it may
// never have heard that its holder gave it back.
func (w *world) recordedUntil(node int64) int64 {
	var record nodeRecord
	for _, r := range w.engine.nodes(theName, node, node) {
		var err error
		if record, err = readNode(r.Value); err != nil {
			w.fail("the record of node %d: %v", node, err)
		}
	}
	return record.Until
}

// accept has an operator accept the servers' clocks, until all have. What was granted
// by the time that they went by before may still be on its way, for a second. A server
// may have to wait for a store that is as slow as it was before: see delay.
func (w *world) accept() {
	accepted := make([]*instance, len(w.servers))
	for range 100 + 2*int(w.p.Terms.Horizon/time.Second) {
		w.run(w.now + int64(time.Second))
		missing := false
		for i, v := range w.servers {
			if at := v.inst; at == nil || at.dead || accepted[i] != at {
				missing = true
				v.acceptClock(func(err error) {
					if err == nil {
						accepted[i] = at
					}
				})
			}
		}
		if !missing {
			w.run(w.now + int64(time.Second))
			return
		}
	}
	w.fail("a server does not accept its clock, though nothing is wrong any more")
}

// end ends all processes, so that no goroutine is left.
func (w *world) end() {
	w.quiet = true
	failure := w.failure
	for _, m := range w.machines {
		if m.cur != nil && !m.cur.dead {
			m.cur.kill()
		}
	}
	for _, v := range w.servers {
		if v.inst != nil && !v.inst.dead {
			v.inst.kill()
		}
	}
	w.failure = ""
	w.queue = keepWakes(w.queue, w.now)
	w.run(w.now)
	w.failure = failure
}

// keepWakes drops all that was planned for later.
func keepWakes(q events, now int64) events {
	var kept events
	for _, e := range q {
		if e.at <= now {
			kept.push(e)
		}
	}
	return kept
}

// String is one line about a run.
func (r Result) String() string {
	return fmt.Sprintf("seed %d: %d events, %d IDs, %v, hash %016x", r.Seed, r.Counters.Events, r.Counters.IDs, r.Counters.Virtual.Round(time.Second), r.Hash)
}
