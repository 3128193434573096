package pool

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// apart is a pool whose elapsed time stands still until the test moves it.
func (b *bench) apart(elapsed *time.Duration) *Local {
	return New(b.store, WithElapsed(func() time.Duration { return *elapsed }), WithLogger(slog.New(slog.DiscardHandler)))
}

func TestCheck(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 3)
		require.NoError(t, New(NewMemory(b.clock, exclusive)).Check(t.Context()), "of a pool without namespaces")
		require.NoError(t, b.Check(t.Context()))
		b.fill(1)
		require.NoError(t, b.Check(t.Context()), "with all nodes taken")
		require.NoError(t, b.Doubt(t.Context()))
		require.NoError(t, b.Check(t.Context()), "before a floor")
	}
}

func TestCheckIsCheap(t *testing.T) {
	b := newBench(t, true, 10)
	b.fill(1)
	require.NoError(t, b.Check(t.Context()))
	before := b.store.calls["Nodes"] + b.store.calls["Namespace"]
	for range 1000 {
		require.NoError(t, b.Check(t.Context()))
	}
	assert.Equal(t, before, b.store.calls["Nodes"]+b.store.calls["Namespace"], "nothing is read again")
}

func TestCheckOfAClockThatJumped(t *testing.T) {
	b := newBench(t, false, 3)
	other := NewNamespace("other", b.ns.Layout)
	require.NoError(t, b.CreateNamespace(t.Context(), other))
	elapsed := time.Duration(0)
	p := b.apart(&elapsed)
	require.NoError(t, p.Check(t.Context()))
	b.clock.Jump(time.Hour)
	require.NoError(t, p.Check(t.Context()), "there is no look yet")
	elapsed += time.Second
	b.clock.Advance(time.Second)
	err := p.Check(t.Context())
	require.ErrorIs(t, err, ErrClockJumped)
	var e *CheckError
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Namespaces, 2)
	assert.Equal(t, "n", e.Namespaces[0].Namespace)
	assert.Equal(t, "other", e.Namespaces[1].Namespace)
	assert.Equal(t, "clock_jumped", Reason(err))
	assert.NotContains(t, err.Error(), "\n")

	require.NoError(t, p.AcceptClock(t.Context(), "n"))
	require.ErrorAs(t, p.Check(t.Context()), &e)
	require.Len(t, e.Namespaces, 1)
	require.ErrorContains(t, e, `namespace "other": pool: the wall clock has jumped`)
	require.NoError(t, p.AcceptClock(t.Context(), "other"))
	require.NoError(t, p.Check(t.Context()))
}

// silent is a store that cannot say which namespaces it has.
type silent struct {
	*hooked
	err error
}

func (s silent) Namespaces(context.Context) ([]string, error) { return nil, s.err }

func TestCheckOfAStoreThatFailed(t *testing.T) {
	b := newBench(t, true, 3)
	require.NoError(t, b.Check(t.Context()))
	poisoned := errors.New("poisoned")
	b.Local.store = silent{b.store, poisoned}
	err := b.Check(t.Context())
	require.ErrorIs(t, err, poisoned)
	var e *CheckError
	require.NotErrorAs(t, err, &e, "it is the matter of no namespace")
	b.Local.store = silent{b.store, ErrClosed}
	require.ErrorIs(t, b.Check(t.Context()), ErrClosed)
}

func TestCheckOfARecordThatIsNone(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 3)
		_, err := b.store.Memory.Write(t.Context(), Write{Namespace: "bad", OfNamespace: true, Value: []byte("{}")})
		require.NoError(t, err)
		err = b.Check(t.Context())
		var record *RecordError
		require.ErrorAs(t, err, &record)
		assert.Equal(t, `namespace "bad"`, record.What)
		var e *CheckError
		require.ErrorAs(t, err, &e)
		require.Len(t, e.Namespaces, 1, "the other one works")
		assert.Equal(t, "bad", e.Namespaces[0].Namespace)
		assert.Equal(t, "bad_record", Reason(err))
	}
}

func TestCheckOfALifeThatIsOver(t *testing.T) {
	b := newBench(t, false, 3)
	require.NoError(t, b.Check(t.Context()))
	b.clock.Advance(b.ns.Layout.End().Sub(b.clock.Time()) - 1)
	require.NoError(t, b.Check(t.Context()), "little life is no failure")
	b.clock.Advance(lookEvery)
	require.ErrorIs(t, b.Check(t.Context()), layout.ErrLifeOver)
}

func TestClockOffset(t *testing.T) {
	b := newBench(t, false, 3)
	elapsed := time.Duration(0)
	p := b.apart(&elapsed)
	is := func(want time.Duration) {
		t.Helper()
		got, err := p.ClockOffset(t.Context(), theNamespace)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	is(0)
	pass := func(d time.Duration) {
		elapsed += d
		b.clock.Advance(d)
	}
	pass(time.Hour)
	is(0)
	b.clock.StepBack(300 * time.Millisecond) // no jump, but the time goes on
	is(-300 * time.Millisecond)
	pass(10 * time.Second)
	is(-300 * time.Millisecond)
	b.clock.Jump(time.Hour)
	pass(time.Second)
	is(time.Hour - 300*time.Millisecond)
	_, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
	require.ErrorIs(t, err, ErrClockJumped)
	is(time.Hour - 300*time.Millisecond)
	require.NoError(t, p.AcceptClock(t.Context(), theNamespace))
	is(0)
	_, err = p.ClockOffset(t.Context(), "none")
	var unknown *UnknownNamespaceError
	require.ErrorAs(t, err, &unknown)
}
