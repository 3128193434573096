package pool_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func TestAcquireSaysWhyNot(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	other, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Second, NodeBits: 4, SequenceBits: 8})
	require.NoError(t, err)

	var unknown *pool.UnknownNamespaceError
	_, err = pool.Acquire(t.Context(), s.wire, "order", s.l)
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "orders", unknown.Nearest)

	var mismatch *pool.LayoutMismatchError
	_, err = pool.Acquire(t.Context(), s.wire, "orders", other)
	require.ErrorAs(t, err, &mismatch)
	assert.Equal(t, s.l, mismatch.Have)

	s.acquire()
	var exhausted *pool.ExhaustedError
	_, err = s.try(t.Context())
	require.ErrorAs(t, err, &exhausted)
	assert.Equal(t, int64(1), exhausted.Nodes)
	assert.Equal(t, 10*time.Second, exhausted.RetryAfter)

	s.wire.fail(failing("acquire", errWire), nil)
	_, err = s.try(t.Context())
	require.ErrorIs(t, err, errWire)

	var field *layout.FieldError
	_, err = pool.Acquire(t.Context(), nil, "orders", s.l)
	require.ErrorAs(t, err, &field)
	_, err = pool.Acquire(t.Context(), s.wire, "orders", layout.Layout{})
	require.ErrorAs(t, err, &field)
}

// A client whose clock is far off hears of it at once, and its node is free.
func TestAcquireClockOff(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	s.wire.clock = s.clock
	early := newSite(t, time.Millisecond, 1)
	early.clock.StepBack(time.Hour)

	_, err := s.try(t.Context(), pool.WithClock(early.clock))
	var off *pool.ClockOffError
	require.ErrorAs(t, err, &off)
	assert.Equal(t, -time.Hour, off.By)
	assert.Len(t, s.wire.allReleases(), 1)
	assert.Empty(t, s.info(0).Holder)
	s.acquire()
}

func TestAcquireIsCancelled(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	before := runtime.NumGoroutine()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.try(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, s.wire.log(), "nothing is asked for in vain")

	hook, come, release := held("acquire")
	defer release()
	for _, both := range []struct {
		out, back func(context.Context, string) error
	}{{hook, nil}, {nil, hook}} {
		s.wire.fail(both.out, both.back)
		cancelled, cancel := context.WithCancel(t.Context())
		go func() {
			<-come
			cancel()
		}()
		_, err = s.try(cancelled)
		require.ErrorIs(t, err, context.Canceled)
		goroutines(t, before)
	}
}

// stubborn carries calls out whether they are cancelled or not.
type stubborn struct {
	pool.Pool
	come chan struct{}
}

func (p stubborn) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	close(p.come)
	<-ctx.Done()
	return p.Pool.Acquire(context.WithoutCancel(ctx), namespace, l, token)
}

// What is granted to somebody who has gone away is given back: the only node of
// this namespace is free at once.
func TestAcquireIsCancelledTooLate(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	p := stubborn{s.wire, make(chan struct{})}
	go func() {
		<-p.come
		cancel()
	}()
	_, err := pool.Acquire(ctx, p, "orders", s.l, pool.WithClock(s.clock))
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, s.wire.allReleases(), 1)
	goroutines(t, before)
	s.acquire()
}

