package linear

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
)

// memory is the pool of a store in memory that others may write to, too.
type memory struct {
	scene
	store *pool.Memory
	local *pool.Local
}

func (m *memory) start(t *testing.T) pool.Pool {
	t.Helper()
	m.local = pool.New(m.store, pool.WithElapsed(m.elapsed), pool.WithLogger(slog.New(slog.DiscardHandler)))
	if err := m.local.CreateNamespace(t.Context(), m.namespace); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return m.local
}

func (m *memory) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, m.local.Close()) // the store goes on
}

func (*memory) shares() {}

func TestSharedMemory(t *testing.T) {
	runs(t, func(t *testing.T, s scene) target {
		t.Helper()
		return &memory{scene: s, store: pool.NewMemory(s.clock, false)}
	})
}
