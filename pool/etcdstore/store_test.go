package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// One etcd of three members serves all that leaves it as it is.
func TestEtcd(t *testing.T) {
	s := build(t, 3, quick)
	t.Run("Store", func(t *testing.T) { pooltest.RunStore(t, s.factory()) })
	t.Run("Pool", func(t *testing.T) { pooltest.RunPool(t, pooltest.PoolFactory{Stores: s.factory()}) })
	t.Run("Keys", s.keys)
	t.Run("Foreign", s.foreign)
	t.Run("ManyNodes", s.manyNodes)
	t.Run("Compacted", s.compacted)
	t.Run("OneRoundTrip", s.oneRoundTrip)
	t.Run("Outcomes", s.outcomes)
	t.Run("Patience", s.patience)
	t.Run("GivenUp", s.givenUp)
	t.Run("Closed", s.closed)
	t.Run("Client", s.ofClient)
}

// What is written lies where the documentation says, attached to no etcd lease.
func (s *scenery) keys(t *testing.T) {
	store := s.open(t)
	const odd = "a/b%c é"
	ns, err := store.Write(t.Context(), pool.Write{Namespace: odd, OfNamespace: true, Value: []byte("{}")})
	require.NoError(t, err)
	for _, node := range []int64{-1, 7} {
		_, err = store.Write(t.Context(), pool.Write{Namespace: odd, NamespaceRevision: ns, Node: node, Value: []byte("[]")})
		require.NoError(t, err)
	}
	all, err := s.client.Get(t.Context(), store.keys.prefix, clientv3.WithPrefix())
	require.NoError(t, err)
	var keys []string
	for _, kv := range all.Kvs {
		keys = append(keys, strings.TrimPrefix(string(kv.GetKey()), store.keys.prefix))
		assert.Zero(t, kv.GetLease())
		assert.Regexp(t, `^easyflake/1 [0-9a-f]{32}\n(\{\}|\[\])$`, string(kv.GetValue()))
	}
	assert.Equal(t, []string{
		"namespaces/a%2Fb%25c%20%C3%A9",
		"nodes/a%2Fb%25c%20%C3%A9/7fffffffffffffff",
		"nodes/a%2Fb%25c%20%C3%A9/8000000000000007",
	}, keys)
}

// What is not ours is named, and stays as it is.
func (s *scenery) foreign(t *testing.T) {
	lease, err := s.client.Grant(t.Context(), 3600)
	require.NoError(t, err)
	good := string(seal([]byte("{}")))
	for what, c := range map[string]struct {
		key, value string
		lease      clientv3.LeaseID
		reason     string
	}{
		"another program":  {"nodes/default/8000000000000005", "hello", 0, "has not written it"},
		"cut off":          {"nodes/default/8000000000000005", good[:20], 0, "has not written it"},
		"digits":           {"nodes/default/8000000000000005", strings.Replace(good, good[12:14], "xy", 1), 0, "has not written it"},
		"newer":            {"nodes/default/8000000000000005", strings.Replace(good, "/1", "/2", 1), 0, "newer version"},
		"attached":         {"nodes/default/8000000000000005", good, lease.ID, "attached to an etcd lease"},
		"key too long":     {"nodes/default/80000000000000050", good, 0, "remove it with etcdctl"},
		"capital digits":   {"nodes/default/800000000000000A", good, 0, "remove it with etcdctl"},
		"namespace":        {"namespaces/default", "hello", 0, "has not written it"},
		"namespace's name": {"namespaces/a b", good, 0, "remove it with etcdctl"},
	} {
		t.Run(what, func(t *testing.T) {
			store := s.open(t)
			key := store.keys.prefix + c.key
			put, err := s.client.Put(t.Context(), key, c.value, clientv3.WithLease(c.lease))
			require.NoError(t, err)
			_, err = store.Nodes(t.Context(), name, 0, 100)
			switch c.key {
			case "namespaces/default":
				_, err = store.Namespace(t.Context(), name)
			case "namespaces/a b":
				_, err = store.Namespaces(t.Context())
			}
			var record *pool.RecordError
			require.ErrorAs(t, err, &record)
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, fmt.Sprintf("%q", key))

			p := pool.New(store)
			err = p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default()))
			if err == nil {
				for range 300 { // until there is no other node
					if _, err = p.Acquire(t.Context(), name, layout.Default(), pool.NewToken()); err != nil {
						break
					}
				}
			}
			if c.key != "namespaces/a b" {
				require.Error(t, err)
			}
			there, err := s.client.Get(t.Context(), key)
			require.NoError(t, err)
			assert.Equal(t, c.value, string(there.Kvs[0].GetValue()))
			assert.Equal(t, put.Header.GetRevision(), there.Kvs[0].GetModRevision())
		})
	}
}

