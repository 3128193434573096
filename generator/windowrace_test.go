package generator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// These tests attack the guarantee from outside: goroutines stamp as fast as they
// can while windows come and go under them. The layouts are tiny, and there are
// more Ps than CPUs, so that the operating system interrupts a stamp anywhere.

// crowd gives the test more Ps than there are CPUs.
func crowd(t *testing.T) {
	t.Helper()
	before := runtime.GOMAXPROCS(8)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// changes returns how many changes of window a test makes.
func changes(n int) int {
	if raceEnabled || testing.Short() {
		return n / 8
	}
	return n
}

// stampers make IDs from several goroutines until they are told to stop.
type stampers struct {
	wg     sync.WaitGroup
	stop   atomic.Bool
	calls  atomic.Int64
	mu     sync.Mutex
	all    []layout.ID
	broken []string
}

// stamp starts a goroutine that makes IDs with g. during says in which phase a
// call begins and ends; odd phases are those in which there is no window.
func (s *stampers) stamp(g full, seed uint64, phase *atomic.Int64) {
	s.wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 5))
		var ids []layout.ID
		dst := make([]layout.ID, 9)
		for !s.stop.Load() {
			var n int
			var err error
			before := phase.Load()
			if r.IntN(8) == 0 {
				n, err = g.Fill(dst[:1+r.IntN(len(dst))])
			} else if dst[0], err = g.Next(); err == nil {
				n = 1
			}
			after := phase.Load()
			s.calls.Add(1)
			ids = append(ids, dst[:n]...)
			var behind *ClockBackwardError
			switch {
			case n > 0 && before == after && before%2 == 1:
				s.complain("%v was made in a call that began and ended while there was no window", dst[0])
			case err != nil && !errors.Is(err, ErrNoLease) && !errors.As(err, &behind):
				s.complain("%v", err)
			case err != nil:
				runtime.Gosched()
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, ids...)
	})
}

func (s *stampers) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.broken) < 10 {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

// some waits until the stampers have come back a few times, or wait for the clock.
func (s *stampers) some(c *clocktest.Clock, n int64) {
	for since := s.calls.Load(); s.calls.Load()-since < n && c.Sleepers() == 0; {
		runtime.Gosched()
	}
}

// finish stops all, and returns their IDs, each of which must be the only one.
func (s *stampers) finish(t *testing.T, l layout.Layout) []layout.ID {
	t.Helper()
	s.stop.Store(true)
	s.wg.Wait()
	require.Empty(t, s.broken)
	slices.Sort(s.all)
	for i, id := range s.all {
		if i > 0 && id == s.all[i-1] {
			p, err := l.Decompose(id)
			require.NoError(t, err)
			t.Fatalf("%+v was made twice", p)
		}
	}
	require.NotEmpty(t, s.all)
	return s.all
}

// Windows of ever new nodes replace each other, are sealed, and renewed, while
// eight goroutines stamp. The node tells under which window an ID was stamped.
func TestRaceOfStampsAndChangingNodes(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, sequenceBits := range []int{0, 1, 3, 10} {
			t.Run(fmt.Sprintf("%d sequence bits", sequenceBits), func(t *testing.T) {
				crowd(t)
				seed := uint64(31 + sequenceBits)
				r := rand.New(rand.NewPCG(seed, 0))
				l := small(t, 63-17-sequenceBits, 17, sequenceBits)
				c := clockAt(1000)
				src := newLease()
				g := open(t, l, src, WithClock(c), WithBackwardLimit(time.Hour))

				// What each node was allowed, and the last tick reported for it.
				type tenure struct{ from, until, last int64 }
				tenures := []tenure{{}}
				var phase atomic.Int64
				phase.Store(1)
				var s stampers
				for i := range uint64(8) {
					s.stamp(g, seed+i, &phase)
				}
				inForce := false
				for range changes(40_000) {
					now := c.Time().UnixMilli()
					node := int64(len(tenures))
					latest := &tenures[node-1]
					switch n := r.IntN(10); {
					case n < 3 && inForce: // longer
						latest.until += r.Int64N(4)
						latest.last = latest.until - 1 // as far as is known
						require.NoError(t, src.grant(layout.Window{Node: node - 1, From: latest.from, Until: latest.until}))
					case n < 6 && inForce: // given back
						latest.last = src.seal()
						phase.Add(1)
						inForce = false
						require.GreaterOrEqual(t, latest.last, latest.from-1)
						require.Less(t, latest.last, latest.until)
						if r.IntN(2) == 0 { // nothing is left to wait for
							id, err := g.Next()
							require.ErrorIs(t, err, ErrNoLease, "%d", id)
							n, err := g.Fill(make([]layout.ID, 2))
							require.ErrorIs(t, err, ErrNoLease, "%d", n)
						}
					default: // another node, with or without a seal before
						if !inForce {
							phase.Add(1)
						}
						inForce = true
						from := max(1, now+r.Int64N(8)-5)
						w := layout.Window{Node: node, From: from, Until: max(from, now) + 1 + r.Int64N(20)}
						tenures = append(tenures, tenure{w.From, w.Until, w.Until - 1})
						require.NoError(t, src.grant(w))
					}
					s.some(c, r.Int64N(20))
					c.Advance(time.Duration(r.Int64N(int64(time.Millisecond))))
				}
				if inForce {
					tenures[len(tenures)-1].last = src.seal()
				}
				s.stop.Store(true)
				c.Run(time.Millisecond)
				for _, id := range s.finish(t, l) {
					p, err := l.Decompose(id)
					require.NoError(t, err)
					w := tenures[p.Node]
					if p.Tick < w.from || p.Tick >= w.until || p.Tick > w.last {
						t.Fatalf("seed %d: %+v was made under the window [%d, %d), sealed at %d", seed, p, w.from, w.until, w.last)
					}
				}
				assert.Equal(t, uint64(len(s.all)), g.Stats().Issued)
			})
		}
	})
}

