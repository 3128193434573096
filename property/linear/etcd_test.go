package linear

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore"
	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
)

// etcd is the pool of an etcd.
type etcd struct {
	scene
	endpoints []string
	prefix    string
	local     *pool.Local
}

func (e *etcd) start(t *testing.T) pool.Pool {
	t.Helper()
	store, err := etcdstore.Open(t.Context(), e.endpoints, etcdstore.WithPrefix(e.prefix), etcdstore.WithClock(e.clock))
	require.NoError(t, err)
	e.local = pool.New(store, pool.WithElapsed(e.elapsed), pool.WithLogger(slog.New(slog.DiscardHandler)))
	if err := e.local.CreateNamespace(t.Context(), e.namespace); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return e.local
}

func (e *etcd) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, e.local.Close())
}

// shares implements sharer.
func (*etcd) shares() {}

func TestEtcd(t *testing.T) {
	c := etcdtest.Start(t, 3, "--unsafe-no-fsync") // no machine loses power here
	runs(t, func(t *testing.T, s scene) target {
		t.Helper()
		return &etcd{scene: s, endpoints: c.Endpoints(), prefix: fmt.Sprintf("%x/", rand.Uint64())}
	})
}
