package pool

import (
	"fmt"
	"log/slog"
	"time"
)

// Node is the record of one node of a namespace. It is never deleted: its Until
// is what keeps the next holder's window apart. All ticks are the layout's.
type Node struct {
	Number int64
	// Token is the holder's; zero where there is none.
	Token Token
	// From and Until are the window, half-open; Until alone counts once there
	// is no holder: nobody stamps a tick before it any more.
	From, Until int64
	// Before is what Until was when the holder came, for one that leaves with
	// nothing stamped.
	Before int64
	// Highest is the highest Until that was ever granted. Nothing lowers it: a
	// client that shows a higher one proves that the store is an old copy.
	Highest int64
	// Window is what the window was last made to reach from now.
	Window time.Duration
	// Revision counts the lease's renewals; Nonce is the last one's.
	Revision uint64
	Nonce    Token
	// Revoked refuses renewals: the node is free at Until.
	Revoked bool
	// Retired takes the node out of use for good.
	Retired bool
}

// Grant is what a pool grants: a lease.
type Grant struct {
	Namespace string
	Node      int64
	Token     Token
	// From and Until are the window in ticks, half-open.
	From, Until int64
	// Revision is what the next renewal has to show.
	Revision uint64
	// Now is the pool's time at the grant, in Unix nanoseconds, by which a
	// client can tell how far its own clock is off.
	Now int64
}

func (n *Node) grant(ns *Namespace, now int64) Grant {
	return Grant{
		Namespace: ns.Name,
		Node:      n.Number,
		Token:     n.Token,
		From:      n.From,
		Until:     n.Until,
		Revision:  n.Revision,
		Now:       now,
	}
}

// LogValue is the grant with as much of its token as [Token.String] has.
func (g Grant) LogValue() slog.Value {
	type grant Grant
	return slog.StringValue(fmt.Sprintf("%+v", grant(g)))
}

// Renewal is a request to make a lease longer.
type Renewal struct {
	Namespace string
	Node      int64
	Token     Token
	// Revision and Until are those of the grant that the client has.
	Revision uint64
	Until    int64
	// Nonce is drawn for each renewal, and kept for its repetitions.
	Nonce Token
}

// LogValue is the request with as much of its token as [Token.String] has.
func (r Renewal) LogValue() slog.Value {
	type renewal Renewal
	return slog.StringValue(fmt.Sprintf("%+v", renewal(r)))
}

// Release is a request to give a lease back.
type Release struct {
	Namespace string
	Node      int64
	Token     Token
	// Last is the last tick that was, or can still be, stamped under the
	// lease; the tick before its window where none was.
	Last int64
}

// LogValue is the request with as much of its token as [Token.String] has.
func (r Release) LogValue() slog.Value {
	type release Release
	return slog.StringValue(fmt.Sprintf("%+v", release(r)))
}