// recorder notes the word at which the windows were ended. It moves the clock on
// while the word is marked, so that whoever comes too late has a tick to stamp
// that nobody has had yet.
type recorder struct {
	strategy
	clock *clocktest.Clock
	ended uint64
}

func (r *recorder) seal() uint64 {
	r.ended = r.strategy.seal()
	r.clock.Advance(2 * time.Millisecond)
	return r.ended
}

// A stamp that takes its word from after a change, and its window from before, is
// a node's number that another process may give out too. All windows here are
// open to the end, so that nothing but the change itself ends them; a new node
// every tick and nothing else to do makes it likely to meet a stamp.
func TestRaceOfATornStamp(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, way := range []string{"Next", "Next", "Next", "Fill"} {
			t.Run(way, func(t *testing.T) {
				crowd(t)
				l := small(t, 20, 17, 26) // nobody uses a tick up
				c := clockAt(1000)
				src := newLease(layout.Window{Node: 0, From: 1, Until: 1 << 20})
				g := open(t, l, src, WithClock(c), WithBackwardLimit(time.Hour))
				word := &recorder{strategy: g.base().strategy, clock: c}
				g.base().strategy = word
				c.Advance(time.Millisecond)

				var s stampers
				for range 4 {
					s.wg.Go(func() {
						var ids []layout.ID
						dst := make([]layout.ID, 3)
						for !s.stop.Load() {
							if way == "Fill" {
								n, _ := g.Fill(dst)
								ids = append(ids, dst[:n]...)
							} else if id, err := g.Next(); err == nil {
								ids = append(ids, id)
							}
							if len(ids) == cap(ids) { // keep what tells most: the last of each node
								ids = lastOfEachNode(l, ids)
							}
						}
						s.mu.Lock()
						defer s.mu.Unlock()
						s.all = append(s.all, ids...)
					})
				}
				lasts := []int64{}
				for node := range int64(changes(100_000)) {
					if node%2 == 0 {
						src.seal()
					}
					require.NoError(t, src.grant(layout.Window{Node: node + 1, From: 1, Until: 1 << 20}))
					lasts = append(lasts, int64(word.ended>>26))
					if node%16 == 0 {
						runtime.Gosched()
					}
				}
				s.stop.Store(true)
				c.Run(time.Millisecond)
				s.wg.Wait()
				var met int
				for _, id := range s.all {
					p, err := l.Decompose(id)
					require.NoError(t, err)
					if p.Node >= int64(len(lasts)) {
						continue
					}
					if last := lasts[p.Node]; p.Tick > last {
						t.Fatalf("%+v was made under a window that ended with tick %d", p, last)
					} else if p.Tick == last {
						met++
					}
				}
				t.Logf("%d of %d windows were in use when they ended", met, len(lasts))
			})
		}
	})
}

// lastOfEachNode keeps the last ID of each run of IDs of one node, in a slice with
// room for more.
func lastOfEachNode(l layout.Layout, ids []layout.ID) []layout.ID {
	kept := ids[:0]
	for i, id := range ids {
		node := int64(id) >> l.NodeShift() & l.MaxNode()
		if i+1 == len(ids) || node != int64(ids[i+1])>>l.NodeShift()&l.MaxNode() {
			kept = append(kept, id)
		}
	}
	return append(make([]layout.ID, 0, 2*len(kept)+1024), kept...)
}

