//go:build !windows

package pgstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// cancelWait has the write of an application no longer wait for its standby, once it
// does. It reports whether the write got so far.
func cancelWait(t *testing.T, server, application string, done <-chan error) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for len(done) == 0 {
		tag, err := conn.Exec(t.Context(), `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = $1`, application)
		require.NoError(t, err)
		if tag.RowsAffected() > 0 {
			return true
		}
	}
	return false
}

// A write that is committed, and that no standby has, is never acknowledged: also where
// the server is set not to send its warning.
func TestNoStandbyHasIt(t *testing.T) {
	p := pgtest.New(t)
	pgtest.Exec(t, p.Address(), "CREATE ROLE quiet SUPERUSER LOGIN")
	pgtest.Exec(t, p.Address(), "ALTER ROLE quiet SET client_min_messages = error")
	addresses := map[string]string{
		"default": p.Schema(),
		"url":     pgtest.With(p.Schema(), "client_min_messages=error"),
		"role":    strings.Replace(p.Schema(), "postgres@", "quiet@", 1),
	}
	p.Crash()
	p.Start("synchronous_standby_names=nobody")
	for set, address := range addresses {
		t.Run(set, func(t *testing.T) {
			s, err := pgstore.Open(t.Context(), pgtest.With(address, "application_name="+set), pgstore.WithTimeout(time.Minute))
			require.NoError(t, err)
			defer s.Close()
			var revision uint64
			waits := false
			for !waits { // a server that has just begun does not know of its standbys yet
				done := make(chan error, 1)
				go func() {
					var err error
					revision, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: revision, OfNamespace: true, Value: []byte("x")})
					done <- err
				}()
				waits = cancelWait(t, p.Address(), set, done)
				err = <-done
				require.Equal(t, waits, err != nil, "%v", err)
			}
			require.ErrorIs(t, err, pgstore.ErrDoubtful)
			require.ErrorContains(t, err, "see to the synchronous standbys")
			require.ErrorContains(t, err, "canceling wait for synchronous replication")
			assert.Zero(t, revision)
			r, err := s.Namespace(t.Context(), name)
			require.NoError(t, err)
			assert.NotZero(t, r.Revision, "it is there for all to see")
		})
	}
}

// Warnings of a commit count, whatever they say; those of its statements do not.
func TestWarnings(t *testing.T) {
	server := pgtest.Server(t)
	address := pgtest.Schema(t, server)
	_, schema, _ := strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
	pgtest.Exec(t, server, "CREATE FUNCTION "+schema+`.warn() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE WARNING 'database "test" must be vacuumed within 7 transactions'; RETURN NULL; END $$`)
	s := open(t, pgtest.With(address, "client_min_messages=error"))
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)

	trigger := func(of string) { pgtest.Exec(t, server, "CREATE "+of+" EXECUTE FUNCTION "+schema+".warn()") }
	trigger("TRIGGER t AFTER INSERT ON " + schema + ".nodes FOR EACH ROW")
	revision, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
	require.NoError(t, err)
	trigger("CONSTRAINT TRIGGER c AFTER UPDATE ON " + schema + ".nodes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW")
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: revision})
	require.ErrorIs(t, err, pgstore.ErrDoubtful)
	require.ErrorContains(t, err, "must be vacuumed")
	// It is the commit's that warned: the next one on the connection is judged by itself.
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 2})
	require.NoError(t, err)
}

// Where all connections of a server are taken, the error says so, and not to look for
// the server.
func TestTooManyConnections(t *testing.T) {
	p := pgtest.New(t)
	address := p.Schema()
	pgtest.Exec(t, p.Address(), "CREATE ROLE few LOGIN CONNECTION LIMIT 0")
	_, err := pgstore.Open(t.Context(), strings.Replace(address, "postgres@", "few@", 1))
	require.ErrorIs(t, err, pgstore.ErrConnections)
	require.NotErrorIs(t, err, pgstore.ErrUnreachable)
	require.ErrorContains(t, err, "pool_max_conns")
}
