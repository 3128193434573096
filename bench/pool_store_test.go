package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/filestore"
)

const (
	poolGoroutines = 64
	poolNamespace  = "default"
	// manyNodes has more nodes than a benchmark can lease.
	manyNodes = "unit=1ms,node=22,sequence=2"
	// fullNodes has 65,536, to be taken.
	fullNodes = "unit=1ms,node=16,sequence=8"
)

// onBolt returns the pool of a new bolt store, and its count of syncs.
func onBolt(tb testing.TB, l layout.Layout) (*pool.Local, func() int64) {
	tb.Helper()
	s, err := boltstore.Open(filepath.Join(tb.TempDir(), "store"), boltstore.WithCreate())
	require.NoError(tb, err)
	return newPool(tb, s, l), func() int64 { return s.Stats().Syncs }
}

func newPool(tb testing.TB, s pool.Store, l layout.Layout) *pool.Local {
	tb.Helper()
	p := pool.New(s, pool.WithLogger(discard()))
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	createNamespace(tb, p, l)
	return p
}

// discard returns a log that costs what one costs, and is read by nobody.
func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func createNamespace(tb testing.TB, p *pool.Local, l layout.Layout) {
	tb.Helper()
	n := pool.NewNamespace(poolNamespace, l)
	// Long enough that nothing ends while it is measured.
	n.Terms.FirstWindow, n.Terms.Window, n.Terms.Horizon = time.Hour, time.Hour, 2*time.Hour
	require.NoError(tb, p.CreateNamespace(tb.Context(), n))
}

// inParallel calls f n times, from as many goroutines as there are in a pool's
// benchmarks.
func inParallel(tb testing.TB, n int, f func(i int64) error) {
	tb.Helper()
	inParallelFrom(tb, poolGoroutines, n, f)
}

// inParallelFrom calls f n times, from so many goroutines.
func inParallelFrom(tb testing.TB, goroutines, n int, f func(i int64) error) {
	tb.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := f(i); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkAcquire leases nodes from 64 goroutines, each lease durable when it is
// there; store=batch is what bbolt's own Batch commits of records of that size,
// with its default of up to 1,000 in a batch, or of as many as there are
// goroutines, so that it never waits for more.
func BenchmarkAcquire(b *testing.B) {
	l := parseLayout(b, manyNodes)
	goroutines := fmt.Sprintf("goroutines=%d", poolGoroutines)
	b.Run("store=bolt/"+goroutines, func(b *testing.B) {
		p, syncs := onBolt(b, l)
		before := syncs()
		b.ResetTimer()
		inParallel(b, b.N, func(int64) error {
			_, err := p.Acquire(b.Context(), poolNamespace, l, pool.NewToken())
			return err
		})
		b.ReportMetric(float64(syncs()-before)/float64(b.N), "syncs/op")
	})
	for _, size := range []int{1000, poolGoroutines} {
		b.Run(fmt.Sprintf("store=batch%d/%s", size, goroutines), func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "store"), 0o600, nil)
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, db.Close()) })
			db.MaxBatchSize = size
			bucket := []byte(poolNamespace)
			require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket(bucket)
				return err
			}))
			value := make([]byte, recordSize(b, l))
			b.ResetTimer()
			inParallel(b, b.N, func(int64) error {
				key := binary.BigEndian.AppendUint64(nil, uint64(rand.Int64N(l.MaxNode()+1)))
				return db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) })
			})
		})
	}
}

// recordSize is the size of a lease's record.
func recordSize(tb testing.TB, l layout.Layout) int {
	tb.Helper()
	m := pool.NewMemory(clock.System{}, true)
	g, err := newPool(tb, m, l).Acquire(tb.Context(), poolNamespace, l, pool.NewToken())
	require.NoError(tb, err)
	records, err := m.Nodes(tb.Context(), poolNamespace, g.Node, g.Node)
	require.NoError(tb, err)
	return len(records[0].Value)
}

// BenchmarkRenew makes leases longer, each goroutine its own: on bolt, whose pool
// writes ahead so that most renewals write nothing; and beside it what a map that
// nothing ever stores costs.
func BenchmarkRenew(b *testing.B) {
	l := parseLayout(b, manyNodes)
	b.Run("store=bolt", func(b *testing.B) {
		p, syncs := onBolt(b, l)
		b.ReportAllocs()
		// A lease's first renewals are written.
		var leases []*renewed
		for range poolGoroutines {
			leases = append(leases, newRenewed(b, p, l))
		}
		before := syncs()
		var next atomic.Int64
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			lease := leases[next.Add(1)%poolGoroutines]
			for pb.Next() {
				if err := lease.renew(b.Context(), p); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(syncs()-before)/float64(b.N), "syncs/op")
	})
	b.Run("store=map", func(b *testing.B) {
		var mu sync.Mutex
		type lease struct {
			until    int64
			revision uint64
		}
		leases := make(map[int64]lease)
		var next atomic.Int64
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			node := next.Add(1)
			for pb.Next() {
				mu.Lock()
				was := leases[node]
				leases[node] = lease{was.until + 1, was.revision + 1}
				mu.Unlock()
			}
		})
	})
}

