package pool_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// late is an exclusive store whose writer is slow: a write that is given up is
// carried out before the next one.
type late struct {
	*pool.Memory
	next  func()
	delay bool
}

func (s *late) Write(ctx context.Context, w pool.Write) (uint64, error) {
	if s.delay {
		s.delay = false
		s.next = func() { _, _ = s.Memory.Write(ctx, w) }
		return 0, context.DeadlineExceeded
	}
	if s.next != nil {
		s.next()
		s.next = nil
	}
	return s.Memory.Write(ctx, w)
}

// A write that was given up may be made after the record has been read again.
func TestAbandonedWriteIsMadeLate(t *testing.T) {
	c := clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC))
	s := &late{Memory: pool.NewMemory(c, true)}
	p := pool.New(s, pool.WithElapsed(func() time.Duration { return time.Duration(c.Now()) }), pool.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace("orders", layout.Default())))
	g, err := p.Acquire(t.Context(), "orders", layout.Default(), pool.NewToken())
	require.NoError(t, err)
	r := pool.Renewal{Namespace: "orders", Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
	s.delay = true
	_, err = p.Renew(t.Context(), r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = p.Renew(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, p.Release(t.Context(), pool.Release{Namespace: "orders", Node: g.Node, Token: g.Token, Last: g.From - 1}))
}

// In an exclusive store most renewals are not written. A write that fails must not
// make the pool forget them: their lease would be lost.
func TestFailedWriteForgetsNoRenewals(t *testing.T) {
	c := clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC))
	s := &late{Memory: pool.NewMemory(c, true)}
	p := pool.New(s, pool.WithElapsed(func() time.Duration { return time.Duration(c.Now()) }), pool.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, p.CreateNamespace(t.Context(), pool.NewNamespace("orders", layout.Default())))
	g, err := p.Acquire(t.Context(), "orders", layout.Default(), pool.NewToken())
	require.NoError(t, err)
	for i := range 40 {
		c.Advance(10 * time.Second)
		r := pool.Renewal{Namespace: "orders", Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken()}
		s.delay = i > 5
		next, err := p.Renew(t.Context(), r)
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			s.next = nil // it was never made
			s.delay = false
			next, err = p.Renew(t.Context(), r)
		}
		require.NoError(t, err, i)
		g = next
	}
}
