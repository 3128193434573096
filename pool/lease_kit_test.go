package pool_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// site is a pool in memory, reached over a wire, and the clock of all that is
// there.
type site struct {
	*testing.T
	clock *clocktest.Clock
	pool  *pool.Local
	wire  *wire
	l     layout.Layout
}

// newSite makes a namespace "orders" of so many nodes, with the default terms.
// Ticks are those of the layout, since 1970; it is noon.
func newSite(t *testing.T, unit time.Duration, nodes int64) *site {
	t.Helper()
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: unit, NodeBits: 4, SequenceBits: 8})
	require.NoError(t, err)
	s := &site{T: t, l: l, clock: clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC))}
	s.pool = pool.New(
		pool.NewMemory(s.clock, false),
		pool.WithElapsed(func() time.Duration { return time.Duration(s.clock.Time().UnixNano()) }),
		pool.WithLogger(slog.New(slog.DiscardHandler)),
	)
	ns := pool.NewNamespace("orders", l)
	ns.Ranges = []pool.Range{{First: 0, Last: nodes - 1}}
	require.NoError(t, s.pool.CreateNamespace(t.Context(), ns))
	s.wire = &wire{Pool: s.pool, clock: s.clock}
	return s
}

// acquire leases a node, until the test's end.
func (s *site) acquire(opts ...pool.LeaseOption) *pool.Lease {
	s.Helper()
	lease, err := s.try(s.Context(), opts...)
	require.NoError(s, err)
	s.Cleanup(func() { lease.Close() })
	s.settle()
	return lease
}

func (s *site) try(ctx context.Context, opts ...pool.LeaseOption) (*pool.Lease, error) {
	opts = append([]pool.LeaseOption{
		pool.WithClock(s.clock),
		pool.WithLeaseLogger(slog.New(slog.DiscardHandler)),
	}, opts...)
	return pool.Acquire(ctx, s.wire, "orders", s.l, opts...)
}

// settle returns when the lease waits for its next renewal: all that came before
// is done.
func (s *site) settle() {
	s.Helper()
	require.NoError(s, s.clock.BlockUntil(s.Context(), 1))
}

// pass lets time pass, and what is due then happen.
func (s *site) pass(d time.Duration) {
	s.Helper()
	s.clock.Advance(d)
	s.settle()
}

// info returns what the pool knows of a node.
func (s *site) info(node int64) pool.NodeInfo {
	s.Helper()
	for i, err := range s.pool.List(s.Context(), "orders") {
		require.NoError(s, err)
		if i.Node == node {
			return i
		}
	}
	return pool.NodeInfo{Node: node}
}

func (s *site) tick() int64 {
	tick, err := s.l.Tick(s.clock.Time())
	require.NoError(s, err)
	return tick
}

// wire is the way to a pool. It records what goes over it, and fails as told.
type wire struct {
	pool.Pool
	clock *clocktest.Clock

	// What happens to a call before it reaches the pool, and to its reply: an
	// error takes the reply's place. Set under lock.
	mu       sync.Mutex
	out      func(ctx context.Context, call string) error
	back     func(ctx context.Context, call string) error
	calls    []string
	tokens   []pool.Token // in the order of grants
	granted  map[grantKey]layout.Window
	renewals []pool.Renewal
	releases []pool.Release
}

// grantKey is a lease: with its window's start, for a token may be used again.
type grantKey struct {
	token pool.Token
	node  int64
	from  int64
}

var errWire = errors.New("connection reset by peer")

