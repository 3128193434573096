package grpcpool_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore"
	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
	"github.com/easyflake/easyflake/pool/pooltest"
	"github.com/easyflake/easyflake/pool/redisstore"
)

func TestConformanceOnEtcd(t *testing.T) {
	cluster := etcdtest.Start(t, 1, "--unsafe-no-fsync")
	var number atomic.Int64
	pooltest.RunPool(t, pooltest.PoolFactory{Front: front, Stores: pooltest.StoreFactory{
		Durable: true,
		New: func(t *testing.T, c clock.Clock) pooltest.Storage {
			t.Helper()
			prefix := fmt.Sprintf("test%d/", number.Add(1))
			return pooltest.Storage{
				Open: func() (pool.Store, error) {
					return etcdstore.Open(t.Context(), cluster.Endpoints(), etcdstore.WithPrefix(prefix), etcdstore.WithClock(c))
				},
				Crash: func(s pool.Store) { require.NoError(t, s.Close()) }, // it keeps nothing
			}
		},
	}})
}

func TestConformanceOnPostgres(t *testing.T) {
	server := pgtest.Server(t)
	pooltest.RunPool(t, pooltest.PoolFactory{Front: front, Stores: pooltest.StoreFactory{
		Durable: true, OwnClock: true,
		New: func(t *testing.T, _ clock.Clock) pooltest.Storage {
			t.Helper()
			address := pgtest.Schema(t, server)
			return pooltest.Storage{Open: func() (pool.Store, error) { return pgstore.Open(t.Context(), address) }}
		},
	}})
}

func TestConformanceOnRedis(t *testing.T) {
	address := os.Getenv("EASYFLAKE_TEST_REDIS")
	if address == "" {
		address = "redis://127.0.0.1:6379"
	}
	o, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	if err := client.Ping(t.Context()).Err(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no Redis at %s: %v", address, err)
		}
		t.Skipf("no Redis at %s: %v", address, err)
	}
	pooltest.RunPool(t, pooltest.PoolFactory{Front: front, Stores: pooltest.StoreFactory{
		Durable: true, OwnClock: true,
		New: func(t *testing.T, _ clock.Clock) pooltest.Storage {
			t.Helper()
			prefix := "conformance:" + pool.NewToken().String() + ":"
			ctx := context.WithoutCancel(t.Context())
			t.Cleanup(func() {
				if keys, err := client.Keys(ctx, prefix+"*").Result(); err == nil && len(keys) > 0 {
					client.Del(ctx, keys...)
				}
			})
			return pooltest.Storage{Open: func() (pool.Store, error) {
				return redisstore.Open(ctx, address, redisstore.WithPrefix(prefix), redisstore.WithFresh(), redisstore.WithLogger(slog.New(slog.DiscardHandler)))
			}}
		},
	}})
}
