package redisstore

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// leases acquires some nodes.
func leases(t *testing.T, p *pool.Local, n int) (grants []pool.Grant) {
	t.Helper()
	for range n {
		g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
		require.NoError(t, err)
		grants = append(grants, g)
	}
	return grants
}

// held sees that no window begins before a horizon from now, and none before what was
// granted is over.
func held(t *testing.T, p *pool.Local, granted []pool.Grant) {
	t.Helper()
	_, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	var notYet *pool.NotYetError
	require.ErrorAs(t, err, &notYet)
	assert.Greater(t, notYet.RetryAfter, time.Minute)
	from := floor(t, p)
	for _, g := range granted {
		assert.LessOrEqual(t, g.Until, from)
	}
}

// floor is the tick before which no window begins.
func floor(t *testing.T, p *pool.Local) int64 {
	t.Helper()
	all, err := p.Namespaces(t.Context())
	require.NoError(t, err)
	at := slices.IndexFunc(all, func(ns pool.Namespace) bool { return ns.Name == name })
	require.GreaterOrEqual(t, at, 0)
	return all[at].Floor
}

func stored(t *testing.T, s *Store) (nodes []int64) {
	t.Helper()
	records, err := s.Nodes(t.Context(), name, 0, layout.Default().MaxNode())
	require.NoError(t, err)
	for _, r := range records {
		nodes = append(nodes, r.Node)
	}
	return nodes
}

// A server that keeps its data loses nothing when it is killed, but whoever uses it
// cannot know that: nothing is granted before the leases that may be lost are over.
func TestRestartWithAOF(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	log := new(said)
	s := open(t, srv.URL(), WithFresh(), log.option())
	p := newPool(t, s)
	granted := leases(t, p, 50)
	before := stored(t, s)
	require.Len(t, before, 50)
	assert.Empty(t, log.String())

	srv.Restart()
	held(t, p, granted)
	assert.Equal(t, before, stored(t, s))
	assert.Empty(t, s.Doubtful())
	assert.Contains(t, log.String(), "no window begins before a horizon from now")
	assert.Contains(t, log.String(), "the server was restarted, or another one took over")

	// What an earlier lease can still be renewed by is that it reaches past the floor.
	g := granted[0]
	_, err := p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
	require.ErrorIs(t, err, pool.ErrLeaseLost)

	// It is over once, for all.
	again := open(t, srv.URL(), WithFresh())
	assert.Empty(t, again.Doubtful())
	held(t, newPool(t, again), granted)
}

// A server that keeps nothing comes back empty. Whoever still uses it is refused, and a
// namespace created anew begins no window before a horizon from then.
func TestRestartWithoutAOF(t *testing.T) {
	srv := redistest.Start(t)
	log := new(said)
	s := open(t, srv.URL(), WithFresh(), log.option())
	assert.Contains(t, log.String(), "keeps no append-only file")
	assert.Contains(t, log.String(), "appendfsync always")
	p := newPool(t, s)
	granted := leases(t, p, 5)

	srv.Restart()
	_, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	var unknown *pool.UnknownNamespaceError
	require.ErrorAs(t, err, &unknown)
	_, err = s.Now(t.Context()) // as its pool does once a second
	require.NoError(t, err)
	assert.Contains(t, log.String(), "all records are gone")

	// Who opens it as fresh all the same gets what was asked for; nobody else.
	held(t, newPool(t, open(t, srv.URL())), granted)
}

// So it is where nobody was there to see it.
func TestEmptyIsDoubtful(t *testing.T) {
	srv := redistest.Start(t)
	for _, first := range []string{"settled", "created"} {
		require.NoError(t, client(t, srv.URL()).FlushAll(t.Context()).Err())
		s := open(t, srv.URL())
		require.Contains(t, s.Doubtful(), "it is empty")
		if first == "settled" {
			require.NoError(t, s.Settle(t.Context(), nil))
			assert.Empty(t, s.Doubtful())
		}
		held(t, newPool(t, s), nil)
		assert.Empty(t, s.Doubtful())
	}
	s := open(t, srv.URL(), WithFresh(), WithPrefix("another:"))
	assert.Empty(t, s.Doubtful())
	leases(t, newPool(t, s), 1)
}

