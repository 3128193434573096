package poolprom_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/poolprom"
)

// What is asked of a pool is counted by what came of it.
func TestPool(t *testing.T) {
	c := begin()
	registry := prometheus.NewPedanticRegistry()
	p, err := poolprom.Pool(pool.New(pool.NewMemory(c, true)), registry, c)
	require.NoError(t, err)
	ctx, ns := t.Context(), small(t, "a")
	require.NoError(t, p.CreateNamespace(ctx, ns))
	require.Error(t, p.CreateNamespace(ctx, ns))
	var grants []pool.Grant
	for range 8 {
		g, err := p.Acquire(ctx, "a", ns.Layout, pool.NewToken())
		require.NoError(t, err)
		grants = append(grants, g)
	}
	_, err = p.Acquire(ctx, "a", ns.Layout, pool.NewToken())
	require.Error(t, err)
	_, err = p.Acquire(ctx, "a", layout.Default(), pool.NewToken())
	require.Error(t, err)
	g := grants[0]
	r := pool.Renewal{Namespace: "a", Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
	_, err = p.Renew(ctx, r)
	require.NoError(t, err)
	r.Token = pool.NewToken()
	_, err = p.Renew(ctx, r)
	require.ErrorIs(t, err, pool.ErrLeaseLost)
	require.NoError(t, p.Release(ctx, pool.Release{Namespace: "a", Node: grants[1].Node, Token: grants[1].Token, Last: grants[1].From}))
	require.NoError(t, p.Revoke(ctx, "a", grants[2].Node))
	require.NoError(t, p.Retire(ctx, "a", grants[3].Node))
	require.NoError(t, p.AcceptClock(ctx, "a"))
	_, err = p.Namespaces(ctx)
	require.NoError(t, err)
	n := 0
	for _, err := range p.List(ctx, "a") {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 8, n)
	for _, err := range p.List(ctx, "a") {
		require.NoError(t, err)
		break
	}
	for _, err := range p.List(ctx, "b") {
		require.Error(t, err)
	}
	legacy, ok := p.(interface {
		AcquireLegacy(context.Context, string, pool.Token) (pool.Grant, error)
		Check(context.Context) error
		ClockOffset(context.Context, string) (time.Duration, error)
	})
	require.True(t, ok)
	_, err = legacy.AcquireLegacy(ctx, "a", pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, legacy.Check(ctx))
	_, err = legacy.ClockOffset(ctx, "a")
	require.NoError(t, err)

	assert.Equal(t, []string{
		`easyflake_pool_requests_total{namespace="",op="list",reason="unknown_namespace"} 1`,
		`easyflake_pool_requests_total{namespace="",op="namespaces",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="accept_clock",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="acquire",reason="exhausted"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="acquire",reason="layout_mismatch"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="acquire",reason="ok"} 8`,
		`easyflake_pool_requests_total{namespace="a",op="acquire_legacy",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="create_namespace",reason="exists"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="create_namespace",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="list",reason="ok"} 2`,
		`easyflake_pool_requests_total{namespace="a",op="release",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="renew",reason="lease_lost"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="renew",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="retire",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="revoke",reason="ok"} 1`,
	}, lines(t, registry, "easyflake_pool_requests_total"))
	assert.Contains(t, exposition(t, registry), `easyflake_pool_request_seconds_count{op="acquire"} 10`)
	assert.Contains(t, exposition(t, registry), `easyflake_pool_request_seconds_count{op="acquire_legacy"} 1`)
	assert.Contains(t, exposition(t, registry), `easyflake_pool_request_seconds_count{op="list"} 3`)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)

	_, err = poolprom.Pool(p, registry, c)
	require.Error(t, err, "counted twice in one registry")
}

// Names that anybody can make up become no series.
func TestPoolOfUnknownNamespaces(t *testing.T) {
	c := begin()
	registry := prometheus.NewRegistry()
	p, err := poolprom.Pool(pool.New(pool.NewMemory(c, true)), registry, c)
	require.NoError(t, err)
	ctx, ended := context.WithCancel(t.Context())
	ended()
	for i := range 50 {
		name := fmt.Sprintf("made-up-%d", i)
		_, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
		require.Error(t, err)
		_, err = p.Acquire(t.Context(), name, layout.Default(), pool.Token{})
		require.Error(t, err)
		_, err = p.Acquire(ctx, name, layout.Default(), pool.NewToken())
		require.Error(t, err)
		_, err = p.Renew(t.Context(), pool.Renewal{Namespace: name + "\xff"})
		require.Error(t, err)
		require.Error(t, p.Revoke(t.Context(), name, 1))
		require.Error(t, p.CreateNamespace(t.Context(), pool.Namespace{Name: name}))
	}
	assert.Equal(t, []string{
		`easyflake_pool_requests_total{namespace="",op="acquire",reason="invalid"} 50`,
		`easyflake_pool_requests_total{namespace="",op="acquire",reason="other"} 50`,
		`easyflake_pool_requests_total{namespace="",op="acquire",reason="unknown_namespace"} 50`,
		`easyflake_pool_requests_total{namespace="",op="create_namespace",reason="invalid"} 50`,
		`easyflake_pool_requests_total{namespace="",op="renew",reason="unknown_namespace"} 50`,
		`easyflake_pool_requests_total{namespace="",op="revoke",reason="unknown_namespace"} 50`,
	}, lines(t, registry, "easyflake_pool_requests_total"))
}

