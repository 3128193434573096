package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// life drives a lease's machine by hand: no goroutine, no clock, no pool.
type life struct {
	t   *testing.T
	m   machine
	now int64
	ids uint64 // of random tokens
}

// noon is the time at which lives begin: 1,000,000 s after the epoch. Ticks are
// milliseconds since 1970, so that noon's is 1,000,000,000.
const noon = int64(1_000_000 * time.Second)

// newLife returns a life that has not begun.
func newLife(t *testing.T) *life {
	t.Helper()
	return &life{t: t, now: noon, m: machine{
		namespace: "orders",
		layout:    milliseconds(t),
		limit:     clockLimit,
	}}
}

func milliseconds(t *testing.T) layout.Layout {
	t.Helper()
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Millisecond, NodeBits: 8, SequenceBits: 8})
	require.NoError(t, err)
	return l
}

// random returns a token never returned before, which makes all waits as short as
// jitter can.
func (d *life) random() Token {
	d.ids++
	return Token{0: byte(d.ids >> 8), 1: byte(d.ids), 7: 1}
}

// do feeds an event with a fresh token.
func (d *life) do(e event) []action {
	if e.random.IsZero() {
		e.random = d.random()
	}
	return d.m.step(e, d.now)
}

// begin begins a life and returns the request to acquire.
func (d *life) begin() action {
	d.t.Helper()
	return only(d.t, d.do(event{kind: begun}), toAcquire)[0]
}

// grantOf returns a grant of a node at the pool's time: a window from a second
// before it on, ending 10 s after it.
func (d *life) grantOf(token Token, node, pool int64) Grant {
	tick := pool / int64(time.Millisecond)
	return Grant{Namespace: "orders", Node: node, Token: token, From: tick - 1000, Until: tick + 10_000, Now: pool}
}

// hold brings a life to where it holds node 7 with a window of 10 s, and returns
// the grant.
func (d *life) hold() Grant {
	d.t.Helper()
	g := d.grantOf(d.begin().token, 7, d.now)
	only(d.t, d.do(event{kind: granted, request: d.m.request, grant: g}), toOpen, toSet)
	return g
}

// only asserts the kinds of all actions, and returns them.
func only(t *testing.T, actions []action, kinds ...actionKind) []action {
	t.Helper()
	var got []actionKind
	for _, a := range actions {
		got = append(got, a.kind)
	}
	require.Equal(t, kinds, got)
	return actions
}

func (d *life) sleep(t time.Duration) { d.now += int64(t) }

var errNetwork = errors.New("connection reset")

func TestMachineAcquires(t *testing.T) {
	d := newLife(t)
	a := only(t, d.do(event{kind: begun, random: Token{1, 2, 3}}), toAcquire)[0]
	assert.Equal(t, Token{1, 2, 3}, a.token)
	assert.Equal(t, seeking, d.m.phase)

	d.sleep(time.Millisecond)
	g := d.grantOf(a.token, 7, d.now)
	actions := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)
	assert.Equal(t, layout.Window{Node: 7, From: g.From, Until: g.Until}, actions[0].window)
	assert.Equal(t, holding, d.m.phase)
}

// The first error ends a lease that was never had: whoever waits for it decides.
func TestMachineFirstErrorEnds(t *testing.T) {
	for _, err := range []error{errNetwork, context.DeadlineExceeded, &ExhaustedError{}, ErrLeaseLost} {
		d := newLife(t)
		a := only(t, d.do(event{kind: refused, request: d.begin().request, err: err}), toEnd)[0]
		assert.Equal(t, err, a.err)
		assert.Equal(t, err, d.m.err)
		assert.Equal(t, ended, d.m.phase)
	}
}

