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

func TestProbesComeToEveryNodeOnce(t *testing.T) {
	b := newBench(t, false, 16)
	for _, ranges := range [][]Range{
		{{Last: 0}},
		{{Last: 1}},
		{{Last: 63}},
		{{Last: 64}},
		{{Last: 65535}},
		{{First: 1000, Last: 1999}},
		{{First: 100, Last: 299}, {First: 5, Last: 5}, {First: 6, Last: 99, Use: ByHand}, {First: 300, Last: 363}, {First: 1000, Last: 1128}},
		{{First: 0, Last: 9, Use: Legacy}},
		nil,
	} {
		n := b.ns
		n.Ranges = ranges
		require.NoError(t, n.Validate())
		for range 5 {
			token := b.token()
			seen := make(map[int64]bool)
			for first, run := range n.probes(Leased, token) {
				require.Positive(t, run)
				require.LessOrEqual(t, run, int64(batch))
				for node := first; node < first+run; node++ {
					if n.leases(node) != nil || seen[node] {
						t.Fatalf("node %d is not leased, or tried twice", node)
					}
					seen[node] = true
				}
			}
			require.Len(t, seen, int(n.count(Leased)))
		}
	}
}

func TestProbesDependOnTheTokenAlone(t *testing.T) {
	// So a repetition, at any server, comes upon what was granted before.
	b := newBench(t, false, 10)
	for range 50 {
		token := b.token()
		var first, second []int64
		for node := range b.ns.probes(Leased, token) {
			first = append(first, node)
		}
		for node := range b.ns.probes(Leased, token) {
			second = append(second, node)
		}
		assert.Equal(t, first, second)
	}
}

func TestClientsDoNotHerd(t *testing.T) {
	// Clients that come at once, each to a pool that is empty to it, try different
	// nodes: as many different ones as chance would have, which is 63 in 100.
	b := newBench(t, false, 12)
	seen := make(map[int64]int)
	const clients = 4096
	for range clients {
		for first := range b.ns.probes(Leased, b.token()) {
			seen[first]++
			break
		}
	}
	assert.Greater(t, len(seen), clients*58/100)
	for node, n := range seen {
		assert.Less(t, n, 12, "node %d is the first for %d clients", node, n)
	}
	// Nor do those who go on after a collision go on together.
	second := make(map[int64]bool)
	for range 256 {
		token := b.token()
		copy(token[:8], make([]byte, 8)) // all begin at the same node
		i := 0
		for first := range b.ns.probes(Leased, token) {
			i++
			if i == 2 {
				second[first] = true
				break
			}
		}
	}
	assert.Greater(t, len(second), 25, "of 64 runs")
}

func TestProbingAFullPool(t *testing.T) {
	// With 99 % of the nodes taken, the reads that an acquisition costs are a few
	// times those with half of them taken: nothing looks at all nodes.
	reads := func(exclusive bool, share float64) float64 {
		b := newBench(t, exclusive, 13)
		free := b.fill(share)
		require.Greater(t, free, int64(50))
		b.known(b.Local)
		b.acquire(b.Local) // the time has been read now
		before := b.store.calls["Nodes"]
		const times = 60
		for range times {
			b.release(b.Local, b.acquire(b.Local))
		}
		return float64(b.store.calls["Nodes"]-before) / times
	}
	half, full := reads(false, 0.5), reads(false, 0.99)
	t.Logf("reads of nodes per acquisition: %.2f with half taken, %.2f with 99 %%", half, full)
	assert.Less(t, full, 3*half)
	assert.Zero(t, reads(true, 0.99), "a store held alone is read once")
}

