package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

func clusterClient(tb testing.TB, c *redistest.Cluster, timeout time.Duration) *redis.ClusterClient {
	tb.Helper()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(), DialerRetries: 1, ReadTimeout: timeout,
		PoolSize: 1000, // after so many failures a goroutine begins to dial by itself
	})
	tb.Cleanup(func() { assert.NoError(tb, cluster.Close()) })
	return cluster
}

// openOn opens a store through a client that may be a Sentinel's or a cluster's.
func openOn(tb testing.TB, c redis.UniversalClient, opts ...Option) *Store {
	tb.Helper()
	s, err := New(tb.Context(), c, append([]Option{quiet()}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.Close()) })
	return s
}

// slotOf returns the slot that all keys of a prefix are in.
func slotOf(tb testing.TB, c *redis.ClusterClient, prefix string) int64 {
	tb.Helper()
	slot, err := c.ClusterKeySlot(tb.Context(), "{"+prefix+"}").Result()
	require.NoError(tb, err)
	return slot
}

// masterOf returns which of a cluster's first masters has a slot, unless it was moved.
func masterOf(c *redistest.Cluster, slot int64) int {
	return slices.IndexFunc(c.Masters, func(s *redistest.Server) bool {
		i := int64(slices.Index(c.Masters, s))
		return slot < (i+1)*redistest.Slots/int64(len(c.Masters))
	})
}

// Stores are spread over a cluster by their prefixes, and each keeps the contract.
func TestClusterOfThree(t *testing.T) {
	c := redistest.StartCluster(t, 3, 0)
	cluster := clusterClient(t, c, 5*time.Second)
	n := 0
	f := factoryOf(func(*testing.T) func(context.Context) (*Store, error) {
		n++
		prefix := fmt.Sprintf("test%d:", n)
		return func(ctx context.Context) (*Store, error) {
			return New(ctx, cluster, WithPrefix(prefix), WithFresh(), quiet())
		}
	})
	t.Run("contract", func(t *testing.T) { pooltest.RunStore(t, f) })
	t.Run("keys", func(t *testing.T) { testClusterKeys(t, c, cluster) })
}

// All keys of a store are at one master, the one that has the prefix' slot, whatever the
// namespaces are called.
func testClusterKeys(t *testing.T, c *redistest.Cluster, cluster *redis.ClusterClient) {
	t.Helper()
	want := map[int]int{} // how many keys a master has
	for i := 0; len(want) < len(c.Masters); i++ {
		prefix := fmt.Sprintf("keys:%d:", i)
		want[masterOf(c, slotOf(t, cluster, prefix))] += 2 + 2*3
		s := openOn(t, cluster, WithPrefix(prefix), WithFresh())
		for _, namespace := range []string{name, "{a}", "}b{c}"} {
			revision, err := s.Write(t.Context(), pool.Write{Namespace: namespace, OfNamespace: true, Value: []byte("{}")})
			require.NoError(t, err)
			_, err = s.Write(t.Context(), pool.Write{Namespace: namespace, NamespaceRevision: revision, Node: 1, Value: []byte("{}")})
			require.NoError(t, err)
		}
	}
	got := map[int]int{}
	for i, m := range c.Masters {
		keys, err := client(t, m.URL()).Keys(t.Context(), "keys:*").Result()
		require.NoError(t, err)
		got[i] = len(keys)
	}
	assert.Equal(t, want, got)
}

// move is a slot that goes from one master of a cluster to another one.
type move struct {
	slot     int64
	from, to *redistest.Server
	all      []*redistest.Server
}

func (m *move) begin() {
	m.to.Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.from.ID())
	m.from.Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.to.ID())
}

func (m *move) keys(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.Equal(t, "OK", m.from.Do("MIGRATE", "127.0.0.1", m.to.PortText(), key, 0, 10_000), key)
	}
}

func (m *move) end() {
	for _, s := range slices.Concat([]*redistest.Server{m.to, m.from}, m.all) {
		s.Do("CLUSTER", "SETSLOT", m.slot, "NODE", m.to.ID())
	}
}

// While the keys of a store are moved to another master nothing is written by halves.
// Once they are there, the store finds another history than the one that it noted: nothing
// is lost, but it cannot know that.
func TestClusterSlotIsMoved(t *testing.T) {
	c := redistest.StartCluster(t, 3, 0)
	cluster := clusterClient(t, c, 5*time.Second)
	log := new(said)
	s := openOn(t, cluster, WithFresh(), log.option())
	p := newPool(t, s)
	granted := leases(t, p, 10)
	before := stored(t, s)
	slot := slotOf(t, cluster, s.prefix)
	from := masterOf(c, slot)
	m := &move{slot, c.Masters[from], c.Masters[(from+1)%3], c.Masters}

	m.begin()
	granted = append(granted, leases(t, p, 1)...) // as long as all keys are where they were
	before = append(before, granted[10].Node)
	slices.Sort(before)
	for _, keys := range [][]string{{s.keys.nodes + name}, {s.keys.store, s.keys.namespaces}} {
		m.keys(t, keys...)
		_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: mustNamespace(t, s), Node: 1, Value: []byte("x")})
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "being moved: try again")
	}
	m.keys(t, s.keys.index+name)
	assert.Equal(t, before, stored(t, s))
	_, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	require.ErrorIs(t, err, ErrDoubtful, "the new master has been asked")
	m.end()

	held(t, p, granted)
	assert.Contains(t, log.String(), "another one took over: run ID")
	assert.Contains(t, log.String(), "no window begins before a horizon from now")
	assert.Equal(t, before, stored(t, s))
	assert.Zero(t, client(t, m.from.URL()).DBSize(t.Context()).Val())
	usable(t, s)

	// Back, it is another history again.
	back := &move{slot, m.to, m.from, c.Masters}
	back.begin()
	back.keys(t, client(t, m.to.URL()).Keys(t.Context(), "*").Val()...)
	back.end()
	again(t, s)
}

