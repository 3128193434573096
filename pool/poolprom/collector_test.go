package poolprom_test

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/poolprom"
)

// local is a pool in memory whose clock is c, as far as its time elapsed goes too.
func local(t *testing.T, c *clocktest.Clock) (*pool.Local, *atomic.Int64) {
	t.Helper()
	var elapsed atomic.Int64
	p := pool.New(pool.NewMemory(c, true), pool.WithLogger(slog.New(slog.DiscardHandler)),
		pool.WithElapsed(func() time.Duration { return time.Duration(elapsed.Load()) }))
	return p, &elapsed
}

// watch registers a collector with a registry of its own.
func watch(t *testing.T, p pool.Manager, c *clocktest.Clock, opts ...poolprom.CollectorOption) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	k := poolprom.NewCollector(p, c, opts...)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	require.NoError(t, registry.Register(k))
	return registry
}

// Every state is counted for what it is, and they add up to the nodes.
func TestCollector(t *testing.T) {
	c := begin()
	p, elapsed := local(t, c)
	advance := func(d time.Duration) {
		c.Advance(d)
		elapsed.Add(int64(d))
	}
	ctx, ns := t.Context(), small(t, "a")
	tick, err := ns.Layout.Tick(c.Time().Add(time.Minute))
	require.NoError(t, err)
	ns.Ranges[1].Floor = 2 * tick // of nodes that are never leased
	ns.Ranges[2].Floor = tick
	require.NoError(t, p.CreateNamespace(ctx, ns))
	bare := small(t, "b")
	bare.Ranges = bare.Ranges[:1]
	require.NoError(t, p.CreateNamespace(ctx, bare))
	registry := watch(t, p, c)

	var grants []pool.Grant
	for range 6 {
		g, err := p.Acquire(ctx, "a", ns.Layout, pool.NewToken())
		require.NoError(t, err)
		grants = append(grants, g)
	}
	require.NoError(t, p.Retire(ctx, "a", grants[0].Node))
	require.NoError(t, p.Release(ctx, pool.Release{Namespace: "a", Node: grants[1].Node, Token: grants[1].Token, Last: grants[1].From}))
	advance(6 * time.Second)
	for _, g := range grants[2:5] {
		_, err := p.Renew(ctx, pool.Renewal{Namespace: "a", Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
		require.NoError(t, err)
	}
	require.NoError(t, p.Revoke(ctx, "a", grants[2].Node))
	advance(5 * time.Second) // the last one expires
	expect := `
# HELP easyflake_clock_jumped Whether the store's clock has jumped, so that nothing is granted.
# TYPE easyflake_clock_jumped gauge
easyflake_clock_jumped{namespace="a"} 0
easyflake_clock_jumped{namespace="b"} 0
# HELP easyflake_clock_offset_seconds How far the store's clock is ahead of the time that the pool goes by.
# TYPE easyflake_clock_offset_seconds gauge
easyflake_clock_offset_seconds{namespace="a"} 0
easyflake_clock_offset_seconds{namespace="b"} 0
# HELP easyflake_floor_seconds Time until windows can begin on all nodes; 0: now.
# TYPE easyflake_floor_seconds gauge
easyflake_floor_seconds{namespace="a"} 49
easyflake_floor_seconds{namespace="b"} 0
# HELP easyflake_layout_life_seconds Time left of the layout's life; below 0 when it is over.
# TYPE easyflake_layout_life_seconds gauge
easyflake_layout_life_seconds{namespace="a"} 2.251708447114248e+12
easyflake_layout_life_seconds{namespace="b"} 2.251708447114248e+12
# HELP easyflake_leases Nodes that can be leased, by the state that they are in.
# TYPE easyflake_leases gauge
easyflake_leases{namespace="a",state="expired",use="leased"} 1
easyflake_leases{namespace="a",state="expired",use="legacy"} 0
easyflake_leases{namespace="a",state="free",use="leased"} 3
easyflake_leases{namespace="a",state="free",use="legacy"} 4
easyflake_leases{namespace="a",state="held",use="leased"} 2
easyflake_leases{namespace="a",state="held",use="legacy"} 0
easyflake_leases{namespace="a",state="retired",use="leased"} 1
easyflake_leases{namespace="a",state="retired",use="legacy"} 0
easyflake_leases{namespace="a",state="revoked",use="leased"} 1
easyflake_leases{namespace="a",state="revoked",use="legacy"} 0
easyflake_leases{namespace="a",state="unusable",use="leased"} 0
easyflake_leases{namespace="a",state="unusable",use="legacy"} 0
easyflake_leases{namespace="b",state="expired",use="leased"} 0
easyflake_leases{namespace="b",state="free",use="leased"} 8
easyflake_leases{namespace="b",state="held",use="leased"} 0
easyflake_leases{namespace="b",state="retired",use="leased"} 0
easyflake_leases{namespace="b",state="revoked",use="leased"} 0
easyflake_leases{namespace="b",state="unusable",use="leased"} 0
# HELP easyflake_namespaces Namespaces of the pool.
# TYPE easyflake_namespaces gauge
easyflake_namespaces 2
# HELP easyflake_nodes Nodes that can be leased in all.
# TYPE easyflake_nodes gauge
easyflake_nodes{namespace="a",use="leased"} 8
easyflake_nodes{namespace="a",use="legacy"} 4
easyflake_nodes{namespace="b",use="leased"} 8
# HELP easyflake_pool_scan_seconds How long it took.
# TYPE easyflake_pool_scan_seconds gauge
easyflake_pool_scan_seconds 0
# HELP easyflake_pool_scan_timestamp_seconds Unix time of the last one that found out everything; 0: none yet.
# TYPE easyflake_pool_scan_timestamp_seconds gauge
easyflake_pool_scan_timestamp_seconds 1.767225611e+09
# HELP easyflake_pool_up Whether the last look at the pool found out everything.
# TYPE easyflake_pool_up gauge
easyflake_pool_up 1
# HELP easyflake_serving Whether anything can be granted.
# TYPE easyflake_serving gauge
easyflake_serving{namespace="a"} 1
easyflake_serving{namespace="b"} 1
`
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(expect)))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)

	// A clock that jumps: nothing can be granted, and one sees how far it is off.
	c.Jump(time.Hour)
	advance(16 * time.Second)
	for _, want := range []string{
		`easyflake_pool_up 1`,
		`easyflake_serving{namespace="a"} 0`,
		`easyflake_clock_jumped{namespace="a"} 1`,
		`easyflake_clock_offset_seconds{namespace="a"} 3600`,
	} {
		assert.Contains(t, exposition(t, registry), want)
	}
}

