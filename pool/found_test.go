package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// What reviews found, each once reproduced.

func foundLayout(t *testing.T) layout.Layout {
	t.Helper()
	l, err := layout.Parse("node=1,sequence=4")
	require.NoError(t, err)
	return l
}

func foundPool(t *testing.T, s Store, c *clocktest.Clock) *Local {
	t.Helper()
	begin := c.Now()
	return New(s, WithElapsed(func() time.Duration { return time.Duration(c.Now() - begin) }))
}

func foundClock() *clocktest.Clock {
	return clocktest.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
}

func TestNamespaceMadeAfterADoubtBeginsAfterWhatMayBeLost(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	s := NewMemory(c, false)
	p := foundPool(t, s, c)
	l := foundLayout(t)
	require.NoError(t, p.Doubt(ctx))
	require.NoError(t, p.CreateNamespace(ctx, NewNamespace("later", l)))
	_, err := p.Acquire(ctx, "later", l, NewToken())
	var notYet *NotYetError
	require.ErrorAs(t, err, &notYet)
	assert.InDelta(t, 2*time.Minute, notYet.RetryAfter, float64(2*time.Millisecond))

	names, err := p.Namespaces(ctx)
	require.NoError(t, err)
	require.Len(t, names, 1, "what is noted of the doubt is no namespace")
	require.Error(t, p.CreateNamespace(ctx, NewNamespace(doubtRecord, l)))
}

func TestWritingAheadStaysWithinTheHorizon(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	s := NewMemory(c, true)
	p := foundPool(t, s, c)
	l := foundLayout(t)
	n := NewNamespace("n", l)
	n.Terms.Window, n.Terms.Horizon = 2*time.Minute, 2*time.Minute
	require.NoError(t, p.CreateNamespace(ctx, n))
	g, err := p.Acquire(ctx, "n", l, NewToken())
	require.NoError(t, err)
	for range 10 {
		c.Advance(time.Second)
		g, err = p.Renew(ctx, Renewal{Namespace: "n", Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: NewToken()})
		require.NoError(t, err)
		records, err := s.Nodes(ctx, "n", g.Node, g.Node)
		require.NoError(t, err)
		stored, err := decodeNode(&n, g.Node, records[0].Value)
		require.NoError(t, err)
		require.LessOrEqual(t, stored.Until, roundDown(l, later(c.Now(), n.Terms.Horizon)))
		require.GreaterOrEqual(t, stored.Until, g.Until)
	}
}

func TestDamagedRecordIsNotTakenForAnotherNode(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	s := NewMemory(c, false)
	p := foundPool(t, s, c)
	l := foundLayout(t)
	require.NoError(t, p.CreateNamespace(ctx, NewNamespace("n", l)))
	r, err := s.Namespace(ctx, "n")
	require.NoError(t, err)
	_, err = s.Write(ctx, Write{Namespace: "n", NamespaceRevision: r.Revision, Node: 1, Value: []byte("{")})
	require.NoError(t, err)
	for range 3 {
		var damaged *RecordError
		require.ErrorAs(t, p.Retire(ctx, "n", 1), &damaged)
	}
	for i, err := range p.List(ctx, "n") {
		if err == nil {
			assert.False(t, i.Retired, "node %d", i.Node)
		}
	}
}

func TestRevokeLooksAgainWhereOthersWrite(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	s := NewMemory(c, false)
	one, other := foundPool(t, s, c), foundPool(t, s, c)
	l := foundLayout(t)
	require.NoError(t, one.CreateNamespace(ctx, NewNamespace("n", l)))
	g, err := one.Acquire(ctx, "n", l, NewToken())
	require.NoError(t, err)
	require.NoError(t, one.Revoke(ctx, "n", g.Node))
	c.Advance(time.Minute)
	var second Grant
	for second.Node != g.Node || second.Token.IsZero() {
		second, err = other.Acquire(ctx, "n", l, NewToken())
		require.NoError(t, err)
	}
	require.NoError(t, one.Revoke(ctx, "n", g.Node), "what this pool knows is another lease's")
	_, err = other.Renew(ctx, Renewal{Namespace: "n", Node: second.Node, Token: second.Token, Revision: second.Revision, Until: second.Until, Nonce: NewToken()})
	require.ErrorIs(t, err, ErrRevoked)
}

