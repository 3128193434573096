package pool

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mark returns the time that the store has noted.
func (b *bench) mark() int64 {
	b.Helper()
	records, err := b.store.Memory.Nodes(b.Context(), theNamespace, markNode, markNode)
	require.NoError(b, err)
	if len(records) == 0 {
		return 0
	}
	mark, err := strconv.ParseInt(string(records[0].Value), 10, 64)
	require.NoError(b, err)
	return mark
}

func TestMarkIsNoted(t *testing.T) {
	b := newBench(t, false, 3)
	assert.Zero(t, b.mark())
	g := b.acquire(b.Local)
	begin := b.clock.Now()
	assert.Equal(t, begin, b.mark())
	for range 100 {
		b.clock.Advance(100 * time.Millisecond)
		var err error
		g, err = b.renew(b.Local, g)
		require.NoError(t, err)
		assert.LessOrEqual(t, b.clock.Now()-b.mark(), int64(noteEvery+lookEvery))
	}
	assert.LessOrEqual(t, b.store.calls["Write mark"], 3)
	assert.Equal(t, int64(0), (b.mark()-begin)%int64(100*time.Millisecond))
}

func TestMarkIsNoReasonToRefuse(t *testing.T) {
	b := newBench(t, false, 3)
	b.store.before = func(call string) error {
		if call == "Write mark" {
			return errors.New("disk full")
		}
		return nil
	}
	for range 3 {
		b.acquire(b.Local)
		b.clock.Advance(10 * time.Second)
	}
	assert.Zero(t, b.mark())
	b.store.before = nil
	b.acquire(b.Local)
	assert.Equal(t, b.clock.Now(), b.mark())
}

func TestMarkOfTwoServers(t *testing.T) {
	b := newBench(t, false, 3)
	second := b.another()
	last := int64(0)
	for i := range 20 {
		b.clock.Advance(3 * time.Second)
		b.release(b.Local, b.acquire(b.Local))
		b.release(second, b.acquire(second))
		assert.GreaterOrEqual(t, b.mark(), last)
		assert.LessOrEqual(t, b.clock.Now()-b.mark(), int64(noteEvery+lookEvery), "after %d rounds", i)
		last = b.mark()
	}
}

func TestMarkThatIsNone(t *testing.T) {
	for _, value := range []string{"", "x", "-1", "1.5", `{"v":1}`, "9223372036854775808"} {
		b := newBench(t, false, 3)
		ns, err := b.store.Memory.Namespace(t.Context(), theNamespace)
		require.NoError(t, err)
		_, err = b.store.Memory.Write(t.Context(), Write{Namespace: theNamespace, NamespaceRevision: ns.Revision, Node: markNode, Value: []byte(value)})
		require.NoError(t, err)
		_, err = b.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
		var e *RecordError
		require.ErrorAs(t, err, &e, "%q", value)
		require.ErrorContains(t, err, "the time of namespace")
		require.ErrorAs(t, b.AcceptClock(t.Context(), theNamespace), &e)
	}
}

func TestMarkFarAhead(t *testing.T) {
	// A clock that was years ahead was noted, then set right while no server ran. The
	// time goes on from the mark, until an operator accepts the clock.
	b := newBench(t, false, 3)
	b.acquire(b.Local)
	b.clock.Advance(5 * 365 * 24 * time.Hour)
	b.acquire(b.Local)
	mark := b.mark()
	b.clock.StepBack(5 * 365 * 24 * time.Hour)

	elapsed := time.Duration(0)
	second := New(b.store, WithElapsed(func() time.Duration { return elapsed }), WithLogger(slog.New(slog.DiscardHandler)))
	g := b.acquire(second)
	assert.Equal(t, mark, g.Now)
	elapsed += time.Minute
	b.clock.Advance(time.Minute)
	assert.Equal(t, mark+int64(time.Minute), b.acquire(second).Now)
	require.NoError(t, second.AcceptClock(t.Context(), theNamespace))
	assert.Equal(t, b.clock.Now(), b.mark())
	assert.Equal(t, b.clock.Now(), b.acquire(second).Now)
}

func TestListWhileTheClockIsWrong(t *testing.T) {
	b := newBench(t, false, 3)
	elapsed := time.Duration(0)
	p := New(b.store, WithElapsed(func() time.Duration { return elapsed }), WithLogger(slog.New(slog.DiscardHandler)))
	g := b.acquire(p)
	b.clock.Jump(time.Hour)
	elapsed += 2 * time.Second
	_, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
	require.ErrorIs(t, err, ErrClockJumped)
	seen := 0
	for n, err := range p.List(t.Context(), theNamespace) {
		require.NoError(t, err)
		assert.Equal(t, g.Node, n.Node)
		seen++
	}
	assert.Equal(t, 1, seen)
}

func TestTimeUnderRace(t *testing.T) {
	// Many ask for the time at once, first and later: all get one that is no older
	// than a look, and none goes back for anybody.
	b := newBench(t, false, 3)
	p := b.another()
	s := b.known(p)
	begin := b.clock.Now()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			last := int64(0)
			for range 200 {
				now, err := s.now(context.WithoutCancel(t.Context()))
				if err != nil || now < last || now < begin {
					t.Errorf("now is %d, %v, after %d", now, err, last)
				}
				last = now
				if i == 0 {
					b.clock.Advance(100 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
}

// slowClock is a store whose clock is read at once, and told late.
type slowClock struct {
	*Memory
	late func()
}

func (s *slowClock) Now(ctx context.Context) (int64, error) {
	now, err := s.Memory.Now(ctx)
	if late := s.late; late != nil {
		s.late = nil
		late()
	}
	return now, err
}

// A clock that was told late, when a pool began or when it was accepted, has not jumped
// when it is told at once. By how much it was late is made up for once.
func TestClockToldLateHasNotJumped(t *testing.T) {
	c := foundClock()
	s := &slowClock{Memory: NewMemory(c, false)}
	elapsed := time.Duration(0)
	p := New(s, WithElapsed(func() time.Duration { return elapsed }))
	require.NoError(t, p.CreateNamespace(t.Context(), NewNamespace("n", foundLayout(t))))
	pass := func(d time.Duration) {
		c.Advance(d)
		elapsed += d
	}
	late := func() { pass(3 * time.Second) }
	look := func() (time.Duration, error) {
		pass(time.Minute)
		space, err := p.space(t.Context(), "n")
		require.NoError(t, err)
		now, err := space.now(t.Context())
		return time.Duration(c.Now() - now), err
	}
	for _, slow := range []func() (time.Duration, error){
		func() (time.Duration, error) { s.late = late; return look() },
		func() (time.Duration, error) { s.late = late; return 0, p.AcceptClock(t.Context(), "n") },
	} {
		_, err := slow()
		require.NoError(t, err)
		s.late = late // and once more
		_, err = look()
		require.NoError(t, err)
		for range 3 {
			behind, err := look()
			require.NoError(t, err)
			assert.Zero(t, behind)
		}
		c.Jump(time.Second)
		_, err = look()
		require.ErrorIs(t, err, ErrClockJumped)
		c.Jump(-time.Second)
		_, err = look()
		require.NoError(t, err)
	}
}
