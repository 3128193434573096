package etcdstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
	"github.com/easyflake/easyflake/pool/pooltest"
)

const name = "default"

// quick is for tests in which no machine loses power.
const quick = "--unsafe-no-fsync"

// scenery is an etcd that tests share, each with a prefix of its own.
type scenery struct {
	*etcdtest.Cluster
	client *clientv3.Client
	used   atomic.Int64
}

func build(tb testing.TB, members int, flags ...string) *scenery {
	tb.Helper()
	c := etcdtest.Start(tb, members, flags...)
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop()})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, client.Close()) })
	return &scenery{Cluster: c, client: client}
}

func (s *scenery) prefix() string { return fmt.Sprintf("test-%d/", s.used.Add(1)) }

func (s *scenery) open(tb testing.TB, opts ...Option) *Store {
	tb.Helper()
	store, err := Open(tb.Context(), s.Endpoints(), append([]Option{WithPrefix(s.prefix())}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	return store
}

func (s *scenery) factory() pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, c clock.Clock) pooltest.Storage {
			t.Helper()
			prefix := s.prefix()
			return pooltest.Storage{
				Open: func() (pool.Store, error) {
					return Open(t.Context(), s.Endpoints(), WithPrefix(prefix), WithClock(c))
				},
				Crash: func(s pool.Store) { require.NoError(t, s.Close()) }, // it keeps nothing
			}
		},
		Durable: true,
	}
}

func create(tb testing.TB, s *Store) (revision uint64) {
	tb.Helper()
	revision, err := s.Write(tb.Context(), pool.Write{Namespace: name, OfNamespace: true, Value: []byte("{}")})
	require.NoError(tb, err)
	return revision
}

// through has a function carry out each request to etcd.
func through(f func(ctx context.Context, method string, send func(context.Context) error) error) Option {
	return func(o *options) {
		o.dial = append(o.dial, grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				return f(ctx, method, func(ctx context.Context) error { return invoke(ctx, method, request, reply, conn, opts...) })
			}))
	}
}

const (
	txn  = "/etcdserverpb.KV/Txn"
	read = "/etcdserverpb.KV/Range"
)
