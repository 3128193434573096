package pool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// hooked is a store that says what is asked of it.
type hooked struct {
	*Memory
	before func(call string) error // an error is returned instead of the reply
	after  error                   // of the next write, which is made
	calls  map[string]int
	mu     sync.Mutex // owns calls
}

func (h *hooked) ask(call string) error {
	h.mu.Lock()
	h.calls[call]++
	h.mu.Unlock()
	if h.before != nil {
		return h.before(call)
	}
	return nil
}

func (h *hooked) Namespace(ctx context.Context, name string) (Record, error) {
	if err := h.ask("Namespace"); err != nil {
		return Record{}, err
	}
	return h.Memory.Namespace(ctx, name)
}

func (h *hooked) Nodes(ctx context.Context, name string, first, last int64) ([]NodeRecord, error) {
	if err := h.ask("Nodes"); err != nil {
		return nil, err
	}
	return h.Memory.Nodes(ctx, name, first, last)
}

func (h *hooked) Write(ctx context.Context, w Write) (uint64, error) {
	call := "Write"
	switch {
	case w.OfNamespace:
		call = "Write namespace"
	case w.Node == markNode:
		call = "Write mark"
	case w.Node == acceptanceNode:
		call = "Write acceptance"
	}
	if err := h.ask(call); err != nil {
		return 0, err
	}
	revision, err := h.Memory.Write(ctx, w)
	if h.after != nil {
		revision, err, h.after = 0, h.after, nil
	}
	return revision, err
}

// bench is a pool on a hooked store, with a clock of its own.
type bench struct {
	*testing.T
	*Local
	store *hooked
	clock *clocktest.Clock
	ns    Namespace
	r     *rand.Rand
}

const theNamespace = "n"

func newBench(t *testing.T, exclusive bool, nodeBits int) *bench {
	t.Helper()
	l, err := layout.New(layout.Config{Epoch: time.Unix(1_600_000_000, 0), Unit: time.Millisecond, NodeBits: nodeBits, TimeBits: 41})
	if nodeBits > 20 {
		l, err = layout.New(layout.Config{Epoch: time.Unix(1_600_000_000, 0), Unit: time.Hour, NodeBits: nodeBits, TimeBits: 20})
	}
	require.NoError(t, err)
	b := &bench{T: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), ns: NewNamespace(theNamespace, l), r: rand.New(rand.NewPCG(41, 42))}
	b.store = &hooked{Memory: NewMemory(b.clock, exclusive), calls: make(map[string]int)}
	b.Local = b.another()
	require.NoError(t, b.CreateNamespace(t.Context(), b.ns))
	return b
}

// another returns a second pool of the same store.
func (b *bench) another() *Local {
	return New(b.store, WithElapsed(func() time.Duration { return time.Duration(b.clock.Now()) }), WithLogger(slog.New(slog.DiscardHandler)))
}

// token draws one: the same ones in each run.
func (b *bench) token() (t Token) {
	for i := range t {
		t[i] = byte(b.r.Uint32())
	}
	return t
}

func (b *bench) acquire(p *Local) Grant {
	b.Helper()
	g, err := p.Acquire(b.Context(), theNamespace, b.ns.Layout, b.token())
	require.NoError(b, err)
	return g
}

func (b *bench) renew(p *Local, g Grant) (Grant, error) {
	return p.Renew(b.Context(), Renewal{Namespace: theNamespace, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: b.token()})
}

func (b *bench) release(p *Local, g Grant) {
	b.Helper()
	require.NoError(b, p.Release(b.Context(), Release{Namespace: theNamespace, Node: g.Node, Token: g.Token, Last: g.From - 1}))
}

func (b *bench) known(p *Local) *space {
	b.Helper()
	s, err := p.space(b.Context(), theNamespace)
	require.NoError(b, err)
	return s
}

func TestUnknownNamespacesAreNotKept(t *testing.T) {
	b := newBench(t, false, 3)
	for i := range 100 {
		_, err := b.Acquire(t.Context(), fmt.Sprintf("thought-of-%d", i), b.ns.Layout, b.token())
		var unknown *UnknownNamespaceError
		require.ErrorAs(t, err, &unknown)
	}
	b.acquire(b.Local)
	assert.Len(t, b.spaces, 1)
	// One that is created later is found.
	n := b.ns
	n.Name = "thought-of-5"
	require.NoError(t, b.another().CreateNamespace(t.Context(), n))
	_, err := b.Acquire(t.Context(), n.Name, b.ns.Layout, b.token())
	require.NoError(t, err)
}

