package grpcpool_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

const orders = "orders"

// newPool returns a pool with a namespace.
func newPool(t *testing.T, store pool.Store) *pool.Local {
	t.Helper()
	p := pool.New(store, pool.WithLogger(slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	if err := p.CreateNamespace(t.Context(), pool.NewNamespace(orders, layout.Default())); !errors.Is(err, pool.ErrExists) {
		require.NoError(t, err)
	}
	return p
}

// running is a server on a port of its own.
type running struct {
	grpcpool.Endpoint
	*grpcpool.Server

	serving sync.WaitGroup
}

// listen starts a server that ends with the test, if not before.
func listen(t *testing.T, p pool.Pool, opts ...grpcpool.ServerOption) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, l, p, opts...)
}

func serveOn(t *testing.T, l net.Listener, p pool.Pool, opts ...grpcpool.ServerOption) *running {
	t.Helper()
	opts = append([]grpcpool.ServerOption{grpcpool.WithServerLogger(slog.New(slog.DiscardHandler))}, opts...)
	s, err := grpcpool.NewServer(p, opts...)
	require.NoError(t, err)
	r := &running{Server: s, Endpoint: endpointOf(t, l)}
	r.serving.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(r.kill)
	return r
}

func endpointOf(t *testing.T, l net.Listener) grpcpool.Endpoint {
	t.Helper()
	e, err := grpcpool.ParseEndpoint(l.Addr().String())
	require.NoError(t, err)
	return e
}

// kill ends a server without letting it finish anything.
func (r *running) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Shutdown(ctx)
	r.serving.Wait()
}

func client(t *testing.T, endpoints []grpcpool.Endpoint, opts ...grpcpool.ClientOption) *grpcpool.Client {
	t.Helper()
	c, err := grpcpool.NewClient(endpoints, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func renewalOf(g pool.Grant) pool.Renewal {
	return pool.Renewal{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
}

// counted counts the requests that reach a pool.
type counted struct {
	pool.Manager

	renewals atomic.Int64
}

func (p *counted) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	p.renewals.Add(1)
	return p.Manager.Renew(ctx, r)
}

// TestMovesOnWhenAServerDies: servers share a store, and a lease granted by one is
// renewed by the other. The client stays with that one.
func TestMovesOnWhenAServerDies(t *testing.T) {
	store := pool.NewMemory(clock.System{}, false)
	p, q := &counted{Manager: newPool(t, store)}, &counted{Manager: newPool(t, store)}
	a, b := listen(t, p), listen(t, q)
	c := client(t, []grpcpool.Endpoint{a.Endpoint, b.Endpoint})

	g, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	g, err = c.Renew(t.Context(), renewalOf(g))
	require.NoError(t, err)
	assert.EqualValues(t, 1, p.renewals.Load())
	a.kill()
	for range 3 {
		g, err = c.Renew(t.Context(), renewalOf(g))
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, p.renewals.Load())
	assert.EqualValues(t, 3, q.renewals.Load())
}

// deaf accepts connections and says nothing.
func deaf(t *testing.T) grpcpool.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait() })
	return endpointOf(t, l)
}

func TestMovesOnFromAServerThatIsSilent(t *testing.T) {
	b := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)))
	c := client(t, []grpcpool.Endpoint{deaf(t), b.Endpoint}, grpcpool.WithAttemptTimeout(100*time.Millisecond))
	_, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	for _, err := range c.List(t.Context(), orders) {
		require.NoError(t, err)
	}
	c = client(t, []grpcpool.Endpoint{deaf(t), b.Endpoint}, grpcpool.WithAttemptTimeout(100*time.Millisecond))
	nodes := 0
	for _, err := range c.List(t.Context(), orders) {
		require.NoError(t, err)
		nodes++
	}
	assert.Equal(t, 1, nodes)
}

func TestNoServerAtAll(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := endpointOf(t, l)
	require.NoError(t, l.Close())
	c := client(t, []grpcpool.Endpoint{nobody, deaf(t)}, grpcpool.WithAttemptTimeout(50*time.Millisecond))
	_, err = c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
	call := new(grpcpool.CallError)
	require.ErrorAs(t, err, &call)
	assert.Contains(t, err.Error(), "does not answer")
	assert.Equal(t, "other", pool.Reason(err))

	c = client(t, []grpcpool.Endpoint{nobody})
	err = c.Release(t.Context(), pool.Release{Namespace: orders})
	require.ErrorAs(t, err, &call)
	assert.Equal(t, nobody, call.Endpoint)
	assert.Contains(t, err.Error(), "refused")
}

