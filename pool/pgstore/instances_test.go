//go:build !windows

package pgstore_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// Behind PgBouncer the statements of one store come to ever other sessions.
func TestStoreBehindPgBouncer(t *testing.T) {
	pooltest.RunStore(t, factory(bouncer(t, pgtest.Server(t))))
}

// Statements are prepared where all of a connection comes to one session, and nowhere
// else.
func TestPrepared(t *testing.T) {
	for address, prepared := range map[string]int{pgtest.Server(t): 4, bouncer(t, pgtest.Server(t)): 0} {
		s := open(t, pgtest.With(pgtest.Schema(t, address), "pool_max_conns=1"))
		names, err := pgstore.Prepared(t.Context(), s)
		require.NoError(t, err)
		assert.Len(t, names, prepared, "%s", pgstore.Redacted(address))
	}
}

// Something between passed on the number of one session and now has another one: the
// first statement to find out prepares no more, and nobody sees an error.
func TestPreparedElsewhere(t *testing.T) {
	s := open(t, pgtest.With(pgtest.Schema(t, pgtest.Server(t)), "pool_max_conns=1"))
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	require.NoError(t, pgstore.Spoil(t.Context(), s, "DEALLOCATE ALL"))
	node, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
	require.NoError(t, err)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: node, Value: []byte("again")})
	require.NoError(t, err)
	nodes, err := s.Nodes(t.Context(), name, 0, 9)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	assert.Equal(t, "again", string(nodes[0].Value))
	names, err := pgstore.Prepared(t.Context(), s)
	require.NoError(t, err)
	assert.Empty(t, names)
}

// A session that has been given to somebody else before may have them already.
func TestPreparedBefore(t *testing.T) {
	address := pgtest.Schema(t, pgtest.Server(t))
	s := open(t, pgtest.With(address, "pool_max_conns=1"))
	names, err := pgstore.Prepared(t.Context(), s)
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), pgtest.Server(t))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "PREPARE "+names[1]+" AS SELECT 1")
	require.NoError(t, err)
	require.NoError(t, pgstore.Check(t.Context(), s, conn))
}

// A server that would lose writes is refused, also if that begins while it is used.
func TestFsyncOff(t *testing.T) {
	p := pgtest.New(t)
	address := p.Schema()
	s := open(t, address)
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	node, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("kept")})
	require.NoError(t, err)

	pgtest.Exec(t, p.Address(), "ALTER SYSTEM SET fsync = off")
	pgtest.Exec(t, p.Address(), "SELECT pg_reload_conf()")
	for err == nil {
		_, err = pgstore.Open(t.Context(), address)
	}
	require.ErrorIs(t, err, pgstore.ErrUnsafe)
	require.ErrorContains(t, err, "set it on")
	_, err = pgstore.CreateSchema(t.Context(), pgtest.With(p.Address(), "easyflake_schema=other"))
	require.ErrorIs(t, err, pgstore.ErrUnsafe)

	for err = error(nil); err == nil; { // each session hears of it by itself
		node, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: node, Value: []byte("kept")})
	}
	require.ErrorIs(t, err, pgstore.ErrUnsafe)
	for _, w := range []pool.Write{
		{Namespace: name, NamespaceRevision: namespace, Node: 2},
		{Namespace: name, NamespaceRevision: namespace, OfNamespace: true},
		{Namespace: "other", OfNamespace: true},
	} {
		_, err := s.Write(t.Context(), w)
		require.ErrorIs(t, err, pgstore.ErrUnsafe)
	}
	nodes, err := s.Nodes(t.Context(), name, 0, 10)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	names, err := s.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{name}, names)
}