// A renewal is due after a third of what is left by the pool's clock, give or take
// a tenth of that, whatever the own clock says.
func TestMachineRenewsAtAThird(t *testing.T) {
	third := int64(10*time.Second) / 3
	seen := make(map[int64]bool)
	for b := range 256 {
		d := newLife(t)
		a := d.begin()
		g := d.grantOf(a.token, 7, d.now+int64(300*time.Millisecond)) // the pool's clock is ahead
		e := event{kind: granted, request: a.request, grant: g, random: Token{0: 1, 15: byte(b), 14: byte(7 * b), 13: byte(31 * b), 12: byte(101 * b)}}
		at := only(t, d.do(e), toOpen, toSet)[1].at - d.now
		require.GreaterOrEqual(t, at, third-third/10)
		require.LessOrEqual(t, at, third+third/10)
		seen[at/int64(100*time.Millisecond)] = true
	}
	assert.Greater(t, len(seen), 4, "clients that began together must not stay together")

	for _, ns := range []time.Duration{0, 1, 9, 10, 11, 1<<63 - 1} {
		for _, r := range []Token{{}, {8: 255, 9: 255, 10: 255, 11: 255, 12: 255, 13: 255, 14: 255, 15: 255}, {8: 128}} {
			d := jittered(ns, r)
			require.GreaterOrEqual(t, d, ns-ns/10)
			require.LessOrEqual(t, d-ns, ns/10)
		}
	}
}

// A pool whose clock was set back by years grants what was granted before, or little
// more, and by its clock the window lasts for years. Whoever went by that would not
// hear of it when the clock is set right.
func TestMachineRenewsSoonWhereLittleWasAdded(t *testing.T) {
	const years = 5 * 365 * 24 * time.Hour
	d := newLife(t)
	g := d.hold()
	for range 3 {
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		g.Revision++
		g.Now = d.now - int64(years)
		at := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)[1].at
		require.LessOrEqual(t, at-d.now, int64(longestRetry)*11/10)
		require.GreaterOrEqual(t, at-d.now, int64(longestRetry)*9/10)
		d.now = at
	}
	// A server that was restarted grants all that it had written ahead.
	a := only(t, d.do(event{kind: rang}), toRenew)[0]
	g.Until, g.Now = g.Until+60_000, d.now-int64(years)
	at := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)[1].at
	require.LessOrEqual(t, at-d.now, int64(2*time.Minute)*11/10)
	// The clock is right again, and soon the lease is renewed as seldom as ever.
	for range 6 {
		d.now = at
		a = only(t, d.do(event{kind: rang}), toRenew)[0]
		g.Until, g.Now = d.now/int64(time.Millisecond)+60_000, d.now
		at = only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)[1].at
	}
	require.GreaterOrEqual(t, at-d.now, int64(20*time.Second)*9/10)
	require.LessOrEqual(t, at-d.now, int64(20*time.Second)*11/10)
}

func TestMachineRenews(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	d.sleep(3 * time.Second)
	a := only(t, d.do(event{kind: rang, random: Token{9}}), toRenew)[0]
	assert.Equal(t, Renewal{Namespace: "orders", Node: 7, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: Token{9}}, a.renewal)

	longer := g
	longer.Until, longer.Revision, longer.Now = g.Until+20_000, 1, d.now
	actions := only(t, d.do(event{kind: granted, request: a.request, grant: longer}), toOpen, toSet)
	assert.Equal(t, layout.Window{Node: 7, From: g.From, Until: longer.Until}, actions[0].window)

	d.sleep(9 * time.Second)
	next := only(t, d.do(event{kind: rang, random: Token{10}}), toRenew)[0]
	assert.Equal(t, uint64(1), next.renewal.Revision)
	assert.Equal(t, longer.Until, next.renewal.Until)
	assert.Equal(t, Token{10}, next.renewal.Nonce, "each renewal has a nonce of its own")
}

// A renewal whose outcome is not known is repeated as it was: the pool may have
// carried it out. No error but the lease's loss makes the holder give up, however
// often it comes.
func TestMachineRepeatsWithTheSameNonce(t *testing.T) {
	d := newLife(t)
	d.hold()
	first := only(t, d.do(event{kind: rang}), toRenew)[0]
	last := first
	for i := range 50 {
		err := []error{errNetwork, context.DeadlineExceeded, ErrClockJumped, ErrConflict, &UnknownNamespaceError{}}[i%5]
		say := only(t, d.do(event{kind: refused, request: last.request, err: err}), toSay, toSet)
		assert.Equal(t, err, say[0].err)
		d.now = say[1].at
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		assert.Equal(t, first.renewal, a.renewal)
		assert.Greater(t, a.request, last.request)
		last = a
	}
	assert.Equal(t, holding, d.m.phase)
}

