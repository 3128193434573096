package pooltest_test

import (
	"testing"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// The store in memory keeps the contract like any other. Its records outlive the
// store, so that it counts as durable here.

func memory(exclusive bool) pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(_ *testing.T, c clock.Clock) pooltest.Storage {
			m := pool.NewMemory(c, exclusive)
			return pooltest.Storage{
				Open:  func() (pool.Store, error) { return m, nil },
				Crash: func(pool.Store) {},
			}
		},
		Exclusive: exclusive,
		Durable:   true,
	}
}

func TestMemory(t *testing.T) { pooltest.RunStore(t, memory(false)) }

func TestExclusiveMemory(t *testing.T) { pooltest.RunStore(t, memory(true)) }

func TestPoolOfMemory(t *testing.T) {
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: memory(false)})
}

func TestPoolOfExclusiveMemory(t *testing.T) {
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: memory(true)})
}
