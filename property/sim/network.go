package sim

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// call is a client's request, from when it is sent to when the client has given up
// or heard something.
type call struct {
	from   *client
	op     operation
	node   int64         // that it is about; -1: to be found
	ask    pool.Token    // of a request to acquire
	layout layout.Layout // the same
	held   pool.Token    // the token it is about
	nonc   pool.Token    // of a renewal
	seal   int64         // of a release
	show   pool.Renewal
	why    loss // of a renewal refused
	again  bool // a renewal of which nothing was heard is sent once more
	k      *parked
	done   bool
	got    pool.Grant
	err    error
}

type operation uint8

const (
	acquiring operation = iota
	renewing
	releasing
	administering
)

// String returns what a trace calls it.
func (o operation) String() string {
	return [...]string{"acquire", "renew", "release", "administer"}[o]
}

var errRefused = errors.New("sim: connection refused")

// port is the pool as a client sees it: the network.
type port struct{ c *client }

var _ pool.Pool = port{}

// Acquire implements [pool.Pool].
func (n port) Acquire(ctx context.Context, _ string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	c := n.c
	if g := c.forged; g != nil && !c.dead { // the memory that this client is a copy of
		c.forged = nil
		return *g, nil
	}
	x := &call{from: c, op: acquiring, node: -1, ask: token, layout: l, held: token}
	c.send(ctx, x)
	return x.got, x.err
}

// Renew implements [pool.Pool].
func (n port) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	x := &call{from: n.c, op: renewing, node: r.Node, held: r.Token, nonc: r.Nonce, show: r}
	n.c.send(ctx, x)
	return x.got, x.err
}

// Release implements [pool.Pool].
func (n port) Release(ctx context.Context, r pool.Release) error {
	if n.c.mute {
		return nil // nothing of the original's lease is a copy's to give back
	}
	x := &call{from: n.c, op: releasing, node: r.Node, held: r.Token, seal: r.Last}
	n.c.send(ctx, x)
	return x.err
}

var errNotHere = errors.New("sim: clients do not administer")

// List implements [pool.Pool].
func (port) List(context.Context, string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) { yield(pool.NodeInfo{}, errNotHere) }
}

// Revoke implements [pool.Pool].
func (port) Revoke(context.Context, string, int64) error { return errNotHere }

// Retire implements [pool.Pool].
func (port) Retire(context.Context, string, int64) error { return errNotHere }

// send sends a request and waits for what comes of it. It runs in a goroutine of
// the client.
func (c *client) send(ctx context.Context, x *call) {
	if c.dead {
		x.err = errDead
		return
	}
	number := int64(x.held[0])<<16 | int64(x.held[1])<<8 | int64(x.held[2])
	forget := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return // see below
		}
		c.arrive("xend "+x.op.String(), number, func() { c.after(0, c.process, func() { x.end(pool.Grant{}, ctx.Err()) }) })
	})
	if err := c.park("send "+x.op.String(), number, func(k *parked) {
		x.k = k
		if deadline, ok := ctx.Deadline(); ok {
			// At the same moment as the context, in an order that is always the same.
			c.after(int64(time.Until(deadline)), c.process, func() { x.end(pool.Grant{}, context.DeadlineExceeded) })
		}
		c.launch(x)
	}); err != nil {
		x.err = err
	}
	forget()
}

// end lets the client's goroutine go on.
func (x *call) end(g pool.Grant, err error) {
	if x.done {
		return
	}
	x.done = true
	c := x.from
	delete(c.calls, x)
	x.got, x.err = g, err
	c.m.why = err
	if err == nil && x.op != releasing {
		c.grant = g
		c.heard(x)
	}
	if err != nil {
		c.refused(x)
	}
	x.k.resume()
}

// launch puts a request on the network. It runs in the world.
func (c *client) launch(x *call) {
	c.calls[x] = struct{}{}
	h := c.ghost.holding(x.held)
	switch x.op {
	case acquiring:
		c.say(c.name, "asks for a node, as holder %d", h.number)
		if !h.ownedBy(c) {
			h.owners = append(h.owners, c)
		}
	case renewing:
		c.say(c.name, "renews node %d at revision %d, as holder %d", x.node, int64(x.show.Revision), h.number)
		x.again = c.nonce == x.nonc
		c.nonce = x.nonc
		if c.p.Exclusive && len(c.waiting) < 10 && c.faulty(c.p.HeldBack) {
			c.waiting = append(c.waiting, x)
		}
	case releasing:
		c.say(c.name, "gives node %d back, as holder %d, stamped up to tick %d", x.node, h.number, x.seal)
		h.back = x
		c.ghost.sealed(pool.Release{Namespace: theName, Node: x.node, Token: x.held, Last: x.seal})
		if c.faulty(c.p.HeldBack) {
			c.held[x.node] = append(c.held[x.node], x)
		}
	}
	v := c.servers[c.server]
	copies := 1
	if c.faulty(c.p.Repeat) || x.op == releasing && c.faulty(3*c.p.Repeat) {
		c.count.Repeated++
		copies = 2
	}
	for i := range copies {
		if c.faulty(c.p.Loss) {
			c.count.Lost++
			continue
		}
		d := c.travel()
		if i > 0 && c.rng.IntN(2) == 0 { // when much has happened since
			d += between(c.rng, int64(c.latency), 2*int64(c.p.Terms.Window))
		}
		c.after(d, nil, func() { v.deliver(x) })
	}
}

// faulty is chance while there are faults.
func (w *world) faulty(permille int) bool { return !w.quiet && chance(w.rng, permille) }

// travel is how long a message is under way.
func (w *world) travel() int64 {
	d := 1 + w.rng.Int64N(2*int64(w.latency))
	if w.faulty(w.p.Tardy) {
		w.count.Tardy++
		d += between(w.rng, int64(time.Millisecond), int64(w.p.Terms.Window)*4)
	}
	return d
}

// letGo delivers the releases of a node that were held back: somebody else has it now.
func (w *world) letGo(node int64) {
	w.bringLate(w.held[node])
	delete(w.held, node)
}

// letGoRenewals delivers the renewals that were held back: the server has just begun
// anew, and knows what is stored.
func (w *world) letGoRenewals() {
	w.bringLate(w.waiting)
	w.waiting = nil
}

func (w *world) bringLate(calls []*call) {
	for _, x := range calls {
		w.count.HeldBack++
		v := w.servers[w.rng.IntN(len(w.servers))]
		w.after(w.travel(), nil, func() { v.deliver(x) })
	}
}

// reply sends what came of a request back.
func (v *server) reply(r *request, g pool.Grant, err error) {
	x := r.call
	if x.from == nil {
		return
	}
	if v.cut[x.from.m.slot] || v.faulty(v.p.Loss) {
		v.count.Lost++
		return
	}
	v.after(v.travel(), x.from.process, func() {
		if x.again && r.again && !x.done {
			v.count.RenewalsRepeated++
		}
		x.end(g, err)
	})
}