func TestTheCallersDeadlineIsItsOwn(t *testing.T) {
	c := client(t, []grpcpool.Endpoint{deaf(t)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Acquire(ctx, orders, layout.Default(), pool.NewToken())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = c.Acquire(ctx, orders, layout.Default(), pool.NewToken())
	require.ErrorIs(t, err, context.Canceled)
}

// ill is a pool that refuses everything with one error.
type ill struct {
	pool.Manager

	err atomic.Pointer[error]
}

func (p *ill) fall(err error) { p.err.Store(&err) }

func (p *ill) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	if err := p.err.Load(); err != nil {
		return pool.Grant{}, *err
	}
	return p.Manager.Acquire(ctx, namespace, l, token)
}

func (p *ill) Check(context.Context) error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

func TestMovesOnFromAServerThatCannotGrant(t *testing.T) {
	store := pool.NewMemory(clock.System{}, false)
	for _, err := range []error{pool.ErrClockJumped, pool.ErrClosed, errors.New("disk full")} {
		sick := &ill{Manager: newPool(t, store)}
		sick.fall(err)
		a, b := listen(t, sick), listen(t, newPool(t, store))
		c := client(t, []grpcpool.Endpoint{a.Endpoint, b.Endpoint})
		_, got := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
		require.NoError(t, got)
		b.kill()
		_, got = c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
		require.Error(t, got)
	}
}

// TestAListThatBreaksOffSaysSo: half of a list would look like all of it.
func TestAListThatBreaksOffSaysSo(t *testing.T) {
	p := &broken{Manager: newPool(t, pool.NewMemory(clock.System{}, true))}
	a := listen(t, p)
	c := client(t, []grpcpool.Endpoint{a.Endpoint, a.Endpoint})
	var nodes, unusable int
	var last error
	for info, err := range c.List(t.Context(), orders) {
		record := new(pool.RecordError)
		switch {
		case errors.As(err, &record):
			assert.EqualValues(t, 7, info.Node)
			assert.Equal(t, "no JSON", record.Reason)
			unusable++
		case err != nil:
			last = err
		default:
			nodes++
		}
	}
	assert.Equal(t, 1023, nodes)
	assert.Equal(t, 1, unusable)
	require.Error(t, last)
}

type broken struct{ pool.Manager }

func (broken) List(context.Context, string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		for node := range int64(1024) {
			var err error
			if node == 7 {
				err = &pool.RecordError{What: "node 7 of orders", Reason: "no JSON"}
			}
			if !yield(pool.NodeInfo{Node: node}, err) {
				return
			}
		}
		yield(pool.NodeInfo{}, errors.New("disk"))
	}
}

// TestAListMayBeLeft: whoever has seen enough leaves nothing running.
func TestAListMayBeLeft(t *testing.T) {
	c := client(t, []grpcpool.Endpoint{listen(t, broken{newPool(t, pool.NewMemory(clock.System{}, true))}).Endpoint})
	for info, err := range c.List(t.Context(), orders) {
		require.NoError(t, err)
		if info.Node == 3 {
			break
		}
	}
}

func TestClientOptions(t *testing.T) {
	_, err := grpcpool.NewClient(nil)
	require.ErrorAs(t, err, new(*layout.FieldError))
	_, err = grpcpool.NewClient([]grpcpool.Endpoint{{Host: "a", Port: 1}}, grpcpool.WithAttemptTimeout(0))
	require.ErrorAs(t, err, new(*layout.FieldError))
}

// TestUnixSocket: what no other machine can reach needs no TLS.
func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	s, err := grpcpool.NewServer(newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	r := &running{Server: s}
	r.serving.Go(func() { assert.NoError(t, s.Serve(l)) })
	t.Cleanup(r.kill)
	c := client(t, []grpcpool.Endpoint{{Path: path}})
	all, err := c.Namespaces(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, pool.NewNamespace(orders, layout.Default()), all[0])
}
