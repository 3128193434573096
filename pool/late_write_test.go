package pool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateStore is an exclusive store whose next write of a node can fail for its
// caller, and be made later all the same: the caller had no more time, and it was
// in the queue.
type lateStore struct {
	*Memory
	delay bool
	late  []Write
}

func (s *lateStore) Write(ctx context.Context, w Write) (uint64, error) {
	if s.delay && !w.OfNamespace && w.Node >= 0 {
		s.delay, s.late = false, append(s.late, w)
		return 0, context.DeadlineExceeded
	}
	return s.Memory.Write(ctx, w)
}

// catchUp makes the writes that are late, and returns what became of the last.
func (s *lateStore) catchUp(ctx context.Context) (err error) {
	for _, w := range s.late {
		_, err = s.Memory.Write(ctx, w)
	}
	s.late = nil
	return err
}

func lateLease(t *testing.T) (*lateStore, *Local, func(time.Duration), Grant) {
	t.Helper()
	c := foundClock()
	s := &lateStore{Memory: NewMemory(c, true)}
	p := foundPool(t, s, c)
	n := NewNamespace("n", foundLayout(t))
	n.Ranges = []Range{{}} // node 0 alone
	require.NoError(t, p.CreateNamespace(t.Context(), n))
	g, err := p.Acquire(t.Context(), n.Name, n.Layout, NewToken())
	require.NoError(t, err)
	for range 4 { // each from memory or ahead
		c.Advance(time.Second)
		g, err = p.Renew(t.Context(), lateRenewal(g))
		require.NoError(t, err)
	}
	return s, p, c.Advance, g
}

func lateRenewal(g Grant) Renewal {
	return Renewal{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: NewToken()}
}

// A revocation ends the window where it was granted to, which is before what was
// written ahead. Nothing may be granted from memory on what was read before it.
func TestLateRevocationIsNotOvertakenByRenewalsFromMemory(t *testing.T) {
	for name, repeat := range map[string]bool{"a new renewal": false, "a repeated one": true} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s, p, advance, g := lateLease(t)
			last := lateRenewal(g)
			if repeat {
				again, err := p.Renew(ctx, last)
				require.NoError(t, err)
				g = again
			}
			s.delay = true
			require.ErrorIs(t, p.Revoke(ctx, "n", 0), context.DeadlineExceeded)

			renewal := lateRenewal(g)
			if repeat {
				renewal = last
			}
			renewed, err := p.Renew(ctx, renewal)
			end := g.Until
			if err == nil {
				end = renewed.Until
			}
			late := s.catchUp(ctx)
			if err == nil {
				require.ErrorIs(t, late, ErrConflict, "what was granted must be in the store")
			}

			l := foundLayout(t)
			for range 200 { // a restart at each second
				advance(time.Second)
				q := New(s, WithElapsed(p.elapsed))
				next, err := q.Acquire(ctx, "n", l, NewToken())
				if err == nil {
					assert.GreaterOrEqual(t, next.From, end, "two holders of one tick")
					return
				}
			}
			t.Fatal("the node never becomes free")
		})
	}
}

// A write that was late has changed the revision, of which nobody was told.
func TestLateWriteDoesNotLockANodeOut(t *testing.T) {
	ctx := t.Context()
	s, p, advance, g := lateLease(t)
	// Renewals from memory need no write: the first that does is late.
	s.delay = true
	renewal := lateRenewal(g)
	var err error
	for range 100 {
		advance(time.Second)
		renewal = lateRenewal(g)
		var next Grant
		if next, err = p.Renew(ctx, renewal); err != nil {
			break
		}
		g = next
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, p.lateRead(ctx, "n", 0))
	require.NoError(t, s.catchUp(ctx))
	again, err := p.Renew(ctx, renewal)
	require.NoError(t, err)
	assert.Greater(t, again.Until, g.Until)
	_, err = p.Renew(ctx, lateRenewal(again))
	require.NoError(t, err)
}

// lateRead reads a node anew, before a late write is made.
func (p *Local) lateRead(ctx context.Context, namespace string, node int64) error {
	s := p.spaces[namespace]
	e := s.entry(node)
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.fetch(ctx, e)
}

// A release whose reply nobody waits for frees the node all the same: whoever has
// seen that is not told any more that all nodes are taken.
func TestGivenUpReleaseEndsExhaustion(t *testing.T) {
	s, p, _, g := lateLease(t)
	another := func() (Grant, error) { return p.Acquire(t.Context(), g.Namespace, foundLayout(t), NewToken()) }
	_, err := another()
	var exhausted *ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	s.delay = true
	require.ErrorIs(t, p.Release(t.Context(), Release{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Last: g.From}), context.DeadlineExceeded)
	require.NoError(t, s.catchUp(t.Context()))
	_, err = p.Renew(t.Context(), lateRenewal(g))
	require.ErrorIs(t, err, ErrLeaseLost)
	_, err = another()
	require.NoError(t, err)
}

// A proof that all nodes are taken does not outlast a release during the search for
// it, not even for a moment.
func TestAProofFromBeforeAReleaseProvesNothing(t *testing.T) {
	var e exhaustion
	assert.Zero(t, e.until(10))
	freed := e.freed.Load()
	e.last.Store(&proof{10, 100, freed})
	assert.EqualValues(t, 100, e.until(10))
	e.freed.Add(1)
	assert.Zero(t, e.until(10))
	e.last.Store(&proof{10, 200, freed}) // the search began before
	assert.Zero(t, e.until(10))
	e.last.Store(&proof{10, 200, e.freed.Load()})
	assert.EqualValues(t, 200, e.until(10))
	assert.Zero(t, e.until(9), "the clock that it was made by has been set back")
}

// A write that says nothing of a lease's renewals, a late repetition's, does not make a
// pool forget that there may be some which are not in the record.
func TestRepetitionForgetsNoRenewals(t *testing.T) {
	s, p, _, g := lateLease(t)
	restarted := New(s, WithElapsed(p.elapsed))
	s.delay = true
	require.ErrorIs(t, restarted.Release(t.Context(), Release{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Last: g.From}), context.DeadlineExceeded)
	s.late = nil // that is never made
	_, err := restarted.Acquire(t.Context(), g.Namespace, foundLayout(t), g.Token)
	require.NoError(t, err)
	_, err = restarted.Renew(t.Context(), lateRenewal(g))
	require.NoError(t, err)
}
