package linear

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
)

// bolt is the pool of a file.
type bolt struct {
	scene
	path  string
	local *pool.Local
}

func newBolt(t *testing.T, s scene) *bolt {
	t.Helper()
	return &bolt{scene: s, path: filepath.Join(t.TempDir(), "store.bolt")}
}

func (b *bolt) start(t *testing.T) pool.Pool {
	t.Helper()
	store, err := boltstore.Open(b.path, boltstore.WithCreate(), boltstore.WithClock(b.clock), boltstore.WithNetworkFileSystem())
	require.NoError(t, err)
	b.local = pool.New(store, pool.WithElapsed(b.elapsed), pool.WithLogger(slog.New(slog.DiscardHandler)))
	if err := b.local.CreateNamespace(t.Context(), b.namespace); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return b.local
}

func (b *bolt) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, b.local.Close())
}

func TestBolt(t *testing.T) {
	runs(t, func(t *testing.T, s scene) target {
		t.Helper()
		return newBolt(t, s)
	})
}