// A whole namespace is read in pages, at one moment.
func (s *scenery) manyNodes(t *testing.T) {
	const many = 1 << 16
	var pages, delayed atomic.Int64
	var during func()
	store := s.open(t, through(func(ctx context.Context, method string, send func(context.Context) error) error {
		if method == read && pages.Add(1) == 3 && during != nil {
			delayed.Add(1)
			during()
		}
		return send(ctx)
	}))
	ns := create(t, store)
	s.fill(t, store, many, func(int64) []byte { return make([]byte, 300) })
	pages.Store(0)
	during = func() {
		for _, node := range []int64{0, many - 1} {
			_, err := store.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: ns, Node: many + node, Value: []byte("later")})
			assert.NoError(t, err)
		}
	}
	nodes, err := store.Nodes(t.Context(), name, 0, 1<<40)
	require.NoError(t, err)
	require.Len(t, nodes, many)
	for i, n := range nodes {
		require.EqualValues(t, i, n.Node)
		require.Len(t, n.Value, 300)
	}
	assert.EqualValues(t, 1, delayed.Load())
	assert.EqualValues(t, (many+page-1)/page, pages.Load())
}

// fill writes nodes without asking for revisions.
func (s *scenery) fill(tb testing.TB, store *Store, many int64, value func(node int64) []byte) {
	tb.Helper()
	for first := int64(0); first < many; first += 128 {
		var puts []clientv3.Op
		for node := first; node < min(first+128, many); node++ {
			puts = append(puts, clientv3.OpPut(store.keys.node(name, node), string(seal(value(node)))))
		}
		_, err := s.client.Txn(tb.Context()).Then(puts...).Commit()
		require.NoError(tb, err)
	}
}

// Where etcd has forgotten the moment of the first page, reading begins anew.
func (s *scenery) compacted(t *testing.T) {
	var pages atomic.Int64
	store := s.open(t, through(func(ctx context.Context, method string, send func(context.Context) error) error {
		if method == read && pages.Add(1) == 2 {
			put, err := s.client.Put(ctx, "compaction", "")
			if err == nil {
				_, err = s.client.Compact(ctx, put.Header.GetRevision())
			}
			if err != nil {
				t.Errorf("compacting: %v", err)
			}
		}
		return send(ctx)
	}))
	create(t, store)
	s.fill(t, store, 2*page+1, func(int64) []byte { return nil })
	pages.Store(0)
	nodes, err := store.Nodes(t.Context(), name, 0, 1<<40)
	require.NoError(t, err)
	assert.Len(t, nodes, 2*page+1)
	assert.EqualValues(t, 5, pages.Load(), "two, and three")
}

// A renewal is one request to etcd.
func (s *scenery) oneRoundTrip(t *testing.T) {
	var requests atomic.Int64
	store := s.open(t, through(func(ctx context.Context, _ string, send func(context.Context) error) error {
		requests.Add(1)
		return send(ctx)
	}))
	p := pool.New(store)
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default())))
	g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	const renewals = 50
	requests.Store(0)
	for range renewals {
		g, err = p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
		require.NoError(t, err)
	}
	// The clock's mark is written every few seconds beside that.
	assert.LessOrEqual(t, requests.Load(), int64(renewals+2))
}

var errLost = fmt.Errorf("lost: %w", context.DeadlineExceeded)