// A namespace whose layout's life is over serves nothing; its clock is fine.
func TestCollectorAtTheEnd(t *testing.T) {
	c := begin()
	p, _ := local(t, c)
	config := layout.DefaultConfig()
	config.TimeBits = 38 // nearly nine years
	l, err := layout.New(config)
	require.NoError(t, err)
	ns := pool.NewNamespace("a", l)
	require.NoError(t, p.CreateNamespace(t.Context(), ns))
	c.Advance(ns.Layout.End().Sub(c.Time()) + 1500*time.Millisecond) // before the pool first looks
	registry := watch(t, p, c)
	for _, want := range []string{
		`easyflake_serving{namespace="a"} 0`,
		`easyflake_clock_jumped{namespace="a"} 0`,
		`easyflake_layout_life_seconds{namespace="a"} -1.5`,
	} {
		assert.Contains(t, exposition(t, registry), want)
	}
}

// staged is a pool in memory of which a test says when it answers.
type staged struct {
	pool.Manager

	scans   atomic.Int64
	fail    atomic.Pointer[error]
	partial atomic.Bool
	enter   chan struct{} // nil: go on at once
	leave   chan struct{}
}

func (s *staged) Namespaces(ctx context.Context) ([]pool.Namespace, error) {
	s.scans.Add(1)
	if s.enter != nil {
		select {
		case s.enter <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case <-s.leave:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := s.fail.Load(); err != nil {
		return nil, *err
	}
	return s.Manager.Namespaces(ctx)
}

func (s *staged) List(ctx context.Context, name string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		switch {
		case s.partial.Load() && name == "a":
			_ = yield(pool.NodeInfo{}, pool.ErrClosed)
		case s.partial.Load():
			_ = yield(pool.NodeInfo{Node: 1}, &pool.RecordError{})
		default:
			s.Manager.List(ctx, name)(yield)
		}
	}
}

func stage(t *testing.T, c *clocktest.Clock) *staged {
	t.Helper()
	p, _ := local(t, c)
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, p.CreateNamespace(t.Context(), small(t, name)))
	}
	return &staged{Manager: p}
}