// A standby is refused, until it is the primary. A store that is told of both servers
// goes over to it.
func TestStandby(t *testing.T) {
	primary := pgtest.New(t, "synchronous_standby_names=*", "synchronous_commit=local")
	standby := primary.Standby()
	both := fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?target_session_attrs=read-write&easyflake_schema=leases", primary.Port, standby.Port)
	created, err := pgstore.CreateSchema(t.Context(), both)
	require.NoError(t, err)
	require.True(t, created)
	s := open(t, both)
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	node, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("kept")})
	require.NoError(t, err)

	alone := pgtest.With(standby.Address(), "easyflake_schema=leases")
	_, err = pgstore.Open(t.Context(), alone)
	require.ErrorIs(t, err, pgstore.ErrReadOnly)
	_, err = pgstore.CreateSchema(t.Context(), pgtest.With(standby.Address(), "easyflake_schema=other"))
	require.ErrorIs(t, err, pgstore.ErrReadOnly)

	primary.Crash()
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: node, Value: []byte("lost")})
	require.ErrorIs(t, err, pgstore.ErrUnreachable)
	standby.Promote()
	pgtest.Exec(t, standby.Address(), "ALTER SYSTEM RESET ALL")
	for err != nil { // until the promotion is through
		var nodes []pool.NodeRecord
		if nodes, err = s.Nodes(t.Context(), name, 1, 1); err == nil {
			require.Len(t, nodes, 1)
			assert.Equal(t, "kept", string(nodes[0].Value))
		}
	}
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: node, Value: []byte("next")})
	require.NoError(t, err)
}

// A role whose transactions are read-only, or at another level of isolation, is
// refused at the start, and by each write if that begins later.
func TestRoleSettings(t *testing.T) {
	p := pgtest.New(t)
	for setting, want := range map[string]error{
		"default_transaction_read_only = on":                 pgstore.ErrReadOnly,
		"default_transaction_isolation = 'repeatable read'":  pgstore.ErrIsolation,
		"default_transaction_isolation = 'serializable'":     pgstore.ErrIsolation,
		"default_transaction_isolation = 'read uncommitted'": pgstore.ErrIsolation, // which is the same, and asked by nobody
		"default_transaction_isolation = 'read committed'":   nil,
		"synchronous_commit = off":                           nil,
		"search_path = pg_catalog":                           nil,
		"bytea_output = escape":                              nil,
		"standard_conforming_strings = off":                  nil,
		"plan_cache_mode = force_generic_plan":               nil,
		"client_encoding = 'LATIN1'":                         nil,
		"datestyle = 'German'":                               nil,
		"client_min_messages = error":                        nil,
	} {
		t.Run(setting, func(t *testing.T) {
			address := p.Schema()
			before := open(t, address)
			namespace, err := before.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
			require.NoError(t, err)
			pgtest.Exec(t, p.Address(), "ALTER ROLE postgres SET "+setting)
			defer pgtest.Exec(t, pgtest.With(p.Address(), "default_transaction_read_only=off"), "ALTER ROLE postgres RESET ALL")
			s, err := pgstore.Open(t.Context(), address)
			require.ErrorIs(t, err, want)
			if want != nil {
				return
			}
			defer s.Close()
			value := []byte("\x00\\'\xff")
			_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: value})
			require.NoError(t, err)
			nodes, err := s.Nodes(t.Context(), name, 0, 9)
			require.NoError(t, err)
			require.Len(t, nodes, 1)
			assert.Equal(t, value, nodes[0].Value)
		})
	}
}

// At another level of isolation a write is refused, also in a session that was
// at the right one at first.
func TestIsolationOfAWrite(t *testing.T) {
	server := pgtest.Server(t)
	address := pgtest.Schema(t, server)
	s := open(t, pgtest.With(address, "pool_max_conns=1"))
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	require.NoError(t, pgstore.Spoil(t.Context(), s, "SET default_transaction_isolation = 'repeatable read'"))
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
	require.ErrorIs(t, err, pgstore.ErrIsolation)
	require.NoError(t, pgstore.Spoil(t.Context(), s, "RESET default_transaction_isolation; SET default_transaction_read_only = on"))
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
	require.ErrorIs(t, err, pgstore.ErrReadOnly)
	nodes, err := s.Nodes(t.Context(), name, 0, 9)
	require.NoError(t, err)
	assert.Empty(t, nodes)
}

