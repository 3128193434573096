package linear

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// postgres is the pool of a database.
type postgres struct {
	scene
	address string
	local   *pool.Local
}

// timed tells the time of the scene, and not the database's.
type timed struct {
	*pgstore.Store
	scene
}

// Now implements [pool.Store].
func (s timed) Now(ctx context.Context) (int64, error) { return s.clock.Now(), ctx.Err() }

func (p *postgres) start(t *testing.T) pool.Pool {
	t.Helper()
	store, err := pgstore.Open(t.Context(), p.address)
	require.NoError(t, err)
	p.local = pool.New(timed{store, p.scene}, pool.WithElapsed(p.elapsed), pool.WithLogger(slog.New(slog.DiscardHandler)))
	if err := p.local.CreateNamespace(t.Context(), p.namespace); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return p.local
}

func (p *postgres) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.local.Close())
}

func (*postgres) shares() {}

func TestPostgres(t *testing.T) {
	server := pgtest.Server(t)
	runs(t, func(t *testing.T, s scene) target {
		t.Helper()
		return &postgres{scene: s, address: pgtest.Schema(t, server)}
	})
}
