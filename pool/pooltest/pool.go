package pooltest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// PoolFactory makes the pools under test, on the stores of a factory.
type PoolFactory struct {
	Stores StoreFactory

	// Front returns the pool that clients speak to, a network's client for
	// example, given the pool that serves it; nil is for the latter itself. It
	// must end with the test.
	Front func(t *testing.T, p *pool.Local) pool.Pool
}

// RunPool runs the conformance suite of pools, each case as a subtest.
func RunPool(t *testing.T, f PoolFactory) {
	t.Helper()
	for _, group := range [][]poolCase{
		acquireCases(), renewCases(), releaseCases(), adminCases(), floorCases(),
		timeCases(), restartCases(), faultCases(), crowdCases(), legacyCases(),
	} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				if c.needs != nil && !c.needs(f.Stores) {
					t.Skip("the factory's stores do not promise this")
				}
				shapes := c.shapes
				if shapes == nil {
					shapes = []shape{usual()}
				}
				for _, s := range shapes {
					if len(shapes) == 1 {
						c.run(newPoolKit(t, f, c, s))
						continue
					}
					t.Run(s.name, func(t *testing.T) { c.run(newPoolKit(t, f, c, s)) })
				}
			})
		}
	}
}

// poolCase is one rule of the contract.
type poolCase struct {
	name string
	rule string
	// needs says whether the case applies; nil: to all.
	needs func(StoreFactory) bool
	// shapes to run with; nil means the usual one.
	shapes []shape
	// setup changes the namespace, where that is needed.
	setup func(*pool.Namespace)
	run   func(*poolKit)
}

func shared(f StoreFactory) bool { return !f.Exclusive && !f.Locked }

// shape is a layout of a namespace.
type shape struct {
	name string
	layout.Config
}

func usual() shape {
	return shape{"1 ms", layout.Config{Epoch: start().Add(-1000 * time.Hour), Unit: time.Millisecond, NodeBits: 3, SequenceBits: 8}}
}

// shapes are layouts with ticks of all lengths.
func shapes() []shape {
	of := func(name string, unit time.Duration) shape {
		s := usual()
		s.name, s.Unit = name, unit
		return s
	}
	return []shape{usual(), of("1 µs", time.Microsecond), of("1234567 ns", 1234567), of("1 s", time.Second), of("1 h", time.Hour)}
}

// few is a namespace's setup that leaves so many nodes to lease.
func few(nodes int64) func(*pool.Namespace) {
	return func(n *pool.Namespace) { n.Ranges = []pool.Range{{Last: nodes - 1}} }
}

// poolKit is what a case works with.
type poolKit struct {
	rule
	f       PoolFactory
	clock   *clocktest.Clock
	passed  atomic.Int64 // the time elapsed
	storage Storage
	ns      pool.Namespace
	ghost   *ghost
	*server // the first one

	mu     sync.Mutex // owns random
	random *rand.Rand
}

// token draws a token, or a nonce: the same ones each time that a case runs.
func (k *poolKit) token() (t pool.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range t {
		t[i] = byte(k.random.Uint32())
	}
	return t
}

// server is a pool with all that it is made of.
type server struct {
	store *FaultyStore
	local *pool.Local
	pool  *FaultyPool
}

// timed is a store that tells the time of the test.
type timed struct {
	pool.Store
	clock clock.Clock
}

// Now implements [pool.Store].
func (s timed) Now(ctx context.Context) (int64, error) { return s.clock.Now(), ctx.Err() }

// Doubtful implements [pool.Doubter].
func (s timed) Doubtful() string { return pool.Doubtful(s.Store) }

// BeginWrite implements [pool.WriteBeginner].
func (s timed) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	return beginWrite(s.Store, w)
}

