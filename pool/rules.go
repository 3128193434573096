package pool

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// The rules of leases: pure functions from records, a request and the time to a
// new record. They read no clock. Windows of a node never overlap whatever time
// they are told, for a window never begins before the last one's end, and that
// end is lowered only by the holder itself, to the tick after the last that it
// reserved. The time decides only who gets what when.

// acquire grants a node of a use to the client with this key, or says why not:
// with errTaken for a node that somebody has.
func acquire(ns *Namespace, n Node, use Use, key Token, now int64) (Node, error) {
	r, ok := ns.rangeOf(n.Number)
	if !ok || r.Use != use || n.Retired {
		return n, ErrNotLeasable
	}
	if n.Token == key && !n.Revoked {
		return n, nil // a repetition: what it was granted before
	}
	l := ns.Layout
	present, err := l.Tick(time.Unix(0, now))
	if err != nil {
		return n, fmt.Errorf("pool: granting a window: %w", err)
	}
	if !n.Token.IsZero() && present < n.Until {
		return n, errTaken
	}
	from := max(n.Until, ns.Floor, r.Floor, roundUp(l, now-int64(ns.Terms.Skew)))
	until := reach(l, max(now, start(l, from)), ns.Terms.FirstWindow, now, ns.Terms.Horizon)
	// A window that begins later than with the next tick is of no use yet: somebody
	// borrowed, or there is a floor.
	if from >= until || start(l, from) > later(now, l.Unit()) {
		return n, &NotYetError{RetryAfter: time.Duration(max(1, start(l, from)-now))}
	}
	return Node{
		Number:  n.Number,
		Token:   key,
		From:    from,
		Until:   until,
		Before:  n.Until,
		Highest: max(n.Highest, until),
		Window:  ns.Terms.FirstWindow,
	}, nil
}

// errTaken says that a node has a holder whose window is not over.
var errTaken = errors.New("pool: the node is taken")

// renew makes a lease longer. It comes late without harm, as long as nobody took
// the node over. reopened says that the record was read anew by a store that
// persists ahead, and may lack the lease's last renewals.
func renew(ns *Namespace, n Node, r Renewal, now int64, reopened bool) (Node, error) {
	switch {
	case n.Token.IsZero() || n.Token != r.Token:
		return n, ErrLeaseLost
	case n.Revoked || n.Retired:
		return n, ErrRevoked
	case n.Until <= ns.Floor:
		// The store may have forgotten who came after this holder. One that reaches
		// just as far is no exception: both may be the end of the layout's life, where
		// no floor is higher.
		return n, ErrLeaseLost
	case r.Revision == n.Revision:
	case r.Revision+1 == n.Revision && r.Nonce == n.Nonce:
		return n, nil // a repetition of the last one
	case reopened && r.Revision > n.Revision && r.Until <= n.Until:
		n.Revision = r.Revision
	default:
		// Somebody else renewed this lease: one of the two is a copy.
		return n, ErrLeaseLost
	}
	n.Window = min(2*n.Window, ns.Terms.Window)
	n.Until = max(n.Until, reach(ns.Layout, now, n.Window, now, ns.Terms.Horizon))
	n.Highest = max(n.Highest, n.Until)
	n.Revision++
	n.Nonce = r.Nonce
	return n, nil
}

// release gives a lease back: the node is free after the last tick that its holder
// reserved.
func release(n Node, r Release) (Node, error) {
	if n.Token.IsZero() || n.Token != r.Token {
		return n, ErrLeaseLost
	}
	if r.Last < n.From-1 || r.Last >= n.Until {
		return n, fmt.Errorf("%w: tick %d is not within [%d, %d)", ErrBadSeal, r.Last, n.From-1, n.Until)
	}
	n.Until = r.Last + 1
	if r.Last < n.From {
		n.Until = n.Before // nothing was stamped
	}
	n.Token, n.Revoked = Token{}, false
	return n, nil
}

// reach returns the tick that a window of this length from a time on reaches,
// rounded down, but not further than horizon after now, nor past the layout's
// last tick.
func reach(l layout.Layout, from int64, window time.Duration, now int64, horizon time.Duration) int64 {
	return roundDown(l, min(later(from, window), later(now, horizon)))
}

// later returns ns + d, or the largest time.
func later(ns int64, d time.Duration) int64 {
	if ns > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return ns + int64(d)
}

// roundDown returns the tick that a time lies in: 0 before the epoch, the tick
// after the last one after the end.
func roundDown(l layout.Layout, ns int64) int64 {
	tick, err := l.Tick(time.Unix(0, ns))
	switch {
	case err == nil:
		return tick
	case errors.Is(err, layout.ErrPastEnd):
		return l.MaxTick() + 1
	}
	return 0
}

// roundUp returns the first tick that starts at a time or after it.
func roundUp(l layout.Layout, ns int64) int64 {
	tick := roundDown(l, ns)
	if start(l, tick) < ns {
		tick++
	}
	return min(tick, l.MaxTick()+1)
}

// start returns when a tick starts, in Unix nanoseconds, or the largest time.
func start(l layout.Layout, tick int64) int64 {
	t := l.Time(tick)
	if t.Unix() >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return t.UnixNano()
}