// One scan serves many scrapes, until it is old or the clock was set back.
func TestCollectorKeepsScans(t *testing.T) {
	c := begin()
	p := stage(t, c)
	registry := watch(t, p, c, poolprom.WithMaxAge(10*time.Second))
	for i, step := range []struct {
		move func()
		want int64
	}{
		{func() {}, 1},
		{func() { c.Advance(10*time.Second - 1) }, 1},
		{func() { c.Advance(1) }, 2},
		{func() { c.StepBack(time.Hour) }, 3},
		{func() {}, 3},
	} {
		step.move()
		assert.Contains(t, exposition(t, registry), "easyflake_pool_up 1")
		assert.Equal(t, step.want, p.scans.Load(), "step %d", i)
	}
	// This pool cannot say whether it serves.
	assert.NotContains(t, exposition(t, registry), "easyflake_serving")
	assert.NotContains(t, exposition(t, registry), "easyflake_clock")
}

// However many scrape, one scan is under way, and all have its result.
func TestCollectorScansOnce(t *testing.T) {
	c := begin()
	p := stage(t, c)
	p.enter, p.leave = make(chan struct{}), make(chan struct{})
	k := poolprom.NewCollector(p, c, poolprom.WithTimeout(time.Hour))
	t.Cleanup(func() { _ = k.Close() })
	var wg sync.WaitGroup
	var samples atomic.Int64
	for range 10 {
		wg.Go(func() { samples.Add(int64(testutil.CollectAndCount(k, "easyflake_nodes"))) })
	}
	<-p.enter
	close(p.leave)
	wg.Wait()
	assert.Equal(t, int64(1), p.scans.Load())
	assert.Equal(t, int64(60), samples.Load())
}

// A scan that fails is a figure. So is one that fails in part, which keeps the rest;
// and the time of the last complete one stays.
func TestCollectorFailures(t *testing.T) {
	c := begin()
	p := stage(t, c)
	registry := watch(t, p, c)
	next := func() string {
		c.Advance(15 * time.Second)
		return exposition(t, registry)
	}
	fail := pool.ErrClosed
	p.fail.Store(&fail)
	text := next()
	assert.Contains(t, text, "easyflake_pool_up 0")
	assert.Contains(t, text, "easyflake_pool_scan_timestamp_seconds 0")
	assert.NotContains(t, text, "easyflake_nodes")

	p.fail.Store(nil)
	text = next()
	assert.Contains(t, text, "easyflake_pool_up 1")
	assert.Contains(t, text, "easyflake_pool_scan_timestamp_seconds 1.76722563e+09")

	p.partial.Store(true)
	text = next()
	assert.Contains(t, text, "easyflake_pool_up 0")
	assert.Contains(t, text, "easyflake_pool_scan_timestamp_seconds 1.76722563e+09")
	assert.NotContains(t, text, `easyflake_leases{namespace="a"`)
	assert.Contains(t, text, `easyflake_leases{namespace="b",state="unusable",use="leased"} 1`)
	assert.Contains(t, text, `easyflake_leases{namespace="b",state="free",use="leased"} 7`)
	assert.Contains(t, text, `easyflake_layout_life_seconds{namespace="a"}`)
}

