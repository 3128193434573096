package pool

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

func TestEnsureNamespaceCreates(t *testing.T) {
	b := newBench(t, true, 3)
	n := NewNamespace("new", b.ns.Layout)
	for range 2 {
		require.NoError(t, b.EnsureNamespace(t.Context(), n))
		all, err := b.Namespaces(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		assert.Equal(t, n, all[1])
	}
	var field *layout.FieldError
	require.ErrorAs(t, b.EnsureNamespace(t.Context(), Namespace{Name: "x"}), &field)
}

func TestEnsureNamespaceAfterAnother(t *testing.T) {
	// Two servers start at once: the second finds what the first made, and compares.
	b := newBench(t, false, 3)
	n := NewNamespace("new", b.ns.Layout)
	second := b.another()
	theirs := n
	theirs.Terms.Skew = 0
	once := true
	b.store.before = func(call string) error {
		if call == "Write namespace" && once {
			once = false
			return second.CreateNamespace(t.Context(), theirs)
		}
		return nil
	}
	var terms *TermsMismatchError
	require.ErrorAs(t, b.EnsureNamespace(t.Context(), n), &terms)
	require.NoError(t, b.EnsureNamespace(t.Context(), theirs))
}

func TestEnsureNamespaceCompares(t *testing.T) {
	b := newBench(t, false, 3)
	stored := NewNamespace("mixed", b.ns.Layout)
	stored.Ranges = []Range{{First: 4, Last: 5, Use: Legacy, Floor: 7}, {First: 0, Last: 1}, {First: 2, Last: 3, Floor: 7}, {First: 6, Last: 6, Use: ByHand}}
	require.NoError(t, b.CreateNamespace(t.Context(), stored))
	other, err := layout.New(layout.Config{Epoch: time.Unix(1_600_000_000, 0), Unit: time.Millisecond, NodeBits: 4, TimeBits: 41})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*Namespace)
		reason string
		text   string
	}{
		"the same": {func(*Namespace) {}, "ok", ""},
		"written anew": {func(n *Namespace) {
			n.Ranges = []Range{{Last: 3}, {First: 6, Last: 6, Use: ByHand}, {First: 4, Last: 4, Use: Legacy}, {First: 5, Last: 5, Use: Legacy}}
		}, "ok", ""},
		"another floor":  {func(n *Namespace) { n.Floor = 99 }, "ok", ""},
		"another layout": {func(n *Namespace) { n.Layout = other }, "layout_mismatch", "use its layout, or another namespace"},
		"a node less":    {func(n *Namespace) { n.Ranges = n.Ranges[:3] }, "ranges_mismatch", `has the nodes 0-3 leased, 4-5 legacy, 6-6 by-hand, not 0-3 leased, 4-5 legacy: ask for those`},
		"no nodes":       {func(n *Namespace) { n.Ranges = nil }, "ranges_mismatch", "not (none)"},
		"another use":    {func(n *Namespace) { n.Ranges = []Range{{Last: 6}} }, "ranges_mismatch", "not 0-6 leased"},
		"another skew":   {func(n *Namespace) { n.Terms.Skew = 2 * time.Second }, "terms_mismatch", `pool: namespace "mixed" has skew 1s, not 2s: ask for what it has, or for another namespace`},
		"other windows": {
			func(n *Namespace) {
				n.Terms.FirstWindow, n.Terms.Window, n.Terms.Horizon = 11*time.Second, 2*time.Minute, time.Hour
			},
			"terms_mismatch", "has first window 10s, not 11s, window 1m0s, not 2m0s, horizon 2m0s, not 1h0m0s:",
		},
	} {
		n := stored
		c.change(&n)
		for _, p := range []*Local{b.Local, b.another()} {
			err := p.EnsureNamespace(t.Context(), n)
			assert.Equal(t, c.reason, Reason(err), "%s: %v", name, err)
			if c.text != "" {
				require.ErrorContains(t, err, c.text, name)
			}
		}
	}
	all, err := b.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Equal(t, stored, all[0], "nothing was changed")
}

func TestEnsureNamespaceLooksAtTheLife(t *testing.T) {
	const day = 24 * time.Hour
	l, err := layout.New(layout.Config{Epoch: time.Unix(1_600_000_000, 0), Unit: time.Millisecond, NodeBits: 8, TimeBits: 41})
	require.NoError(t, err)
	for _, c := range []struct {
		left           time.Duration
		create, goesOn bool
		warning        string
	}{
		{3*365*day + 1, true, true, ""},
		{2 * 365 * day, true, true, "three years"},
		{365*day - 1, false, true, "than a year"},
		{1, false, true, "than a year"},
		{0, false, false, ""},
		{-day, false, false, ""},
	} {
		now := clocktest.New(l.End().Add(-c.left))
		var log bytes.Buffer
		p := New(NewMemory(now, true), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		err := p.EnsureNamespace(t.Context(), NewNamespace("n", l))
		assert.Equal(t, c.create, err == nil, "creating with %v left: %v", c.left, err)

		// It exists since it had life enough.
		now = clocktest.New(l.Epoch())
		store := NewMemory(now, true)
		require.NoError(t, New(store).EnsureNamespace(t.Context(), NewNamespace("n", l)))
		now.Jump(l.End().Add(-c.left).Sub(l.Epoch()))
		log.Reset()
		p = New(store, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		err = p.EnsureNamespace(t.Context(), NewNamespace("n", l))
		assert.Equal(t, c.goesOn, err == nil, "going on with %v left: %v", c.left, err)
		if c.warning == "" {
			assert.Empty(t, log.String())
		} else {
			assert.Contains(t, log.String(), c.warning)
		}
		if c.left <= 0 {
			require.ErrorIs(t, err, layout.ErrLifeOver)
		}
	}
}

func TestEnsureNamespaceBeforeTheLife(t *testing.T) {
	b := newBench(t, false, 3)
	b.clock.StepBack(b.clock.Time().Sub(b.ns.Layout.Epoch()) + 1)
	require.ErrorIs(t, New(b.store).EnsureNamespace(t.Context(), b.ns), layout.ErrBeforeEpoch)
}
