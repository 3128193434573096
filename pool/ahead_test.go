package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// beginnerStore is an exclusive store that makes the writes begun when it is told to,
// or when somebody waits for them; or, where given up is set, later.
type beginnerStore struct {
	*Memory
	writes  int
	begun   []*begunWrite
	givenUp bool
}

type begunWrite struct {
	Write
	made     bool
	revision uint64
	err      error
}

func (s *beginnerStore) Write(ctx context.Context, w Write) (uint64, error) {
	if !w.OfNamespace && w.Node >= 0 {
		s.writes++
	}
	return s.Memory.Write(ctx, w)
}

func (s *beginnerStore) BeginWrite(w Write) func(context.Context) (uint64, error) {
	b := &begunWrite{Write: w}
	s.begun = append(s.begun, b)
	return func(ctx context.Context) (uint64, error) {
		if s.givenUp {
			return 0, context.DeadlineExceeded
		}
		s.make(ctx, b)
		return b.revision, b.err
	}
}

func (s *beginnerStore) make(ctx context.Context, b *begunWrite) {
	if !b.made {
		b.made = true
		b.revision, b.err = s.Memory.Write(ctx, b.Write)
	}
}

func (s *beginnerStore) makeAll(ctx context.Context) {
	for _, b := range s.begun {
		s.make(ctx, b)
	}
}

// aheadLease returns a lease whose window has grown to its full length, in a store
// that begins writes.
func aheadLease(t *testing.T) (*beginnerStore, *Local, func(time.Duration), Grant) {
	t.Helper()
	c := foundClock()
	s := &beginnerStore{Memory: NewMemory(c, true)}
	p := foundPool(t, s, c)
	n := NewNamespace("n", foundLayout(t))
	n.Ranges = []Range{{}} // node 0 alone
	require.NoError(t, p.CreateNamespace(t.Context(), n))
	g, err := p.Acquire(t.Context(), n.Name, n.Layout, NewToken())
	require.NoError(t, err)
	for range 4 {
		c.Advance(time.Second)
		g, err = p.Renew(t.Context(), lateRenewal(g))
		require.NoError(t, err)
	}
	return s, p, c.Advance, g
}

// storedUntil is where the node's record ends: what a crash would leave.
func (s *beginnerStore) storedUntil(t *testing.T) int64 {
	t.Helper()
	records, err := s.Nodes(t.Context(), "n", 0, 0)
	require.NoError(t, err)
	n, err := decodeNode(&Namespace{Name: "n", Layout: foundLayout(t)}, 0, records[0].Value)
	require.NoError(t, err)
	return n.Until
}

// Renewals as clients make them wait for no write: each was begun before, and half as
// many are begun as there are renewals. Whenever those are made, what is stored
// reaches at least as far as what is granted, and never past the horizon.
func TestRenewalsWaitForNoWrite(t *testing.T) {
	l := foundLayout(t)
	for name, made := range map[string]func(*beginnerStore){
		"made at once":         func(s *beginnerStore) { s.makeAll(context.Background()) },
		"made when waited for": func(*beginnerStore) {},
	} {
		t.Run(name, func(t *testing.T) {
			s, p, advance, g := aheadLease(t)
			before := s.writes
			s.begun = nil
			for i := range 60 {
				advance(20*time.Second + time.Duration(i%5-2)*time.Second) // a tenth more or less
				var err error
				g, err = p.Renew(t.Context(), lateRenewal(g))
				require.NoError(t, err)
				assert.Equal(t, time.Minute, l.Time(g.Until).Sub(time.Unix(0, g.Now)).Round(time.Second))
				assert.GreaterOrEqual(t, s.storedUntil(t), g.Until)
				made(s)
				assert.LessOrEqual(t, s.storedUntil(t), roundDown(l, later(g.Now, 2*time.Minute)))
			}
			assert.Zero(t, s.writes-before, "somebody waited for a write of its own")
			assert.InDelta(t, 30, len(s.begun), 2)
		})
	}
}

// What is written at last is written on what was begun: nothing is lost between the
// two, and the node is free after the last tick of its holder.
func TestReleaseSettlesWhatWasBegun(t *testing.T) {
	s, p, advance, g := aheadLease(t)
	for len(s.begun) == 0 {
		advance(10 * time.Second)
		var err error
		g, err = p.Renew(t.Context(), lateRenewal(g))
		require.NoError(t, err)
	}
	require.NoError(t, p.Release(t.Context(), Release{Namespace: "n", Node: 0, Token: g.Token, Last: g.From}))
	assert.True(t, s.begun[0].made)
	require.NoError(t, s.begun[0].err)
	assert.Equal(t, g.From+1, s.storedUntil(t))
	records, err := s.Nodes(t.Context(), "n", 0, 0)
	require.NoError(t, err)
	assert.Contains(t, string(records[0].Value), `"highest":`, "kept")
	n, err := decodeNode(&Namespace{Name: "n", Layout: foundLayout(t)}, 0, records[0].Value)
	require.NoError(t, err)
	begun, err := decodeNode(&Namespace{Name: "n", Layout: foundLayout(t)}, 0, s.begun[0].Value)
	require.NoError(t, err)
	assert.Equal(t, begun.Until, n.Highest, "what was written ahead might have been granted")
}