// Whoever seeks again after a loss keeps the token until it is answered, for a
// grant may have been lost on its way.
func TestMachineRepeatsWithTheSameToken(t *testing.T) {
	d := newLife(t)
	d.hold()
	a := d.lose()
	for range 20 {
		say := only(t, d.do(event{kind: refused, request: d.m.request, err: errNetwork}), toSay, toSet)
		d.now = say[1].at
		again := only(t, d.do(event{kind: rang}), toAcquire)[0]
		assert.Equal(t, a.token, again.token)
	}
	// Seeking has lasted longer than anything: it is not given up.
	g := d.grantOf(a.token, 9, d.now)
	only(t, d.do(event{kind: granted, request: d.m.request, grant: g}), toOpen, toSet)
}

// lose has the pool refuse a renewal, and returns the request to acquire anew.
func (d *life) lose() action {
	d.t.Helper()
	a := only(d.t, d.do(event{kind: rang}), toRenew)[0]
	return only(d.t, d.do(event{kind: refused, request: a.request, err: ErrLeaseLost}), toSeal, toSay, toAcquire)[2]
}

// Only the reply to the last request counts: an earlier one may be older than
// what is known by now.
func TestMachineIgnoresEarlierReplies(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	first := only(t, d.do(event{kind: rang}), toRenew)[0]
	only(t, d.do(event{kind: refused, request: first.request, err: errNetwork}), toSay, toSet)
	second := only(t, d.do(event{kind: rang}), toRenew)[0]
	before := d.m

	stale := g
	stale.Until += 5
	assert.Empty(t, d.do(event{kind: granted, request: first.request, grant: stale}))
	assert.Empty(t, d.do(event{kind: refused, request: first.request, err: ErrLeaseLost}))
	assert.Empty(t, d.do(event{kind: refused, request: second.request + 1, err: ErrLeaseLost}))
	assert.Equal(t, before, d.m)

	stale.Until += 5
	only(t, d.do(event{kind: granted, request: second.request, grant: stale}), toOpen, toSet)
}

// A reply that comes twice counts once. The second time, what it grants may have
// been given back.
func TestMachineIgnoresRepeatedReplies(t *testing.T) {
	d := newLife(t)
	d.hold()
	a := d.lose()
	g := d.grantOf(a.token, 9, d.now-int64(time.Hour))
	grant := event{kind: granted, request: a.request, grant: g}
	only(t, d.do(grant), toRelease, toSay, toSet)
	d.sleep(-time.Hour) // the clock is set right: now it could be used
	assert.Empty(t, d.do(grant))

	d.sleep(time.Minute)
	a = only(t, d.do(event{kind: rang}), toAcquire)[0]
	only(t, d.do(event{kind: refused, request: a.request, err: errNetwork}), toSay, toSet)
	assert.Empty(t, d.do(event{kind: refused, request: a.request, err: errNetwork}))
	assert.Equal(t, 2, d.m.failures)
}

// A request to acquire that was repeated by the network can be carried out when
// the lease that it first brought is over: the token is the holder's again, with
// another window. A late renewal succeeds then, and what earlier generators
// stamped is no part of the seal report.
func TestMachineLeaseBegunAnewUnderItsToken(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	d.sleep(time.Minute)
	a := only(t, d.do(event{kind: rang}), toRenew)[0]
	anew := d.grantOf(g.Token, 7, d.now)
	w := only(t, d.do(event{kind: granted, request: a.request, grant: anew}), toOpen, toSet)[0].window
	assert.Equal(t, anew.From, w.From)
	back := only(t, d.do(event{kind: closing, last: g.From - 1}), toRelease, toEnd)[0].release
	assert.Equal(t, anew.From-1, back.Last)
}