func TestNamespaceIsOpenedOnce(t *testing.T) {
	// Two views of an exclusive store would each know renewals that the other does
	// not.
	b := newBench(t, true, 3)
	p := b.another()
	spaces := make([]*space, 32)
	var all sync.WaitGroup
	for i := range spaces {
		all.Go(func() { spaces[i], _ = p.space(t.Context(), theNamespace) })
	}
	all.Wait()
	for _, s := range spaces {
		require.NotNil(t, s)
		assert.Same(t, spaces[0], s)
	}
}

func TestTokensAreNotKept(t *testing.T) {
	// Leases that come here and go elsewhere leave nothing behind.
	b := newBench(t, false, 2)
	second := b.another()
	for range 200 {
		b.release(second, b.acquire(b.Local))
		b.clock.Advance(time.Second)
	}
	assert.LessOrEqual(t, len(b.known(b.Local).granted), 4)
	assert.LessOrEqual(t, len(b.known(second).granted), 4)
}

func TestTokensAreKnownAfterARestart(t *testing.T) {
	b := newBench(t, true, 2)
	var grants []Grant
	for range 4 {
		grants = append(grants, b.acquire(b.Local))
	}
	second := b.another()
	_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
	var exhausted *ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	for _, g := range grants {
		again, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, g.Token)
		require.NoError(t, err)
		assert.Equal(t, g, again)
	}
}

func TestFloorIsNotLostToAnOlderReading(t *testing.T) {
	// The namespace is read again while its floor is being raised. What is kept must
	// be the floor, for renewals from memory ask nobody else.
	for _, when := range []string{"before the write", "after the write"} {
		b := newBench(t, true, 3)
		g := b.acquire(b.Local)
		for range 3 {
			var err error
			g, err = b.renew(b.Local, g)
			require.NoError(t, err)
		}
		s := b.known(b.Local)
		var reading sync.WaitGroup
		read := func() {
			reading.Go(func() { assert.NoError(t, s.reload(context.WithoutCancel(t.Context()))) })
		}
		b.store.before = func(call string) error {
			if call != "Write namespace" || when != "before the write" {
				return nil
			}
			if s.reading.TryLock() { // nothing keeps a reading away: here it is
				s.reading.Unlock()
				return s.reload(context.WithoutCancel(t.Context()))
			}
			read()
			return nil
		}
		for range 20 {
			if when == "after the write" {
				read()
			}
			require.NoError(t, s.raiseFloor(t.Context(), b.clock.Now()))
			reading.Wait()
			record, err := b.store.Memory.Namespace(t.Context(), theNamespace)
			require.NoError(t, err)
			kept := s.namespace.Load()
			require.Equal(t, record.Revision, kept.revision, when)
			require.Equal(t, roundUp(kept.Layout, b.clock.Now()+int64(kept.Terms.Horizon)), kept.Floor, when)
			b.clock.Advance(time.Second)
		}
		b.store.before = nil
		_, err := b.renew(b.Local, g)
		require.ErrorIs(t, err, ErrLeaseLost, when)
	}
}

func TestFloorIsNotLostToAReadingThatWasSlow(t *testing.T) {
	// A reading that has begun before the floor was raised, and ends after it.
	b := newBench(t, true, 3)
	g := b.acquire(b.Local)
	s := b.known(b.Local)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	old, err := b.store.Memory.Namespace(t.Context(), theNamespace)
	require.NoError(t, err)
	slow := &slowReading{hooked: b.store, begun: begun, goOn: goOn, once: &once, old: old}
	b.Local.store = slow
	var reading sync.WaitGroup
	reading.Go(func() { assert.NoError(t, s.reload(context.WithoutCancel(t.Context()))) })
	<-begun
	var raising sync.WaitGroup
	raising.Go(func() { assert.NoError(t, s.raiseFloor(context.WithoutCancel(t.Context()), b.clock.Now())) })
	for range 1000 { // the floor may be raised now, or have to wait for the reading
		runtime.Gosched()
	}
	close(goOn)
	reading.Wait()
	raising.Wait()
	_, err = b.renew(b.Local, g)
	require.ErrorIs(t, err, ErrLeaseLost)
}

