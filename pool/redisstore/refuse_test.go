package redisstore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// refused sees that a store is not opened, for what reason, and that nothing was written.
func refused(t *testing.T, url string, kind error, says string) {
	t.Helper()
	_, err := Open(t.Context(), url, WithFresh(), quiet())
	require.ErrorIs(t, err, kind)
	require.ErrorContains(t, err, says)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.NotContains(t, err.Error(), "secret")
	assert.NotContains(t, fmt.Sprintf("%+v", e), "secret")
}

func TestEvictionIsRefused(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random"} {
		srv := redistest.Start(t, "--maxmemory-policy", policy)
		refused(t, srv.URL(), ErrEviction, policy)
		assert.Zero(t, client(t, srv.URL()).DBSize(t.Context()).Val())
	}
	srv := redistest.Start(t, "--maxmemory-policy", "volatile-lru", "--maxmemory", "100mb")
	s := open(t, srv.URL(), WithFresh())
	create(t, s)

	// What is set later stops the pool at its next look at the clock.
	require.NoError(t, client(t, srv.URL()).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	_, err := s.Now(t.Context())
	require.ErrorIs(t, err, ErrEviction)
}

func TestUnreachable(t *testing.T) {
	srv := redistest.Start(t)
	srv.Kill()
	refused(t, srv.URL(), ErrUnreachable, "check the address")
	refused(t, fmt.Sprintf("redis://someone:secret@127.0.0.1:%d/3", srv.Port), ErrUnreachable, "check the address")
	refused(t, fmt.Sprintf("rediss://someone:secret@127.0.0.1:%d", srv.Port), ErrUnreachable, "TLS")
}

func TestAddresses(t *testing.T) {
	for _, url := range []string{
		"", "localhost", "http://localhost", "redis://u:secret/x@localhost", "redis://u:12/secret@localhost",
		"redis://u:secret@localhost/x", "redis://u:secret@localhost?what=secret", "redis://u:%secret@localhost", "\x00secret",
		"redis+cluster://u:secret@localhost/1", "redis+cluster://u:secret@localhost?addr=secret", "redis+other://u:secret@localhost", "unix+cluster://u:secret@/x",
		"redis+sentinel://u:secret@localhost", "redis+sentinel://u:secret@localhost/x?master_name=m", "redis+sentinel://localhost?master_name=m&route_by_latency=true&password=secret",
		"redis+sentinel://localhost?master_name=m&route_randomly=true", "redis+sentinel://localhost?master_name=m&sentinel_password=secret", "+cluster://localhost",
	} {
		refused(t, url, ErrAddress, "redis://USER:PASSWORD@HOST")
	}
}

func TestCredentials(t *testing.T) {
	srv := redistest.Start(t, "--requirepass", "secret1")
	at := func(who string) string { return fmt.Sprintf("redis://%s127.0.0.1:%d", who, srv.Port) }
	refused(t, at(""), ErrAccess, "give it in the URL")
	refused(t, at(":secret2@"), ErrAccess, "check those in the URL")
	refused(t, at("nobody:secret1@"), ErrAccess, "check those in the URL")
	s := open(t, at(":secret1@"), WithFresh())
	create(t, s)

	// What the documentation lists is enough.
	c := client(t, at(":secret1@"))
	acl := func(user string, rules ...any) {
		require.NoError(t, c.Do(t.Context(), append([]any{"ACL", "SETUSER", user, "reset", "on", ">secret3"}, rules...)...).Err())
	}
	acl("enough", "~easyflake:*", "+eval", "+evalsha", "+hget", "+hmget", "+hset", "+hkeys", "+zadd", "+zrangebylex", "+exists", "+time", "+info")
	enough := open(t, at("enough:secret3@"))
	fill(t, enough, mustNamespace(t, enough), 0, 10)
	_, err := enough.Nodes(t.Context(), name, 0, 10)
	require.NoError(t, err)
	_, err = enough.Namespaces(t.Context())
	require.NoError(t, err)
	_, err = Open(t.Context(), at("enough:secret3@"), WithPrefix("other:"), quiet())
	require.ErrorIs(t, err, ErrAccess)
	require.ErrorContains(t, err, "keys of the prefix")

	acl("less", "~easyflake:*", "+@all", "-info")
	refused(t, at("less:secret3@"), ErrAccess, "documentation of redisstore lists")
	acl("reader", "~easyflake:*", "+@all", "-hset")
	reader := open(t, at("reader:secret3@"))
	_, err = reader.Write(t.Context(), pool.Write{Namespace: "n", OfNamespace: true})
	require.ErrorIs(t, err, ErrAccess)
	_, err = s.Namespace(t.Context(), "n")
	require.NoError(t, err)
}

func mustNamespace(t *testing.T, s *Store) uint64 {
	t.Helper()
	r, err := s.Namespace(t.Context(), name)
	require.NoError(t, err)
	require.NotZero(t, r.Revision)
	return r.Revision
}

// A server without memory to spare writes nothing, and says so.
func TestOutOfMemory(t *testing.T) {
	srv := redistest.Start(t, "--maxmemory-policy", "noeviction")
	s := open(t, srv.URL(), WithFresh())
	namespace := create(t, s)
	require.NoError(t, client(t, srv.URL()).ConfigSet(t.Context(), "maxmemory", "1").Err())
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "maxmemory")
	nodes, err := s.Nodes(t.Context(), name, 0, 10)
	require.NoError(t, err)
	assert.Empty(t, nodes)
}

func TestTooFewReplicas(t *testing.T) {
	srv := redistest.Start(t)
	s := open(t, srv.URL(), WithFresh())
	namespace := create(t, s)
	require.NoError(t, client(t, srv.URL()).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "min-replicas-to-write")
}