// anything is a pool that has every namespace.
type anything struct{ err error }

func (a anything) Acquire(context.Context, string, layout.Layout, pool.Token) (pool.Grant, error) {
	return pool.Grant{Node: 1}, a.err
}

func (a anything) Renew(context.Context, pool.Renewal) (pool.Grant, error) {
	return pool.Grant{}, a.err
}
func (a anything) Release(context.Context, pool.Release) error           { return a.err }
func (a anything) Revoke(context.Context, string, int64) error           { return a.err }
func (a anything) Retire(context.Context, string, int64) error           { return a.err }
func (a anything) CreateNamespace(context.Context, pool.Namespace) error { return a.err }
func (a anything) AcceptClock(context.Context, string) error             { return a.err }
func (a anything) Namespaces(context.Context) ([]pool.Namespace, error)  { return nil, a.err }
func (a anything) List(context.Context, string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		_ = yield(pool.NodeInfo{}, &pool.RecordError{}) && yield(pool.NodeInfo{}, a.err)
	}
}

// A refusal that only a namespace that exists can give counts as its own, also as
// the first thing heard of it; one that any name may get does not.
func TestPoolProofs(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&pool.ExhaustedError{}, "a"},
		{&pool.NotYetError{}, "a"},
		{&pool.LayoutMismatchError{}, "a"},
		{pool.ErrLeaseLost, "a"},
		{pool.ErrRevoked, "a"},
		{pool.ErrBadSeal, "a"},
		{pool.ErrNotLeasable, "a"},
		{pool.ErrClockJumped, "a"},
		{pool.ErrExists, "a"},
		{&pool.NoLegacyNodesError{}, "a"},
		{&pool.UnknownNamespaceError{}, ""},
		{&layout.FieldError{}, ""},
		{&pool.RecordError{}, ""},
		{pool.ErrClosed, ""},
		{context.Canceled, ""},
		{layout.ErrLifeOver, ""},
	} {
		registry := prometheus.NewRegistry()
		p, err := poolprom.Pool(anything{c.err}, registry, begin())
		require.NoError(t, err)
		require.Error(t, p.Revoke(t.Context(), "a", 1))
		assert.Contains(t, exposition(t, registry),
			fmt.Sprintf("easyflake_pool_requests_total{namespace=%q,op=\"revoke\",reason=%q} 1", c.want, pool.Reason(c.err)))
	}
}

// Even where names can be created at will, there is an end to series.
func TestPoolIsBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	p, err := poolprom.Pool(anything{}, registry, begin())
	require.NoError(t, err)
	_, ok := p.(interface{ Check(context.Context) error })
	assert.False(t, ok, "what the pool inside does not have")
	for i := range 3000 {
		require.NoError(t, p.Revoke(t.Context(), fmt.Sprint(i), 1))
	}
	n, err := testutil.GatherAndCount(registry, "easyflake_pool_requests_total")
	require.NoError(t, err)
	assert.Equal(t, 1024*4+1, n)
	assert.Contains(t, exposition(t, registry), `easyflake_pool_requests_total{namespace="",op="revoke",reason="ok"} 1976`)
}

// A record that cannot be used is part of a list; what ends it, is not.
func TestPoolCountsLists(t *testing.T) {
	registry := prometheus.NewRegistry()
	p, err := poolprom.Pool(anything{pool.ErrClosed}, registry, begin())
	require.NoError(t, err)
	for _, err := range p.List(t.Context(), "a") {
		require.Error(t, err)
	}
	for _, err := range p.List(t.Context(), "a") {
		require.Error(t, err)
		break
	}
	assert.Equal(t, []string{
		`easyflake_pool_requests_total{namespace="",op="list",reason="closed"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="acquire",reason="ok"} 0`,
		`easyflake_pool_requests_total{namespace="a",op="list",reason="ok"} 1`,
		`easyflake_pool_requests_total{namespace="a",op="release",reason="ok"} 0`,
		`easyflake_pool_requests_total{namespace="a",op="renew",reason="ok"} 0`,
	}, lines(t, registry, "easyflake_pool_requests_total"))
}

// Requests of all kinds at once are counted once each.
func TestPoolConcurrently(t *testing.T) {
	registry := prometheus.NewRegistry()
	p, err := poolprom.Pool(anything{}, registry, begin())
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				_, _ = p.Acquire(t.Context(), fmt.Sprint(i%20), layout.Default(), pool.NewToken())
				_ = p.Revoke(t.Context(), fmt.Sprint(i%20), 1)
			}
		})
	}
	wg.Wait()
	for i := range 20 {
		assert.Contains(t, exposition(t, registry), fmt.Sprintf(`easyflake_pool_requests_total{namespace="%d",op="acquire",reason="ok"} 200`, i))
		assert.Contains(t, exposition(t, registry), fmt.Sprintf(`easyflake_pool_requests_total{namespace="%d",op="revoke",reason="ok"} 200`, i))
	}
}
