package sim

import (
	"context"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

func (w *world) unit() time.Duration { return w.p.layout.Unit() }

// rise starts a server again after a while.
func (v *server) rise() {
	d := int64(10 * time.Millisecond)
	if !v.quiet {
		d = between(v.rng, int64(time.Millisecond), 2*int64(v.p.Terms.Window))
	}
	v.after(d, nil, v.boot)
}

func (v *server) restart(d int64) {
	v.crash()
	if d > 0 {
		v.after(d, nil, v.boot)
		return
	}
	v.rise()
}

// trouble plans the next fault.
func (w *world) trouble() {
	w.after(1+w.rng.Int64N(2*int64(w.p.Every)), nil, func() {
		if w.quiet {
			return
		}
		w.fault()
		w.trouble()
	})
}

// fault lets something go wrong.
func (w *world) fault() {
	m := w.machines[w.rng.IntN(len(w.machines))]
	c := m.cur
	v := w.servers[w.rng.IntN(len(w.servers))]
	alive := c != nil && !c.dead
	long := func() int64 { return between(w.rng, int64(w.unit()), 3*int64(w.p.Terms.Horizon)) }
	if w.rng.IntN(5) == 0 {
		w.backups = append(w.backups, w.engine.snapshot())
	}
	switch n := w.rng.IntN(98); {
	case n < 16:
		if alive {
			w.count.Stops++
			c.stop(long())
		}
	case n < 24:
		if alive {
			c.crash()
			w.after(long(), nil, func() { m.start(nil) })
		}
	case n < 36:
		if alive {
			c.shut(func() { w.after(long()/4, nil, func() { m.start(nil) }) })
		}
	case n < 52:
		w.clientClock(m)
	case n < 58:
		w.serverClock(v)
	case n < 66:
		v.restart(0)
	case n < 71:
		if v.inst != nil && !v.inst.dead {
			w.count.ServerStops++
			v.inst.stop(long())
		}
	case n < 79:
		w.partition(v)
	case n < 85:
		node := w.rng.Int64N(w.p.Nodes)
		w.say("operator", "revokes node %d", node)
		v.administer(func(ctx context.Context, p *pool.Local) error { return p.Revoke(ctx, theName, node) }, func(error) {})
	case n < 86:
		if w.p.Nodes > 2 && w.retirals < int(w.p.Nodes)/2 {
			w.retirals++
			node := w.rng.Int64N(w.p.Nodes)
			w.say("operator", "retires node %d", node)
			v.administer(func(ctx context.Context, p *pool.Local) error { return p.Retire(ctx, theName, node) }, func(err error) {
				if err == nil {
					w.count.Retired++
				}
			})
		}
	case n < 92:
		w.clone(m)
	default:
		w.restore()
	}
}

// clientClock sets a client's clock wrong, or right.
func (w *world) clientClock(m *machine) {
	shown, ppm := m.wall.at(w.now), m.wall.ppm
	terms := w.p.Terms
	var d int64
	switch w.rng.IntN(12) {
	case 0, 1:
		shown, ppm = w.now, 0
	case 2:
		ppm = w.rng.Int64N(400) - 200
	case 3:
		ppm = w.rng.Int64N(400_000) - 200_000
	case 4:
		w.count.ClockFreezes++
		ppm = -1_000_000
	case 5:
		w.count.ClockYears++
		d = int64(time.Duration(1+w.rng.IntN(20)) * 365 * 24 * time.Hour)
	default:
		d = between(w.rng, 1, pick(w.rng, int64(w.unit()), int64(terms.Skew)+1, int64(terms.FirstWindow), int64(terms.Window), int64(terms.Horizon)))
	}
	if w.rng.IntN(2) == 0 {
		d = -d
	}
	if d != 0 {
		w.count.ClockSteps++
	}
	m.set(shown+d, ppm)
}

// set sets the clock of a machine.
func (m *machine) set(shown, ppm int64) {
	m.say("machine"+string('0'+rune(m.slot)), "clock set from %d ns ahead to %d ns ahead, %d ppm fast", m.wall.at(m.now)-m.now, shown-m.now, ppm)
	if shown < m.wall.at(m.now) {
		m.back++
	}
	if m.cur != nil && !m.cur.dead {
		m.cur.setClock(shown, ppm)
		return
	}
	m.wall.set(m.now, shown, ppm)
}

// serverClock sets a server's clock wrong, or right; an operator may accept that.
func (w *world) serverClock(v *server) {
	w.count.ServerClocks++
	shown, ppm := v.wall.at(w.now), w.rng.Int64N(400)-200
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		shown = w.now
	case 3:
	case 4:
		if w.rng.IntN(4) == 0 {
			w.count.ServerYears++
			shown += int64(time.Duration(w.rng.IntN(20)-10) * 365 * 24 * time.Hour)
		}
	case 5:
		shown += w.rng.Int64N(int64(800*time.Millisecond)) - int64(400*time.Millisecond)
	default:
		shown += w.rng.Int64N(4*int64(w.p.Terms.Horizon)) - 2*int64(w.p.Terms.Horizon)
	}
	if w.odd() {
		switch w.rng.IntN(4) {
		case 0, 1:
			w.count.ServerFreezes++
			ppm = -1_000_000
		case 2:
			w.count.ServerRates++
			ppm = w.rng.Int64N(400_000) - 200_000
		default:
			w.count.ServerYears++
			shown += pick(w.rng, int64(-1), 1) * int64(time.Duration(1+w.rng.IntN(20))*365*24*time.Hour)
		}
	}
	w.say("server"+string('A'+rune(v.index)), "clock set from %d ns ahead to %d ns ahead, %d ppm fast", v.wall.at(w.now)-w.now, shown-w.now, ppm)
	v.wall.set(w.now, shown, ppm)
	if w.rng.IntN(3) == 0 {
		w.after(between(w.rng, int64(time.Millisecond), int64(w.p.Terms.Horizon)), nil, func() { v.acceptClock(func(error) {}) })
	}
}