// Records that are gone without a restart are noticed by the store's own.
func TestFlushed(t *testing.T) {
	srv := redistest.Start(t)
	s := open(t, srv.URL(), WithFresh())
	granted := leases(t, newPool(t, s), 5)
	require.NoError(t, client(t, srv.URL()).FlushAll(t.Context()).Err())
	_, err := s.Now(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "all records are gone", s.Doubtful())
	held(t, newPool(t, s), granted)

	require.NoError(t, client(t, srv.URL()).Del(t.Context(), s.keys.store).Err())
	held(t, newPool(t, open(t, srv.URL(), WithFresh())), granted)
}

// A server that is killed in the middle of writes may forget what it acknowledged. What
// was granted is over before another window begins, lost or not.
func TestKilledAmongWrites(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	log := new(said)
	s := open(t, srv.URL(), WithFresh(), log.option())
	assert.Contains(t, log.String(), "appendfsync=everysec")
	p := newPool(t, s)
	var mu sync.Mutex
	var granted []pool.Grant
	enough := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
			for err == nil {
				mu.Lock()
				granted = append(granted, g)
				if len(granted) == 500 {
					close(enough)
				}
				mu.Unlock()
				g, err = p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
			}
			assert.ErrorIs(t, err, ErrUnreachable)
		})
	}
	<-enough
	srv.Kill()
	all.Wait()
	require.NoError(t, srv.Try())
	// The client dials again once a second.
	require.Eventually(t, func() bool { _, err := s.Now(t.Context()); return err == nil }, waitFor, tick)
	held(t, p, granted)
	t.Logf("%d grants acknowledged, %d nodes of 8 kept", len(granted), len(stored(t, s)))
}

// Several who find the store doubtful settle it all at once, and none grants anything
// before the floor that it has seen, whoever was first.
func TestSettledBySeveral(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	const servers = 6
	var stores []*Store
	var pools []*pool.Local
	for range servers {
		s := open(t, srv.URL(), WithFresh())
		stores, pools = append(stores, s), append(pools, newPool(t, s))
	}
	for range 3 {
		srv.Restart()
		var all sync.WaitGroup
		for i := range 4 * servers {
			all.Go(func() {
				if i%4 == 0 {
					if err := stores[i%servers].Settle(t.Context(), pools[i%servers]); err != nil {
						t.Error(err)
					}
				}
				_, err := pools[i%servers].Acquire(t.Context(), name, layout.Default(), pool.NewToken())
				var notYet *pool.NotYetError
				assert.ErrorAs(t, err, &notYet)
			})
		}
		all.Wait()
		for _, p := range pools {
			held(t, p, nil)
		}
		s := open(t, srv.URL())
		assert.Empty(t, s.Doubtful())
		assert.Empty(t, stored(t, s))
	}
}

// Who has raised the floors at one server does not trust its successor, which may have
// lost them again.
func TestRestartedWhileSettled(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, srv.URL())
	old, err := s.look(t.Context())
	require.NoError(t, err)
	srv.Restart()
	trusted, err := s.trust(t.Context(), old, false)
	require.NoError(t, err)
	assert.False(t, trusted)
	assert.NotEmpty(t, open(t, srv.URL()).Doubtful())

	// With fresh, nobody overrides what another one has noted meanwhile.
	now, err := s.look(t.Context())
	require.NoError(t, err)
	trusted, err = s.trust(t.Context(), now, true)
	require.NoError(t, err)
	assert.True(t, trusted)
	trusted, err = s.trust(t.Context(), now, true)
	require.NoError(t, err)
	assert.False(t, trusted)
}

// While a store is doubtful, a write of a node is refused, whoever wants to make it, and
// reads go on; if it cannot be settled, the error says so.
func TestDoubtfulRefuses(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, srv.URL(), WithFresh())
	namespace := create(t, s) // whose record no pool can read
	w := pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")}
	revision, err := s.Write(t.Context(), w)
	require.NoError(t, err)
	srv.Restart()
	w.NodeRevision = revision
	for range 3 {
		_, err = s.Write(t.Context(), w)
		require.ErrorIs(t, err, ErrDoubtful)
		require.ErrorContains(t, err, "could not be raised")
		assert.NotEmpty(t, s.Doubtful())
	}
	nodes, err := s.Nodes(t.Context(), name, 0, 5)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	assert.Equal(t, revision, nodes[0].Revision)
	require.NotErrorIs(t, err, pool.ErrConflict)
}