// Whatever becomes of attempts, Write says what is the case, or that it is not known.
func (s *scenery) outcomes(t *testing.T) {
	type send = func(context.Context) error
	lostAfter := func(ctx context.Context, send send) error { _ = send(ctx); return errLost }
	lostBefore := func(context.Context, send) error { return errLost }
	plain := func(ctx context.Context, send send) error { return send(ctx) }
	for what, c := range map[string]struct {
		attempts []func(context.Context, send) error
		change   func(t *testing.T, s *Store, w pool.Write) // after the first attempt
		want     error                                      // nil, ErrConflict, errOvertaken
		written  bool
	}{
		"request lost":           {attempts: []func(context.Context, send) error{lostBefore, plain}, written: true},
		"reply lost":             {attempts: []func(context.Context, send) error{lostAfter, plain}, written: true},
		"reply lost three times": {attempts: []func(context.Context, send) error{lostAfter, lostAfter, lostBefore, plain}, written: true},
		"request lost, and another has written the same": {
			attempts: []func(context.Context, send) error{lostBefore, plain},
			change:   again, want: errOvertaken,
		},
		"reply lost, and another has written the same": {
			attempts: []func(context.Context, send) error{lostAfter, plain},
			change: func(t *testing.T, s *Store, w pool.Write) {
				t.Helper()
				nodes, err := s.Nodes(t.Context(), name, w.Node, w.Node)
				require.NoError(t, err)
				w.NodeRevision = nodes[0].Revision
				again(t, s, w)
			}, want: errOvertaken,
		},
		"request lost, and the namespace has changed": {
			attempts: []func(context.Context, send) error{lostBefore, plain},
			change: func(t *testing.T, s *Store, w pool.Write) {
				t.Helper()
				_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: w.NamespaceRevision, OfNamespace: true})
				require.NoError(t, err)
			}, want: pool.ErrConflict,
		},
		"reply lost, and the namespace has changed": {
			attempts: []func(context.Context, send) error{lostAfter, plain}, written: true,
			change: func(t *testing.T, s *Store, w pool.Write) {
				t.Helper()
				_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: w.NamespaceRevision, OfNamespace: true})
				require.NoError(t, err)
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			var on atomic.Bool
			var attempt int
			var after func()
			store := s.open(t, through(func(ctx context.Context, method string, send func(context.Context) error) error {
				if method != txn || !on.Load() {
					return send(ctx)
				}
				attempt++
				err := c.attempts[attempt-1](ctx, send)
				if attempt == 1 && after != nil {
					after()
				}
				return err
			}))
			ns := create(t, store)
			w := pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("x")}
			other, err := New(s.client, WithPrefix(store.keys.prefix))
			require.NoError(t, err)
			defer other.Close()
			if c.change != nil {
				after = func() { c.change(t, other, w) }
			}
			on.Store(true)
			revision, err := store.Write(t.Context(), w)
			on.Store(false)
			assert.Equal(t, len(c.attempts), attempt)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.want == pool.ErrConflict, errors.Is(err, pool.ErrConflict)) //nolint:errorlint // it is that itself
				return
			}
			require.NoError(t, err)
			nodes, err := store.Nodes(t.Context(), name, 5, 5)
			require.NoError(t, err)
			require.Equal(t, []pool.NodeRecord{{Node: 5, Record: pool.Record{Value: []byte("x"), Revision: revision}}}, nodes)
		})
	}
}

func again(t *testing.T, s *Store, w pool.Write) {
	t.Helper()
	_, err := s.Write(t.Context(), w)
	require.NoError(t, err)
}

// A member that hangs takes a part of the time only that an etcd which is slow has.
func (s *scenery) patience(t *testing.T) {
	const quarter = 15 * time.Minute
	var waited []time.Duration
	store := s.open(t, WithAttemptTimeout(4*quarter), WithTimeout(100*quarter),
		through(func(ctx context.Context, method string, send func(context.Context) error) error {
			if until, _ := ctx.Deadline(); method == txn {
				waited = append(waited, time.Until(until).Round(quarter))
				if len(waited) < 6 {
					return context.DeadlineExceeded
				}
			}
			return send(ctx)
		}))
	create(t, store)
	assert.Equal(t, []time.Duration{quarter, 2 * quarter, 4 * quarter, quarter, 2 * quarter, 4 * quarter}, waited)
}

// Whoever gives up, or waits in vain, hears that the outcome is open, not that there
// is a conflict.
func (s *scenery) givenUp(t *testing.T) {
	var on atomic.Bool
	asked := make(chan struct{}, 100)
	store := s.open(t, WithAttemptTimeout(20*time.Millisecond), WithTimeout(60*time.Millisecond),
		through(func(ctx context.Context, _ string, send func(context.Context) error) error {
			if !on.Load() {
				return send(ctx)
			}
			asked <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}))
	ns := create(t, store)
	on.Store(true)
	w := pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("x")}
	_, err := store.Write(t.Context(), w)
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "not known whether the record was written")
	_, err = store.Nodes(t.Context(), name, 0, 1)
	require.ErrorIs(t, err, ErrUnreachable)
	require.Greater(t, len(asked), 2, "more than one attempt each")

	store.attempt, store.timeout = time.Hour, time.Hour
	for len(asked) > 0 {
		<-asked
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() { <-asked; cancel() })
	_, err = store.Write(ctx, w)
	waiting.Wait()
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "not known whether the record was written")

	waiting.Go(func() { <-asked; assert.NoError(t, store.Close()) })
	_, err = store.Write(t.Context(), w)
	waiting.Wait()
	require.Error(t, err)
	require.NotErrorIs(t, err, pool.ErrClosed, "which would say that nothing was written")
}

func (s *scenery) closed(t *testing.T) {
	store := s.open(t)
	require.NoError(t, store.Close())
	require.NoError(t, store.Close(), "twice does no harm")
	_, err := store.Namespaces(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = store.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, pool.ErrClosed)
}

// A client that somebody brings stays open.
func (s *scenery) ofClient(t *testing.T) {
	store, err := New(s.client, WithPrefix(s.prefix()))
	require.NoError(t, err)
	create(t, store)
	require.NoError(t, store.Close())
	_, err = s.client.Get(t.Context(), "x")
	require.NoError(t, err)
	_, err = New(s.client, WithPrefix(""))
	var field *layout.FieldError
	require.ErrorAs(t, err, &field)
}