// fail sets what happens to calls on their way; nil is nothing.
func (w *wire) fail(out, back func(ctx context.Context, call string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.back = out, back
}

// failing fails one kind of call.
func failing(kind string, err error) func(context.Context, string) error {
	return func(_ context.Context, call string) error {
		if call == kind {
			return err
		}
		return nil
	}
}

// held keeps calls of a kind until release is called or they are cancelled, and
// says when one has come.
func held(kind string) (hook func(context.Context, string) error, come <-chan struct{}, release func()) {
	arrived, free := make(chan struct{}, 100), make(chan struct{})
	return func(ctx context.Context, call string) error {
		if call != kind {
			return nil
		}
		arrived <- struct{}{}
		select {
		case <-free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, arrived, sync.OnceFunc(func() { close(free) })
}

func (w *wire) pass(ctx context.Context, call string, out bool) error {
	w.mu.Lock()
	hook := w.back
	if out {
		hook = w.out
		w.calls = append(w.calls, call)
	}
	w.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx, call)
}

func (w *wire) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	if err := w.pass(ctx, "acquire", true); err != nil {
		return pool.Grant{}, err
	}
	g, err := w.Pool.Acquire(ctx, namespace, l, token)
	return w.reply(ctx, "acquire", g, err)
}

func (w *wire) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	w.mu.Lock()
	w.renewals = append(w.renewals, r)
	w.mu.Unlock()
	if err := w.pass(ctx, "renew", true); err != nil {
		return pool.Grant{}, err
	}
	g, err := w.Pool.Renew(ctx, r)
	return w.reply(ctx, "renew", g, err)
}

func (w *wire) reply(ctx context.Context, call string, g pool.Grant, err error) (pool.Grant, error) {
	if err == nil {
		w.record(g)
	}
	if lost := w.pass(ctx, call, false); lost != nil {
		return pool.Grant{}, lost
	}
	return g, err
}

func (w *wire) record(g pool.Grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.granted == nil {
		w.granted = make(map[grantKey]layout.Window)
	}
	key := grantKey{g.Token, g.Node, g.From}
	if _, again := w.granted[key]; !again {
		w.tokens = append(w.tokens, g.Token)
	}
	w.granted[key] = layout.Window{Node: g.Node, From: g.From, Until: g.Until}
}

func (w *wire) Release(ctx context.Context, r pool.Release) error {
	w.mu.Lock()
	w.releases = append(w.releases, r)
	w.mu.Unlock()
	if err := w.pass(ctx, "release", true); err != nil {
		return err
	}
	err := w.Pool.Release(ctx, r)
	if lost := w.pass(ctx, "release", false); lost != nil {
		return lost
	}
	return err
}

// log returns what was called so far, and begins anew.
func (w *wire) log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *wire) allReleases() []pool.Release {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.releases)
}

func (w *wire) lastRenewals(n int) []pool.Renewal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.renewals[len(w.renewals)-n:])
}

// token returns the one that was granted last.
func (w *wire) token() pool.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tokens[len(w.tokens)-1]
}

// grants returns how many leases were granted.
func (w *wire) grants() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tokens)
}

// covers reports whether some grant that went over the wire allows a node a tick.
func (w *wire) covers(node, tick int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, window := range w.granted {
		if window.Node == node && window.Contains(tick) {
			return true
		}
	}
	return false
}

// ids collects what was generated, and knows what must be true of it.
type ids struct {
	s    *site
	mu   sync.Mutex
	seen map[layout.ID]struct{}
}

func newIDs(s *site) *ids { return &ids{s: s, seen: make(map[layout.ID]struct{})} }

// add takes IDs, and asserts that there is none twice.
func (c *ids) add(all ...layout.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range all {
		if _, twice := c.seen[id]; twice {
			c.s.Errorf("%d was made twice: %+v", id, c.parts(id))
		}
		c.seen[id] = struct{}{}
	}
}

func (c *ids) parts(id layout.ID) layout.Parts {
	p, err := c.s.l.Decompose(id)
	if err != nil {
		c.s.Error(err)
	}
	return p
}

// within asserts that each was stamped within a window that was granted over the
// wire.
func (c *ids) within() {
	c.s.Helper()
	for id := range c.seen {
		if p := c.parts(id); !c.s.wire.covers(p.Node, p.Tick) {
			c.s.Fatalf("%+v was stamped without a lease", p)
		}
	}
}

// goroutines returns when there are no more of them than before.
func goroutines(t *testing.T, before int) {
	t.Helper()
	for runtime.NumGoroutine() > before {
		if t.Context().Err() != nil {
			t.Fatal("goroutines are left")
		}
		runtime.Gosched() // one that has done its last may still be there
	}
}
