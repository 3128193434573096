package pgstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

const name = "orders"

// hold locks rows of the store's tables in a session of its own, until release.
func hold(t *testing.T, server, sql string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	tag, err := tx.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	return func() { require.NoError(t, tx.Commit(t.Context())) }
}

// waiting waits until so many statements wait for a lock, or done.
func waiting(t *testing.T, server, application string, n int, done <-chan error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for count := 0; count < n && len(done) == 0; {
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1`, application).Scan(&count)
		require.NoError(t, err)
	}
}

type raceKit struct {
	server, application string
	schema              string
	*pgstore.Store

	namespace, node uint64
}

func newRace(t *testing.T) *raceKit {
	t.Helper()
	k := &raceKit{server: pgtest.Server(t)}
	address := pgtest.Schema(t, k.server)
	_, k.schema, _ = strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
	k.application = k.schema
	k.Store = open(t, pgtest.With(address, "application_name="+k.application))
	var err error
	k.namespace, err = k.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	k.node, err = k.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 5})
	require.NoError(t, err)
	return k
}

// begin begins a write.
func (k *raceKit) begin(t *testing.T, w pool.Write) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := k.Write(t.Context(), w)
		done <- err
	}()
	return done
}

// A node that has compared the namespace, and not been committed yet, holds back the
// namespace's next write.
func TestNamespaceWaitsForItsNodes(t *testing.T) {
	k := newRace(t)
	release := hold(t, k.server, "SELECT FROM "+k.schema+".nodes WHERE node = 5 FOR UPDATE")
	node := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 5, NodeRevision: k.node})
	waiting(t, k.server, k.application, 1, node)
	namespace := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, OfNamespace: true})
	waiting(t, k.server, k.application, 2, namespace)
	assert.Empty(t, namespace, "it was acknowledged while a node that knows nothing of it is being written")
	// Another node, which comes later, does not overtake it.
	other := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 6})
	waiting(t, k.server, k.application, 3, other)
	assert.Empty(t, other)
	release()
	require.NoError(t, <-node)
	require.NoError(t, <-namespace)
	require.ErrorIs(t, <-other, pool.ErrConflict)
}

// A node that waited for the namespace's write sees what that has written, although
// it was sent before.
func TestNodeWaitsForItsNamespace(t *testing.T) {
	k := newRace(t)
	release := hold(t, k.server, "SELECT FROM "+k.schema+".namespaces FOR UPDATE")
	namespace := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, OfNamespace: true})
	waiting(t, k.server, k.application, 1, namespace)
	known := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 5, NodeRevision: k.node})
	unknown := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 6})
	waiting(t, k.server, k.application, 2, known)
	waiting(t, k.server, k.application, 3, unknown)
	release()
	require.NoError(t, <-namespace)
	require.ErrorIs(t, <-known, pool.ErrConflict)
	require.ErrorIs(t, <-unknown, pool.ErrConflict)
}

// Of two writes of a node the second one compares again with what the first has left.
func TestNodeWaitsForItsLastWrite(t *testing.T) {
	k := newRace(t)
	release := hold(t, k.server, "UPDATE "+k.schema+".nodes SET revision = nextval('"+k.schema+".revisions') WHERE node = 5")
	node := k.begin(t, pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 5, NodeRevision: k.node})
	waiting(t, k.server, k.application, 1, node)
	release()
	require.ErrorIs(t, <-node, pool.ErrConflict)
}

// A record that somebody deletes and that is made anew has none of its old revisions.
func TestRevisionsOutliveRecords(t *testing.T) {
	k := newRace(t)
	pgtest.Exec(t, k.server, "DELETE FROM "+k.schema+".nodes")
	again, err := k.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: k.namespace, Node: 5})
	require.NoError(t, err)
	assert.Greater(t, again, k.node)
}
