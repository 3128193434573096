package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/generator" //nolint:depguard // the test is that a lease is its source
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

var _ generator.Source = (*pool.Lease)(nil)

// strategy is what the strategies have in common.
type strategy interface {
	generator.Generator
	NextContext(ctx context.Context) (layout.ID, error)
	Fill(dst []layout.ID) (int, error)
	LastTick() int64
	Close() error
}

type opener struct {
	name string
	open func(layout.Layout, generator.Source, ...generator.Option) (strategy, error)
}

func strategies() []opener {
	return []opener{
		{"Mutex", func(l layout.Layout, src generator.Source, opts ...generator.Option) (strategy, error) {
			return generator.NewMutex(l, src, opts...)
		}},
		{"Atomic", func(l layout.Layout, src generator.Source, opts ...generator.Option) (strategy, error) {
			return generator.NewAtomic(l, src, opts...)
		}},
		{"Sharded", func(l layout.Layout, src generator.Source, opts ...generator.Option) (strategy, error) {
			return generator.NewSharded(l, src, opts...)
		}},
	}
}

// generate makes a generator on a lease, with a clock that moves only with the
// site's: generators do not wait, but fail.
func (o opener) generate(s *site, lease *pool.Lease) strategy {
	s.Helper()
	g, err := o.open(s.l, lease, generator.WithClock(s.clock), generator.WithOverflow(generator.Fail()))
	require.NoError(s, err)
	s.Cleanup(func() { g.Close() })
	return g
}

func mustNext(t *testing.T, g strategy) layout.ID {
	t.Helper()
	id, err := g.Next()
	require.NoError(t, err)
	return id
}

func TestGeneratorsShareALease(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 1)
			lease := s.acquire()
			all := newIDs(s)
			a := o.generate(s, lease)
			all.add(mustNext(t, a))

			_, err := o.open(s.l, lease, generator.WithClock(s.clock))
			require.ErrorIs(t, err, generator.ErrSourceInUse)

			var mismatch *generator.LayoutMismatchError
			_, err = o.open(layout.Default(), lease)
			require.ErrorAs(t, err, &mismatch)

			// The later one starts after the earlier one's last tick.
			require.NoError(t, a.Close())
			last := a.LastTick()
			b := o.generate(s, lease)
			s.clock.Advance(time.Millisecond)
			id := mustNext(t, b)
			assert.Equal(t, last+1, all.parts(id).Tick)
			all.add(id)

			// The generator ends before its lease.
			require.NoError(t, b.Close())
			require.NoError(t, lease.Close())
			assert.Equal(t, b.LastTick(), s.wire.allReleases()[0].Last)
			assert.Equal(t, b.LastTick()+1, s.info(0).Until)
			all.within()
		})
	}
}

func TestLeaseEndsBeforeItsGenerator(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 1)
			lease := s.acquire()
			g := o.generate(s, lease)
			mustNext(t, g)

			require.NoError(t, lease.Close())
			_, err := g.Next()
			require.ErrorIs(t, err, generator.ErrNoLease)
			require.ErrorIs(t, err, pool.ErrClosed)
			_, err = g.NextContext(t.Context())
			require.ErrorIs(t, err, pool.ErrClosed, "nothing will ever come of waiting")
			require.NoError(t, g.Close())

			_, err = o.open(s.l, lease)
			require.ErrorIs(t, err, pool.ErrClosed)
		})
	}
}

func TestLeaseIsGivenBackWithNothingStamped(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 1)
			lease := s.acquire()
			g := o.generate(s, lease)
			require.NoError(t, g.Close())
			require.NoError(t, lease.Close())
			assert.Equal(t, int64(0), s.info(0).Until)
			lease = s.acquire()
			assert.Equal(t, s.tick()-1000, lease.Window().From, "as if it had never been leased")
		})
	}
}

