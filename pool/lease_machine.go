package pool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// machine is the life of a lease at its client: a pure state machine over events
// and the client's time. It reads no clock, draws nothing at random and sends
// nothing itself; Lease does all that. So a test, or a simulation, can drive it
// event by event.
//
//	seeking ──granted──▶ holding ──lost──▶ seeking …
//	   └──────close────────┴──close──▶ ended
//
// A lease is never given up because time has passed here: after its window's end
// the generator stops by itself, and a late renewal may still succeed. It is lost
// only when the pool says so.
type machine struct {
	namespace string
	layout    layout.Layout
	limit     time.Duration // how far the own clock may be behind a window's start

	phase    phase
	grant    Grant   // while holding
	token    Token   // that is sought with
	renewal  Renewal // under way, or to be repeated; its nonce is zero in between
	last     int64   // the last tick reserved by generators that have left, at least From - 1
	request  uint64  // the number of the last request; replies to others are ignored
	waiting  bool    // for the reply to it; a second one is ignored
	sent     int64   // when it was sent
	failures int     // of requests in a row
	healing  bool    // there has been a lease before
	err      error   // why it ended
}

type phase uint8

const (
	seeking phase = iota
	holding
	ended
)

// event is what happens to a lease. random is fresh with each: the machine takes
// tokens, nonces and jitter from it.
type event struct {
	kind    eventKind
	request uint64 // granted, refused: the request's number
	grant   Grant  // granted
	err     error  // refused
	last    int64  // closing: what sealing the generator returned, or Grant.From - 1
	random  Token
}

type eventKind uint8

const (
	begun   eventKind = iota // once, at first
	rang                     // the alarm that was last set has rung
	granted                  // the pool has granted or renewed
	refused                  // a request has failed, for whatever reason
	closing                  // the user closes the lease, and its generator is sealed
)

// action is what an event asks for. Actions are carried out in order.
type action struct {
	kind    actionKind
	request uint64
	token   Token         // toAcquire
	renewal Renewal       // toRenew
	release Release       // toRelease
	window  layout.Window // toOpen
	at      int64         // toSet: Unix nanoseconds
	err     error         // toSay, toEnd
}

type actionKind uint8

const (
	toAcquire actionKind = iota // send a request to acquire
	toRenew                     // send a renewal
	toRelease                   // give back; nobody waits for the reply
	toOpen                      // open the generator's window, or make it longer
	toSeal                      // end the generator's window
	toSet                       // set the alarm, in place of the one before
	toSay                       // tell the operator
	toEnd                       // the lease has ended
)

// ClockOffError says that the own clock differs so much from the pool's that a
// window just granted cannot be used. It was given back.
type ClockOffError struct {
	// By is how far the own clock is ahead of the pool's; below zero, behind.
	By time.Duration
}

// Error says what to do.
func (e *ClockOffError) Error() string {
	side := "ahead of"
	if e.By < 0 {
		side = "behind"
	}
	return fmt.Sprintf("pool: this machine's clock is %v %s the pool's, too far to use a lease; correct one of them", e.By.Abs().Round(time.Millisecond), side)
}

// step takes an event at a time (the client's, Unix nanoseconds) and returns what
// is to be done.
func (m *machine) step(e event, now int64) []action {
	if m.phase == ended {
		return m.afterwards(e)
	}
	switch e.kind {
	case begun:
		return []action{m.seek(e.random, now)}
	case rang:
		return m.ring(e, now)
	case granted, refused:
		if e.request != m.request || !m.waiting {
			return nil
		}
		m.waiting = false
		if e.kind == granted {
			return m.accept(e, now)
		}
		return m.refuse(e, now)
	case closing:
		return m.close(e)
	}
	return nil
}

// seek asks for a node with a token: always another one, since a lease is never
// taken up again.
func (m *machine) seek(random Token, now int64) action {
	m.token = random
	m.number(now)
	return action{kind: toAcquire, request: m.request, token: m.token}
}

// number gives the next request its number.
func (m *machine) number(now int64) {
	m.request++
	m.waiting, m.sent = true, now
}

func (m *machine) ring(e event, now int64) []action {
	m.number(now)
	if m.phase == seeking {
		return []action{{kind: toAcquire, request: m.request, token: m.token}}
	}
	if m.renewal.Nonce.IsZero() {
		m.renewal = Renewal{
			Namespace: m.namespace,
			Node:      m.grant.Node,
			Token:     m.grant.Token,
			Revision:  m.grant.Revision,
			Until:     m.grant.Until,
			Nonce:     e.random,
		}
	}
	return []action{{kind: toRenew, request: m.request, renewal: m.renewal}}
}

// accept takes a grant: of a new lease while seeking, of a renewal while holding.
func (m *machine) accept(e event, now int64) []action {
	g := e.grant
	off := m.off(g, now)
	if m.phase == seeking {
		switch {
		case off != nil:
			return m.giveBack(e, off, now)
		case now >= start(m.layout, g.Until):
			return m.giveBack(e, errLate, now)
		}
		m.phase, m.healing = holding, true
		m.last = g.From - 1
	}
	// A request to acquire that came late, after this lease was over, may have
	// begun it anew under its token: then the window begins later than before.
	m.last = max(m.last, g.From-1)
	m.failures = 0
	due := m.due(g, e.random)
	if off != nil {
		// One of the clocks is wrong, and may be set right at any moment, the pool's by
		// years: what is left of the window by that says nothing.
		due = min(due, jittered(longestRetry, e.random))
	}
	m.grant, m.renewal = g, Renewal{}
	actions := []action{
		{kind: toOpen, window: layout.Window{Node: g.Node, From: g.From, Until: g.Until}},
		{kind: toSet, at: later(now, due)},
	}
	if off != nil {
		// The lease stays: a clock that is set right can use it at once.
		actions = append(actions, action{kind: toSay, err: off})
	}
	return actions
}

