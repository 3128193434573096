package redisstore

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

func TestStore(t *testing.T) { pooltest.RunStore(t, factory()) }

func TestPoolOfStore(t *testing.T) { pooltest.RunPool(t, pooltest.PoolFactory{Stores: factory()}) }

// counter counts what a client sends.
type counter struct{ sent atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.sent.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.sent.Add(1)
		return next(ctx, cmds)
	}
}

// A renewal is one round trip, but for the look at the clock once a second.
func TestRenewalIsOneRoundTrip(t *testing.T) {
	url := address(t)
	c := client(t, url)
	s, err := New(t.Context(), c, WithPrefix(newPrefix(t, url)), WithFresh(), quiet())
	require.NoError(t, err)
	p := newPool(t, s)
	g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	looks := &looks{Store: s}
	counted := newPool(t, looks)
	r := pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until}
	renew := func() {
		r.Nonce = pool.NewToken()
		g, err := counted.Renew(t.Context(), r)
		require.NoError(t, err)
		r.Revision, r.Until = g.Revision, g.Until
	}
	renew() // this pool's first, which reads
	count := new(counter)
	c.AddHook(count)
	looks.n.Store(0)
	const renewals = 100
	for range renewals {
		renew()
	}
	// A look may write the mark, too, for which it reads the namespace.
	assert.LessOrEqual(t, count.sent.Load(), renewals+3*looks.n.Load())
	assert.GreaterOrEqual(t, count.sent.Load(), int64(renewals))
	t.Logf("%d commands for %d renewals, and %d looks at the clock", count.sent.Load(), renewals, looks.n.Load())
}

// looks counts the looks at the clock.
type looks struct {
	*Store

	n atomic.Int64
}

func (l *looks) Now(ctx context.Context) (int64, error) {
	l.n.Add(1)
	return l.Store.Now(ctx)
}

// losses are when replies are lost, each with its connection.
type losses struct {
	lose  atomic.Int64 // after so many replies
	every int64        // once one was lost, again after so many, unless 0
	then  func()       // what happens before anybody notices, unless nil
}

type lossy struct {
	net.Conn
	*losses
}

func (l *lossy) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.lose.Add(-1) == 0 {
		l.lose.Store(l.every)
		if l.then != nil {
			l.then()
		}
		l.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// openLossy opens the shared server's store of a prefix through connections that lose
// replies.
func openLossy(t *testing.T, url, prefix string) (*Store, *losses) {
	t.Helper()
	o, err := redis.ParseURL(url)
	require.NoError(t, err)
	l := new(losses)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &lossy{Conn: c, losses: l}, err
	}
	o.DisableIdentity = true
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	s, err := New(t.Context(), c, WithPrefix(prefix), WithFresh(), quiet())
	require.NoError(t, err)
	return s, l
}

// A write whose reply is lost may have been replaced when it is sent again. Then it is no
// conflict, which would say that it was never made.
func TestLostReplyAndOvertaken(t *testing.T) {
	url := address(t)
	prefix := newPrefix(t, url)
	s, losses := openLossy(t, url, prefix)
	other := open(t, url, WithPrefix(prefix))
	overwrite := func(w pool.Write) {
		t.Helper()
		losses.then = func() {
			r, err := other.Namespace(t.Context(), w.Namespace)
			if err != nil {
				t.Error(err)
				return
			}
			w.NamespaceRevision = r.Revision
			if !w.OfNamespace {
				nodes, err := other.Nodes(t.Context(), w.Namespace, w.Node, w.Node)
				if err != nil || len(nodes) != 1 {
					t.Errorf("%d nodes: %v", len(nodes), err)
					return
				}
				w.NodeRevision = nodes[0].Revision
			}
			w.Value = []byte("another's")
			_, err = other.Write(t.Context(), w)
			assert.NoError(t, err)
		}
		losses.lose.Store(1)
		_, err := s.Write(t.Context(), w)
		require.Error(t, err)
		require.NotErrorIs(t, err, pool.ErrConflict)
		require.ErrorContains(t, err, "it is not known whether the record was written")
		losses.then = nil
	}
	overwrite(pool.Write{Namespace: name, OfNamespace: true, Value: []byte("ours")})
	r, err := s.Namespace(t.Context(), name)
	require.NoError(t, err)
	assert.Equal(t, "another's", string(r.Value))
	overwrite(pool.Write{Namespace: name, NamespaceRevision: r.Revision, Node: 1, Value: []byte("ours")})

	// So it is where all attempts break off.
	losses.every = 1
	losses.lose.Store(1)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: r.Revision, Node: 2})
	losses.lose.Store(0)
	losses.every = 0
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "it is not known whether the record was written")
	nodes, err := s.Nodes(t.Context(), name, 2, 2)
	require.NoError(t, err)
	assert.Len(t, nodes, 1, "it was")
}

