package sim

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// theName is the namespace's.
const theName = "orders"

// server is a machine on which a pool runs, now and then.
//
// A server's requests come one at a time, but for this: while the write of a
// node's record is under way, a renewal or a release of another node is served in
// between, from its beginning to its end. So none of a server's goroutines ever
// waits for a lock that another one holds while it waits for the store; that wait
// would never end here. Several servers of a shared store interleave at each call
// of the store.
type server struct {
	*world
	index int
	wall  wallClock
	cut   []bool // clients that it cannot reach
	apart bool   // from the store
	inst  *instance
}

// instance is one life of a server.
type instance struct {
	*process
	v      *server
	local  *pool.Local
	booted int64
	drift  int64 // of its time elapsed, ppm
	wrong  bool  // that is much
	busy   []*request
	queue  []*request
	failed bool // its store answers no more; see boltstore
	life   int  // of the engine
}

// request is a call that a server carries out.
type request struct {
	*call
	do   func(context.Context, *pool.Local) (pool.Grant, error)
	node int64 // whose record's write is under way; -1: none is
	due  *parked

	again bool       // it was granted as the repetition of a renewal
	clock *wallClock // the pool's when it began, if that was past all grants before
}

func (w *world) newServer(i int) *server {
	return &server{world: w, index: i, wall: wallClock{w.now, w.now, 0}, cut: make([]bool, w.p.Clients+maxClones)}
}

// boot starts the server.
func (v *server) boot() {
	if v.inst != nil && !v.inst.dead {
		return
	}
	p := v.newProcess("server" + string('A'+rune(v.index)))
	p.kind = keeping
	i := &instance{process: p, v: v, booted: v.now, drift: p.rng.Int64N(200) - 100, life: v.engine.life}
	if v.odd() {
		i.drift, i.wrong = p.rng.Int64N(200_000)-100_000, true
	}
	i.local = pool.New(handle{i},
		pool.WithElapsed(func() time.Duration {
			passed := v.now - i.booted
			return time.Hour + time.Duration(passed+passed/1_000_000*i.drift)
		}),
		pool.WithLogger(slog.New(logCounter{slog.DiscardHandler, v.world})))
	v.inst = i
	v.say(p.name, "is up")
	if v.p.Exclusive { // which has read, and synced, what the disk has
		v.ghost.sync()
	}
	v.letGoRenewals()
}

// clock is the one that the pool there goes by.
func (v *server) clock() *wallClock {
	if v.p.OwnClock {
		v = v.servers[0]
	}
	return &v.wall
}

// crash ends it, with all that it was doing.
func (v *server) crash() {
	i := v.inst
	if i == nil || i.dead {
		return
	}
	v.count.ServerCrashes++
	v.say(i.name, "crashes with %d requests under way, %d waiting", int64(len(i.busy)), int64(len(i.queue)))
	i.kill()
}

// deliver brings a request to the server.
func (v *server) deliver(x *call) {
	i := v.inst
	switch {
	case x.from != nil && v.cut[x.from.m.slot]:
		v.count.Lost++
		return
	case i == nil || i.dead:
		if v.rng.IntN(4) > 0 {
			v.reply(&request{call: x}, pool.Grant{}, errRefused)
		}
		return
	}
	v.count.Requests++
	r := &request{call: x, node: -1}
	switch x.op {
	case acquiring:
		r.do = func(ctx context.Context, p *pool.Local) (pool.Grant, error) {
			return p.Acquire(ctx, theName, x.layout, x.ask)
		}
	case renewing:
		if back := v.ghost.holding(x.held).back; back != nil && !back.done {
			v.count.ReleaseRaces++
		}
		r.do = func(ctx context.Context, p *pool.Local) (pool.Grant, error) { return p.Renew(ctx, x.show) }
	case releasing:
		r.do = func(ctx context.Context, p *pool.Local) (pool.Grant, error) {
			return pool.Grant{}, p.Release(ctx, pool.Release{Namespace: theName, Node: x.node, Token: x.held, Last: x.seal})
		}
	}
	v.after(0, i.process, func() { i.admit(r) })
}

// administer has the server do what an operator asks of it.
func (v *server) administer(do func(context.Context, *pool.Local) error, then func(error)) {
	i := v.inst
	if i == nil || i.dead {
		then(errRefused)
		return
	}
	r := &request{call: &call{op: administering, node: -1}, node: -1}
	r.do = func(ctx context.Context, p *pool.Local) (pool.Grant, error) {
		err := do(ctx, p)
		i.arrive("told", 0, func() { then(err) })
		return pool.Grant{}, err
	}
	v.after(0, i.process, func() { i.admit(r) })
}

