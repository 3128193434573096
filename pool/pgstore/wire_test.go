package pgstore_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// wire is what lies between a store and its server.
type wire struct {
	address string
	turns   atomic.Int64 // how often the client spoke after the server had
	cut     atomic.Bool  // the next reply, and the connection with it
	ended   atomic.Int64 // connections

	mu    sync.Mutex // owns the fields below
	hole  *atomic.Bool
	conns []net.Conn
}

// lose makes all connections that there are lead nowhere: nothing that is sent arrives,
// and nobody is told.
func (w *wire) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hole.Store(true)
	w.hole = new(atomic.Bool)
}

// found breaks all connections: whoever wants to close one need not wait for an answer.
func (w *wire) found() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// fate returns what becomes true when the connection, a new one, is lost.
func (w *wire) fate(client, server net.Conn) *atomic.Bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, client, server)
	return w.hole
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	c, err := pgx.ParseConfig(server)
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	w := &wire{address: strings.Replace(server, fmt.Sprintf("@%s:%d", c.Host, c.Port), "@"+l.Addr().String(), 1)}
	require.NotEqual(t, server, w.address)
	w.hole = new(atomic.Bool)
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			other, err := net.Dial("tcp", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)))
			if err != nil {
				t.Error(err)
				return
			}
			var answered atomic.Bool
			lost := w.fate(client, other)
			pass := func(from, to net.Conn, each func() bool) {
				defer from.Close()
				defer to.Close()
				buffer := make([]byte, 64<<10)
				for {
					n, err := from.Read(buffer)
					if err != nil || !each() {
						return
					}
					if lost.Load() {
						continue
					}
					if _, err := to.Write(buffer[:n]); err != nil {
						return
					}
				}
			}
			all.Go(func() {
				defer w.ended.Add(1)
				pass(client, other, func() bool {
					if answered.Swap(false) {
						w.turns.Add(1)
					}
					return true
				})
			})
			all.Go(func() {
				pass(other, client, func() bool {
					answered.Store(true)
					return !w.cut.Swap(false)
				})
			})
		}
	})
	return w
}

// A renewal is one round trip, also after a pause.
func TestRenewalIsOneRoundTrip(t *testing.T) {
	w := newWire(t, pgtest.Server(t))
	s := open(t, pgtest.With(pgtest.Schema(t, w.address), "pool_max_conns=1&sslmode=disable"))
	p := pool.New(s, pool.WithElapsed(func() time.Duration { return time.Hour })) // no look at the clock is due
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default())))
	g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	const renewals = 20
	before := w.turns.Load()
	for range renewals {
		g, err = p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()})
		require.NoError(t, err)
	}
	assert.EqualValues(t, renewals, w.turns.Load()-before)
}

// Where the connection breaks after a write was sent, nobody can tell whether it was
// made. The pool reads, and goes on with what is there.
func TestLostReply(t *testing.T) {
	w := newWire(t, pgtest.Server(t))
	s := open(t, pgtest.With(pgtest.Schema(t, w.address), "pool_max_conns=1&sslmode=disable"))
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	w.cut.Store(true)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("made")})
	require.ErrorIs(t, err, pgstore.ErrUnreachable)
	require.NotErrorIs(t, err, pool.ErrConflict)
	nodes, err := s.Nodes(t.Context(), name, 0, 9)
	require.NoError(t, err, "a new connection is made")
	require.Len(t, nodes, 1)
	assert.Equal(t, "made", string(nodes[0].Value))
}

