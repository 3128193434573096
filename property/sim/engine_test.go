package sim

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// The model keeps the contract that every store keeps, so that what the simulation
// finds is not its own store's doing.

func model(exclusive bool) pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(_ *testing.T, c clock.Clock) pooltest.Storage {
			e := newEngine()
			return pooltest.Storage{
				Open: func() (pool.Store, error) { return plainStore{e, c, exclusive}, nil },
				Crash: func(pool.Store) {
					e.mu.Lock()
					defer e.mu.Unlock()
					e.crash(rand.New(rand.NewPCG(1, 2)))
				},
			}
		},
		Exclusive: exclusive,
		Durable:   true,
	}
}

func TestModelStore(t *testing.T) {
	pooltest.RunStore(t, model(false))
	pooltest.RunStore(t, model(true))
}

func TestPoolOfModelStore(t *testing.T) {
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: model(false)})
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: model(true)})
}

// A torn write is there as a whole or not at all, and both happen.
func TestTornWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	made := 0
	for range 1000 {
		e := newEngine()
		revision, err := e.write(pool.Write{Namespace: "n", OfNamespace: true, Value: []byte("here")})
		require.NoError(t, err)
		node, err := e.write(pool.Write{Namespace: "n", NamespaceRevision: revision, Node: 3, Value: []byte("before")})
		require.NoError(t, err)
		e.torn(pool.Write{Namespace: "n", NamespaceRevision: revision, Node: 3, NodeRevision: node, Value: []byte("after")}, r)
		records := e.nodes("n", 0, 9)
		require.Len(t, records, 1)
		if string(records[0].Value) == "after" {
			made++
			require.Greater(t, records[0].Revision, node)
			continue
		}
		require.Equal(t, pool.NodeRecord{Node: 3, Record: pool.Record{Value: []byte("before"), Revision: node}}, records[0])
	}
	require.Positive(t, made)
	require.Less(t, made, 500)
}