func TestExhaustionIsRemembered(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 10)
		b.fill(1)
		b.known(b.Local)
		acquire := func() (*ExhaustedError, int) {
			before := b.store.calls["Nodes"]
			_, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			var e *ExhaustedError
			require.ErrorAs(t, err, &e)
			return e, b.store.calls["Nodes"] - before
		}
		e, _ := acquire()
		assert.EqualValues(t, 1024, e.Nodes)
		assert.LessOrEqual(t, e.RetryAfter, 30*time.Second)
		for range 10 {
			again, reads := acquire()
			assert.Zero(t, reads, "the proof is remembered")
			assert.LessOrEqual(t, again.RetryAfter, e.RetryAfter)
		}
		if !exclusive {
			// Others may have given one back meanwhile: it holds for a second.
			b.clock.Advance(time.Second)
			_, reads := acquire()
			assert.GreaterOrEqual(t, reads, 16)
		}
		b.clock.Advance(30 * time.Second)
		b.acquire(b.Local)
	}
}

func TestFloorNeedsNoSearch(t *testing.T) {
	b := newBench(t, false, 16)
	require.NoError(t, b.Doubt(t.Context()))
	before := b.store.calls["Nodes"]
	for range 10 {
		_, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
		var e *NotYetError
		require.ErrorAs(t, err, &e)
		assert.LessOrEqual(t, e.RetryAfter, b.ns.Terms.Horizon+b.ns.Layout.Unit())
	}
	assert.Equal(t, before, b.store.calls["Nodes"])
	b.clock.Advance(b.ns.Terms.Horizon + b.ns.Layout.Unit())
	b.acquire(b.Local)
}

func TestRepetitionTakesNoSecondNode(t *testing.T) {
	// A repetition whose own node cannot be read right now fails; it does not take
	// another one, which would be kept for nobody.
	b := newBench(t, false, 8)
	var grants []Grant
	for range 8 {
		grants = append(grants, b.acquire(b.Local))
	}
	for _, g := range grants {
		failed := false
		b.store.before = func(call string) error {
			if call == "Nodes" && !failed {
				failed = true
				return context.DeadlineExceeded
			}
			return nil
		}
		_, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, g.Token)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		again, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, g.Token)
		require.NoError(t, err)
		assert.Equal(t, g, again)
	}
	n := 0
	for _, err := range b.List(t.Context(), theNamespace) {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 8, n)
}

// asked counts the searches of a store.
type asked struct {
	Store

	nodes int
}

func (s *asked) Nodes(ctx context.Context, name string, first, last int64) ([]NodeRecord, error) {
	s.nodes++
	return s.Store.Nodes(ctx, name, first, last)
}

// A range whose floor is still to come is not gone through: its nodes may be without
// end, and each would be asked, and remembered, for nothing.
func TestRangesThatHaveNotBegun(t *testing.T) {
	config := layout.DefaultConfig()
	config.NodeBits = 16
	l, err := layout.New(config)
	require.NoError(t, err)
	for _, exclusive := range []bool{true, false} {
		c := clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
		store := &asked{Store: NewMemory(c, exclusive)}
		p := New(store, WithElapsed(func() time.Duration { return time.Duration(c.Now()) }))
		now, err := l.Tick(c.Time())
		require.NoError(t, err)
		n := NewNamespace("n", l)
		n.Ranges = []Range{{First: 1, Last: l.MaxNode(), Floor: now + 5000}, {First: 0, Last: 0, Floor: now}}
		require.NoError(t, p.CreateNamespace(t.Context(), n))

		g, err := p.Acquire(t.Context(), "n", l, Token{1})
		require.NoError(t, err)
		assert.Zero(t, g.Node, "the one that has begun")
		store.nodes = 0
		_, err = p.Acquire(t.Context(), "n", l, Token{2})
		notYet, ok := errors.AsType[*NotYetError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 5*time.Second, notYet.RetryAfter)
		s, err := p.space(t.Context(), "n")
		require.NoError(t, err)
		assert.LessOrEqual(t, len(s.entries), 1, "nodes remembered")
		assert.LessOrEqual(t, store.nodes, 2, "searches of the store")

		c.Advance(5 * time.Second)
		g, err = p.Acquire(t.Context(), "n", l, Token{2})
		require.NoError(t, err)
		assert.NotZero(t, g.Node)
		assert.Equal(t, now+5000, g.From)
	}
}