// off returns a [*ClockOffError] if it is the clocks' fault that a window cannot
// be used: the own clock is further before its start than generators wait, though
// it has begun by the pool's, or was past its end before the pool was asked, though it
// is not over by the pool's. That it is past the end only now may be this process's
// fault, which was stopped; and what is over by both was granted to a request before.
func (m *machine) off(g Grant, now int64) error {
	switch {
	case min(start(m.layout, g.From), g.Now) > later(now, m.limit):
		return &ClockOffError{By: time.Duration(now - g.Now)}
	case m.sent >= start(m.layout, g.Until) && g.Now < start(m.layout, g.Until):
		return &ClockOffError{By: time.Duration(m.sent - g.Now)}
	}
	return nil
}

// errLate says that a grant was over when it came.
var errLate = errors.New("pool: a window was over before this process heard of it; asking for another")

// third is when to renew: after a third of what is left of the window by the
// pool's clock, give or take a tenth of that, so that clients that began together
// do not stay together. A window that ends with the layout's life has nothing
// left one day, and is not to be asked for again and again.
func (m *machine) third(g Grant, random Token) time.Duration {
	left := time.Duration(start(m.layout, g.Until) - g.Now)
	if left <= 0 {
		return jittered(longestRetry, random)
	}
	return jittered(max(left/3, time.Millisecond), random)
}

// due is when to renew next: after a third, but no later than after twice what this
// grant has added. A pool whose clock has been set back, perhaps by years, adds
// little or nothing, and by that clock the window is as far from its end; when it is
// set right, there may be nothing left.
func (m *machine) due(g Grant, random Token) time.Duration {
	third := m.third(g, random)
	before := g.From
	if g.Token == m.grant.Token {
		before = m.grant.Until
	}
	if added := time.Duration(start(m.layout, g.Until) - start(m.layout, before)); added < third/2 {
		return min(third, jittered(max(2*added, longestRetry), random))
	}
	return third
}

// giveBack returns a window that cannot be used.
func (m *machine) giveBack(e event, why error, now int64) []action {
	back := m.unused(e.grant)
	if !m.healing && why != errLate { //nolint:errorlint // not wrapped
		return []action{back, m.end(why)}
	}
	m.token = e.random
	m.failures++
	return []action{back, {kind: toSay, err: why}, m.retry(e.random, now)}
}

// unused gives a lease back of which nothing was stamped.
func (m *machine) unused(g Grant) action {
	return action{kind: toRelease, release: Release{Namespace: m.namespace, Node: g.Node, Token: g.Token, Last: g.From - 1}}
}

func (m *machine) refuse(e event, now int64) []action {
	if m.phase == seeking && !m.healing {
		// Whoever asked for the lease is waiting, and decides.
		return []action{m.end(e.err)}
	}
	m.failures++
	if m.phase == holding && lost(e.err) {
		m.phase, m.renewal, m.failures = seeking, Renewal{}, 0
		return []action{{kind: toSeal}, {kind: toSay, err: e.err}, m.seek(e.random, now)}
	}
	return []action{{kind: toSay, err: e.err}, m.retry(e.random, now)}
}

// lost reports whether a pool's refusal means that the lease is gone.
func lost(err error) bool { return errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrRevoked) }

// Bounds of the time between attempts.
const (
	shortestRetry = 50 * time.Millisecond
	longestRetry  = 5 * time.Second
)

// retry sets the alarm for another attempt, later and later.
func (m *machine) retry(random Token, now int64) action {
	wait := longestRetry
	if m.failures < 7 {
		wait = min(wait, shortestRetry<<m.failures)
	}
	return action{kind: toSet, at: later(now, jittered(wait, random))}
}

// close gives the lease back.
func (m *machine) close(e event) []action {
	if m.phase == seeking {
		return []action{m.end(ErrClosed)}
	}
	// A generator that is closed already, or was taken over ticks that it did
	// not use, may report later ticks than the window has.
	last := min(max(m.last, e.last), m.grant.Until-1)
	release := Release{Namespace: m.namespace, Node: m.grant.Node, Token: m.grant.Token, Last: last}
	m.waiting = false // the renewal under way is of the same lease
	return []action{{kind: toRelease, release: release}, m.end(ErrClosed)}
}

// afterwards gives back what the last request has brought, if that was to acquire:
// nothing was stamped of it. Of any earlier one something may have been.
func (m *machine) afterwards(e event) []action {
	if e.kind != granted || e.request != m.request || !m.waiting {
		return nil
	}
	m.waiting = false
	return []action{m.unused(e.grant)}
}

func (m *machine) end(err error) action {
	m.phase, m.err = ended, err
	return action{kind: toEnd, err: err}
}

// jittered returns d, give or take a tenth.
func jittered(d time.Duration, random Token) time.Duration {
	if d < 10 {
		return d
	}
	tenth := uint64(d / 10)
	return d - time.Duration(tenth) + time.Duration(binary.BigEndian.Uint64(random[8:])%(2*tenth))
}