func TestExhaustionDoesNotHideOnesOwnGrant(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	p := foundPool(t, NewMemory(c, true), c)
	l := foundLayout(t)
	require.NoError(t, p.CreateNamespace(ctx, NewNamespace("n", l)))
	mine := NewToken()
	first, err := p.Acquire(ctx, "n", l, mine)
	require.NoError(t, err)
	_, err = p.Acquire(ctx, "n", l, NewToken())
	require.NoError(t, err)
	var exhausted *ExhaustedError
	_, err = p.Acquire(ctx, "n", l, NewToken())
	require.ErrorAs(t, err, &exhausted)
	again, err := p.Acquire(ctx, "n", l, mine)
	require.NoError(t, err)
	assert.Equal(t, first.Node, again.Node)
}

func TestRenewalOfANodeThatIsNoneRaisesNoFloor(t *testing.T) {
	ctx := context.Background()
	c := foundClock()
	p := foundPool(t, NewMemory(c, true), c)
	l := foundLayout(t)
	require.NoError(t, p.CreateNamespace(ctx, NewNamespace("n", l)))
	_, err := p.Renew(ctx, Renewal{Namespace: "n", Node: 99, Token: NewToken(), Until: l.MaxTick(), Nonce: NewToken()})
	require.ErrorIs(t, err, ErrLeaseLost)
	_, err = p.Acquire(ctx, "n", l, NewToken())
	require.NoError(t, err)
}

// shownStore makes a write of a namespace and says that it may be forgotten, as after
// waiting in vain for a standby.
type shownStore struct {
	*Memory
	breakOff bool
}

var errShown = errors.New("made, and no standby has it")

func (s *shownStore) Write(ctx context.Context, w Write) (uint64, error) {
	revision, err := s.Memory.Write(ctx, w)
	if s.breakOff && w.OfNamespace && w.Namespace == "n" {
		s.breakOff = false
		return 0, errShown
	}
	return revision, err
}

// A floor that was only read may not be durable. It is written, once, by whoever says
// that there is one.
func TestFloorThatWasReadIsWritten(t *testing.T) {
	c := foundClock()
	s := &shownStore{Memory: NewMemory(c, false)}
	first, second := foundPool(t, s, c), foundPool(t, s, c)
	require.NoError(t, first.CreateNamespace(t.Context(), NewNamespace("n", foundLayout(t))))
	_, err := second.space(t.Context(), "n")
	require.NoError(t, err)
	revision := func() uint64 {
		r, err := s.Namespace(t.Context(), "n")
		require.NoError(t, err)
		return r.Revision
	}
	s.breakOff = true
	require.ErrorIs(t, first.Doubt(t.Context()), errShown)
	shown := revision()
	require.NoError(t, second.Doubt(t.Context()))
	written := revision()
	assert.Greater(t, written, shown)
	require.NoError(t, second.Doubt(t.Context()))
	assert.Equal(t, written, revision(), "what was written is not written again")

	// The same one that did not get through.
	c.Advance(time.Second)
	s.breakOff = true
	require.ErrorIs(t, first.Doubt(t.Context()), errShown)
	shown = revision()
	require.NoError(t, first.Doubt(t.Context()))
	assert.Greater(t, revision(), shown)
}

// A window that shows that records were lost is shown again, if the floor could not be
// raised: its holder is not told that the lease is lost.
func TestEvidenceIsNotLost(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		lender := newBench(t, exclusive, 0)
		old := lender.acquire(lender.Local)
		b := newBench(t, exclusive, 0) // knows nothing of it
		failure := errors.New("no answer")
		b.store.before = func(call string) error {
			if call == "Write namespace" {
				b.store.before = nil
				return failure
			}
			return nil
		}
		_, err := b.renew(b.Local, old)
		require.ErrorIs(t, err, failure)
		assert.False(t, lost(err))
		_, err = b.renew(b.Local, old)
		assert.True(t, lost(err))
		_, err = b.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
		var notYet *NotYetError
		require.ErrorAs(t, err, &notYet, "a floor was raised")
	}
}
