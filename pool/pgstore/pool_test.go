package pgstore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// TestMain fails where a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// factory makes stores in schemas of a server.
func factory(server string) pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, _ clock.Clock) pooltest.Storage {
			t.Helper()
			address := pgtest.Schema(t, server)
			return pooltest.Storage{Open: func() (pool.Store, error) { return pgstore.Open(t.Context(), address) }}
		},
		Durable:  true,
		OwnClock: true,
	}
}

func TestStore(t *testing.T) { pooltest.RunStore(t, factory(pgtest.Server(t))) }

func TestPoolOfStore(t *testing.T) {
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: factory(pgtest.Server(t))})
}

// open opens a store, and closes it in the end.
func open(tb testing.TB, address string) *pgstore.Store {
	tb.Helper()
	s, err := pgstore.Open(tb.Context(), address)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}