func TestMachineLosesAndAcquiresAnew(t *testing.T) {
	for _, err := range []error{ErrLeaseLost, ErrRevoked, errors.Join(ErrLeaseLost, errNetwork)} {
		d := newLife(t)
		old := d.hold()
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		actions := only(t, d.do(event{kind: refused, request: a.request, err: err, random: Token{42}}), toSeal, toSay, toAcquire)
		assert.Equal(t, err, actions[1].err)
		assert.Equal(t, Token{42}, actions[2].token, "a lease is never taken up again: another token")
		assert.NotEqual(t, old.Token, actions[2].token)
		assert.Equal(t, seeking, d.m.phase)

		// The next one's first renewal has a nonce of its own, too.
		g := d.grantOf(Token{42}, 8, d.now)
		only(t, d.do(event{kind: granted, request: actions[2].request, grant: g}), toOpen, toSet)
		next := only(t, d.do(event{kind: rang}), toRenew)[0]
		assert.NotEqual(t, a.renewal.Nonce, next.renewal.Nonce)
		assert.Equal(t, g.Token, next.renewal.Token)
	}
}

// What generators reserved under one lease says nothing about the next one.
func TestMachineForgetsTheLastTickWithTheLease(t *testing.T) {
	d := newLife(t)
	d.m.last = 0
	g := d.hold()
	d.m.last = g.Until + 10
	g = d.grantOf(d.lose().token, 8, d.now)
	only(t, d.do(event{kind: granted, request: d.m.request, grant: g}), toOpen, toSet)
	assert.Equal(t, g.From-1, d.m.last)
}

// While there is no lease, none can be lost, whatever a pool says.
func TestMachineLosesOnlyWhatItHolds(t *testing.T) {
	d := newLife(t)
	d.hold()
	a := d.lose()
	actions := only(t, d.do(event{kind: refused, request: a.request, err: ErrLeaseLost}), toSay, toSet)
	assert.Greater(t, actions[1].at, d.now)
}

// The own clock takes nothing away: after the window's end, and after a pause of
// any length, the lease is renewed late, and only the pool's word ends it.
func TestMachineRenewsLate(t *testing.T) {
	for _, pause := range []time.Duration{11 * time.Second, time.Hour, 1000 * time.Hour} {
		d := newLife(t)
		g := d.hold()
		d.sleep(pause)
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		assert.Equal(t, g.Token, a.renewal.Token)
		assert.Equal(t, g.Until, a.renewal.Until)

		g.Until, g.Revision, g.Now = d.now/int64(time.Millisecond)+20_000, 1, d.now
		w := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)[0].window
		assert.Equal(t, g.From, w.From)

		// And where somebody took over meanwhile:
		d.sleep(pause)
		d.lose()
	}
}

// A clock too far off to use a window gives it back as it was, and says so.
func TestMachineClockOff(t *testing.T) {
	for by, usable := range map[time.Duration]bool{
		-time.Hour:       false,
		-2001 * ms:       false, // the window begins a second before the pool's time
		-2000 * ms:       true,
		-time.Second:     true,
		time.Second:      true,
		9999 * ms:        true,
		10 * time.Second: false,
		time.Hour:        false,
	} {
		t.Run(by.String(), func(t *testing.T) {
			d := newLife(t)
			a := d.begin()
			g := d.grantOf(a.token, 7, d.now-int64(by))
			actions := d.do(event{kind: granted, request: a.request, grant: g})
			if usable {
				only(t, actions, toOpen, toSet)
				return
			}
			only(t, actions, toRelease, toEnd)
			assert.Equal(t, Release{Namespace: "orders", Node: 7, Token: a.token, Last: g.From - 1}, actions[0].release)
			var off *ClockOffError
			require.ErrorAs(t, actions[1].err, &off)
			assert.Equal(t, by, off.By)
		})
	}
}

const ms = time.Millisecond

// A window that begins in the future by the pool's own clock is nobody's clock's
// fault: an earlier holder has borrowed.
func TestMachineWindowBeginsLater(t *testing.T) {
	d := newLife(t)
	a := d.begin()
	tick := d.now / int64(ms)
	g := Grant{Namespace: "orders", Node: 7, Token: a.token, From: tick + 4000, Until: tick + 14000, Now: d.now}
	only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)
}

