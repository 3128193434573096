package bench

import (
	"context"
	"fmt"
	"path/filepath"
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
	"github.com/easyflake/easyflake/pool/filestore"
)

// workplace is a pool with leases that live on while others come and go.
type workplace struct {
	layout layout.Layout
	ways   []pool.Pool // to the pool: one, or one a connection
	leases []*renewed
	echoes []call // of the same server, if there is one
}

// newWorkplace makes one on a new store, used directly or through a server. The live
// leases are made directly in either case.
func newWorkplace(tb testing.TB, store, via string, leases int) *workplace {
	tb.Helper()
	w := &workplace{layout: parseLayout(tb, manyNodes), leases: make([]*renewed, leases)}
	s := w.open(tb, store)
	var local *pool.Local
	if via == "direct" {
		local = pool.New(s, pool.WithLogger(discard()))
		tb.Cleanup(func() { require.NoError(tb, local.Close()) })
		w.ways = []pool.Pool{local}
	} else {
		server := serveGRPC(tb, s)
		local = server.local
		w.ways = server.clients(tb)
		w.echoes = echoes(tb, server)
	}
	if store != "file" {
		w.fill(tb, local, 3)
	}
	// A pool reads its namespace when it is first asked.
	for i, p := range w.ways {
		require.NoError(tb, w.leases[i%leases].renew(tb.Context(), p))
	}
	return w
}

// open returns a new store, which is empty but for the file store.
func (w *workplace) open(tb testing.TB, store string) pool.Store {
	tb.Helper()
	if store == "memory" {
		return pool.NewMemory(clock.System{}, true)
	}
	path := filepath.Join(tb.TempDir(), "store")
	bolt, err := boltstore.Open(path, boltstore.WithCreate())
	require.NoError(tb, err)
	if store == "bolt" {
		return bolt
	}
	// One file is as good for either, and bolt is quicker to fill it.
	p := pool.New(bolt, pool.WithLogger(discard()))
	w.fill(tb, p, 0) // what bolt has not written of renewals, another store does not know
	require.NoError(tb, p.Close())
	s, err := filestore.Open(path)
	require.NoError(tb, err)
	return s
}

// fill makes the leases that live on, and renews them some times: the first renewals
// are written.
func (w *workplace) fill(tb testing.TB, p *pool.Local, renewals int) {
	tb.Helper()
	createNamespace(tb, p, w.layout)
	w.fillNamespace(tb, p, renewals)
}

func (w *workplace) fillNamespace(tb testing.TB, p *pool.Local, renewals int) {
	tb.Helper()
	const together = 2048 // so many share a write
	inParallelFrom(tb, together, len(w.leases), func(i int64) error {
		g, err := p.Acquire(tb.Context(), poolNamespace, w.layout, pool.NewToken())
		w.leases[i-1] = &renewed{g}
		for range renewals {
			if err == nil {
				err = w.leases[i-1].renew(tb.Context(), p)
			}
		}
		return err
	})
}

// cycle leases a node and gives it back, and returns what each of the two took.
func (w *workplace) cycle(ctx context.Context, p pool.Pool) (acquire, release time.Duration, err error) {
	began := time.Now()
	g, err := p.Acquire(ctx, poolNamespace, w.layout, pool.NewToken())
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // as it is
	}
	held := time.Now()
	err = p.Release(ctx, giveBack(g))
	return held.Sub(began), time.Since(held), err //nolint:wrapcheck // as it is
}

// BenchmarkPool makes one request after the other, while so many leases live.
// op=renew goes through the leases in turn, and op=lease leases one more node and
// gives it back: acquire-ns/op and release-ns/op are its two halves. A lease renewed
// before a third of its window is over is not written, but by the file store; op=spaced
// renews each after a third, as clients do, and about one in two of those is written,
// ahead of its being needed: renew-ns/op is what each took. op=echo is a request of a
// renewal's size, over as many connections of its own, that nothing is done with.
func BenchmarkPool(b *testing.B) {
	for _, place := range workplaces() {
		for _, leases := range []int{1, 10, 1000, 65_536} {
			b.Run(fmt.Sprintf("%v/leases=%d", place, leases), func(b *testing.B) {
				w := newWorkplace(b, place.store, place.via, leases)
				b.Run("op=renew", w.renewOne)
				b.Run("op=lease", w.leaseOne)
				if w.echoes != nil {
					b.Run("op=echo", w.echoOne)
				}
				if place.store != "file" { // which writes each renewal, whenever it comes
					b.Run("op=spaced", newSpaced(b, place.store, place.via, leases).renewOne)
				}
			})
		}
	}
}

// place is a store, and how it is come to.
type place struct{ store, via string }

// String returns it as a part of a benchmark's name.
func (p place) String() string { return "store=" + p.store + "/via=" + p.via }

func workplaces() []place {
	return []place{
		{"memory", "direct"}, {"bolt", "direct"}, {"file", "direct"}, // which is every process' own
		{"memory", "grpc"}, {"bolt", "grpc"},
	}
}

