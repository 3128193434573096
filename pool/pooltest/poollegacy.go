package pooltest

import (
	"context"
	"errors"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// legacyPool is a pool that also leases the nodes of legacy ranges: what a
// [pool.Local] does, and a client of a pool server need not.
type legacyPool interface {
	AcquireLegacy(ctx context.Context, namespace string, token pool.Token) (pool.Grant, error)
}

// mixed is a namespace's setup with nodes of every use, two of them legacy.
func mixed(n *pool.Namespace) {
	n.Ranges = []pool.Range{
		{First: 0, Last: 2},
		{First: 3, Last: 3, Use: pool.ByHand},
		{First: 4, Last: 5, Use: pool.Legacy},
		{First: 6, Last: 6},
	}
}

// tryLegacy acquires a legacy node with a token, or skips the case where the pool
// under test has none to offer.
func (k *poolKit) tryLegacy(v *server, token pool.Token) (pool.Grant, error) {
	k.Helper()
	p, ok := v.pool.Pool.(legacyPool)
	if !ok {
		k.Skip("the pool under test does not lease legacy nodes")
	}
	g, err := p.AcquireLegacy(k.ctx(), theName, token)
	if err == nil {
		k.check(g, token)
	} else if g != (pool.Grant{}) {
		k.errorf("AcquireLegacy returned a lease with an error: %+v, %v", g, err)
	}
	return g, err
}

func (k *poolKit) acquireLegacy(v *server) *holder {
	k.Helper()
	g, err := k.tryLegacy(v, k.token())
	if err != nil {
		k.fatalf("AcquireLegacy: %v", err)
	}
	return &holder{k, g}
}

func (k *poolKit) exhaustedLegacy(v *server) pool.ExhaustedError {
	k.Helper()
	g, err := k.tryLegacy(v, k.token())
	var e *pool.ExhaustedError
	if !errors.As(err, &e) {
		k.fatalf("AcquireLegacy: node %d, %v, want an ExhaustedError", g.Node, err)
	}
	if e.Use != pool.Legacy {
		k.errorf("the error says that all %v nodes are taken", e.Use)
	}
	return *e
}

func legacyCases() []poolCase {
	return []poolCase{
		{
			name:  "legacy nodes",
			rule:  "AcquireLegacy grants the nodes of legacy ranges and no others, Acquire those leased and no others, and each is exhausted for itself",
			setup: mixed,
			run: func(k *poolKit) {
				second := k.another()
				a, b := k.acquireLegacy(k.server), k.acquireLegacy(second)
				if a.Node+b.Node != 9 || a.Node*b.Node != 20 {
					k.errorf("the legacy nodes granted are %d and %d, want 4 and 5", a.Node, b.Node)
				}
				for _, v := range []*server{k.server, second} {
					if e := k.exhaustedLegacy(v); e.Nodes != 2 || e.RetryAfter <= 0 || e.RetryAfter > k.ns.Terms.FirstWindow {
						k.errorf("the error says %+v", e)
					}
				}
				nodes := make(map[int64]bool)
				for range 4 {
					nodes[k.acquire(k.server).Node] = true
				}
				if len(nodes) != 4 || nodes[3] || nodes[4] || nodes[5] {
					k.errorf("the leased nodes granted are %v", nodes)
				}
				if e := k.exhausted(k.server); e.Nodes != 4 || e.Use != pool.Leased {
					k.errorf("the error says %+v", e)
				}
				// What is given back of one kind is no hope for the other.
				a.release(k.server, a.From)
				k.exhausted(k.server)
				k.acquireLegacy(k.server)
			},
		},
		{
			name:   "a legacy lease",
			rule:   "a legacy node is leased, renewed and found again by its token like any other, and free when its window is over, not before",
			shapes: shapes(),
			setup:  func(n *pool.Namespace) { n.Ranges = []pool.Range{{First: 7, Last: 7, Use: pool.Legacy}} },
			run: func(k *poolKit) {
				h := k.acquireLegacy(k.server)
				for _, v := range []*server{k.server, k.another()} {
					if g, err := k.tryLegacy(v, h.Token); err != nil || g.Node != h.Node || g.From != h.From || g.Until != h.Until {
						k.errorf("asked again, got %+v, %v, want %+v", g, err, h.Grant)
					}
					h.renew(v)
				}
				k.restart()
				h.renew(k.server)
				k.advance(k.ns.Layout.Time(h.Until).Sub(k.clock.Time()) - 1)
				k.exhaustedLegacy(k.server)
				k.restart() // a new server knows of it too
				k.exhaustedLegacy(k.server)
				// What was written ahead may hold it a little longer.
				k.advance(k.ns.Terms.Horizon + k.ns.Layout.Unit())
				if g := k.acquireLegacy(k.server); g.From < h.Until {
					k.errorf("the window [%d, %d) follows [%d, %d)", g.From, g.Until, h.From, h.Until)
				}
				k.refusedAs("renewing after another has come", h.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name:  "legacy nodes administered",
			rule:  "legacy nodes are listed, revoked and retired like any other",
			setup: mixed,
			run: func(k *poolKit) {
				h := k.acquireLegacy(k.server)
				if n := k.list(k.server)[h.Node]; n.Holder == "" || n.Until != h.Until {
					k.errorf("listed as %+v", n)
				}
				if err := k.pool.Revoke(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Revoke: %v", err)
				}
				k.refusedAs("renewing", h.tryRenew(k.server), pool.ErrRevoked)
				if err := k.pool.Retire(k.ctx(), theName, 9-h.Node); err != nil {
					k.fatalf("Retire: %v", err)
				}
				k.exhaustedLegacy(k.server)
				k.until(h.Until)
				if g := k.acquireLegacy(k.server); g.Node != h.Node {
					k.errorf("node %d was granted, which is retired", g.Node)
				}
			},
		},
		{
			name:  "legacy nodes after a doubt",
			rule:  "floors hold for legacy nodes too",
			setup: mixed,
			run: func(k *poolKit) {
				h := k.acquireLegacy(k.server)
				if err := k.local.Doubt(k.ctx()); err != nil {
					k.fatalf("Doubt: %v", err)
				}
				k.refusedAs("renewing", h.tryRenew(k.server), pool.ErrLeaseLost)
				_, err := k.tryLegacy(k.server, k.token())
				var notYet *pool.NotYetError
				if !errors.As(err, &notYet) {
					k.fatalf("AcquireLegacy: %v, want a NotYetError", err)
				}
				floor := k.ceil(k.ns.Terms.Horizon)
				k.advance(notYet.RetryAfter + time.Millisecond)
				if g := k.acquireLegacy(k.server); g.From < floor {
					k.errorf("granted [%d, %d), the floor is %d", g.From, g.Until, floor)
				}
			},
		},
		{
			name:  "no legacy nodes at all",
			rule:  "a namespace without legacy nodes says that it has none, rather than that they are taken",
			setup: few(3),
			run: func(k *poolKit) {
				_, err := k.tryLegacy(k.server, k.token())
				var none *pool.NoLegacyNodesError
				if !errors.As(err, &none) || none.Namespace != theName {
					k.errorf("AcquireLegacy: %v, want a NoLegacyNodesError", err)
				}
				if n := len(k.list(k.server)); n != 0 {
					k.errorf("%d records were made by the way", n)
				}
			},
		},
	}
}