// A search that nobody waits for any more ends, whatever the store.
func TestSearchEndsWithItsContext(t *testing.T) {
	c := clocktest.New(time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC))
	p := New(NewMemory(c, true), WithElapsed(func() time.Duration { return 0 }))
	require.NoError(t, p.CreateNamespace(t.Context(), NewNamespace("n", layout.Default())))
	_, err := p.Acquire(t.Context(), "n", layout.Default(), Token{1})
	require.NoError(t, err)
	s, err := p.space(t.Context(), "n")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.acquire(ctx, Leased, Token{2}, c.Now())
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, s.entries, 1)
}

// Another server knows nothing of what a token has but what the store shows: it grants
// that again, whatever has become free since.
func TestAnotherServerFindsWhatATokenHas(t *testing.T) {
	for range 50 {
		b := newBench(t, false, 3)
		var others []Grant
		for range 6 {
			others = append(others, b.acquire(b.Local))
		}
		token := b.token()
		g, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, token)
		require.NoError(t, err)
		for _, g := range others {
			b.release(b.Local, g)
		}
		again, err := b.another().Acquire(t.Context(), theNamespace, b.ns.Layout, token)
		require.NoError(t, err)
		require.Equal(t, g.Node, again.Node)
		require.Equal(t, g.Until, again.Until)
	}
}

// A record that cannot be read stops those who come to its node, and nobody else.
func TestDamagedRecordStopsNobodyElse(t *testing.T) {
	b := newBench(t, false, 5)
	ns, err := b.store.Memory.Namespace(t.Context(), theNamespace)
	require.NoError(t, err)
	_, err = b.store.Write(t.Context(), Write{Namespace: theNamespace, NamespaceRevision: ns.Revision, Node: 7, Value: []byte("{")})
	require.NoError(t, err)
	var damaged *RecordError
	_, err = b.Acquire(t.Context(), theNamespace, b.ns.Layout, Token{7: 7, 15: 1}) // it begins with node 7
	require.ErrorAs(t, err, &damaged)
	for node := range byte(7) {
		g, err := b.Acquire(t.Context(), theNamespace, b.ns.Layout, Token{7: node, 15: 1})
		require.NoError(t, err)
		assert.EqualValues(t, node, g.Node)
	}
	_, err = b.Acquire(t.Context(), theNamespace, b.ns.Layout, Token{15: 2})
	require.ErrorAs(t, err, &damaged, "it comes to node 7")
}

// straying is a store that answers with a node that it was not asked for.
type straying struct{ *hooked }

func (s straying) Nodes(ctx context.Context, name string, first, last int64) ([]NodeRecord, error) {
	records, err := s.hooked.Nodes(ctx, name, first, last)
	if first >= 0 {
		records = append(records, NodeRecord{Node: last + 1, Record: Record{Revision: 1, Value: []byte("{}")}})
	}
	return records, err
}

func TestStoreThatAnswersWithOtherNodes(t *testing.T) {
	b := newBench(t, false, 3)
	p := New(straying{b.store}, WithElapsed(b.elapsed))
	_, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
	require.ErrorContains(t, err, "has answered with 8")
}

// A clock that was ahead has proved that all nodes are taken until then. Once it is set
// right, that is no reason not to look.
func TestExhaustionByAClockThatWasAhead(t *testing.T) {
	b := newBench(t, false, 1)
	first, second, _, pass := b.two(b.store)
	accept := func() {
		for _, p := range []*Local{first, second} {
			require.NoError(t, p.AcceptClock(t.Context(), theNamespace))
		}
	}
	b.clock.Jump(time.Hour)
	accept()
	taken := []Grant{b.acquire(first), b.acquire(first)}
	_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
	_, exhausted := errors.AsType[*ExhaustedError](err)
	require.True(t, exhausted, "%v", err)
	b.clock.Jump(-time.Hour)
	accept()
	for _, g := range taken {
		b.release(first, g)
	}
	pass(3 * time.Second)
	b.acquire(second)
}