// spaced are leases with the terms that a new namespace has, renewed as clients renew
// them, each after a third of its window, by a clock that goes as fast as that takes.
type spaced struct {
	*workplace

	clock *clocktest.Clock
	next  int // the lease whose turn it is
}

func newSpaced(tb testing.TB, store, via string, leases int) *spaced {
	tb.Helper()
	c := clocktest.New(time.Now())
	begun := c.Now()
	s := &spaced{workplace: &workplace{layout: parseLayout(tb, manyNodes), leases: make([]*renewed, leases)}, clock: c}
	kept := grpcStores()[store](tb, c)
	elapsed := pool.WithElapsed(func() time.Duration { return time.Duration(c.Now() - begun) })
	var local *pool.Local
	if via == "direct" {
		local = pool.New(kept, pool.WithLogger(discard()), elapsed)
		tb.Cleanup(func() { require.NoError(tb, local.Close()) })
		s.ways = []pool.Pool{local}
	} else {
		server := serveGRPC(tb, kept, elapsed)
		local = server.local
		s.ways = server.clients(tb)
	}
	require.NoError(tb, local.CreateNamespace(tb.Context(), pool.NewNamespace(poolNamespace, s.layout)))
	s.fillNamespace(tb, local, 0)
	// The windows grow at first, each time written, and in time spread over a third.
	const together = 2048
	for range 5 {
		for from := 0; from < leases; from += together {
			part := s.leases[from:min(from+together, leases)]
			s.advance(len(part))
			inParallelFrom(tb, len(part), len(part), func(i int64) error { return part[i-1].renew(tb.Context(), local) })
		}
	}
	for i, p := range s.ways {
		require.NoError(tb, s.leases[i%leases].renew(tb.Context(), p))
	}
	return s
}

// advance lets the time pass in which so many leases are renewed, in steps that are
// no jump.
func (s *spaced) advance(renewals int) {
	third := pool.NewNamespace(poolNamespace, s.layout).Terms.Window / 3
	const step = 200 * time.Millisecond
	for left := third * time.Duration(renewals) / time.Duration(len(s.leases)); left > 0; left -= step {
		s.clock.Advance(min(left, step))
	}
}

// renewOne reports the time of the renewals alone, without what the clock takes.
func (s *spaced) renewOne(b *testing.B) {
	b.ReportAllocs()
	var spent time.Duration
	for b.Loop() {
		s.advance(1)
		lease, p := s.leases[s.next%len(s.leases)], s.ways[s.next%len(s.ways)]
		s.next++
		began := time.Now()
		if err := lease.renew(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		spent += time.Since(began)
	}
	b.ReportMetric(float64(spent)/float64(b.N), "renew-ns/op")
}

func (w *workplace) renewOne(b *testing.B) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := w.leases[i%len(w.leases)].renew(b.Context(), w.ways[i%len(w.ways)]); err != nil {
			b.Fatal(err)
		}
	}
}

func (w *workplace) leaseOne(b *testing.B) {
	b.ReportAllocs()
	var acquire, release time.Duration
	for i := 0; b.Loop(); i++ {
		a, r, err := w.cycle(b.Context(), w.ways[i%len(w.ways)])
		if err != nil {
			b.Fatal(err)
		}
		acquire, release = acquire+a, release+r
	}
	b.ReportMetric(float64(acquire)/float64(b.N), "acquire-ns/op")
	b.ReportMetric(float64(release)/float64(b.N), "release-ns/op")
}

func (w *workplace) echoOne(b *testing.B) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := w.echoes[i%len(w.echoes)](b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPoolCrowd makes requests from more and more goroutines, each with a lease
// of its own that lives on: an op is some requests of each. calls/s is what all of them
// get together.
func BenchmarkPoolCrowd(b *testing.B) {
	const most = 1024
	for _, place := range workplaces() {
		b.Run(place.String(), func(b *testing.B) {
			w := newWorkplace(b, place.store, place.via, most)
			upTo := most
			if place.store == "file" {
				upTo = 64 // for they come one at a time, whatever happens
			}
			for goroutines := 1; goroutines <= upTo; goroutines *= 4 {
				b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) { w.crowd(b, goroutines) })
			}
		})
	}
}

func (w *workplace) crowd(b *testing.B, goroutines int) {
	b.Helper()
	const each = 4 // so that few calls come while there are not yet, or no longer, all
	run := func(op string, do func(ctx context.Context, i int) error) {
		b.Run("op="+op, func(b *testing.B) {
			calls := int64(b.N * goroutines * each)
			b.ReportAllocs()
			var next atomic.Int64
			var all sync.WaitGroup
			for i := range goroutines {
				all.Go(func() {
					for next.Add(1) <= calls {
						if err := do(b.Context(), i); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
	run("renew", func(ctx context.Context, i int) error { return w.leases[i].renew(ctx, w.ways[i%len(w.ways)]) })
	run("lease", func(ctx context.Context, i int) error {
		_, _, err := w.cycle(ctx, w.ways[i%len(w.ways)])
		return err
	})
	if w.echoes != nil {
		run("echo", func(ctx context.Context, i int) error { return w.echoes[i%len(w.echoes)](ctx) })
	}
}