// slowReading reads the namespace, and is slow to say so, once.
type slowReading struct {
	*hooked
	begun, goOn chan struct{}
	once        *atomic.Bool
	old         Record
}

func (s *slowReading) Namespace(ctx context.Context, name string) (Record, error) {
	if s.once.CompareAndSwap(false, true) {
		close(s.begun)
		<-s.goOn
		return s.old, nil
	}
	return s.hooked.Namespace(ctx, name)
}

func TestConflictsEnd(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 3)
		g := b.acquire(b.Local)
		b.clock.Advance(time.Second)
		b.store.before = func(call string) error {
			if call == "Write" || call == "Write namespace" {
				return ErrConflict
			}
			return nil
		}
		before := b.store.calls["Write"]
		_, err := b.renew(b.Local, g)
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, "try again")
		assert.Equal(t, attempts, b.store.calls["Write"]-before)
		require.ErrorIs(t, b.Doubt(t.Context()), ErrConflict)
		b.store.before = nil
		_, err = b.renew(b.Local, g)
		require.NoError(t, err)
	}
}

func TestOneRoundTripPerRenewal(t *testing.T) {
	// With a store that others write to as well, a renewal is one write and no read.
	b := newBench(t, false, 3)
	g := b.acquire(b.Local)
	for range 20 {
		before := map[string]int{"Write": b.store.calls["Write"], "Nodes": b.store.calls["Nodes"], "Namespace": b.store.calls["Namespace"]}
		b.clock.Advance(10 * time.Millisecond)
		var err error
		g, err = b.renew(b.Local, g)
		require.NoError(t, err)
		assert.Equal(t, 1, b.store.calls["Write"]-before["Write"])
		assert.Zero(t, b.store.calls["Nodes"]-before["Nodes"])
		assert.Zero(t, b.store.calls["Namespace"]-before["Namespace"])
	}
}

func TestWrongRequestsReadAndKeepNothing(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 3)
		b.acquire(b.Local)
		before, entries := b.store.calls["Nodes"], len(b.known(b.Local).entries)
		for _, node := range []int64{-1, -5, 8, 1 << 40} {
			_, err := b.renew(b.Local, Grant{Node: node, Token: b.token()})
			require.ErrorIs(t, err, ErrLeaseLost)
			require.ErrorIs(t, b.Release(t.Context(), Release{Namespace: theNamespace, Node: node, Token: b.token()}), ErrLeaseLost)
			require.ErrorIs(t, b.Revoke(t.Context(), theNamespace, node), ErrNotLeasable)
		}
		assert.Equal(t, before, b.store.calls["Nodes"])
		assert.Len(t, b.known(b.Local).entries, entries)
	}
}

func TestUnusableRecordsGrantNothing(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 0)
		ns, err := b.store.Memory.Namespace(t.Context(), theNamespace)
		require.NoError(t, err)
		half := []byte(`{"v":1,"token":"0102030405060708090a0b0c0d0e0f10","from":100,"un`)
		_, err = b.store.Write(t.Context(), Write{Namespace: theNamespace, NamespaceRevision: ns.Revision, Node: 0, Value: half})
		require.NoError(t, err)
		var e *RecordError
		for range 2 {
			_, err = b.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorAs(t, err, &e)
			_, err = b.renew(b.Local, Grant{Node: 0, Token: b.token()})
			require.ErrorAs(t, err, &e)
		}
		seen := 0
		for n, err := range b.List(t.Context(), theNamespace) {
			require.ErrorAs(t, err, &e)
			assert.Zero(t, n.Until)
			seen++
		}
		assert.Equal(t, 1, seen)
		records, err := b.store.Memory.Nodes(t.Context(), theNamespace, 0, 0)
		require.NoError(t, err)
		assert.Equal(t, half, records[0].Value, "it is left as it is")
	}
}

