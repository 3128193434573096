package etcdstore

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
)

// Leaders are killed and made to hang while everybody writes. Each write is known to
// be made in the end, none is made twice, and none is lost.
func TestLeadersEnd(t *testing.T) {
	s := build(t, 3, quick)
	stores := []*Store{s.open(t)}
	second, err := Open(t.Context(), s.Endpoints(), WithPrefix(stores[0].keys.prefix))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	stores = append(stores, second)
	ns := create(t, stores[0])

	const writers = 8
	var over atomic.Bool
	var counts [writers]atomic.Int64
	var all sync.WaitGroup
	progress := func() { // waits until everybody has written something more
		for i := range counts {
			for before := counts[i].Load(); counts[i].Load() < before+3 && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	for i := range writers {
		all.Go(func() {
			store, revision := stores[i%2], uint64(0)
			for n := uint64(1); !over.Load(); n++ {
				next, err := store.Write(t.Context(), pool.Write{
					Namespace: name, NamespaceRevision: ns, Node: int64(i), NodeRevision: revision,
					Value: binary.BigEndian.AppendUint64(nil, n),
				})
				if err != nil {
					t.Errorf("writer %d, write %d: %v", i, n, err)
					return
				}
				if !assert.Greater(t, next, revision) {
					return
				}
				revision = next
				counts[i].Store(int64(n))
			}
		})
	}
	progress()
	for range 2 {
		leader := s.Leader()
		s.Kill(leader)
		progress()
		s.Restart(leader)
		progress()
	}
	leader := s.Leader()
	s.Stop(leader)
	progress()
	s.Continue(leader)
	progress()
	over.Store(true)
	all.Wait()
	nodes, err := stores[0].Nodes(t.Context(), name, 0, writers)
	require.NoError(t, err)
	require.Len(t, nodes, writers)
	for i, n := range nodes {
		assert.EqualValues(t, counts[i].Load(), binary.BigEndian.Uint64(n.Value))
	}
}