// admit serves a request now or later.
func (i *instance) admit(r *request) {
	if len(i.busy) > 0 && !i.between(r) {
		if len(i.queue) < 100 {
			i.queue = append(i.queue, r)
		}
		return
	}
	if len(i.busy) > 0 {
		i.count.Nested++
	}
	if c := *i.v.clock(); c.at(i.now) >= i.ghost.latest+2e9 { // the pool looks once a second
		r.clock = &c
	}
	i.busy = append(i.busy, r)
	i.spawn(keeping, func() {
		g, err := r.do(context.WithValue(context.Background(), requestKey{}, r), i.local)
		i.arrive("done", int64(len(i.busy)), func() { i.finished(r, g, err) })
	})
}

// between reports whether a request can be served while others are: see server.
func (i *instance) between(r *request) bool {
	top := i.busy[len(i.busy)-1]
	if top.node < 0 || top.due != nil || len(i.busy) > 2 || r.op != renewing && r.op != releasing {
		return false
	}
	return !slices.ContainsFunc(i.busy, func(b *request) bool { return b.node == r.call.node })
}

func (i *instance) finished(r *request, g pool.Grant, err error) {
	if i.dead {
		return
	}
	if err == nil && r.op <= renewing {
		i.granted(r, g)
	}
	if err != nil {
		i.refusedBy(r, err)
	} else if r.op == releasing {
		i.count.Released++
		// A second copy of an acquisition may have been granted after the release was
		// sent, to nobody; a second copy of that gives it back.
		i.ghost.sealed(pool.Release{Namespace: theName, Node: r.call.node, Token: r.held, Last: r.seal})
		i.say(i.name, "node %d is free after tick %d", r.call.node, r.seal)
	}
	i.v.reply(r, g, err)
	i.busy = i.busy[:len(i.busy)-1]
	switch {
	case len(i.busy) > 0:
		if below := i.busy[len(i.busy)-1]; below.due != nil {
			k := below.due
			below.due = nil
			i.after(0, i.process, k.resume)
		}
	case len(i.queue) > 0:
		next := i.queue[0]
		i.queue = i.queue[1:]
		i.after(0, i.process, func() { i.admit(next) })
	}
}

// granted takes note of a grant at the moment when the server has decided.
func (i *instance) granted(r *request, g pool.Grant) {
	h := i.ghost.holding(g.Token)
	i.say(i.name, "granted node %d, [%d, %d), to holder %d", g.Node, g.From, g.Until, h.number)
	switch {
	case r.op == renewing:
		i.count.Renewed++
		r.again = i.ghost.renewed(i, r.show)
		if c := h.claim(g); c != nil && c.until <= i.tick(g.Now) && !r.again {
			i.count.LateRenewals++
		}
	case h.claim(g) != nil:
		i.count.RetriesGranted++
	default:
		i.count.Acquired++
		i.letGo(g.Node)
	}
	i.ghost.granted(g)
}

// tick returns the tick that a time lies in, 0 outside of the layout's life.
func (w *world) tick(ns int64) int64 {
	t, err := w.p.layout.Tick(time.Unix(0, ns))
	if err != nil && ns > w.p.layout.Epoch().UnixNano() {
		return w.p.layout.MaxTick() + 1
	}
	return t
}

func (i *instance) refusedBy(r *request, err error) {
	var notYet *pool.NotYetError
	var exhausted *pool.ExhaustedError
	var mismatch *pool.LayoutMismatchError
	switch {
	case errors.As(err, &mismatch):
		i.count.Mismatches++
	case errors.As(err, &notYet):
		i.count.NotYet++
		if i.v.wall.at(i.now) < i.floor {
			i.count.FloorUsed++
		}
	case errors.As(err, &exhausted):
		i.count.Exhausted++
	case errors.Is(err, pool.ErrClockJumped):
		i.count.ClockJumped++
	case errors.Is(err, pool.ErrBadSeal):
		i.count.BadSeals++
	case errors.Is(err, pool.ErrRevoked):
		i.count.Revoked++
	case errors.Is(err, pool.ErrLeaseLost) && r.op == renewing:
		r.why = i.ghost.lost(r.show)
		if all, joined := err.(interface{ Unwrap() []error }); !joined || len(all.Unwrap()) == 1 { // without an error of raising the floor
			i.ghost.evidence(r.show, r.clock != nil && *r.clock == *i.v.clock())
		}
	}
	if i.trace.out != nil {
		i.say(i.name, r.op.String()+" of node %d by holder %d refused", r.call.node, i.ghost.holding(r.held).number)
		i.trace.out.Write([]byte("                            " + err.Error() + "\n")) //nolint:errcheck // a person reads along
		return
	}
	i.say(i.name, r.op.String()+" of node %d by holder %d refused", r.call.node, i.ghost.holding(r.held).number)
}

// logCounter counts what pools say.
type logCounter struct {
	slog.Handler
	w *world
}

// Enabled implements [slog.Handler].
func (logCounter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle implements [slog.Handler].
func (h logCounter) Handle(_ context.Context, r slog.Record) error {
	if len(r.Message) > 9 && r.Message[:9] == "the store" {
		h.w.count.Doubts++
	}
	return nil
}
