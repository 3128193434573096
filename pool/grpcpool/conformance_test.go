package grpcpool_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// serve starts a server of a pool for a test, and returns how to reach it.
func serve(t *testing.T, p pool.Pool, opts ...grpcpool.ServerOption) grpcpool.ClientOption {
	t.Helper()
	opts = append([]grpcpool.ServerOption{grpcpool.WithServerLogger(slog.New(slog.DiscardHandler))}, opts...)
	s, err := grpcpool.NewServer(p, opts...)
	require.NoError(t, err)
	l := bufconn.Listen(1 << 16)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // tests have nothing to drain
		s.Shutdown(ctx)
		serving.Wait()
	})
	return grpcpool.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
}

// front returns the client of a server of a pool, without what looks after the
// server's health: the suite counts the calls of its stores.
func front(t *testing.T, p *pool.Local) pool.Pool {
	t.Helper()
	c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Host: "127.0.0.1", Port: 1}}, serve(t, struct{ pool.Manager }{p}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestConformanceOnMemory(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		name := "shared"
		if exclusive {
			name = "exclusive"
		}
		t.Run(name, func(t *testing.T) {
			pooltest.RunPool(t, pooltest.PoolFactory{Stores: memory(exclusive), Front: front})
		})
	}
}

func TestConformanceOnBolt(t *testing.T) {
	pooltest.RunPool(t, pooltest.PoolFactory{Stores: bolt(), Front: front})
}

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

func bolt() pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, c clock.Clock) pooltest.Storage {
			t.Helper()
			path := filepath.Join(t.TempDir(), "pool")
			return pooltest.Storage{
				Open: func() (pool.Store, error) {
					return boltstore.Open(path, boltstore.WithCreate(), boltstore.WithClock(c), boltstore.WithNetworkFileSystem())
				},
			}
		},
		Exclusive: true,
		Locked:    true,
		Durable:   true,
	}
}