// A lease is closed while shards still have numbers in stock. None of them is
// stamped any more, and whoever has the node next makes other IDs.
func TestLeaseClosesInTheMiddleOfBlocks(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 1)
			all := newIDs(s)
			for range 20 {
				lease := s.acquire()
				g := o.generate(s, lease)
				for range 100 {
					all.add(mustNext(t, g))
				}
				require.NoError(t, lease.Close())
				_, err := g.Next()
				require.ErrorIs(t, err, generator.ErrNoLease)
				n, err := g.Fill(make([]layout.ID, 10))
				require.ErrorIs(t, err, generator.ErrNoLease)
				require.Zero(t, n)
				assert.Equal(t, s.tick()+1, s.info(0).Until, "free after the tick begun")
				s.clock.Advance(time.Millisecond)
			}
			assert.Len(t, all.seen, 2000)
			all.within()
		})
	}
}

// The node changes in the middle of a tick: what was reserved of it under the old
// node is thrown away, and generation goes on with the next tick.
func TestNodeChangesInTheMiddleOfATick(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 2)
			lease := s.acquire()
			g := o.generate(s, lease)
			all := newIDs(s)
			old := lease.Node()
			require.NoError(t, s.pool.Revoke(t.Context(), "orders", old))
			hook, come, release := held("renew")
			s.wire.fail(nil, hook)
			s.clock.Advance(4 * time.Second)
			<-come // refused, but the holder does not know yet
			for range 50 {
				id := mustNext(t, g)
				assert.Equal(t, old, all.parts(id).Node)
				all.add(id)
			}
			tick := g.LastTick()
			release()
			s.settle()
			assert.Equal(t, 1-old, lease.Node())

			_, err := g.Next()
			require.ErrorIs(t, err, generator.ErrExhausted, "the tick is over for this generator")
			s.clock.Advance(time.Millisecond)
			p := all.parts(mustNext(t, g))
			assert.Equal(t, tick+1, p.Tick)
			assert.Equal(t, 1-old, p.Node)
			all.within()
		})
	}
}

// While a lost lease is being replaced there is ErrNoLease, and NextContext waits
// for its end.
func TestNoLeaseHeals(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 2)
			lease := s.acquire()
			g := o.generate(s, lease)
			mustNext(t, g)
			old := lease.Node()
			require.NoError(t, s.pool.Revoke(t.Context(), "orders", old))
			hook, come, release := held("acquire")
			s.wire.fail(hook, nil)
			s.clock.Advance(4 * time.Second)
			<-come
			_, err := g.Next()
			require.ErrorIs(t, err, generator.ErrNoLease)
			require.NotErrorIs(t, err, pool.ErrClosed)
			require.NoError(t, lease.Err(), "a loss being healed is no end")
			assert.True(t, lease.Window().IsEmpty())

			got := make(chan layout.ID)
			go func() {
				defer close(got)
				id, err := g.NextContext(t.Context())
				assert.NoError(t, err)
				got <- id
			}()
			release()
			p, err := s.l.Decompose(<-got)
			require.NoError(t, err)
			assert.Equal(t, 1-old, p.Node)
			assert.True(t, s.wire.covers(p.Node, p.Tick))
		})
	}
}

// Past the window's end generation stops, and a late renewal takes it up again
// with the same node.
func TestGeneratorStopsAtTheWindowsEnd(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 1)
			lease := s.acquire()
			g := o.generate(s, lease)
			s.wire.fail(failing("renew", errWire), nil)
			s.pass(4 * time.Second)
			mustNext(t, g)
			s.clock.Advance(5999 * time.Millisecond)
			mustNext(t, g)
			s.clock.Advance(time.Millisecond)
			_, err := g.Next()
			require.ErrorIs(t, err, generator.ErrNoLease)
			require.ErrorContains(t, err, "not renewed in time")
			s.wire.fail(nil, nil)
			for s.wire.lastRenewals(1)[0].Revision == 0 && lease.Window().Until <= s.tick() {
				s.pass(6 * time.Second)
			}
			mustNext(t, g)
		})
	}
}