// What was acknowledged is there after a crash of the server, though this one does
// not wait for the disk unless it is asked to.
func TestCrash(t *testing.T) {
	settings := []string{"synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=0"}
	p := pgtest.New(t, settings...)
	s := open(t, p.Schema())
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	const writers, rounds, each = 8, 3, 25
	acknowledged := make([]int, writers) // each its writer's
	for range rounds {
		var through atomic.Int64 // how many have written so often
		enough := make(chan struct{})
		var all sync.WaitGroup
		for node := range int64(writers) {
			all.Go(func() {
				var revision uint64
				nodes, err := s.Nodes(t.Context(), name, node, node)
				if err != nil {
					t.Error(err)
					return
				}
				if len(nodes) > 0 {
					revision = nodes[0].Revision
				}
				first := acknowledged[node] + 1
				for count := first; ; count++ {
					revision, err = s.Write(t.Context(), pool.Write{
						Namespace: name, NamespaceRevision: namespace, Node: node, NodeRevision: revision,
						Value: []byte(strconv.Itoa(count)),
					})
					if err != nil {
						assert.ErrorIs(t, err, pgstore.ErrUnreachable)
						return
					}
					acknowledged[node] = count
					if count-first == each-1 && through.Add(1) == writers {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.Crash()
		all.Wait()
		p.Start(settings...)
		var nodes []pool.NodeRecord
		for err = context.Canceled; err != nil; { // the first may meet a connection that broke
			nodes, err = s.Nodes(t.Context(), name, 0, writers)
		}
		require.Len(t, nodes, writers)
		for _, r := range nodes {
			count, err := strconv.Atoi(string(r.Value))
			require.NoError(t, err)
			last := acknowledged[r.Node]
			assert.GreaterOrEqual(t, count, last, "node %d: an acknowledged write is lost", r.Node)
			assert.LessOrEqual(t, count, last+1, "node %d", r.Node)
			acknowledged[r.Node] = count
		}
	}
}

// What a user may have done wrong is told with what to do about it, and without the
// password; and nothing is written.
func TestErrors(t *testing.T) {
	server := pgtest.Server(t)
	address := pgtest.Schema(t, server)
	_, schema, _ := strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
	role := "role_" + schema[len(schema)-8:]
	pgtest.Exec(t, server, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() {
		pgtest.Exec(t, server, "DROP OWNED BY "+role)
		pgtest.Exec(t, server, "DROP ROLE "+role)
	})
	as := strings.Replace(address, "postgres@", role+":S3cr3t@", 1)
	at := func(what, with string) string { return strings.Replace(as, what, with, 1) }
	check := func(address string, want error, advice string) {
		t.Helper()
		s, err := pgstore.Open(t.Context(), address)
		if err == nil {
			s.Close()
		}
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, advice)
		assert.NotContains(t, err.Error(), "S3cr3t")
		assert.NotContains(t, err.Error(), "\n")
	}
	check(at(":5432", ":1"), pgstore.ErrUnreachable, "check host and port")
	check(at(role, role+"_none"), pgstore.ErrCredentials, "check user and password")
	check(at("/test", "/none_"+role), pgstore.ErrNoDatabase, "create it")
	check(as, pgstore.ErrPermission, "grant")
	check(at(schema, schema+"_none"), pgstore.ErrMissing, "easyflake-cli store init")
	check(at("postgres://", "postgres:"), pgstore.ErrURL, "postgres://USER")
	check(at("S3cr3t", "S3cr3t/S3cr3t"), pgstore.ErrURL, "%XX")
	check(as+"&pool_max_conns=S", pgstore.ErrURL, "pool_max_conns")
	check(at(schema, strings.Repeat("x", 64)), pgstore.ErrURL, "63 bytes")

	_, err := pgstore.CreateSchema(t.Context(), at(schema, schema+"_none"))
	require.ErrorIs(t, err, pgstore.ErrPermission)
	// With what the package's documentation grants, all but that works.
	for _, grant := range []string{
		"USAGE ON SCHEMA easyflake", "SELECT, INSERT, UPDATE ON easyflake.namespaces, easyflake.nodes",
		"SELECT ON easyflake.version", "USAGE ON SEQUENCE easyflake.revisions",
	} {
		pgtest.Exec(t, server, "GRANT "+strings.ReplaceAll(grant, "easyflake", schema)+" TO "+role)
	}
	s := open(t, as)
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	node, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
	require.NoError(t, err)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, NodeRevision: node})
	require.NoError(t, err)

	pgtest.Exec(t, server, "UPDATE "+schema+".version SET version = 2")
	check(as, pgstore.ErrNewer, "newer EasyFlake")
	_, err = pgstore.CreateSchema(t.Context(), address)
	require.ErrorIs(t, err, pgstore.ErrNewer)
	pgtest.Exec(t, server, "DELETE FROM "+schema+".version")
	check(as, pgstore.ErrForeign, "left as it is")
	_, err = pgstore.CreateSchema(t.Context(), address)
	require.ErrorIs(t, err, pgstore.ErrForeign)
	pgtest.Exec(t, server, "DROP TABLE "+schema+".version")
	check(as, pgstore.ErrMissing, "store init")
	_, err = pgstore.CreateSchema(t.Context(), address)
	require.ErrorIs(t, err, pgstore.ErrForeign, "tables that are called like ours")
	pgtest.Exec(t, server, "CREATE TABLE "+schema+".version (text text); GRANT SELECT ON "+schema+".version TO "+role)
	check(as, pgstore.ErrForeign, "left as it is")

	// What somebody else has written is no record.
	pgtest.Exec(t, server, "UPDATE "+schema+".namespaces SET value = 'nonsense'")
	_, err = pool.New(s).Acquire(t.Context(), name, pool.Namespace{}.Layout, pool.NewToken())
	var record *pool.RecordError
	require.ErrorAs(t, err, &record)
}

// Several create the schema at once: one of them does.
func TestCreateSchemaAtOnce(t *testing.T) {
	for range 5 {
		address := pgtest.Empty(t, pgtest.Server(t))
		var created atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				made, err := pgstore.CreateSchema(t.Context(), address)
				if err != nil {
					t.Error(err)
				}
				if made {
					created.Add(1)
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, 1, created.Load())
		open(t, address)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, pgtest.Schema(t, pgtest.Server(t)))
	require.NoError(t, s.Close())
	_, err := s.Namespaces(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, pool.ErrClosed)
}

// The schema can be named by an option too, of which the URL's comes first.
func TestWithSchema(t *testing.T) {
	server := pgtest.Server(t)
	address := pgtest.Schema(t, server)
	_, schema, _ := strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
	s, err := pgstore.Open(t.Context(), server, pgstore.WithSchema(schema))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = pgstore.Open(t.Context(), address, pgstore.WithSchema("none"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = pgstore.Open(t.Context(), server, pgstore.WithSchema(""))
	require.ErrorIs(t, err, pgstore.ErrURL)
}

// What is shown of a URL is what tells one store from another.
func TestRedacted(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://u:p@h:1/d":                                 "postgres://u@h:1/d",
		"postgres://u@h/d?password=p&easyflake_schema=s&x=p#p": "postgres://u@h/d?easyflake_schema=s",
		"host=h password=p":                                    "postgres:",
		"host=h password=p://u@h":                              "postgres:",
	} {
		assert.Equal(t, want, pgstore.Redacted(address))
	}
	for _, address := range []string{"postgres://u:p@h%00secret@h/d", "postgres://u:1/%00secret@h/d"} {
		err := pgstore.Valid(address)
		require.ErrorIs(t, err, pgstore.ErrURL, address)
		assert.NotContains(t, err.Error(), "secret", "%s: what pgx takes for a host or a database", address)
	}
}