func newPoolKit(t *testing.T, f PoolFactory, c poolCase, s shape) *poolKit {
	t.Helper()
	l, err := layout.New(s.Config)
	if err != nil {
		t.Fatalf("pooltest: %v", err)
	}
	k := &poolKit{rule: rule{t, c.rule}, f: f, clock: clocktest.New(start()), ns: pool.NewNamespace(theName, l), ghost: newGhost(), random: rand.New(rand.NewPCG(7, 8))}
	k.passed.Store(int64(time.Hour))
	if c.setup != nil {
		c.setup(&k.ns)
	}
	k.storage = f.Stores.New(t, k.clock)
	k.server = k.serve()
	k.Cleanup(func() {
		if k.server != nil {
			k.stop(k.server)
		}
	})
	if err := k.local.CreateNamespace(k.ctx(), k.ns); err != nil {
		k.fatalf("CreateNamespace: %v", err)
	}
	return k
}

// ctx is the test's own context; while it cleans up too.
func (k *poolKit) ctx() context.Context { return context.WithoutCancel(k.Context()) }

// serve opens the storage and starts a server on it.
func (k *poolKit) serve() *server {
	k.Helper()
	s, err := k.storage.Open()
	if err != nil {
		k.fatalf("opening the storage: %v", err)
	}
	v := &server{store: NewFaultyStore(timed{s, k.clock})}
	v.local = pool.New(v.store,
		pool.WithElapsed(func() time.Duration { return time.Duration(k.passed.Load()) }),
		pool.WithLogger(slog.New(slog.DiscardHandler)))
	var front pool.Pool = v.local
	if k.f.Front != nil {
		front = k.f.Front(k.T, v.local)
	}
	v.pool = NewFaultyPool(front)
	return v
}

func (k *poolKit) stop(v *server) {
	k.Helper()
	v.store.Plan(nil)
	if err := v.local.Close(); err != nil {
		k.errorf("Close: %v", err)
	}
}

// another returns a second server of the same storage; the first one where there
// can be no second.
func (k *poolKit) another() *server {
	k.Helper()
	if !shared(k.f.Stores) {
		return k.server
	}
	v := k.serve()
	k.Cleanup(func() { k.stop(v) })
	return v
}

// restart stops the server and starts it again.
func (k *poolKit) restart() {
	k.Helper()
	v := k.server
	k.server = nil
	k.stop(v)
	k.server = k.serve()
}

// crash kills the server and starts it again.
func (k *poolKit) crash() {
	k.Helper()
	if k.storage.Crash == nil {
		k.Skip("the storage cannot be made to crash")
	}
	v := k.server
	k.server = nil
	k.storage.Crash(v.store.Store.(timed).Store) //nolint:errcheck // serve made it
	k.server = k.serve()
}

// advance lets time pass.
func (k *poolKit) advance(d time.Duration) {
	k.clock.Advance(d)
	k.passed.Add(int64(d))
}

// until lets time pass until a tick begins.
func (k *poolKit) until(tick int64) {
	k.Helper()
	d := k.ns.Layout.Time(tick).Sub(k.clock.Time())
	if d < 0 {
		k.fatalf("pooltest: tick %d has begun already", tick)
	}
	k.advance(d)
}

// floor returns the tick that lies at a time from now, and ceil the first that
// starts at it or after it.
func (k *poolKit) floor(d time.Duration) int64 {
	k.Helper()
	tick, err := k.ns.Layout.Tick(k.clock.Time().Add(d))
	if err != nil {
		k.fatalf("pooltest: %v", err)
	}
	return tick
}

func (k *poolKit) ceil(d time.Duration) int64 {
	k.Helper()
	tick := k.floor(d)
	if k.ns.Layout.Time(tick).Before(k.clock.Time().Add(d)) {
		tick++
	}
	return tick
}

// holder is a client with a lease.
type holder struct {
	k *poolKit
	pool.Grant
}

// try acquires with a token.
func (k *poolKit) try(v *server, token pool.Token) (pool.Grant, error) {
	k.Helper()
	g, err := v.pool.Acquire(k.ctx(), theName, k.ns.Layout, token)
	if err == nil {
		k.check(g, token)
	} else if g != (pool.Grant{}) {
		k.errorf("Acquire returned a lease with an error: %+v, %v", g, err)
	}
	return g, err
}

