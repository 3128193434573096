package pool

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
)

// countedStore counts the writes of nodes.
type countedStore struct {
	Store

	writes int
}

// Write implements [Store].
func (s *countedStore) Write(ctx context.Context, w Write) (uint64, error) {
	if !w.OfNamespace {
		s.writes++
	}
	return s.Store.Write(ctx, w)
}

// What is read from a store that others write to may be what no disk has yet: a write
// whose wait was broken off shows, and is lost by the next failover. So a repetition is
// granted on a write of its own, and not on what was read.
func TestRepetitionIsWrittenAgainWhereOthersWrite(t *testing.T) {
	for name, exclusive := range map[string]bool{"shared": false, "exclusive": true} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			c := clocktest.New(time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC))
			s := &countedStore{Store: NewMemory(c, exclusive)}
			p := New(s, WithLogger(slog.New(slog.DiscardHandler)))
			require.NoError(t, p.CreateNamespace(ctx, NewNamespace("n", foundLayout(t))))
			token := NewToken()
			g, err := p.Acquire(ctx, "n", foundLayout(t), token)
			require.NoError(t, err)
			before := s.writes
			again, err := p.Acquire(ctx, "n", foundLayout(t), token)
			require.NoError(t, err)
			assert.Equal(t, g.Node, again.Node)
			assert.Equal(t, g.Until, again.Until)
			assert.Equal(t, !exclusive, s.writes > before)

			r := Renewal{Namespace: "n", Node: g.Node, Token: token, Revision: g.Revision, Until: g.Until, Nonce: NewToken()}
			renewed, err := p.Renew(ctx, r)
			require.NoError(t, err)
			before = s.writes
			again, err = p.Renew(ctx, r)
			require.NoError(t, err)
			assert.Equal(t, renewed.Revision, again.Revision)
			assert.Equal(t, renewed.Until, again.Until)
			assert.Equal(t, !exclusive, s.writes > before)
		})
	}
}