// A write whose reply is lost is sent again, and made once.
func TestLostReply(t *testing.T) {
	url := address(t)
	s, losses := openLossy(t, url, newPrefix(t, url))
	namespace := create(t, s)
	w := pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")}
	var err error
	w.NodeRevision, err = s.Write(t.Context(), w)
	require.NoError(t, err)
	for range 20 {
		losses.lose.Store(1)
		revision, err := s.Write(t.Context(), w)
		require.NoError(t, err)
		assert.Negative(t, losses.lose.Load(), "nothing was lost")
		assert.NotEqual(t, revision, w.NodeRevision)
		nodes, err := s.Nodes(t.Context(), name, 1, 1)
		require.NoError(t, err)
		assert.Equal(t, revision, nodes[0].Revision)
		_, err = s.Write(t.Context(), w)
		require.ErrorIs(t, err, pool.ErrConflict, "another write of the same value")
		w.NodeRevision = revision
	}
}

// The script is sent again where the server has forgotten it.
func TestScriptsForgotten(t *testing.T) {
	srv := redistest.Start(t)
	s := open(t, srv.URL(), WithFresh())
	create(t, s)
	require.NoError(t, client(t, srv.URL()).ScriptFlush(t.Context()).Err())
	r, err := s.Namespace(t.Context(), name)
	require.NoError(t, err)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: r.Revision, Node: 1, Value: []byte("x")})
	require.NoError(t, err)
}

// Stores of different prefixes do not meet, and in a cluster all keys of one are
// together.
func TestPrefixes(t *testing.T) {
	url := address(t)
	a, b := newPrefix(t, url), newPrefix(t, url)
	create(t, open(t, url, WithPrefix(a), WithFresh()))
	names, err := open(t, url, WithPrefix(b), WithFresh()).Namespaces(t.Context())
	require.NoError(t, err)
	assert.Empty(t, names)
	for _, prefix := range []string{"", "a{b", "}"} {
		_, err := Open(t.Context(), url, WithPrefix(prefix))
		require.ErrorContains(t, err, "prefix")
	}
	k := newKeys("easyflake:")
	for _, key := range []string{k.store, k.namespaces, k.nodes + "}{", k.index + "{x}"} {
		assert.Regexp(t, `^easyflake:\{easyflake:\}\w`, key)
	}
}

// All nodes of a big namespace come at once, in order.
func TestManyNodes(t *testing.T) {
	url := address(t)
	s := open(t, url, WithPrefix(newPrefix(t, url)), WithFresh())
	namespace := create(t, s)
	const many = 9000 // more than a script can have arguments
	fill(t, s, namespace, 0, many)
	nodes, err := s.Nodes(t.Context(), name, -1, 1<<40)
	require.NoError(t, err)
	require.Len(t, nodes, many)
	for i, n := range nodes {
		require.EqualValues(t, i, n.Node)
		require.Equal(t, fmt.Sprint(i), string(n.Value))
	}
}

// fill writes nodes by several goroutines.
func fill(tb testing.TB, s *Store, namespace uint64, first, last int64) {
	tb.Helper()
	const writers = 8
	var all sync.WaitGroup
	for w := range int64(writers) {
		all.Go(func() {
			for n := first + w; n < last; n += writers {
				_, err := s.Write(tb.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: n, Value: fmt.Append(nil, n)})
				if err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestClosed(t *testing.T) {
	url := address(t)
	c := client(t, url)
	s, err := New(t.Context(), c, WithPrefix(newPrefix(t, url)), WithFresh(), quiet())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice does no harm")
	_, err = s.Namespaces(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = s.Namespace(t.Context(), name)
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = s.Now(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
	require.NoError(t, c.Ping(t.Context()).Err(), "a client that was given stays open")
}
