package pool

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownClock is a store that tells the time by a clock of its own, as etcd's does.
type ownClock struct {
	*hooked
	ahead time.Duration
}

func (o *ownClock) Now(ctx context.Context) (int64, error) {
	now, err := o.hooked.Now(ctx)
	return now + int64(o.ahead), err
}

// watched returns a pool of the bench's store, what passes by whose clock, and what it
// logs.
func (b *bench) watched(s Store) (p *Local, elapsed *time.Duration, log *bytes.Buffer) {
	elapsed, log = new(time.Duration), new(bytes.Buffer)
	return New(s, WithElapsed(func() time.Duration { return *elapsed }), WithLogger(slog.New(slog.NewTextHandler(log, nil)))), elapsed, log
}

// two returns a pool of the bench's store and one of another, which both have known the
// time for a minute, what the second one logs, and what lets time pass for both.
func (b *bench) two(other Store) (first, second *Local, log *bytes.Buffer, pass func(time.Duration)) {
	b.Helper()
	first, here, _ := b.watched(b.store)
	second, there, log := b.watched(other)
	pass = func(d time.Duration) {
		b.clock.Advance(d)
		*here += d
		*there += d
	}
	b.release(first, b.acquire(first))
	b.release(second, b.acquire(second))
	pass(time.Minute)
	return first, second, log, pass
}

// Several servers go by one clock, a database's: it is accepted once, and all go on.
func TestAcceptedForAllServers(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		b := newBench(t, false, 3)
		first, second, log, pass := b.two(b.store)
		b.clock.Jump(jump)
		for _, p := range []*Local{first, second} {
			_, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorIs(t, err, ErrClockJumped)
		}
		pass(time.Minute)
		require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
		pass(10 * time.Second)
		assert.Equal(t, b.clock.Now(), b.acquire(second).Now, "a jump of %v", jump)
		assert.Contains(t, log.String(), "accepted at another server")

		// It was accepted as it was then, not for ever.
		b.clock.Jump(2 * jump)
		pass(2 * time.Second)
		for range 3 {
			_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorIs(t, err, ErrClockJumped)
			pass(2 * time.Second)
		}
	}
}

// Each server has a clock of its own: the one that was accepted says nothing of others.
func TestAcceptedForNobodyElse(t *testing.T) {
	b := newBench(t, false, 3)
	own := &ownClock{hooked: b.store}
	first, second, _, pass := b.two(own)
	b.clock.Jump(time.Hour)
	for _, ahead := range []time.Duration{30 * time.Minute, -90 * time.Minute} {
		own.ahead = ahead // of a clock that has jumped an hour
		for _, p := range []*Local{first, second} {
			_, err := p.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorIs(t, err, ErrClockJumped)
		}
		require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
		for range 3 {
			pass(2 * time.Second)
			_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorIs(t, err, ErrClockJumped, "ahead by %v", ahead)
		}
		b.clock.Jump(time.Hour)
		pass(2 * time.Second)
	}
	own.ahead = -3 * time.Hour // all jumps undone
	pass(2 * time.Second)
	b.acquire(second)
}

// A server whose clock is ahead notes a time from which all others go on: they say so.
func TestTimeNotedAhead(t *testing.T) {
	b := newBench(t, false, 3)
	wrong, _, log := b.watched(&ownClock{b.store, 10 * time.Minute})
	second, passed, there := b.watched(b.store)
	b.release(second, b.acquire(second)) // has its time from its own clock
	b.clock.Advance(10 * time.Second)
	*passed += 10 * time.Second
	b.release(wrong, b.acquire(wrong))
	b.release(second, b.acquire(second))
	assert.Empty(t, log.String(), "its own clock is right, for all that it knows")
	assert.Contains(t, there.String(), "ahead of the wall clock")

	third, passedThere, here := b.watched(b.store)
	g := b.acquire(third)
	assert.Equal(t, b.clock.Now()+int64(10*time.Minute), g.Now)
	assert.Contains(t, here.String(), "ahead of the wall clock")
	assert.Contains(t, here.String(), "ahead=10m0s")
	fourth, passedFourth, _ := b.watched(b.store)
	b.release(fourth, b.acquire(fourth))

	// Once the clock was accepted anywhere, all go by theirs, and note no other time.
	pass := func(d time.Duration) {
		b.clock.Advance(d)
		*passed += d
		*passedThere += d
		*passedFourth += d
	}
	pass(10 * time.Second)
	require.NoError(t, third.AcceptClock(t.Context(), theNamespace))
	for range 5 {
		pass(10 * time.Second)
		for _, p := range []*Local{second, third, fourth, b.another()} {
			g := b.acquire(p)
			assert.Equal(t, b.clock.Now(), g.Now)
			b.release(p, g)
		}
		assert.LessOrEqual(t, b.mark(), b.clock.Now())
	}
}

