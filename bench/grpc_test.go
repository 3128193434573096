package bench

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// grpcStores make new stores of each kind.
func grpcStores() map[string]func(testing.TB, clock.Clock) pool.Store {
	return map[string]func(testing.TB, clock.Clock) pool.Store{
		"memory": func(_ testing.TB, c clock.Clock) pool.Store { return pool.NewMemory(c, true) },
		"bolt": func(tb testing.TB, c clock.Clock) pool.Store {
			tb.Helper()
			s, err := boltstore.Open(filepath.Join(tb.TempDir(), "store"), boltstore.WithCreate(), boltstore.WithClock(c))
			require.NoError(tb, err)
			return s
		},
	}
}

// call is one request of one caller.
type call func(ctx context.Context) error

// BenchmarkGRPC makes requests to a pool server from 64 goroutines on 8 connections.
// call=echo is a request of a renewal's size that nothing is done with, over the same
// TLS and through the same interceptors: what the network and gRPC cost.
func BenchmarkGRPC(b *testing.B) {
	l := parseLayout(b, manyNodes)
	stores := grpcStores()
	b.Run("call=echo", func(b *testing.B) {
		runCalls(b, echoes(b, newGRPCServer(b, stores["memory"](b, clock.System{}), l)))
	})
	for _, store := range []string{"memory", "bolt"} {
		b.Run("call=renew/store="+store, func(b *testing.B) {
			runCalls(b, renewals(b, newGRPCServer(b, stores[store](b, clock.System{}), l), l))
		})
		b.Run("call=lease/store="+store, func(b *testing.B) {
			runCalls(b, leasings(b, newGRPCServer(b, stores[store](b, clock.System{}), l), l))
		})
	}
}