// A layout whose ticks are a second long: rounding must leave windows that can be
// used at once, renewed in time, and given back.
func TestLeaseOfSeconds(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Second, 2)
			s.clock.Advance(300 * time.Millisecond)
			lease := s.acquire()
			assert.Equal(t, layout.Window{Node: lease.Node(), From: s.tick(), Until: s.tick() + 10}, lease.Window())
			g := o.generate(s, lease)
			all := newIDs(s)
			for range 40 {
				all.add(mustNext(t, g))
				s.pass(1100 * time.Millisecond)
			}
			require.NoError(t, s.pool.Revoke(t.Context(), "orders", lease.Node()))
			for old := lease.Node(); lease.Node() == old; s.pass(time.Second) {
				all.add(mustNext(t, g))
			}
			for range 20 {
				all.add(mustNext(t, g))
				s.pass(1100 * time.Millisecond)
			}
			require.NoError(t, lease.Close())
			assert.Equal(t, g.LastTick()+1, s.info(lease.Node()).Until)
			all.within()
		})
	}
}

// TestLeaseUnderStress lets eight goroutines generate while the lease is renewed
// without a pause, revoked, taken over by others, and fails to reach the pool; and
// while generators are closed and made anew. It deadlocks if any two locks are
// taken in two orders, and finds every ID that is made twice or without a window.
func TestLeaseUnderStress(t *testing.T) {
	for _, o := range strategies() {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, time.Millisecond, 4)
			lease := s.acquire()
			var calls atomic.Uint64
			s.wire.fail(nil, func(_ context.Context, call string) error {
				if call != "release" && calls.Add(1)%7 == 0 {
					return errWire
				}
				return nil
			})
			// From here on each reading of the clock moves it, and nobody waits.
			s.clock.Run(50 * time.Microsecond)

			all := newIDs(s)
			var made atomic.Int64
			// use makes some IDs.
			use := func(g strategy, buf []layout.ID) {
				n := 0
				id, err := g.Next()
				if err == nil {
					buf[0] = id
					n, err = g.Fill(buf[1:])
					n++
				}
				switch {
				case err == nil, errors.Is(err, generator.ErrNoLease), errors.Is(err, generator.ErrClosed), errors.Is(err, generator.ErrExhausted), errors.As(err, new(*generator.ClockBackwardError)):
				default:
					t.Error(err)
				}
				all.add(buf[:n]...)
				made.Add(int64(n))
			}

			current := make(chan strategy, 1) // the one in use, to be looked at
			open := func() strategy {
				g, err := o.open(s.l, lease, generator.WithClock(s.clock), generator.WithOverflow(generator.Fail()))
				assert.NoError(t, err)
				current <- g
				return g
			}
			g := open()
			var stop atomic.Bool
			var work sync.WaitGroup
			for range 8 {
				work.Go(func() {
					buf := make([]layout.ID, 8)
					for !stop.Load() {
						g := <-current
						current <- g
						use(g, buf)
					}
				})
			}

			var others []layout.Window
			for round := range 30 {
				grants := s.wire.grants()
				switch round % 3 {
				case 0:
					// The lease is lost with its next renewal. Somebody else takes a
					// node, maybe that one, and keeps it until its window is over.
					if s.pool.Revoke(t.Context(), "orders", lease.Node()) == nil {
						grants++
					}
					if g, err := s.pool.Acquire(t.Context(), "orders", s.l, pool.NewToken()); err == nil {
						others = append(others, layout.Window{Node: g.Node, From: g.From, Until: g.Until})
					}
				case 1:
					<-current
					require.NoError(t, g.Close())
					g = open()
				}
				for want := made.Load() + 100; made.Load() < want || s.wire.grants() < grants; {
					require.NoError(t, lease.Err())
					_ = lease.Window()
					use(g, make([]layout.ID, 8))
				}
			}
			require.NoError(t, lease.Close())
			stop.Store(true)
			work.Wait()
			require.NoError(t, g.Close())

			all.within()
			for id := range all.seen {
				p := all.parts(id)
				for _, w := range others {
					if w.Node == p.Node && w.Contains(p.Tick) {
						t.Fatalf("%+v is somebody else's", p)
					}
				}
			}
		})
	}
}