// Whoever accepts a clock reads it first, and what it showed is read by others later.
func TestAcceptedSlowly(t *testing.T) {
	b := newBench(t, false, 3)
	first, second, _, pass := b.two(b.store)
	b.clock.Jump(time.Hour)
	refused := func() {
		_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
		require.ErrorIs(t, err, ErrClockJumped)
	}
	refused()
	pass(time.Second)
	refused()
	b.store.before = func(call string) error {
		if call == "Write mark" {
			b.store.before = nil
			pass(time.Second)
			refused() // and has read the notes, which say nothing yet
		}
		return nil
	}
	require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
	pass(time.Second)
	assert.Equal(t, b.clock.Now(), b.acquire(second).Now)
}

// Whoever was asked nothing for hours follows no acceptance from then: its clock may have
// been set to that time meanwhile, or lost as much.
func TestAcceptedLongAgo(t *testing.T) {
	for _, asked := range []bool{false, true} {
		b := newBench(t, false, 3)
		own := &ownClock{hooked: b.store}
		first, second, log, pass := b.two(own)
		require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
		for range 2 * 60 * 60 {
			pass(time.Second)
			if asked {
				_, err := b.known(second).now(t.Context())
				require.NoError(t, err)
			}
		}
		if asked {
			for range 4 { // it loses time, too little at once for a jump
				own.ahead -= 400 * time.Millisecond
				pass(time.Second)
				_, err := b.known(second).now(t.Context())
				require.NoError(t, err)
			}
		} else {
			own.ahead = -time.Hour
			for range 3 {
				_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
				require.ErrorIs(t, err, ErrClockJumped)
				pass(2 * time.Second)
			}
		}
		assert.NotContains(t, log.String(), "accepted at another server")
	}
}

// A write takes longer than others wait to see it. What is written at last is what the
// clock shows then.
func TestAcceptanceThatTakesLong(t *testing.T) {
	b := newBench(t, false, 3)
	first, second, _, pass := b.two(b.store)
	b.clock.Jump(time.Hour)
	refused := func() {
		for range 4 {
			_, err := second.Acquire(t.Context(), theNamespace, b.ns.Layout, b.token())
			require.ErrorIs(t, err, ErrClockJumped)
			pass(time.Second)
		}
	}
	refused()
	slow := map[string]bool{"Write mark": true, "Write acceptance": true}
	b.store.before = func(call string) error {
		if slow[call] { // once
			slow[call] = false
			refused()
		}
		return nil
	}
	require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
	pass(2 * time.Second)
	b.acquire(second)
	assert.Equal(t, 2, b.store.calls["Write acceptance"])

	b.store.before = func(call string) error { // always
		if call == "Write acceptance" {
			pass(time.Second)
		}
		return nil
	}
	require.NoError(t, first.AcceptClock(t.Context(), theNamespace))
	assert.Equal(t, 2+3, b.store.calls["Write acceptance"])
	failure := errors.New("no answer")
	b.store.before = func(call string) error {
		if call == "Write acceptance" {
			pass(time.Second)
			if b.store.calls[call] == 2+3+2 {
				return failure
			}
		}
		return nil
	}
	b.clock.Jump(time.Hour)
	require.NoError(t, first.AcceptClock(t.Context(), theNamespace), "it was told once")
	b.acquire(first)
}