// A member of a cluster without any slot says so; with all of them, it keeps a store.
func TestCluster(t *testing.T) {
	srv := redistest.Start(t, "--cluster-enabled", "yes")
	refused(t, srv.URL(), ErrRefused, "cluster is down")
	c := client(t, srv.URL())
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Options().Addr}})
	defer cluster.Close()
	require.Eventually(t, func() bool { return errors.Is(cluster.Get(t.Context(), "x").Err(), redis.Nil) }, waitFor, tick)
	s, err := New(t.Context(), cluster, WithFresh(), quiet())
	require.NoError(t, err)
	leases(t, newPool(t, s), 10)
	assert.Len(t, stored(t, s), 10)

	readers := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Options().Addr}, ReadOnly: true})
	defer readers.Close()
	_, err = New(t.Context(), readers, quiet())
	require.ErrorIs(t, err, ErrReadOnly)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": c.Options().Addr}})
	defer ring.Close()
	_, err = New(t.Context(), ring, quiet())
	require.ErrorIs(t, err, ErrUnsupported)
}

// Redis 6 wraps what a command of a script replies.
func TestReplies(t *testing.T) {
	s := &Store{address: "host:1/0"}
	for text, kind := range map[string]error{
		"MOVED 7 10.0.0.1:6379":                                 ErrCluster,
		"LOADING Redis is loading the dataset in memory":        ErrRefused,
		"READONLY You can't write against a read only replica.": ErrReadOnly,
		"ERR Error running script (call to f_1): @user_script:7: OOM command not allowed when used memory > 'maxmemory'.":                 ErrRefused,
		"ERR Error running script (call to f_1): @user_script:9: WRONGTYPE Operation against a key holding the wrong kind of value":       ErrForeign,
		"ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.": ErrReadOnly,
		"ERR unknown command 'EVALSHA'": ErrUnsupported,
	} {
		err := s.explain(reply(text))
		require.ErrorIs(t, err, kind, text)
		require.ErrorIs(t, err, reply(text))
		require.ErrorContains(t, err, "host:1/0")
	}
	require.NoError(t, s.explain(nil))
	require.ErrorIs(t, s.explain(redis.ErrClosed), pool.ErrClosed)
	require.ErrorIs(t, s.explain(context.DeadlineExceeded), context.DeadlineExceeded)
}

type reply string

func (r reply) Error() string { return string(r) }
func (r reply) RedisError()   {}

// What is not ours is left as it is, and nothing is decided upon it.
func TestForeign(t *testing.T) {
	url := address(t)
	c := client(t, url)
	newStore := func() (*Store, uint64) {
		s := open(t, url, WithPrefix(newPrefix(t, url)), WithFresh())
		return s, create(t, s)
	}
	put := func(key, field string, value any) { require.NoError(t, c.HSet(t.Context(), key, field, value).Err()) }
	for _, text := range []string{"", "x", "1", "1 v", "0123456789abcde v", "0123456789abcdef", "0123456789abcdeg v", "0123456789abcdef0 v", "0000000000000000 v", "-123456789abcdef v"} {
		t.Run(text, func(t *testing.T) {
			s, namespace := newStore()
			put(s.keys.nodes+name, field(1), text)
			require.NoError(t, c.ZAdd(t.Context(), s.keys.index+name, redis.Z{Member: field(1)}).Err())
			_, err := s.Nodes(t.Context(), name, 1, 1)
			require.ErrorIs(t, err, ErrForeign)
			_, err = s.Nodes(t.Context(), name, 0, 5*few)
			require.ErrorIs(t, err, ErrForeign)
			require.ErrorContains(t, err, "node 1 of namespace")
			_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("v")})
			require.Error(t, err)
			assert.Equal(t, text, c.HGet(t.Context(), s.keys.nodes+name, field(1)).Val())

			put(s.keys.namespaces, name, text)
			_, err = s.Namespace(t.Context(), name)
			require.ErrorIs(t, err, ErrForeign)
			_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, OfNamespace: true, Value: []byte("v")})
			require.Error(t, err)
			assert.Equal(t, text, c.HGet(t.Context(), s.keys.namespaces, name).Val())
		})
	}

	s, _ := newStore()
	require.NoError(t, c.ZAdd(t.Context(), s.keys.index+name, redis.Z{Member: "00x"}).Err())
	put(s.keys.nodes+name, "00x", "0123456789abcdef v")
	_, err := s.Nodes(t.Context(), name, -1<<63, 9)
	require.ErrorIs(t, err, ErrForeign)

	for _, key := range []func(keys) string{
		func(k keys) string { return k.store }, func(k keys) string { return k.namespaces },
		func(k keys) string { return k.nodes + name }, func(k keys) string { return k.index + name },
	} {
		s, namespace := newStore()
		require.NoError(t, c.Set(t.Context(), key(s.keys), "mine", 0).Err())
		_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("v")})
		require.ErrorIs(t, err, ErrForeign)
		assert.Equal(t, "mine", c.Get(t.Context(), key(s.keys)).Val())
	}

	s, _ = newStore()
	put(s.keys.store, "format", "2")
	_, err = Open(t.Context(), url, WithPrefix(s.prefix), quiet())
	require.ErrorIs(t, err, ErrNewer)
}

func TestFields(t *testing.T) {
	before := ""
	for _, n := range []int64{-1 << 63, -1, 0, 1, 9, 10, 65535, 1<<63 - 1} {
		text := field(n)
		assert.Greater(t, text, before)
		got, err := parseField(text)
		require.NoError(t, err)
		assert.Equal(t, n, got)
		before = text
	}
}