// A process that was stopped while its request was under way has a clock that is
// right, and a window that is over: it asks again, also for its first lease.
func TestMachineGrantComesTooLate(t *testing.T) {
	d := newLife(t)
	a := d.begin()
	g := d.grantOf(a.token, 7, d.now)
	d.sleep(time.Minute)
	actions := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toRelease, toSay, toSet)
	assert.Equal(t, g.From-1, actions[0].release.Last)
	assert.NotErrorAs(t, actions[1].err, new(*ClockOffError))
	d.now = actions[2].at
	again := only(t, d.do(event{kind: rang}), toAcquire)[0]
	assert.NotEqual(t, a.token, again.token, "what was given back is not to be found again")
	g = d.grantOf(again.token, 7, d.now)
	only(t, d.do(event{kind: granted, request: again.request, grant: g}), toOpen, toSet)
}

// The own clock may go off while a node is held. The lease is kept, for it can be
// used as soon as the clock is set right, and the operator hears of it.
func TestMachineClockOffWhileHolding(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		d := newLife(t)
		g := d.hold()
		pool := d.now
		d.sleep(by)
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		g.Revision, g.Now = 1, pool
		actions := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet, toSay)
		var off *ClockOffError
		require.ErrorAs(t, actions[2].err, &off)
		assert.Equal(t, by, off.By)
		assert.Equal(t, holding, d.m.phase)
	}
}

// While a clock stays off, nodes are asked for and given back ever more seldom.
func TestMachineClockOffBacksOff(t *testing.T) {
	d := newLife(t)
	d.hold()
	a := d.lose()
	var waits []int64
	for range 12 {
		g := d.grantOf(a.token, 9, d.now-int64(time.Hour))
		actions := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toRelease, toSay, toSet)
		waits = append(waits, actions[2].at-d.now)
		d.now = actions[2].at
		next := only(t, d.do(event{kind: rang}), toAcquire)[0]
		assert.NotEqual(t, a.token, next.token)
		a = next
	}
	assert.IsIncreasing(t, waits[:6])
	assert.GreaterOrEqual(t, waits[11], int64(longestRetry)*9/10)

	// With a clock that is right again, it begins anew.
	g := d.grantOf(a.token, 9, d.now)
	only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)
	assert.Zero(t, d.m.failures)
}

func TestMachineBackoff(t *testing.T) {
	d := newLife(t)
	d.hold()
	before := int64(0)
	for n := range 100 {
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		wait := only(t, d.do(event{kind: refused, request: a.request, err: errNetwork}), toSay, toSet)[1].at - d.now
		require.GreaterOrEqual(t, wait, int64(shortestRetry)*9/10)
		require.LessOrEqual(t, wait, int64(longestRetry)*11/10)
		if n < 6 {
			require.Greater(t, wait, before)
			before = wait
		} else {
			require.GreaterOrEqual(t, wait, int64(longestRetry)*9/10)
		}
		d.sleep(time.Duration(wait))
	}
	// A success, and the next failure is the first again.
	a := only(t, d.do(event{kind: rang}), toRenew)[0]
	g := d.m.grant
	g.Until, g.Now = d.now/int64(ms)+60_000, d.now
	only(t, d.do(event{kind: granted, request: a.request, grant: g}), toOpen, toSet)
	a = only(t, d.do(event{kind: rang}), toRenew)[0]
	wait := only(t, d.do(event{kind: refused, request: a.request, err: errNetwork}), toSay, toSet)[1].at - d.now
	assert.LessOrEqual(t, wait, int64(shortestRetry)*22/10)
}