// renewed is a lease that is renewed again and again.
type renewed struct{ pool.Grant }

func newRenewed(tb testing.TB, p pool.Pool, l layout.Layout) *renewed {
	tb.Helper()
	g, err := p.Acquire(tb.Context(), poolNamespace, l, pool.NewToken())
	require.NoError(tb, err)
	r := &renewed{g}
	require.NoError(tb, r.renew(tb.Context(), p))
	return r
}

func (r *renewed) renew(ctx context.Context, p pool.Pool) error {
	var nonce pool.Token
	binary.BigEndian.PutUint64(nonce[:], r.Revision+1)
	g, err := p.Renew(ctx, pool.Renewal{
		Namespace: poolNamespace, Node: r.Node, Token: r.Token,
		Revision: r.Revision, Until: r.Until, Nonce: nonce,
	})
	if err == nil {
		r.Grant = g
	}
	return err
}

// BenchmarkAcquireFull leases one node where half or nearly all of 65,536 are
// taken, and gives back another one: acquire-ns is what the first takes of it.
func BenchmarkAcquireFull(b *testing.B) {
	l := parseLayout(b, fullNodes)
	stores := map[string]func(tb testing.TB, taken int) (*pool.Local, []pool.Release){
		"memory": func(tb testing.TB, taken int) (*pool.Local, []pool.Release) {
			tb.Helper()
			p := newPool(tb, pool.NewMemory(clock.System{}, true), l)
			return p, take(tb, p, l, taken)
		},
		"bolt": func(tb testing.TB, taken int) (*pool.Local, []pool.Release) {
			tb.Helper()
			p, _ := onBolt(tb, l)
			return p, take(tb, p, l, taken)
		},
		"file": func(tb testing.TB, taken int) (*pool.Local, []pool.Release) {
			tb.Helper()
			// One file is as good for either, and bolt is quicker to fill it.
			path := filepath.Join(tb.TempDir(), "store")
			bolt, err := boltstore.Open(path, boltstore.WithCreate())
			require.NoError(tb, err)
			filled := pool.New(bolt)
			createNamespace(tb, filled, l)
			leases := take(tb, filled, l, taken)
			require.NoError(tb, filled.Close())
			s, err := filestore.Open(path)
			require.NoError(tb, err)
			p := pool.New(s)
			tb.Cleanup(func() { require.NoError(tb, p.Close()) })
			return p, leases
		},
	}
	for _, name := range []string{"memory", "bolt", "file"} {
		for _, taken := range []int{50, 99} {
			// Filled once, not for each length that is tried.
			fill := sync.OnceValues(func() (*pool.Local, []pool.Release) { return stores[name](b, taken) })
			b.Run(fmt.Sprintf("store=%s/taken=%d", name, taken), func(b *testing.B) {
				p, leases := fill()
				benchmarkAcquireFull(b, p, l, leases)
			})
		}
	}
}

// take leases so many percent of all nodes.
func take(tb testing.TB, p *pool.Local, l layout.Layout, percent int) []pool.Release {
	tb.Helper()
	leases := make([]pool.Release, (l.MaxNode()+1)*int64(percent)/100)
	inParallel(tb, len(leases), func(i int64) error {
		g, err := p.Acquire(tb.Context(), poolNamespace, l, pool.NewToken())
		leases[i-1] = giveBack(g)
		return err
	})
	return leases
}

// giveBack is the release of a lease that nothing was stamped under.
func giveBack(g pool.Grant) pool.Release {
	return pool.Release{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Last: g.From - 1}
}

func benchmarkAcquireFull(b *testing.B, p *pool.Local, l layout.Layout, leases []pool.Release) {
	b.Helper()
	var spent time.Duration
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		g, err := p.Acquire(b.Context(), poolNamespace, l, pool.NewToken())
		spent += time.Since(began)
		require.NoError(b, err)
		at := rand.IntN(len(leases))
		require.NoError(b, p.Release(b.Context(), leases[at]))
		leases[at] = giveBack(g)
	}
	b.ReportMetric(float64(spent)/float64(b.N), "acquire-ns/op")
}