// A write that was begun, and given up by who waited for it, may still be made: until
// another one has come through, nothing is granted from memory.
func TestBegunWriteGivenUp(t *testing.T) {
	for name, lateAt := range map[string]int{"made before the next write": 0, "made after it": 1, "never made": 2} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s, p, advance, g := aheadLease(t)
			for len(s.begun) == 0 {
				advance(10 * time.Second)
				var err error
				g, err = p.Renew(ctx, lateRenewal(g))
				require.NoError(t, err)
			}
			s.givenUp = true
			require.ErrorIs(t, p.Revoke(ctx, "n", 0), context.DeadlineExceeded)
			s.givenUp = false
			if lateAt == 0 {
				s.makeAll(ctx)
			}
			before := s.writes
			renewed, err := p.Renew(ctx, lateRenewal(g))
			require.NoError(t, err)
			assert.Greater(t, s.writes, before, "granted from memory")
			if lateAt == 1 {
				s.makeAll(ctx)
				require.ErrorIs(t, s.begun[0].err, ErrConflict)
			}
			assert.GreaterOrEqual(t, s.storedUntil(t), renewed.Until)
			require.NoError(t, p.Revoke(ctx, "n", 0))
			_, err = p.Renew(ctx, lateRenewal(renewed))
			require.ErrorIs(t, err, ErrRevoked)
		})
	}
}

// A floor that rises in between refuses what was begun; the renewals go on.
func TestFloorRefusesWhatWasBegun(t *testing.T) {
	ctx := t.Context()
	s, p, advance, g := aheadLease(t)
	for len(s.begun) == 0 {
		advance(10 * time.Second)
		var err error
		g, err = p.Renew(ctx, lateRenewal(g))
		require.NoError(t, err)
	}
	sp, err := p.space(ctx, "n")
	require.NoError(t, err)
	require.NoError(t, sp.raiseFloorTo(ctx, g.Until-1)) // short of its end: the lease goes on
	advance(40 * time.Second)
	g, err = p.Renew(ctx, lateRenewal(g))
	require.NoError(t, err)
	require.ErrorIs(t, s.begun[0].err, ErrConflict)
	assert.GreaterOrEqual(t, s.storedUntil(t), g.Until)
}

// A server that is restarted again and again writes a lease no further than a horizon
// from now: a floor that is raised to there must not have granted ticks above it.
func TestRestartsWriteNoFurtherThanTheHorizon(t *testing.T) {
	s, p, advance, g := aheadLease(t)
	terms := DefaultTerms(foundLayout(t))
	for range 5 {
		advance(time.Second)
		var err error
		g, err = p.Renew(t.Context(), lateRenewal(g))
		require.NoError(t, err)
		s.makeAll(t.Context())
		furthest := g.Now + int64(terms.Horizon)
		require.LessOrEqual(t, foundLayout(t).Time(g.Until).UnixNano(), furthest, "granted")
		require.LessOrEqual(t, foundLayout(t).Time(s.storedUntil(t)).UnixNano(), furthest, "stored")
		p = New(s, WithElapsed(func() time.Duration { return time.Duration(s.clock.Now()) }))
	}
}

// A closed pool answers nothing, though what is written would do for a renewal: the
// store may be another process's by then.
func TestClosedPoolAnswersNothing(t *testing.T) {
	ctx := t.Context()
	s, p, advance, g := aheadLease(t)
	advance(time.Second)
	before := s.writes
	g, err := p.Renew(ctx, lateRenewal(g))
	require.NoError(t, err)
	require.Equal(t, before, s.writes, "not from memory: the test is none")
	require.NoError(t, p.Close())

	n := NewNamespace("other", foundLayout(t))
	list := func() (err error) {
		for _, err = range p.List(ctx, "n") {
			break
		}
		return err
	}
	_, acquired := p.Acquire(ctx, "n", n.Layout, g.Token)
	_, renewed := p.Renew(ctx, lateRenewal(g))
	_, listed := p.Namespaces(ctx)
	_, offset := p.ClockOffset(ctx, "n")
	for name, err := range map[string]error{
		"Acquire, repeated": acquired,
		"Renew":             renewed,
		"Release":           p.Release(ctx, Release{Namespace: "n", Token: g.Token, Last: g.From}),
		"List":              list(),
		"Revoke":            p.Revoke(ctx, "n", 0),
		"Retire":            p.Retire(ctx, "n", 0),
		"Namespaces":        listed,
		"CreateNamespace":   p.CreateNamespace(ctx, n),
		"EnsureNamespace":   p.EnsureNamespace(ctx, n),
		"AcceptClock":       p.AcceptClock(ctx, "n"),
		"ClockOffset":       offset,
		"Doubt":             p.Doubt(ctx),
		"Check":             p.Check(ctx),
	} {
		require.ErrorIs(t, err, ErrClosed, name)
	}
	assert.Equal(t, before, s.writes)
}

// A write that was given up makes nobody forget what was granted without one: of two
// copies of a holder, the one that was left behind is refused as before.
func TestAFailedWriteForgetsNoGrant(t *testing.T) {
	for _, made := range []bool{false, true} {
		b := newBench(t, true, 3)
		g := b.acquire(b.Local)
		var copied Grant
		for range 12 { // some of them need a write
			b.clock.Advance(time.Second)
			copied = g
			var err error
			g, err = b.renew(b.Local, g)
			require.NoError(t, err)
		}
		b.store.before = func(call string) error {
			if call != "Write" {
				return nil
			}
			b.store.before = nil
			if made {
				b.store.after = errors.New("no answer")
				return nil
			}
			return errors.New("no answer")
		}
		for i := 0; b.store.before != nil || b.store.after != nil; i++ {
			require.Less(t, i, 100, "no write was needed")
			b.clock.Advance(time.Second)
			next, err := b.renew(b.Local, g)
			if err != nil {
				break
			}
			copied, g = g, next
		}
		_, err := b.renew(b.Local, copied)
		require.ErrorIs(t, err, ErrLeaseLost, "made: %v", made)
		if !made {
			g, err = b.renew(b.Local, g)
			require.NoError(t, err)
			_, err = b.renew(b.Local, g)
			require.NoError(t, err)
		}
	}
}