// At the end of a layout's life a window cannot grow. Asking for more of it at
// once, again and again, would keep the pool busy for nothing.
func TestMachineWindowThatCannotGrow(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	for range 1000 {
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		g.Revision++
		g.Now = d.now
		set := d.do(event{kind: granted, request: a.request, grant: g})[1]
		require.Equal(t, toSet, set.kind)
		require.Greater(t, set.at, d.now)
		d.now = set.at
		if d.now > noon+int64(time.Hour) {
			break
		}
	}
	assert.Greater(t, d.now, noon+int64(time.Hour), "a thousand renewals in less than an hour")

	a := only(t, d.do(event{kind: rang}), toRenew)[0]
	g.Now = g.Until * int64(ms)
	set := d.do(event{kind: granted, request: a.request, grant: g})[1]
	assert.Greater(t, set.at, d.now+int64(time.Second))
}

func TestMachineCloses(t *testing.T) {
	closeErr := func(t *testing.T, d *life, a action) {
		t.Helper()
		require.ErrorIs(t, a.err, ErrClosed)
		require.ErrorIs(t, d.m.err, ErrClosed)
		require.Equal(t, ended, d.m.phase)
	}

	t.Run("seeking", func(t *testing.T) {
		d := newLife(t)
		a := d.begin()
		closeErr(t, d, only(t, d.do(event{kind: closing, last: -1}), toEnd)[0])

		// What the request under way still brings is nobody's, and goes back.
		g := d.grantOf(a.token, 7, d.now)
		back := only(t, d.do(event{kind: granted, request: a.request, grant: g}), toRelease)[0].release
		assert.Equal(t, Release{Namespace: "orders", Node: 7, Token: a.token, Last: g.From - 1}, back)
	})
	t.Run("waiting to seek again", func(t *testing.T) {
		d := newLife(t)
		d.hold()
		only(t, d.do(event{kind: refused, request: d.lose().request, err: errNetwork}), toSay, toSet)
		closeErr(t, d, only(t, d.do(event{kind: closing, last: 5}), toEnd)[0])
	})
	t.Run("seeking again", func(t *testing.T) {
		d := newLife(t)
		d.hold()
		a := d.lose()
		closeErr(t, d, only(t, d.do(event{kind: closing, last: 5}), toEnd)[0])
		g := d.grantOf(a.token, 9, d.now)
		// Not what an earlier one brought, of which something may be stamped.
		assert.Empty(t, d.do(event{kind: granted, request: a.request - 1, grant: g}))
		only(t, d.do(event{kind: granted, request: a.request, grant: g}), toRelease)
		assert.Empty(t, d.do(event{kind: granted, request: a.request, grant: g}))
	})
	for _, renewing := range []string{"", ", renewing", ", waiting to renew again"} {
		t.Run("holding"+renewing, func(t *testing.T) {
			d := newLife(t)
			g := d.hold()
			var a action
			if renewing != "" {
				a = only(t, d.do(event{kind: rang}), toRenew)[0]
			}
			if renewing == ", waiting to renew again" {
				only(t, d.do(event{kind: refused, request: a.request, err: errNetwork}), toSay, toSet)
			}
			actions := only(t, d.do(event{kind: closing, last: g.From + 5}), toRelease, toEnd)
			assert.Equal(t, Release{Namespace: "orders", Node: 7, Token: g.Token, Last: g.From + 5}, actions[0].release)
			closeErr(t, d, actions[1])
			// The release may overtake the renewal, or not: it is about the same lease.
			g.Until += 20_000
			assert.Empty(t, d.do(event{kind: granted, request: a.request, grant: g}))
		})
	}
}

// The seal report is the highest of what the generators of this window said, and
// within the window.
func TestMachineSealReport(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	for _, c := range []struct {
		name               string
		earlier, now, want int64
	}{
		{"nothing stamped", g.From - 1, g.From - 1, g.From - 1},
		{"nothing stamped, by a generator that saw other windows", g.From - 1, 3, g.From - 1},
		{"an earlier generator", g.From + 4, g.From - 1, g.From + 4},
		{"the present one", g.From + 4, g.From + 5, g.From + 5},
		{"the last tick", g.From - 1, g.Until - 1, g.Until - 1},
		{"past the window, moved there unused", g.From - 1, g.Until + 7, g.Until - 1},
	} {
		m := d.m
		m.last = c.earlier
		actions := m.step(event{kind: closing, last: c.now}, d.now)
		assert.Equal(t, c.want, only(t, actions, toRelease, toEnd)[0].release.Last, c.name)
	}
}

