package etcdstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// crowd shares b.N operations among goroutines.
func crowd(b *testing.B, goroutines int, do func(goroutine int) error) {
	b.Helper()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for i := range goroutines {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func wide(tb testing.TB, nodeBits int) pool.Namespace {
	tb.Helper()
	l, err := layout.New(layout.Config{Epoch: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Unit: time.Millisecond, NodeBits: nodeBits, SequenceBits: 6})
	require.NoError(tb, err)
	return pool.NewNamespace(name, l)
}

// BenchmarkRenew compares renewals through a pool with the transaction that each of
// them is, made by etcd's own client.
func BenchmarkRenew(b *testing.B) {
	s := build(b, 3)
	for _, goroutines := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("by=client/goroutines=%d", goroutines), func(b *testing.B) {
			client, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop()})
			require.NoError(b, err)
			defer client.Close()
			prefix, value := s.prefix(), string(seal(make([]byte, 250)))
			put, err := client.Put(b.Context(), prefix+"namespace", value)
			require.NoError(b, err)
			revisions := make([]int64, goroutines)
			crowd(b, goroutines, func(i int) error {
				key := fmt.Sprintf("%snode/%d", prefix, i)
				made, err := client.Txn(b.Context()).If(
					clientv3.Compare(clientv3.ModRevision(prefix+"namespace"), "=", put.Header.GetRevision()),
					clientv3.Compare(clientv3.ModRevision(key), "=", revisions[i]),
				).Then(clientv3.OpPut(key, value)).Commit()
				if err == nil && !made.Succeeded {
					err = pool.ErrConflict
				}
				if err == nil {
					revisions[i] = made.Header.GetRevision()
				}
				return err
			})
		})
		b.Run(fmt.Sprintf("by=pool/goroutines=%d", goroutines), func(b *testing.B) {
			p := pool.New(s.open(b))
			defer p.Close()
			ns := wide(b, 10)
			require.NoError(b, p.CreateNamespace(b.Context(), ns))
			grants := make([]pool.Grant, goroutines)
			for i := range grants {
				var err error
				grants[i], err = p.Acquire(b.Context(), name, ns.Layout, pool.NewToken())
				require.NoError(b, err)
			}
			crowd(b, goroutines, func(i int) (err error) {
				g := grants[i]
				grants[i], err = p.Renew(b.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
				return err
			})
		})
	}
}

// BenchmarkAcquire acquires and gives back, 64 clients at once, of namespaces with
// few and many nodes, half full and nearly so.
func BenchmarkAcquire(b *testing.B) {
	s := build(b, 3)
	for _, c := range []struct{ bits, percent int }{{6, 50}, {16, 50}, {16, 99}} {
		b.Run(fmt.Sprintf("nodes=%d/full=%d", 1<<c.bits, c.percent), func(b *testing.B) {
			store := s.open(b)
			ns := wide(b, c.bits)
			p := pool.New(store)
			defer p.Close()
			require.NoError(b, p.CreateNamespace(b.Context(), ns))
			s.occupy(b, store, p, ns, c.percent)
			var requests atomic.Int64
			store.kv = counted{store.kv, &requests}
			crowd(b, 64, func(int) error {
				g, err := p.Acquire(b.Context(), name, ns.Layout, pool.NewToken())
				if err != nil {
					return err
				}
				return p.Release(b.Context(), pool.Release{Namespace: name, Node: g.Node, Token: g.Token, Last: g.From - 1})
			})
			b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/op")
		})
	}
}

// occupy takes a share of all nodes, evenly, with records like one that the pool has
// made, whose lease lasts for as long as a benchmark.
func (s *scenery) occupy(b *testing.B, store *Store, p *pool.Local, ns pool.Namespace, percent int) {
	b.Helper()
	g, err := p.Acquire(b.Context(), name, ns.Layout, pool.NewToken())
	require.NoError(b, err)
	nodes, err := store.Nodes(b.Context(), name, g.Node, g.Node)
	require.NoError(b, err)
	taken := longer(b, nodes[0].Value, g.Until, g.Until+int64(time.Hour/ns.Layout.Unit()))
	total := ns.Layout.MaxNode() + 1
	var puts []clientv3.Op
	for node := range total {
		if node != g.Node && node*37%100 < int64(percent) {
			puts = append(puts, clientv3.OpPut(store.keys.node(name, node), string(seal(taken))))
		}
		if len(puts) == 128 || node == total-1 && len(puts) > 0 {
			_, err := s.client.Txn(b.Context()).Then(puts...).Commit()
			require.NoError(b, err)
			puts = nil
		}
	}
}

// counted counts requests.
type counted struct {
	clientv3.KV
	n *atomic.Int64
}

// Get implements [clientv3.KV].
func (c counted) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	c.n.Add(1)
	return c.KV.Get(ctx, key, opts...)
}

// Txn implements [clientv3.KV].
func (c counted) Txn(ctx context.Context) clientv3.Txn {
	c.n.Add(1)
	return c.KV.Txn(ctx)
}

// longer puts another end of the lease into a node's record, as the pool writes it.
func longer(b *testing.B, record []byte, until, later int64) []byte {
	b.Helper()
	changed := strings.ReplaceAll(string(record), strconv.FormatInt(until, 10), strconv.FormatInt(later, 10))
	require.NotEqual(b, string(record), changed)
	return []byte(changed)
}