// check looks at a grant as every client may.
func (k *poolKit) check(g pool.Grant, token pool.Token) {
	k.Helper()
	if g.Token != token || g.Namespace != theName {
		k.errorf("the grant is for %v in %q, want %v in %q", g.Token, g.Namespace, token, theName)
	}
	if err := k.ns.Layout.CheckWindow(layout.Window{Node: g.Node, From: g.From, Until: g.Until}); err != nil || g.From >= g.Until {
		k.errorf("the grant is for [%d, %d) of node %d: %v", g.From, g.Until, g.Node, err)
	}
	k.ghost.granted(k.rule, g)
}

// acquire gets a lease.
func (k *poolKit) acquire(v *server) *holder {
	k.Helper()
	g, err := k.try(v, k.token())
	if err != nil {
		k.fatalf("Acquire: %v", err)
	}
	return &holder{k, g}
}

// refusedAs fails the case unless err is target.
func (k *poolKit) refusedAs(what string, err, target error) {
	k.Helper()
	if !errors.Is(err, target) {
		k.errorf("%s: %v, want %q", what, err, target)
	}
}

// renewal returns the request that renews a lease as it stands.
func (h *holder) renewal() pool.Renewal {
	return pool.Renewal{Namespace: theName, Node: h.Node, Token: h.Token, Revision: h.Revision, Until: h.Until, Nonce: h.k.token()}
}

// send sends a renewal, and takes the grant if there is one.
func (h *holder) send(v *server, r pool.Renewal) error {
	h.k.Helper()
	g, err := v.pool.Renew(h.k.ctx(), r)
	if err != nil {
		if g != (pool.Grant{}) {
			h.k.errorf("Renew returned a lease with an error: %+v, %v", g, err)
		}
		return err
	}
	h.k.check(g, r.Token)
	if g.Node != h.Node || g.From != h.From || g.Until < h.Until || g.Revision <= r.Revision {
		h.k.errorf("renewing node %d, [%d, %d) at revision %d has given node %d, [%d, %d) at revision %d",
			h.Node, h.From, h.Until, r.Revision, g.Node, g.From, g.Until, g.Revision)
	}
	h.Grant = g
	return nil
}

// tryRenew renews.
func (h *holder) tryRenew(v *server) error {
	h.k.Helper()
	return h.send(v, h.renewal())
}

// renew renews, as must succeed.
func (h *holder) renew(v *server) {
	h.k.Helper()
	if err := h.tryRenew(v); err != nil {
		h.k.fatalf("Renew: %v", err)
	}
}

// seal returns the request that gives a lease back, with the last tick reserved.
func (h *holder) seal(last int64) pool.Release {
	return pool.Release{Namespace: theName, Node: h.Node, Token: h.Token, Last: last}
}

// tryRelease gives the lease back.
func (h *holder) tryRelease(v *server, last int64) error {
	r := h.seal(last)
	h.k.ghost.seal(r)
	return v.pool.Release(h.k.ctx(), r)
}

// release gives the lease back, as must succeed.
func (h *holder) release(v *server, last int64) {
	h.k.Helper()
	if err := h.tryRelease(v, last); err != nil {
		h.k.fatalf("Release: %v", err)
	}
}

// list returns what List yields, by node.
func (k *poolKit) list(v *server) map[int64]pool.NodeInfo {
	k.Helper()
	all, last := make(map[int64]pool.NodeInfo), int64(-1)
	for n, err := range v.pool.List(k.ctx(), theName) {
		if err != nil {
			k.fatalf("List: %v", err)
		}
		if n.Node <= last {
			k.errorf("List yields node %d after %d", n.Node, last)
		}
		all[n.Node], last = n, n.Node
	}
	return all
}