func runCalls(b *testing.B, callers []call) {
	b.Helper()
	var next atomic.Int64
	b.SetParallelism((grpcCallers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		do := callers[next.Add(1)%int64(len(callers))]
		for pb.Next() {
			if err := do(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// echoes are calls of the service that does nothing, each with messages like those
// of a lease.
func echoes(tb testing.TB, s *grpcServer) []call {
	tb.Helper()
	conns := s.conns(tb, grpcConnections)
	all := make([]call, 2*grpcCallers)
	for i := range all {
		conn, token, nonce := conns[i%len(conns)], pool.NewToken(), pool.NewToken()
		r := &poolv1.RenewRequest{
			Namespace: poolNamespace, Node: int64(1_000_000 + i), Token: token[:], Nonce: nonce[:],
			Revision: 100, Until: 120_000_000_000,
		}
		all[i] = func(ctx context.Context) error {
			return conn.Invoke(ctx, echoMethod, r, new(poolv1.Grant)) //nolint:wrapcheck // as it is
		}
		require.NoError(tb, all[i](tb.Context()))
	}
	return all
}

// renewals are calls that renew leases, each its own.
func renewals(tb testing.TB, s *grpcServer, l layout.Layout) []call {
	tb.Helper()
	clients := s.clients(tb)
	all := make([]call, 2*grpcCallers)
	for i := range all {
		p := clients[i%len(clients)]
		lease := newRenewed(tb, p, l)
		var mu sync.Mutex // two callers may have one
		all[i] = func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			return lease.renew(ctx, p)
		}
	}
	return all
}

// leasings are calls that lease a node and give it back.
func leasings(tb testing.TB, s *grpcServer, l layout.Layout) []call {
	tb.Helper()
	clients := s.clients(tb)
	all := make([]call, 2*grpcCallers)
	for i := range all {
		p := clients[i%len(clients)]
		all[i] = func(ctx context.Context) error {
			g, err := p.Acquire(ctx, poolNamespace, l, pool.NewToken())
			if err != nil {
				return err //nolint:wrapcheck // as it is
			}
			return p.Release(ctx, giveBack(g)) //nolint:wrapcheck // as it is
		}
		require.NoError(tb, all[i](tb.Context()))
	}
	return all
}

// BenchmarkGRPCRenewShare says which share of an echo's throughput renewals have: in
// turns with it, so that both have the same machine. An op is one turn of each; share,
// echoes/s and renewals/s are the medians.
//
// cpu-share is the same of processor time, which other work on the machine disturbs
// less; written is how many records were written to bolt for each renewal, and
// syncs how often it waited for the disk.
//
// leases=few are renewed again and again, which is never written: all that a renewal
// costs beyond an echo is the pool. leases=many are renewed each third of their
// windows, as clients do, by a clock that goes faster: then one in two is written,
// ahead of its being needed.
func BenchmarkGRPCRenewShare(b *testing.B) {
	l := parseLayout(b, manyNodes)
	for _, store := range []string{"memory", "bolt"} {
		open := grpcStores()[store]
		b.Run("store="+store+"/leases=few", func(b *testing.B) {
			kept := open(b, clock.System{})
			s := newGRPCServer(b, kept, l)
			runShare(b, kept, echoes(b, s), renewals(b, s, l))
		})
		b.Run("store="+store+"/leases=many", func(b *testing.B) {
			c := clocktest.New(time.Now())
			begun := c.Now()
			kept := open(b, c)
			s := newGRPCServer(b, kept, l, pool.WithElapsed(func() time.Duration { return time.Duration(c.Now() - begun) }))
			runShare(b, kept, echoes(b, s), spacedRenewals(b, s, l, c))
		})
	}
}

// turn is how many calls a turn has.
const turn = 8192

func runShare(b *testing.B, store pool.Store, echoes, renewals []call) {
	b.Helper()
	var share, cpuShare []float64
	var perSecond [2][]float64
	begun := boltStats(store)
	b.ResetTimer()
	for i := range b.N + 1 {
		var rates, cpu [2]float64
		for kind, callers := range [2][]call{echoes, renewals} {
			began, spent := time.Now(), processCPU()
			takeTurn(b, callers)
			rates[kind], cpu[kind] = turn/time.Since(began).Seconds(), float64(processCPU()-spent)
		}
		if i == 0 {
			continue // warm-up
		}
		share = append(share, rates[1]/rates[0])
		cpuShare = append(cpuShare, cpu[0]/max(1, cpu[1]))
		for kind, rate := range rates {
			perSecond[kind] = append(perSecond[kind], rate)
		}
	}
	b.ReportMetric(median(share), "share")
	b.ReportMetric(median(cpuShare), "cpu-share")
	b.ReportMetric(median(perSecond[0]), "echoes/s")
	b.ReportMetric(median(perSecond[1]), "renewals/s")
	if done := boltStats(store); done != begun {
		all := float64(turn * (b.N + 1))
		b.ReportMetric(float64(done.Writes-begun.Writes)/all, "written")
		b.ReportMetric(float64(done.Syncs-begun.Syncs)/all, "syncs")
	}
}

func boltStats(s pool.Store) boltstore.Stats {
	if bolt, ok := s.(*boltstore.Store); ok {
		return bolt.Stats()
	}
	return boltstore.Stats{}
}

func takeTurn(b *testing.B, callers []call) {
	b.Helper()
	var all sync.WaitGroup
	for i := range grpcCallers {
		all.Go(func() {
			for range turn / grpcCallers {
				if err := callers[i](b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// spacedRenewals are calls that renew many leases in turn, with a third of a window
// between two renewals of one.
func spacedRenewals(tb testing.TB, s *grpcServer, l layout.Layout, c *clocktest.Clock) []call {
	tb.Helper()
	const leases = turn
	clients := s.clients(tb)
	all := make([]*renewed, leases)
	inParallel(tb, leases, func(i int64) error {
		g, err := clients[int(i)%len(clients)].Acquire(tb.Context(), poolNamespace, l, pool.NewToken())
		all[i-1] = &renewed{g}
		return err //nolint:wrapcheck // as it is
	})
	third := int64(pool.NewNamespace(poolNamespace, l).Terms.Window) / 3
	var next atomic.Int64
	callers := make([]call, grpcCallers)
	for i := range callers {
		p, own := clients[i%len(clients)], all[i*leases/grpcCallers:(i+1)*leases/grpcCallers]
		at := 0
		callers[i] = func(ctx context.Context) error {
			if next.Add(1)%(leases/20) == 0 {
				c.Advance(time.Duration(third / 20)) // in steps that are no jump
			}
			at++
			return own[at%len(own)].renew(ctx, p)
		}
	}
	// The windows grow at first, each time written.
	for range 6 * leases / grpcCallers {
		var wait sync.WaitGroup
		for _, do := range callers {
			wait.Go(func() {
				if err := do(tb.Context()); err != nil {
					tb.Error(err)
				}
			})
		}
		wait.Wait()
	}
	return callers
}