// again waits until a store that was settled is doubtful once more, and sees that the
// floor rises once more.
func again(t *testing.T, s *Store) {
	t.Helper()
	before := floor(t, newPool(t, s))
	require.Eventually(t, func() bool {
		_, err := s.Now(t.Context())
		return err == nil && s.Doubtful() != ""
	}, waitFor, tick)
	require.NoError(t, s.Settle(t.Context(), nil))
	assert.Greater(t, floor(t, newPool(t, s)), before)
	usable(t, s)
}

// usable sees that nodes can be written.
func usable(t *testing.T, s *Store) {
	t.Helper()
	assert.Empty(t, s.Doubtful())
	r, err := s.Namespace(t.Context(), name)
	require.NoError(t, err)
	if r.Revision == 0 {
		r.Revision = create(t, s)
	}
	node := layout.Default().MaxNode()
	w := pool.Write{Namespace: name, NamespaceRevision: r.Revision, Node: node, Value: []byte("x")}
	have, err := s.Nodes(t.Context(), name, node, node)
	require.NoError(t, err)
	for _, n := range have {
		w.NodeRevision = n.Revision
	}
	_, err = s.Write(t.Context(), w)
	require.NoError(t, err)
}

// grants are what workers get who acquire a lease each and renew it all the time.
type grants struct {
	mu    sync.Mutex
	all   []pool.Grant
	stop  atomic.Bool
	ended chan struct{}
}

// work starts workers, each of which ends as soon as it is refused, and waits until there
// are some grants.
func work(t *testing.T, p *pool.Local, refused func(error)) *grants {
	t.Helper()
	g := &grants{ended: make(chan struct{})}
	enough := make(chan struct{})
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			got, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
			for err == nil && !g.stop.Load() {
				g.mu.Lock()
				if g.all = append(g.all, got); len(g.all) == 200 {
					close(enough)
				}
				g.mu.Unlock()
				got, err = p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: got.Node, Token: got.Token, Revision: got.Revision, Until: got.Until, Nonce: pool.NewToken()})
			}
			refused(err)
		})
	}
	go func() {
		workers.Wait()
		close(g.ended)
	}()
	select {
	case <-enough:
	case <-g.ended:
	}
	return g
}

// granted waits for the workers, and returns the last grant of each node.
func (g *grants) granted(t *testing.T) []pool.Grant {
	t.Helper()
	select {
	case <-g.ended:
	case <-time.After(waitFor):
		g.stop.Store(true)
		<-g.ended
		t.Fatal("leases are renewed as if nothing had happened")
	}
	last := map[int64]pool.Grant{}
	for _, got := range g.all {
		last[got.Node] = got
	}
	return slices.Collect(maps.Values(last))
}

// answers waits until a store's server answers again.
func answers(t *testing.T, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := s.Now(t.Context()); return err == nil }, waitFor, tick)
}

// onMaster opens a store that a given master of a cluster keeps.
func onMaster(t *testing.T, c *redistest.Cluster, cluster *redis.ClusterClient, master int, opts ...Option) *Store {
	t.Helper()
	for i := 0; ; i++ {
		if prefix := fmt.Sprintf("easyflake%d:", i); masterOf(c, slotOf(t, cluster, prefix)) == master {
			return openOn(t, cluster, append(opts, WithPrefix(prefix), WithFresh())...)
		}
	}
}

// A replica that takes over while its master takes writes has not got the last ones; and
// the master takes some more until it hears of that. None that was acknowledged reaches
// past the floor.
func TestClusterFailover(t *testing.T) {
	c := redistest.StartCluster(t, 3, 1)
	cluster := clusterClient(t, c, 5*time.Second)
	log, other := new(said), new(said)
	s := onMaster(t, c, cluster, 0, log.option())
	elsewhere := onMaster(t, c, cluster, 1, other.option())
	p := newPool(t, s)
	first := leases(t, p, 5)
	g := work(t, p, func(error) {})
	c.Replicas[0].Do("CLUSTER", "FAILOVER", "TAKEOVER")
	granted := append(g.granted(t), first...)
	held(t, p, granted)
	assert.Contains(t, log.String(), "another one took over: run ID")
	usable(t, s)
	usable(t, elsewhere)
	assert.NotContains(t, other.String(), "may have lost records", "the other masters' stores have no part in it")
	t.Logf("%d grants acknowledged of %d nodes, %d nodes kept", len(g.all), len(granted), len(stored(t, s)))

	// The old master follows, and takes over again, whether or not it has heard of the
	// floors: what it noted of itself is of an earlier history.
	old := c.Masters[0]
	follows(t, old)
	old.Do("CLUSTER", "FAILOVER", "TAKEOVER")
	again(t, s)
}

// Where a master is gone, or hangs, its successor is found, and not only when the client
// looks at the cluster again in its own time.
func TestClusterMasterIsGone(t *testing.T) {
	c := redistest.StartCluster(t, 3, 2)
	cluster := clusterClient(t, c, 300*time.Millisecond)
	for i, gone := range []func(){c.Masters[0].Kill, c.Masters[1].Freeze} {
		s := onMaster(t, c, cluster, i)
		p := newPool(t, s)
		g := work(t, p, func(err error) { assert.ErrorIs(t, err, ErrUnreachable) })
		gone()
		granted := g.granted(t)
		c.Replicas[i].Do("CLUSTER", "FAILOVER", "TAKEOVER")
		answers(t, s)
		held(t, p, granted)
		usable(t, s)
	}
}
