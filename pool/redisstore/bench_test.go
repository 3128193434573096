package redisstore

import (
	"fmt"
	"log/slog"
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
func newBenched(tb testing.TB, l layout.Layout) *pool.Local {
	tb.Helper()
	url := address(tb)
	p := pool.New(open(tb, url, WithPrefix(newPrefix(tb, url)), WithFresh()), pool.WithLogger(slog.New(slog.DiscardHandler)))
	n := pool.NewNamespace(name, l)
	n.Terms.FirstWindow, n.Terms.Window, n.Terms.Horizon = time.Hour, time.Hour, 2*time.Hour
	require.NoError(tb, p.CreateNamespace(tb.Context(), n))
	return p
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
			p := newBenched(b, l)
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
			b.ResetTimer()
			inParallel(b, goroutines, b.N, renew)
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
			b.ResetTimer()
			inParallel(b, goroutines, b.N, func(who int) error {
				n, err := script.Run(b.Context(), c, []string{namespaces, nodes}, name, "1", strconv.Itoa(who), strconv.Itoa(revisions[who]), value).Int()
				if err == nil && n != revisions[who]+1 {
					err = fmt.Errorf("revision %d after %d", n, revisions[who])
				}
				revisions[who] = n
				return err
			})
		})
	}
}

// BenchmarkAcquire gives back a lease and acquires one, by 64 clients of whom 32 are at
// it at once, for with 64 nodes half of which are taken there are no more to give back:
// acquire-ns is what the latter takes of it.
func BenchmarkAcquire(b *testing.B) {
	for _, c := range []struct{ bits, percent int }{{6, 50}, {16, 50}, {16, 99}} {
		l := layoutOf(b, c.bits)
		var p *pool.Local
		var leases chan pool.Grant
		b.Run(fmt.Sprintf("nodes=%d/taken=%d", l.MaxNode()+1, c.percent), func(b *testing.B) {
			if b.N == 1 {
				return // filled for the first length that counts
			}
			p = newBenched(b, l)
			taken := int(l.MaxNode()+1) * c.percent / 100
			leases = make(chan pool.Grant, taken)
			inParallel(b, 64, taken, func(int) error {
				g, err := p.Acquire(b.Context(), name, l, pool.NewToken())
				leases <- g
				return err
			})
			busy := make(chan pool.Grant, 32)
			for range cap(busy) {
				busy <- <-leases
			}
			var spent atomic.Int64
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
			b.ReportMetric(float64(spent.Load())/float64(b.N), "acquire-ns/op")
		})
	}
}