func TestListOfSparseNodes(t *testing.T) {
	for _, bits := range []int{0, 3, 11, 22, 40} {
		b := newBench(t, false, bits)
		ns, err := b.store.Memory.Namespace(t.Context(), theNamespace)
		require.NoError(t, err)
		most := b.ns.Layout.MaxNode()
		want := make(map[int64]bool)
		for _, node := range []int64{0, 1, 5, 1023, 1024, 1025, 3000, 65536, 1 << 20, most / 3, most - 1, most} {
			if node < 0 || node > most || want[node] {
				continue
			}
			want[node] = true
			value, err := encodeNode(&Node{Number: node, Until: 5, Highest: 5})
			require.NoError(t, err)
			_, err = b.store.Write(t.Context(), Write{Namespace: theNamespace, NamespaceRevision: ns.Revision, Node: node, Value: value})
			require.NoError(t, err)
		}
		before, last := b.store.calls["Nodes"], int64(-1)
		for n, err := range b.List(t.Context(), theNamespace) {
			require.NoError(t, err)
			require.Greater(t, n.Node, last)
			require.True(t, want[n.Node], "node %d", n.Node)
			delete(want, n.Node)
			last = n.Node
		}
		assert.Empty(t, want, "%d bits", bits)
		assert.Less(t, b.store.calls["Nodes"]-before, 100, "%d bits", bits)
	}
}

func TestListOfManyNodes(t *testing.T) {
	// All of them, in pages: reading them at once would hold up a large store.
	b := newBench(t, false, 13)
	b.fill(1)
	for _, err := range b.List(t.Context(), theNamespace) {
		require.NoError(t, err)
		break // the time has been read now
	}
	before, n := b.store.calls["Nodes"], int64(0)
	for i, err := range b.List(t.Context(), theNamespace) {
		require.NoError(t, err)
		require.Equal(t, n, i.Node)
		n++
	}
	assert.EqualValues(t, 8192, n)
	assert.Equal(t, 8, b.store.calls["Nodes"]-before)
}

func TestNodesOnlyNamedAreNotKept(t *testing.T) {
	// In a store that others write to, only a read tells that a node was never used.
	b := newBench(t, false, 10)
	g := b.acquire(b.Local)
	s := b.known(b.Local)
	for node := range b.ns.Layout.MaxNode() + 1 {
		if node == g.Node {
			continue
		}
		_, err := b.renew(b.Local, Grant{Node: node, Token: b.token()})
		require.ErrorIs(t, err, ErrLeaseLost)
		require.ErrorIs(t, b.Release(t.Context(), Release{Namespace: theNamespace, Node: node, Token: b.token()}), ErrLeaseLost)
		require.ErrorIs(t, b.Revoke(t.Context(), theNamespace, node), ErrNotLeasable)
	}
	assert.Len(t, s.entries, 1)
	b.store.before = func(string) error { return ErrClosed }
	_, err := b.renew(b.Local, Grant{Node: (g.Node + 1) % 1024, Token: b.token()})
	require.ErrorIs(t, err, ErrClosed)
	assert.Len(t, s.entries, 1)

	b.store.before = nil
	before := b.store.calls["Nodes"]
	_, err = b.renew(b.Local, g)
	require.NoError(t, err)
	assert.Equal(t, before, b.store.calls["Nodes"], "the lease is still known")
}

func TestNothingIsWrittenByDroppedEntries(t *testing.T) {
	// Some name a node that nobody ever had, so that its entry comes and goes, while
	// others lease it. Whoever writes does so by the entry that there is, and holds it.
	b := newBench(t, false, 9)
	s := b.known(b.Local)
	w := &watchedStore{hooked: b.store, space: s, t: t}
	b.Local.store = w
	b.store.before = func(string) error {
		runtime.Gosched()
		return nil
	}
	for node := range b.ns.Layout.MaxNode() + 1 {
		var all sync.WaitGroup
		for range 2 {
			token := b.token()
			binary.BigEndian.PutUint64(token[:8], uint64(node)) // where its search begins
			all.Go(func() {
				_, _ = b.Acquire(t.Context(), theNamespace, b.ns.Layout, token)
			})
		}
		for range 4 {
			token := b.token()
			all.Go(func() {
				_, err := b.Renew(t.Context(), Renewal{Namespace: theNamespace, Node: node, Token: token})
				assert.ErrorIs(t, err, ErrLeaseLost)
			})
		}
		all.Wait()
	}
	assert.EqualValues(t, 512, w.writes.Load())
	for node, e := range s.entries {
		assert.Zero(t, e.users, "node %d", node)
	}
}