// A pool that does not answer costs a scrape the time that was set, and no more.
func TestCollectorTimeout(t *testing.T) {
	c := begin()
	p := stage(t, c)
	p.enter = make(chan struct{}) // never received from
	registry := watch(t, p, c, poolprom.WithTimeout(time.Millisecond))
	assert.Contains(t, exposition(t, registry), "easyflake_pool_up 0")
}

// mute is a pool whose lists end with the time that there is for them, and say
// nothing of it.
type mute struct{ *staged }

func (m mute) List(ctx context.Context, _ string) iter.Seq2[pool.NodeInfo, error] {
	return func(func(pool.NodeInfo, error) bool) { <-ctx.Done() }
}

// A list that was cut short is not taken for a whole one.
func TestCollectorCutShort(t *testing.T) {
	c := begin()
	registry := watch(t, mute{stage(t, c)}, c, poolprom.WithTimeout(time.Millisecond))
	for range 10 {
		text := exposition(t, registry)
		assert.Contains(t, text, "easyflake_pool_up 0")
		assert.NotContains(t, text, "easyflake_nodes")
	}
}

// sickly is a pool whose store cannot say how it is.
type sickly struct{ *staged }

func (sickly) Check(context.Context) error { return pool.ErrClosed }

func TestCollectorWithoutHealth(t *testing.T) {
	c := begin()
	registry := watch(t, sickly{stage(t, c)}, c)
	text := exposition(t, registry)
	assert.Contains(t, text, "easyflake_pool_up 0")
	assert.Contains(t, text, `easyflake_nodes{namespace="a",use="leased"} 8`)
	assert.NotContains(t, text, "easyflake_serving")
}

// Closing breaks a scan off; scrapes then say so, and leave the pool alone.
func TestCollectorClose(t *testing.T) {
	c := begin()
	p := stage(t, c)
	p.enter, p.leave = make(chan struct{}), make(chan struct{})
	k := poolprom.NewCollector(p, c, poolprom.WithTimeout(time.Hour))
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(k))
	scraped := make(chan float64)
	go func() {
		up := -1.0
		if families, err := registry.Gather(); err == nil {
			for _, f := range families {
				if f.GetName() == "easyflake_pool_up" {
					up = f.GetMetric()[0].GetGauge().GetValue()
				}
			}
		}
		scraped <- up
	}()
	<-p.enter
	require.NoError(t, k.Close())
	assert.InDelta(t, 0, <-scraped, 0)
	c.Advance(time.Hour)
	assert.Contains(t, exposition(t, registry), "easyflake_pool_up 0")
	assert.Equal(t, int64(1), p.scans.Load())
}

// Namespaces without end make no series without end.
func TestCollectorIsBounded(t *testing.T) {
	c := begin()
	p := stage(t, c)
	registry := watch(t, p, c, poolprom.WithMostNamespaces(2))
	text := exposition(t, registry)
	assert.Contains(t, text, "easyflake_namespaces 3")
	assert.Contains(t, text, `easyflake_nodes{namespace="b",use="leased"} 8`)
	assert.NotContains(t, text, `namespace="c"`)
}

// The figures of many scrapes and requests at once are those of one moment each.
func TestCollectorConcurrently(t *testing.T) {
	c := begin()
	p, _ := local(t, c)
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace("a", layout.Default())))
	k := poolprom.NewCollector(p, c, poolprom.WithMaxAge(0))
	t.Cleanup(func() { _ = k.Close() })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				assert.Equal(t, 1, testutil.CollectAndCount(k, "easyflake_nodes"))
			}
		})
		wg.Go(func() {
			for range 20 {
				_, err := p.Acquire(t.Context(), "a", layout.Default(), pool.NewToken())
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}
