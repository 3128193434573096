//go:build gc && !race

package generator

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A shard belongs to one P: two that shared one would overwrite each other's steps.
func TestEachPHasItsOwnShard(t *testing.T) {
	const ps = 8
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(ps))
	table := newShards(ps, nil)
	var wrong, beyond atomic.Int64
	var wg sync.WaitGroup
	for range 4 * ps {
		wg.Go(func() {
			for range 5000 {
				p := procPin()
				s := table.pin() // pinning nests
				switch {
				case p >= ps:
					beyond.Add(1)
				case s != &table.of[p]:
					wrong.Add(1)
				}
				table.unpin(s)
				procUnpin()
				if p%2 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, wrong.Load(), "a P has another one's shard")
	require.Zero(t, beyond.Load())
}

// A P without a shard gets the one that is always empty, which nobody writes to.
func TestPsBeyondTheTable(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	table := newShards(0, nil)
	s := table.pin()
	table.unpin(s)
	require.Same(t, table.none, s)
	require.Zero(t, s.left)
}
