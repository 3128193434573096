package redisstore

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// inParallel calls f n times by some goroutines, which it tells apart.
func inParallel(tb testing.TB, goroutines, n int, f func(who int) error) {
	tb.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for who := range goroutines {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(who); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// newBenched returns a pool with a namespace in which nothing ends while it is measured.
func newBenched(tb testing.TB, l layout.Layout) (*Store, *pool.Local) {
	tb.Helper()
	url := address(tb)
	s := open(tb, url, WithPrefix(newPrefix(tb, url)), WithFresh())
	p := pool.New(s, pool.WithLogger(slog.New(slog.DiscardHandler)))
	n := pool.NewNamespace(name, l)
	n.Terms.FirstWindow, n.Terms.Window, n.Terms.Horizon = time.Hour, time.Hour, 2*time.Hour
	require.NoError(tb, p.CreateNamespace(tb.Context(), n))
	return s, p
}

// occupy gives nodes that have no record the lease of one that has, until so many are
// taken.
func occupy(tb testing.TB, s *Store, l layout.Layout, taken int64) {
	tb.Helper()
	r, err := s.Namespace(tb.Context(), name)
	require.NoError(tb, err)
	records, err := s.Nodes(tb.Context(), name, 0, l.MaxNode())
	require.NoError(tb, err)
	free := rand.Perm(int(l.MaxNode() + 1))
	free = slices.DeleteFunc(free, func(node int) bool {
		return slices.ContainsFunc(records, func(r pool.NodeRecord) bool { return r.Node == int64(node) })
	})
	var next atomic.Int64
	inParallel(tb, 64, int(taken)-len(records), func(int) error {
		_, err := s.Write(tb.Context(), pool.Write{
			Namespace: name, NamespaceRevision: r.Revision,
			Node: int64(free[next.Add(1)-1]), Value: records[0].Value,
		})
		return err
	})
}

// onServer measures the CPU that the server spends until it is told that all is done.
// Where others use the machine, it tells more than the time that passes.
func onServer(b *testing.B, s *Store) (done func()) {
	b.Helper()
	spent := func() (sum float64) {
		info := s.client.InfoMap(b.Context(), "cpu").Val()["CPU"]
		for _, of := range []string{"used_cpu_user", "used_cpu_sys"} {
			seconds, err := strconv.ParseFloat(info[of], 64)
			require.NoError(b, err)
			sum += seconds
		}
		return sum
	}
	before := spent()
	return func() { b.ReportMetric((spent()-before)*1e9/float64(b.N), "server-ns/op") }
}

func layoutOf(tb testing.TB, nodeBits int) layout.Layout {
	tb.Helper()
	c := layout.DefaultConfig()
	c.NodeBits = nodeBits
	l, err := layout.New(c)
	require.NoError(tb, err)
	return l
}

// bare is what any conditional write of a record under two revisions needs.
const bare = `
local function revision(record) return record and string.match(record, '^%d+') or '0' end
if revision(redis.call('HGET', KEYS[1], ARGV[1])) ~= ARGV[2] then return 0 end
local have = revision(redis.call('HGET', KEYS[2], ARGV[3]))
if have ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], (have + 1) .. ' ' .. ARGV[5])
return have + 1
`

// BenchmarkRenew makes leases longer, each goroutine its own; via=bare is what go-redis
// does with a script that writes such a record under such conditions.
func BenchmarkRenew(b *testing.B) {
	l := layout.Default()
	for _, goroutines := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("via=pool/goroutines=%d", goroutines), func(b *testing.B) {
			s, p := newBenched(b, l)
			leases := make([]pool.Grant, goroutines)
			renew := func(who int) error {
				g := leases[who]
				g, err := p.Renew(b.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
				leases[who] = g
				return err
			}
			for who := range leases {
				var err error
				leases[who], err = p.Acquire(b.Context(), name, l, pool.NewToken())
				require.NoError(b, err)
				require.NoError(b, renew(who))
			}
			b.ReportAllocs()
			done := onServer(b, s)
			b.ResetTimer()
			inParallel(b, goroutines, b.N, renew)
			done()
		})
		b.Run(fmt.Sprintf("via=bare/goroutines=%d", goroutines), func(b *testing.B) {
			url := address(b)
			s := open(b, url, WithPrefix(newPrefix(b, url)), WithFresh())
			script := redis.NewScript(bare)
			c := s.client
			namespaces, nodes := s.keys.namespaces, s.keys.nodes+name
			require.NoError(b, c.HSet(b.Context(), namespaces, name, "1 {}").Err())
			value := make([]byte, 130) // as long as a lease's record
			revisions := make([]int, goroutines)
			b.ReportAllocs()
			done := onServer(b, s)
			b.ResetTimer()
			inParallel(b, goroutines, b.N, func(who int) error {
				n, err := script.Run(b.Context(), c, []string{namespaces, nodes}, name, "1", strconv.Itoa(who), strconv.Itoa(revisions[who]), value).Int()
				if err == nil && n != revisions[who]+1 {
					err = fmt.Errorf("revision %d after %d", n, revisions[who])
				}
				revisions[who] = n
				return err
			})
			done()
		})
	}
}

// BenchmarkAcquire gives back a lease and acquires one, by 64 clients of whom 32 are at
// it at once, for with 64 nodes half of which are taken there are no more to give back:
// acquire-ns is what the latter takes of it.
func BenchmarkAcquire(b *testing.B) {
	for _, c := range []struct{ bits, percent int }{{6, 50}, {16, 50}, {16, 99}} {
		l := layoutOf(b, c.bits)
		b.Run(fmt.Sprintf("nodes=%d/taken=%d", l.MaxNode()+1, c.percent), func(b *testing.B) {
			s, p := newBenched(b, l)
			busy := make(chan pool.Grant, 32)
			for range cap(busy) {
				g, err := p.Acquire(b.Context(), name, l, pool.NewToken())
				require.NoError(b, err)
				busy <- g
			}
			occupy(b, s, l, (l.MaxNode()+1)*int64(c.percent)/100)
			var spent atomic.Int64
			done := onServer(b, s)
			b.ResetTimer()
			inParallel(b, 64, b.N, func(int) error {
				g := <-busy
				defer func() { busy <- g }()
				if err := p.Release(b.Context(), pool.Release{Namespace: name, Node: g.Node, Token: g.Token, Last: g.From - 1}); err != nil {
					return err
				}
				began := time.Now()
				got, err := p.Acquire(b.Context(), name, l, pool.NewToken())
				spent.Add(int64(time.Since(began)))
				if err == nil {
					g = got
				}
				return err
			})
			done()
			b.ReportMetric(float64(spent.Load())/float64(b.N), "acquire-ns/op")
		})
	}
}