func TestLeaseLives(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	before := runtime.NumGoroutine()
	lease := s.acquire()
	assert.Equal(t, int64(0), lease.Node())
	assert.Equal(t, s.l, lease.Layout())
	first := lease.Window()
	assert.Equal(t, layout.Window{Node: 0, From: s.tick() - 1000, Until: s.tick() + 10_000}, first)

	// Renewals double the window, up to a minute.
	for _, reach := range []int64{20_000, 40_000, 60_000, 60_000} {
		s.pass(time.Duration(lease.Window().Until-s.tick()) * time.Millisecond * 37 / 100)
		assert.Equal(t, layout.Window{Node: 0, From: first.From, Until: s.tick() + reach}, lease.Window())
	}
	assert.Equal(t, []string{"acquire", "renew", "renew", "renew", "renew"}, s.wire.log())
	select {
	case <-lease.Done():
		t.Fatal("done before its end")
	default:
		require.NoError(t, lease.Err())
	}

	require.NoError(t, lease.Close())
	<-lease.Done()
	require.ErrorIs(t, lease.Err(), pool.ErrClosed)
	assert.True(t, lease.Window().IsEmpty())
	require.NoError(t, lease.Close())
	assert.Equal(t, []string{"release"}, s.wire.log())
	goroutines(t, before)

	// Nothing was stamped: it is as if it had never been.
	assert.Equal(t, int64(0), s.info(0).Until)
	ok, err := lease.Attach(1, func(layout.Window) error { return nil }, func() int64 { return 0 })
	require.ErrorIs(t, err, pool.ErrClosed)
	assert.False(t, ok)
}

func TestLeaseCloseSaysWhatFailed(t *testing.T) {
	s := newSite(t, time.Millisecond, 3)
	lease := s.acquire()
	s.wire.fail(failing("release", errWire), nil)
	require.ErrorIs(t, lease.Close(), errWire)
	<-lease.Done()

	// That the pool knows nothing of the lease any more is as good.
	for _, err := range []error{pool.ErrLeaseLost, pool.ErrRevoked} {
		lease = s.acquire()
		s.wire.fail(failing("release", err), nil)
		require.NoError(t, lease.Close())
	}
}

// A renewal under way is over before the lease is given back: else it might be
// carried out afterwards.
func TestLeaseCloseDuringRenewal(t *testing.T) {
	for _, back := range []bool{false, true} {
		s := newSite(t, time.Millisecond, 1)
		lease := s.acquire()
		hook, come, release := held("renew")
		t.Cleanup(release)
		if back {
			s.wire.fail(nil, hook)
		} else {
			s.wire.fail(hook, nil)
		}
		s.clock.Advance(4 * time.Second)
		<-come
		require.NoError(t, lease.Close())
		assert.Equal(t, []string{"acquire", "renew", "release"}, s.wire.log())
		assert.Empty(t, s.info(0).Holder)
		s.acquire()
	}
}

// Whoever closes a lease can rely on it that it is given back, even where
// somebody else began to close it.
func TestLeaseCloseFromEverywhere(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := lease.Close(); err != nil {
				t.Error(err)
			}
			assert.Len(t, s.wire.allReleases(), 1)
			assert.Empty(t, s.info(0).Holder)
		})
	}
	all.Wait()
}

// A renewal that the pool carried out and whose reply was lost is repeated with
// its nonce, so that it is not taken for a copy's.
func TestLeaseRepeatsARenewal(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	from := lease.Window().From
	s.wire.fail(nil, failing("renew", errWire))
	s.pass(4 * time.Second)
	until := s.tick() + 20_000
	s.pass(time.Second)
	assert.Equal(t, from+11_000, lease.Window().Until, "the holder does not know")
	s.wire.fail(nil, nil)
	s.pass(time.Second)
	r := s.wire.lastRenewals(3)
	assert.Equal(t, r[0], r[1])
	assert.Equal(t, r[0], r[2])
	assert.Equal(t, layout.Window{From: from, Until: until}, lease.Window())
}

// Nobody reaches the pool for longer than the window lasts. The node is still the
// holder's as long as nobody else took it, and a late renewal takes up the same
// window.
func TestLeaseRenewsLate(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	from := lease.Window().From
	s.wire.fail(failing("renew", errWire), nil)
	for range 30 {
		s.pass(6 * time.Second)
	}
	assert.Less(t, lease.Window().Until, s.tick())
	require.NoError(t, lease.Err())
	s.wire.fail(nil, nil)
	s.pass(6 * time.Second)
	assert.Equal(t, layout.Window{From: from, Until: s.tick() + 20_000}, lease.Window())
}