// follow makes a server the replica of another one, and waits until it has what there
// is, but for what pings its master sends.
func follow(t *testing.T, replica, master *redistest.Server) {
	t.Helper()
	c := client(t, replica.URL())
	require.NoError(t, c.ReplicaOf(t.Context(), "127.0.0.1", master.PortText()).Err())
	n := client(t, master.URL()).DBSize(t.Context()).Val()
	require.Eventually(t, func() bool {
		info, err := c.Info(t.Context(), "replication").Result()
		got, keys := c.DBSize(t.Context()).Result()
		return err == nil && keys == nil && got == n && strings.Contains(info, "master_link_status:up")
	}, waitFor, tick)
}

// follows waits until a server that was a master follows another one.
func follows(t *testing.T, old *redistest.Server) {
	t.Helper()
	c := client(t, old.URL())
	require.Eventually(t, func() bool {
		info, err := c.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	}, waitFor, tick)
}

// A replica that takes over may be behind; and so may the old master which is a replica
// for a while, and takes over again.
func TestFailover(t *testing.T) {
	a, b := redistest.Start(t), redistest.Start(t)
	follow(t, b, a)
	s := open(t, a.URL(), WithFresh())
	p := newPool(t, s)
	granted := leases(t, p, 5)
	follow(t, b, a)
	first := s.seen.Load()
	ca, cb := client(t, a.URL()), client(t, b.URL())

	_, err := Open(t.Context(), b.URL(), quiet())
	require.ErrorIs(t, err, ErrReadOnly)
	require.NoError(t, cb.ReplicaOf(t.Context(), "NO", "ONE").Err())
	other := open(t, b.URL())
	require.Contains(t, other.Doubtful(), "another one took over")

	// Back, and nobody has written meanwhile: by the process alone it looks the same.
	follow(t, a, b)
	_, err = s.Now(t.Context())
	require.ErrorIs(t, err, ErrReadOnly)
	require.NoError(t, ca.ReplicaOf(t.Context(), "NO", "ONE").Err())
	last, err := s.look(t.Context())
	require.NoError(t, err)
	assert.Equal(t, first.run, last.run)
	assert.Contains(t, s.Doubtful(), "another server was the master in between")
	held(t, p, granted)
	assert.Empty(t, s.Doubtful())
}

// A server that was another one's replica in between, and has its first replica now,
// names no earlier history: nothing but the ID of its present one tells.
func TestFailoverBeforeTheFirstReplica(t *testing.T) {
	a, b := redistest.Start(t), redistest.Start(t)
	s := open(t, a.URL(), WithFresh())
	p := newPool(t, s)
	granted := leases(t, p, 5)
	first := s.seen.Load()

	c := client(t, a.URL())
	require.NoError(t, c.ReplicaOf(t.Context(), "127.0.0.1", "1").Err()) // where nothing is: it keeps its data
	require.NoError(t, c.ReplicaOf(t.Context(), "NO", "ONE").Err())
	follow(t, b, a)
	info, err := c.Info(t.Context(), "replication").Result()
	require.NoError(t, err)
	require.Contains(t, info, "master_replid2:"+strings.Repeat("0", 40))

	held(t, p, granted)
	assert.Equal(t, first.run, s.seen.Load().run)
	assert.Empty(t, s.Doubtful())
}

// So the first replica has every lease wait, though nothing is lost; those that come
// later change nothing.
func TestFirstReplica(t *testing.T) {
	a, b, later := redistest.Start(t), redistest.Start(t), redistest.Start(t)
	s := open(t, a.URL(), WithFresh())
	p := newPool(t, s)
	granted := leases(t, p, 5)
	follow(t, b, a)
	_, err := s.Now(t.Context())
	require.NoError(t, err)
	require.Contains(t, s.Doubtful(), "its first replica has come")
	held(t, p, granted)
	follow(t, later, a)
	_, err = s.Now(t.Context())
	require.NoError(t, err)
	assert.Empty(t, s.Doubtful())
}

// A replica that takes writes of its own is none to keep a store on.
func TestWritableReplica(t *testing.T) {
	a := redistest.Start(t)
	b := redistest.Start(t, "--replica-read-only", "no")
	s := open(t, b.URL(), WithFresh())
	namespace := create(t, s)
	require.NoError(t, client(t, b.URL()).ReplicaOf(t.Context(), "127.0.0.1", a.PortText()).Err())
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")})
	require.True(t, errors.Is(err, ErrReadOnly) || errors.Is(err, ErrRefused), "%v", err)
}