// Through a pool, the client whose renewal was lost on the way back repeats it and
// gets the same answer.
func TestLostRenewal(t *testing.T) {
	w := newWire(t, pgtest.Server(t))
	s := open(t, pgtest.With(pgtest.Schema(t, w.address), "pool_max_conns=1&sslmode=disable"))
	p := pool.New(s, pool.WithElapsed(func() time.Duration { return time.Hour }))
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace(name, layout.Default())))
	g, err := p.Acquire(t.Context(), name, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	r := pool.Renewal{Namespace: name, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
	w.cut.Store(true)
	_, err = p.Renew(t.Context(), r)
	require.ErrorIs(t, err, pgstore.ErrUnreachable)
	again, err := p.Renew(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, g.Revision+1, again.Revision)
}

// After a failover to another host under the same address, all connections lead nowhere,
// and nobody is told so. The first request to find out is the only one that fails.
func TestSilentConnections(t *testing.T) {
	for who, ask := range map[string]func(context.Context, *pgstore.Store) error{
		"the caller": func(ctx context.Context, s *pgstore.Store) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			_, err := s.Namespaces(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return err
		},
		"the store": func(ctx context.Context, s *pgstore.Store) error {
			_, err := s.Write(ctx, pool.Write{Namespace: name, OfNamespace: true})
			require.ErrorIs(t, err, pgstore.ErrUnreachable)
			return err
		},
	} {
		t.Run(who+" waits no longer", func(t *testing.T) {
			w := newWire(t, pgtest.Server(t))
			timeout := 3 * time.Second
			if who == "the caller" {
				timeout = 5 * time.Second
			}
			s, err := pgstore.Open(t.Context(), pgtest.With(pgtest.Schema(t, w.address), "sslmode=disable"), pgstore.WithTimeout(timeout))
			require.NoError(t, err)
			defer s.Close()
			defer w.found()
			const connections = 8
			var all sync.WaitGroup
			for range connections {
				all.Go(func() {
					for range 20 {
						if _, err := s.Now(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			w.lose()
			require.Error(t, ask(t.Context(), s))
			for range 2 * connections {
				_, err := s.Now(t.Context())
				require.NoError(t, err)
			}
		})
	}
}

// A caller in a hurry ends no connection but its own.
func TestHurry(t *testing.T) {
	w := newWire(t, pgtest.Server(t))
	address := pgtest.Schema(t, w.address)
	s, err := pgstore.Open(t.Context(), pgtest.With(address, "sslmode=disable"), pgstore.WithTimeout(time.Hour))
	require.NoError(t, err)
	defer s.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				_, err := s.Now(t.Context())
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	unlock := lock(t, address, "namespaces")
	before := w.ended.Load()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Namespaces(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	for range 100 {
		_, err := s.Now(t.Context())
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, w.ended.Load(), before+2, "its own, and the one that asked the server to stop")
}

// lock keeps all others from a table of a schema.
func lock(t *testing.T, address, table string) (unlock func()) {
	t.Helper()
	_, schema, _ := strings.Cut(pgstore.Redacted(address), "easyflake_schema=")
	conn, err := pgx.Connect(t.Context(), pgtest.Server(t))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), fmt.Sprintf("BEGIN; LOCK TABLE %q.%s IN ACCESS EXCLUSIVE MODE", schema, table))
	require.NoError(t, err)
	return func() { assert.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }
}

// All connections are in use: that is said, and is no reason to make new ones.
func TestBusy(t *testing.T) {
	address := pgtest.Schema(t, pgtest.Server(t))
	s := open(t, pgtest.With(address, "pool_max_conns=1"))
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	unlock := lock(t, address, "nodes")
	first := make(chan error, 1)
	go func() {
		_, err := s.Write(context.WithoutCancel(t.Context()), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1})
		first <- err
	}()
	for err == nil { // until the first one has the connection
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = s.Now(ctx)
		cancel()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "raise pool_max_conns")
	unlock()
	require.NoError(t, <-first)
}

// Of several hosts the first one is silent, as after a failover: to find the other takes
// longer than an answer may, and is not begun anew each time.
func TestSilentHost(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close() // nobody accepts
	address := pgtest.Schema(t, pgtest.Server(t))
	c, err := pgx.ParseConfig(pgtest.Server(t))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(silent.Addr().String())
	require.NoError(t, err)
	here := fmt.Sprintf("@%s:%d", c.Host, c.Port)
	several := strings.Replace(address, here, fmt.Sprintf("@127.0.0.1:%s,%s:%d", port, c.Host, c.Port), 1)
	require.NotEqual(t, address, several)
	s, err := pgstore.Open(t.Context(), pgtest.With(several, "sslmode=disable&connect_timeout=2&application_name=silenthost"), pgstore.WithTimeout(time.Second))
	require.NoError(t, err)
	defer s.Close()
	pgtest.Exec(t, pgtest.Server(t), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'silenthost'")
	_, err = s.Now(t.Context())
	require.ErrorIs(t, err, pgstore.ErrUnreachable, "the connection that was broken")
	_, err = s.Now(t.Context())
	require.NoError(t, err)
}