// A copy of this process, as of a virtual machine restored from a snapshot, knows
// the same token, revision and window. Of the two, the second to renew has lost
// the node and gets another one.
func TestLeaseOfACopy(t *testing.T) {
	s := newSite(t, time.Millisecond, 2)
	lease := s.acquire()
	w := lease.Window()
	_, err := s.pool.Renew(t.Context(), pool.Renewal{Namespace: "orders", Node: w.Node, Token: s.wire.token(), Until: w.Until, Nonce: pool.NewToken()})
	require.NoError(t, err)

	s.pass(4 * time.Second)
	assert.Equal(t, []string{"acquire", "renew", "acquire"}, s.wire.log())
	assert.Equal(t, 1-w.Node, lease.Node())
	assert.Equal(t, "held", holder(s.info(w.Node)), "the copy has the first node")
	require.NoError(t, lease.Close())
	assert.Equal(t, "held", holder(s.info(w.Node)))
}

func holder(i pool.NodeInfo) string {
	if i.Holder == "" {
		return "free"
	}
	return "held"
}

// tattler is a log handler that asks the lease about itself.
type tattler struct {
	slog.Handler
	lease func() *pool.Lease
}

func (h tattler) Handle(ctx context.Context, r slog.Record) error {
	if l := h.lease(); l != nil {
		r.AddAttrs(slog.Int64("now", l.Node()), slog.Any("over", l.Err()))
	}
	return h.Handler.Handle(ctx, r)
}

// What a lease says, it says without its lock: a slow log does not hold up
// generators, and a handler may look at the lease.
func TestLeaseSays(t *testing.T) {
	s := newSite(t, time.Millisecond, 2)
	var lease *pool.Lease
	var text bytes.Buffer
	lease = s.acquire(pool.WithLeaseLogger(slog.New(tattler{
		slog.NewTextHandler(&text, nil),
		func() *pool.Lease { return lease },
	})))
	old := lease.Node()
	require.NoError(t, s.pool.Revoke(t.Context(), "orders", old))
	s.wire.fail(failing("acquire", errWire), failing("release", errWire))
	s.pass(4 * time.Second)
	s.wire.fail(nil, nil)
	s.pass(time.Second)
	require.NoError(t, lease.Close())
	assert.Contains(t, text.String(), "revoked")
	assert.Contains(t, text.String(), "connection reset by peer")
	assert.NotContains(t, text.String(), "level=ERROR")

	// Defaults for those who do not care.
	lease, err := pool.Acquire(t.Context(), s.wire, "orders", s.l, pool.WithClock(s.clock), pool.WithLeaseLogger(nil))
	require.NoError(t, err)
	require.NoError(t, lease.Close())
}

// user is a generator as a lease sees it.
type user struct {
	mu      sync.Mutex
	windows []layout.Window
	seals   int
	last    int64
	err     error
}

func (u *user) grant(w layout.Window) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.windows = append(u.windows, w)
	return u.err
}

func (u *user) seal() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seals++
	return u.last
}

func (u *user) set(last int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last, u.err = last, err
}

func (u *user) attach(t *testing.T, lease *pool.Lease) {
	t.Helper()
	ok, err := lease.Attach(1, u.grant, u.seal)
	require.NoError(t, err)
	require.True(t, ok)
}

func TestLeaseTellsItsUser(t *testing.T) {
	s := newSite(t, time.Millisecond, 2)
	lease := s.acquire()
	first := lease.Window()
	u := &user{last: first.From + 5}
	u.attach(t, lease)
	ok, err := lease.Attach(1, u.grant, u.seal)
	require.NoError(t, err)
	assert.False(t, ok, "one at a time")

	s.pass(4 * time.Second)
	longer := lease.Window()
	require.NoError(t, s.pool.Revoke(t.Context(), "orders", first.Node))
	assert.Zero(t, u.seals)
	s.pass(8 * time.Second)
	assert.Equal(t, 1, u.seals)
	second := lease.Window()
	assert.Equal(t, []layout.Window{first, longer, second}, u.windows)
	assert.Equal(t, 1-first.Node, second.Node)

	u.last = second.From + 7
	require.NoError(t, lease.Close())
	assert.Equal(t, 2, u.seals)
	assert.Equal(t, second.From+7, s.wire.allReleases()[0].Last)
}