func TestMachineAfterTheEnd(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	d.do(event{kind: closing, last: g.From})
	before := d.m
	for _, e := range []event{
		{kind: begun},
		{kind: rang},
		{kind: refused, request: d.m.request, err: ErrLeaseLost},
		{kind: granted, request: d.m.request, grant: g},
		{kind: closing, last: g.From + 9},
	} {
		assert.Empty(t, d.do(e))
		assert.Equal(t, before, d.m)
	}
}

// Two copies of a process hold the same lease. The pool's rule lets the first
// that renews have it, and the machine of the other one lets go.
func TestMachineOfACopy(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	ns := NewNamespace("orders", d.m.layout)
	record := Node{Number: 7, Token: g.Token, From: g.From, Until: g.Until, Highest: g.Until, Window: 10 * time.Second}
	twin := &life{t: t, m: d.m, now: d.now, ids: 1000}

	answer := func(d *life) []action {
		a := only(t, d.do(event{kind: rang}), toRenew)[0]
		next, err := renew(&ns, record, a.renewal, d.now, false)
		record = next
		if err != nil {
			return d.do(event{kind: refused, request: a.request, err: err})
		}
		return d.do(event{kind: granted, request: a.request, grant: next.grant(&ns, d.now)})
	}
	d.sleep(3 * time.Second)
	twin.sleep(3 * time.Second)
	only(t, answer(twin), toOpen, toSet)
	only(t, answer(d), toSeal, toSay, toAcquire)
	only(t, answer(twin), toOpen, toSet)
}

func TestClockOffErrorSaysWhichWay(t *testing.T) {
	assert.Equal(t, "pool: this machine's clock is 1h0m0s ahead of the pool's, too far to use a lease; correct one of them", (&ClockOffError{By: time.Hour}).Error())
	assert.Equal(t, "pool: this machine's clock is 1.5s behind the pool's, too far to use a lease; correct one of them", (&ClockOffError{By: -1500 * time.Millisecond}).Error())
}

// A grant whose reply was lost comes again, when it is over by both clocks: that is no
// clock's fault.
func TestGrantFoundLateBlamesNoClock(t *testing.T) {
	d := newLife(t)
	d.hold()
	d.now += int64(3 * time.Second)
	d.do(event{kind: rang})
	var token Token
	for _, a := range d.do(event{kind: refused, request: d.m.request, err: ErrLeaseLost}) {
		if a.kind == toAcquire {
			token = a.token
		}
	}
	g := d.grantOf(token, 9, d.now)
	d.do(event{kind: refused, request: d.m.request, err: context.DeadlineExceeded})
	d.now += int64(15 * time.Second)
	d.do(event{kind: rang})
	g.Now = d.now
	said := 0
	for _, a := range d.do(event{kind: granted, request: d.m.request, grant: g}) {
		if a.err != nil {
			said++
			require.ErrorIs(t, a.err, errLate)
		}
	}
	assert.Positive(t, said)
}

// A renewal that adds a lot, by a pool's clock that is years behind, and is over by the
// own clock, is asked for again soon: either clock may be set right at any moment.
func TestMachineAsksAgainWhereClocksDisagree(t *testing.T) {
	d := newLife(t)
	g := d.hold()
	d.now += int64(3 * time.Second)
	d.do(event{kind: rang})
	d.now += int64(20 * time.Minute)
	d.do(event{kind: refused, request: d.m.request, err: ErrClockJumped})
	d.do(event{kind: rang})
	g.Revision++
	g.Now = d.now - int64(12*365*24*time.Hour)
	g.Until += int64(10 * time.Minute / time.Millisecond)
	said := false
	for _, a := range d.do(event{kind: granted, request: d.m.request, grant: g}) {
		switch a.kind {
		case toSet:
			assert.LessOrEqual(t, a.at-d.now, int64(longestRetry)*11/10)
		case toSay:
			var off *ClockOffError
			said = errors.As(a.err, &off)
		}
	}
	assert.True(t, said)
}