// watchedStore sees that a node is written by its space's entry.
type watchedStore struct {
	*hooked

	space  *space
	t      *testing.T
	writes atomic.Int64
}

func (w *watchedStore) Write(ctx context.Context, write Write) (uint64, error) {
	if !write.OfNamespace && write.Node != markNode {
		w.writes.Add(1)
		w.space.mu.Lock()
		e := w.space.entries[write.Node]
		w.space.mu.Unlock()
		if e == nil || e.mu.TryLock() {
			w.t.Errorf("node %d is written, and its entry is not held", write.Node)
		}
	}
	return w.hooked.Write(ctx, write)
}

// fill writes records of taken nodes, so that a share of them is taken.
func (b *bench) fill(share float64) (free int64) {
	b.Helper()
	ns, err := b.store.Memory.Namespace(b.Context(), theNamespace)
	require.NoError(b, err)
	until := roundDown(b.ns.Layout, b.clock.Now()+int64(30*time.Second))
	for node := range b.ns.Layout.MaxNode() + 1 {
		if share < 1 && b.r.Float64() >= share {
			free++
			continue
		}
		value, err := encodeNode(&Node{Token: b.token(), From: 1, Until: until, Highest: until, Window: time.Minute})
		require.NoError(b, err)
		_, err = b.store.Memory.Write(b.Context(), Write{Namespace: theNamespace, NamespaceRevision: ns.Revision, Node: node, Value: value})
		require.NoError(b, err)
	}
	return free
}

func TestLocalUnderRace(t *testing.T) {
	// 64 goroutines and a few nodes, on one server and on two: a node that is held is
	// held by nobody else, and a tick that was reserved is not granted again.
	for _, exclusive := range []bool{false, true} {
		b := newBench(t, exclusive, 2)
		pools := []*Local{b.Local, b.Local}
		if !exclusive {
			pools[1] = b.another()
		}
		var held [4]atomic.Int32
		var reserved [4]atomic.Int64 // the tick after the last one
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range 64 {
			r := rand.New(rand.NewPCG(43, uint64(i)))
			all.Go(func() {
				p := pools[i%2]
				for range 40 {
					var token, nonce Token
					for j := range token {
						token[j], nonce[j] = byte(r.Uint32()), byte(r.Uint32())
					}
					g, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, token)
					if err != nil {
						var exhausted *ExhaustedError
						var notYet *NotYetError
						if !errors.As(err, &exhausted) && !errors.As(err, &notYet) && !errors.Is(err, ErrConflict) {
							t.Errorf("Acquire: %v", err)
						}
						continue
					}
					granted.Add(1)
					if held[g.Node].Add(1) != 1 {
						t.Errorf("node %d is held twice", g.Node)
					}
					if before := reserved[g.Node].Load(); g.From < before {
						t.Errorf("node %d was granted from tick %d on, %d was reserved", g.Node, g.From, before-1)
					}
					g, err = p.Renew(t.Context(), Renewal{Namespace: theNamespace, Node: g.Node, Token: token, Until: g.Until, Nonce: nonce})
					if err != nil && !errors.Is(err, ErrConflict) {
						t.Errorf("Renew: %v", err)
					}
					if err != nil {
						held[g.Node].Add(-1)
						continue
					}
					last := g.From - 1 + r.Int64N(4)
					reserved[g.Node].Store(last + 1)
					held[g.Node].Add(-1)
					err = p.Release(t.Context(), Release{Namespace: theNamespace, Node: g.Node, Token: token, Last: last})
					if err != nil {
						t.Errorf("Release: %v", err)
					}
				}
			})
		}
		all.Wait()
		assert.Positive(t, granted.Load())
		for n, err := range b.List(t.Context(), theNamespace) {
			require.NoError(t, err)
			assert.Empty(t, n.Holder)
			assert.LessOrEqual(t, reserved[n.Node].Load(), n.Until)
		}
	}
}
