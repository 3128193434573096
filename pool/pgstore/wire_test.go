package pgstore_test

import (
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
			pass := func(from, to net.Conn, each func() bool) {
				defer from.Close()
				defer to.Close()
				buffer := make([]byte, 64<<10)
				for {
					n, err := from.Read(buffer)
					if err != nil || !each() {
						return
					}
					if _, err := to.Write(buffer[:n]); err != nil {
						return
					}
				}
			}
			all.Go(func() {
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