// Two generators, as two processes would, have one node in turn: each window
// begins right after what the one before reported as its last tick. This is what
// a pool relies on when it gives a node that was released to the next.
func TestRaceOfTwoHoldersOfANode(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for _, sequenceBits := range []int{0, 2, 10} {
			for _, policy := range []Overflow{Wait(), Borrow(3 * time.Millisecond)} {
				t.Run(fmt.Sprintf("%d sequence bits, %+v", sequenceBits, policy), func(t *testing.T) {
					crowd(t)
					seed := uint64(41 + sequenceBits)
					r := rand.New(rand.NewPCG(seed, 0))
					l := small(t, 40, 1, sequenceBits)
					c := clockAt(1000)
					var src [2]*lease
					var phase [2]atomic.Int64
					var s stampers
					for i := range src {
						src[i] = newLease()
						g := open(t, l, src[i], WithClock(c), WithOverflow(policy), WithBackwardLimit(time.Hour))
						phase[i].Store(1)
						for k := range uint64(4) {
							s.stamp(g, seed+10*uint64(i)+k, &phase[i])
						}
					}
					next := int64(1000) // the first tick that nobody has
					for i := range changes(3_000) {
						turn := i % 2
						until := max(next, c.Time().UnixMilli()) + 1 + r.Int64N(10)
						phase[turn].Add(1)
						require.NoError(t, src[turn].grant(layout.Window{Node: 1, From: next, Until: until}))
						s.some(c, r.Int64N(30))
						c.Advance(time.Duration(r.Int64N(int64(2 * time.Millisecond))))
						s.some(c, r.Int64N(30))
						if r.IntN(3) == 0 {
							until += r.Int64N(5)
							require.NoError(t, src[turn].grant(layout.Window{Node: 1, From: next, Until: until}))
							s.some(c, r.Int64N(10))
						}
						if r.IntN(5) == 0 {
							c.StepBack(time.Duration(r.Int64N(int64(2 * time.Millisecond))))
						}
						last := src[turn].seal()
						phase[turn].Add(1)
						require.GreaterOrEqual(t, last, next-1)
						require.Less(t, last, until)
						next = last + 1
					}
					s.stop.Store(true)
					c.Run(time.Millisecond)
					t.Logf("seed %d: %d IDs", seed, len(s.finish(t, l)))
				})
			}
		}
	})
}

// Generators on one static source follow each other while calls of the earlier
// one are still under way.
func TestRaceOfSuccessorsOnAStaticSource(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		crowd(t)
		l := small(t, 40, 1, 2)
		c := clockAt(1000)
		c.Run(50 * time.Microsecond)
		src := Static(1)
		var s stampers
		var mu sync.Mutex
		add := func(ids []layout.ID) {
			mu.Lock()
			defer mu.Unlock()
			s.all = append(s.all, ids...)
		}
		for i := range changes(800) {
			g := open(t, l, src, WithClock(c), WithOverflow(Borrow(2*time.Millisecond)), WithBackwardLimit(time.Hour))
			for range 3 {
				s.wg.Go(func() {
					var ids []layout.ID
					for {
						id, err := g.Next()
						if !assert.True(t, err == nil || errors.Is(err, ErrClosed), "%v", err) || err != nil {
							break
						}
						s.calls.Add(1)
						ids = append(ids, id)
					}
					add(ids)
				})
			}
			s.some(c, int64(i%40))
			if i%3 == 0 {
				c.StepBack(2 * time.Millisecond)
			}
			require.NoError(t, g.Close())
		}
		s.finish(t, l)
	})
}

// Close comes at any moment: what it reports bounds what was stamped.
func TestRaceOfStampsAndClose(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		crowd(t)
		l := small(t, 40, 8, 3)
		for i := range changes(800) {
			c := clocktest.New(time.UnixMilli(1000))
			c.Run(100 * time.Microsecond)
			src := newLease(layout.Window{Node: 3, From: 1, Until: 1 << 40})
			g := open(t, l, src, WithClock(c), WithBackwardLimit(time.Hour))
			var s stampers
			var highest atomic.Int64
			for range 4 {
				s.wg.Go(func() {
					for {
						id, err := g.Next()
						if err != nil {
							assert.ErrorIs(t, err, ErrClosed)
							return
						}
						s.calls.Add(1)
						tick := int64(id) >> l.TimeShift()
						for was := highest.Load(); was < tick && !highest.CompareAndSwap(was, tick); was = highest.Load() {
						}
					}
				})
			}
			s.some(c, int64(i%100))
			require.NoError(t, g.Close())
			s.wg.Wait()
			require.Len(t, src.detached, 1)
			require.LessOrEqual(t, highest.Load(), src.detached[0])
			require.Equal(t, src.detached[0], g.LastTick())
		}
	})
}