// odd decides whether a server's clock gets as wrong as a client's may be. Nothing is
// drawn where that never happens.
func (w *world) odd() bool { return w.p.OddServers > 0 && w.faulty(w.p.OddServers) }

func (v *server) acceptClock(then func(error)) {
	v.say("operator", "accepts the clock of server %d", int64(v.index))
	v.administer(func(ctx context.Context, p *pool.Local) error { return p.AcceptClock(ctx, theName) }, then)
}

// partition cuts a server off from clients or from the store, for a while.
func (w *world) partition(v *server) {
	w.count.Partitions++
	d := between(w.rng, int64(w.p.Latency), 2*int64(w.p.Terms.Horizon))
	if !w.p.Exclusive && w.rng.IntN(3) == 0 {
		w.say("network", "server %d loses the store", int64(v.index))
		v.apart = true
		w.after(d, nil, func() { v.apart = false })
		return
	}
	all := w.rng.IntN(2) == 0
	w.say("network", "server %d loses clients", int64(v.index))
	for i := range v.cut {
		if all || w.rng.IntN(2) == 0 {
			v.cut[i] = true
			w.after(d, nil, func() { v.cut[i] = false })
		}
	}
}

// clone copies a running client to a machine of its own, with the clock that the
// original's machine has.
func (w *world) clone(m *machine) {
	c := m.cur
	if c == nil || c.dead || c.gen == nil || c.mute || c.closing || m.byHand || w.count.Clones >= maxClones {
		return
	}
	g := c.grant
	now := m.wall.at(w.now)
	if at := w.tick(now); at < g.From || at >= g.Until || len(c.calls) > 0 || w.p.layout.Time(g.Until).UnixNano() <= now {
		return // it would give the window back at once
	}
	next := max(g.From, c.gen.ids.LastTick()+1)
	if w.p.Break == Copies && next >= g.Until {
		return
	}
	w.say(c.name, "is copied, with node %d and the window [%d, %d)", g.Node, g.From, g.Until)
	w.count.Clones++
	for _, x := range w.ghost.holding(g.Token).claims {
		if x.node == g.Node && x.from == g.From {
			if x.cloned == 0 {
				x.apart = next
			}
			x.cloned = max(x.cloned, g.Until)
		}
	}
	if w.p.Break == Copies { // it goes on where the original is
		g.From = next
	}
	g.Now = now
	twin := &machine{world: w, slot: w.p.Clients + w.count.Clones - 1, wall: m.wall}
	w.machines = append(w.machines, twin)
	twin.start(&g)
	twin.bursts()
}

// restore puts an old copy of the store in its place. Where no assumption is
// broken, it is said to be in doubt before anything is granted on it, by a server
// whose clock has not been set back since the last grant.
func (w *world) restore() {
	if len(w.backups) == 0 || w.count.Restores >= w.p.Restores {
		return
	}
	v := w.servers[0]
	told := w.p.Break != LostWrites
	if told && v.wall.at(w.now) < w.ghost.latest {
		return
	}
	w.count.Restores++
	w.say("operator", "restores an old copy of the store")
	for _, v := range w.servers {
		v.crash()
	}
	last := len(w.backups) - 1
	w.engine.restore(w.backups[max(w.rng.IntN(last+1), w.rng.IntN(last+1))]) // rather a young one
	w.ghost.restored()
	if told {
		s := plainStore{w.engine, stopped{v.wall.at(w.now)}, false}
		if err := pool.New(s).Doubt(context.Background()); err != nil {
			w.fail("doubting: %v", err)
		}
		w.floor = v.wall.at(w.now) + int64(w.p.Terms.Horizon)
	}
	for _, v := range w.servers {
		if !told { // while windows last that it has forgotten
			v.after(between(v.rng, int64(time.Millisecond), int64(w.p.Terms.FirstWindow)/4), nil, v.boot)
			continue
		}
		v.rise()
	}
}

// stopped is a clock that shows one time.
type stopped struct{ at int64 }

var _ clock.Clock = stopped{}

// Now implements [clock.Clock].
func (s stopped) Now() int64 { return s.at }

// Wait implements [clock.Clock].
func (stopped) Wait(ctx context.Context, _ int64) error { return ctx.Err() }
