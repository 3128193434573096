package generator

import (
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

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// noDuplicates sorts IDs, and checks that there are no two equal ones.
func noDuplicates(t *testing.T, l layout.Layout, ids []layout.ID) {
	t.Helper()
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			p, err := l.Decompose(ids[i])
			require.NoError(t, err)
			t.Fatalf("%+v was made twice", p)
		}
	}
}

// While Sharded runs, Ps come and go: those that come have no shard yet, and what
// a shard of one that is gone holds may come to light much later.
func TestGOMAXPROCSChanges(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, sequenceBits := range []int{2, 8, 20} {
		t.Run(fmt.Sprintf("%d sequence bits", sequenceBits), func(t *testing.T) {
			runtime.GOMAXPROCS(1) // so that there is something to add
			l := small(t, 63-8-sequenceBits, 8, sequenceBits)
			c := clockAt(1000)
			// Others move the clock while a goroutine is stopped with its reading.
			g, err := NewSharded(l, Static(1), WithClock(c), WithBackwardLimit(time.Hour))
			require.NoError(t, err)
			defer g.Close()
			c.Run(20 * time.Nanosecond)
			var wg sync.WaitGroup
			var made atomic.Int64
			all := make([][]layout.ID, 12)
			n := changes(100_000)
			for i := range all {
				wg.Go(func() {
					ids := make([]layout.ID, 0, n)
					for len(ids) < n {
						id, err := g.Next()
						if err != nil {
							t.Error(err)
							return
						}
						ids = append(ids, id)
						if len(ids)%64 == 0 {
							made.Add(64)
							runtime.Gosched()
						}
					}
					all[i] = ids
				})
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				wg.Wait()
			}()
			seed := uint64(61)
			r := rand.New(rand.NewPCG(seed, 62))
			for running := true; running; {
				runtime.GOMAXPROCS(1 + r.IntN(12))
				// No faster than IDs are made: changing stops the world.
				for since := made.Load(); running && made.Load()-since < 1000; {
					select {
					case <-done:
						running = false
					default:
						runtime.Gosched()
					}
				}
			}
			ids := slices.Concat(all...)
			noDuplicates(t, l, ids)
			if !raceEnabled { // which shares the shards that there are
				assert.Greater(t, len(g.shards.Load().of), 1, "no P that came later got a shard")
			}
			assert.Equal(t, uint64(len(ids)), g.Stats().Issued, "seed %d", seed)
		})
	}
}

// The clocks of the real world, no fake: Sharded takes a shortcut on a TSC.
func TestRealClocks(t *testing.T) {
	coarse, err := clock.NewCoarse(clock.System{}, time.Millisecond)
	require.NoError(t, err)
	defer coarse.Close()
	clocks := map[string]clock.Clock{"System": clock.System{}, "Monotonic": clock.NewMonotonic(), "Coarse": coarse, "Default": nil}
	for name, c := range clocks {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, open opener) {
				t.Helper()
				crowd(t)
				config := layout.DefaultConfig()
				config.SequenceBits = 16
				l, err := layout.New(config)
				require.NoError(t, err)
				src := newLease(layout.Window{Node: 1, From: 1, Until: 1 << 38})
				g := open(t, l, src, WithClock(c))
				var wg sync.WaitGroup
				all := make([]layout.ID, changes(400_000))
				const goroutines = 8
				for i := range goroutines {
					part := all[i*len(all)/goroutines : (i+1)*len(all)/goroutines]
					wg.Go(func() {
						for k := range part {
							id, err := g.Next()
							if err != nil {
								t.Error(err)
								return
							}
							part[k] = id
						}
					})
				}
				wg.Wait()
				noDuplicates(t, l, all)
			})
		})
	}
}