// The next user's window begins after what the one before has reserved, and stays
// like this with renewals.
func TestLeaseGoesToTheNextUser(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	w := lease.Window()
	a := new(user)
	a.attach(t, lease)
	lease.Detach(w.From + 100)

	b := &user{last: w.From + 200}
	b.attach(t, lease)
	s.pass(4 * time.Second)
	assert.Equal(t, []layout.Window{
		{From: w.From + 101, Until: w.Until},
		{From: w.From + 101, Until: lease.Window().Until},
	}, b.windows)
	lease.Detach(w.From + 200)

	// One that made nothing reports less.
	c := new(user)
	c.attach(t, lease)
	lease.Detach(w.From + 100)
	require.NoError(t, lease.Close())
	assert.Equal(t, w.From+200, s.wire.allReleases()[0].Last)
	assert.Equal(t, w.From+201, s.info(0).Until)
}

// A generator that has borrowed to the very end of the window leaves nothing to
// the next one until the lease is renewed.
func TestLeaseThatIsUsedUp(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	w := lease.Window()
	a := new(user)
	a.attach(t, lease)
	lease.Detach(w.Until - 1)

	b := &user{last: 3}
	b.attach(t, lease)
	assert.Empty(t, b.windows)
	s.pass(4 * time.Second)
	assert.Equal(t, []layout.Window{{From: w.Until, Until: lease.Window().Until}}, b.windows)
}

// A generator may be closing while its lease is lost and another one acquired. It
// has not seen the new window, so its last tick says nothing about that.
func TestLeaseChangesWhileItsUserLeaves(t *testing.T) {
	s := newSite(t, time.Millisecond, 2)
	lease := s.acquire()
	u := new(user)
	u.attach(t, lease)
	u.set(lease.Window().Until+1_000_000, pool.ErrClosed) // closed, but not yet detached
	require.NoError(t, s.pool.Revoke(t.Context(), "orders", lease.Node()))
	s.pass(4 * time.Second)
	w := lease.Window()
	lease.Detach(u.last)

	next := new(user)
	next.attach(t, lease)
	assert.Equal(t, []layout.Window{w}, next.windows)
	next.set(w.From-1, nil)
	require.NoError(t, lease.Close())
	assert.Equal(t, w.From-1, s.wire.allReleases()[0].Last)
}

// The same at the lease's end: a closed generator is asked for a last tick, and
// may name one that it was only moved to.
func TestLeaseClosesWhileItsUserLeaves(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	lease := s.acquire()
	w := lease.Window()
	u := new(user)
	u.attach(t, lease)
	u.set(w.Until+5, pool.ErrClosed)
	require.NoError(t, lease.Close())
	lease.Detach(w.Until + 5)
	assert.Equal(t, w.Until-1, s.wire.allReleases()[0].Last)
	assert.Equal(t, w.Until, s.info(0).Until)
}

// A user that cannot use the window is no user.
func TestLeaseIsRefusedByItsUser(t *testing.T) {
	s := newSite(t, time.Millisecond, 1)
	var text bytes.Buffer
	lease := s.acquire(pool.WithLeaseLogger(slog.New(slog.NewTextHandler(&text, nil))))
	unfit := &layout.FieldError{Field: "window", Reason: "is not to its liking"}
	u := &user{err: unfit}
	ok, err := lease.Attach(1, u.grant, u.seal)
	require.ErrorIs(t, err, unfit)
	assert.False(t, ok)

	v := &user{last: 5}
	v.attach(t, lease)
	v.set(lease.Window().From, unfit)
	s.pass(4 * time.Second)
	v.set(lease.Window().From, pool.ErrClosed)
	s.pass(8 * time.Second)
	require.NoError(t, lease.Close())
	assert.Equal(t, 1, bytes.Count(text.Bytes(), []byte("the generator refuses its window")))
	assert.Equal(t, int64(0), lease.Node())
	assert.Zero(t, u.seals)
}
