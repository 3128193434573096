package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator" //nolint:depguard // shows what a lease is for
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// shelf is a pool of one's own: some nodes, and up to which tick each of them is
// spoken for. What makes it safe is that nothing lowers a node's until but its
// holder, by saying what it has used, and that the next window begins there.
//
// This one forgets everything when its process ends, so its clients must be in the
// same process. To keep records in a database, it is less work to implement
// pool.Store and to let pool.New apply the rules.
type shelf struct {
	layout layout.Layout
	clock  clock.Clock

	mu    sync.Mutex
	nodes []pool.Grant // by number; the zero Token: nobody has it
}

var _ pool.Pool = (*shelf)(nil)

// reach is how long a window lasts.
const reach = 30 * time.Second

// extend makes a window reach from now on. It needs p.mu.
func (p *shelf) extend(g *pool.Grant) (pool.Grant, error) {
	g.Now = p.clock.Now() // clients time their renewals by it
	until, err := p.layout.Tick(time.Unix(0, g.Now).Add(reach))
	g.Until = max(g.Until, until)
	return *g, err
}

func (p *shelf) Acquire(_ context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	if l != p.layout {
		return pool.Grant{}, &pool.LayoutMismatchError{Namespace: namespace, Have: p.layout, Want: l}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	present, err := l.Tick(time.Unix(0, p.clock.Now()))
	if err != nil {
		return pool.Grant{}, err
	}
	for i := range p.nodes {
		g := &p.nodes[i]
		switch {
		case g.Token == token: // a repetition gets what the first one got
			return *g, nil
		case g.Token.IsZero(), g.Until <= present:
			*g = pool.Grant{Namespace: namespace, Node: int64(i), Token: token, From: max(g.Until, present)}
			return p.extend(g)
		}
	}
	return pool.Grant{}, &pool.ExhaustedError{Namespace: namespace, Nodes: int64(len(p.nodes)), RetryAfter: reach}
}

func (p *shelf) Renew(_ context.Context, r pool.Renewal) (pool.Grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &p.nodes[r.Node]
	if g.Token != r.Token {
		return pool.Grant{}, pool.ErrLeaseLost
	}
	return p.extend(g)
}

func (p *shelf) Release(_ context.Context, r pool.Release) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &p.nodes[r.Node]
	if g.Token != r.Token {
		return pool.ErrLeaseLost
	}
	if r.Last < g.From-1 || r.Last >= g.Until {
		return pool.ErrBadSeal
	}
	g.Token, g.Until = pool.Token{}, r.Last+1
	return nil
}

// Administration is what this pool does not have.

func (p *shelf) List(context.Context, string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) { yield(pool.NodeInfo{}, errors.ErrUnsupported) }
}
func (p *shelf) Revoke(context.Context, string, int64) error { return errors.ErrUnsupported }
func (p *shelf) Retire(context.Context, string, int64) error { return errors.ErrUnsupported }

// A pool of one's own needs nothing but the interface. Leases of it renew
// themselves and give themselves back like those of any other pool.
func Example_ownPool() {
	l := layout.Default()
	now := clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC)) // clock.Default(), outside of an example
	nodes := &shelf{layout: l, clock: now, nodes: make([]pool.Grant, 2)}

	for range 3 {
		lease, err := pool.Acquire(context.Background(), nodes, "orders", l, pool.WithClock(now))
		if err != nil {
			fmt.Println(err)
			return
		}
		g, err := generator.NewSharded(l, lease, generator.WithClock(now))
		if err != nil {
			fmt.Println(err)
			return
		}
		id, err := g.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		parts, _ := l.Decompose(id)
		fmt.Println(parts.Time.Format(time.RFC3339Nano), "node", parts.Node)
		// Gives the node back: it is free from the next tick on.
		_ = g.Close()
		_ = lease.Close()
		now.Advance(time.Millisecond)
	}

	one, _ := pool.Acquire(context.Background(), nodes, "orders", l, pool.WithClock(now))
	two, _ := pool.Acquire(context.Background(), nodes, "orders", l, pool.WithClock(now))
	fmt.Println("node", one.Node(), "and node", two.Node())
	_, err := pool.Acquire(context.Background(), nodes, "orders", l, pool.WithClock(now))
	fmt.Println(err)
	_ = one.Close()
	_ = two.Close()

	// Output:
	// 2025-01-02T12:00:00Z node 0
	// 2025-01-02T12:00:00.001Z node 0
	// 2025-01-02T12:00:00.002Z node 0
	// node 0 and node 1
	// pool: all 2 nodes of namespace "orders" are taken; try again in 30s, or revoke leases that nobody uses
}
