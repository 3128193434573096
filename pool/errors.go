package pool

import (
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// Errors of a lease that is one's own no more. They are final: acquire anew.
var (
	// ErrLeaseLost says that the pool does not know the lease: its node has
	// another holder or none, or its token, revision or nonce is not the
	// current one. A copy of a process, as by restoring a virtual machine's
	// snapshot, gets this too.
	ErrLeaseLost = errors.New("pool: the lease is lost; acquire a new one")

	// ErrRevoked says that an administrator took the lease away.
	ErrRevoked = errors.New("pool: the lease was revoked")
)

// Errors of requests that cannot be served as they are.
var (
	// ErrBadSeal says that a release reports a last tick outside of the
	// lease's window.
	ErrBadSeal = errors.New("pool: the last tick reported is outside of the lease's window")

	// ErrNotLeasable says that a node is not one that the namespace leases.
	ErrNotLeasable = errors.New("pool: the namespace does not lease this node")

	// ErrExists says that a namespace of that name exists already.
	ErrExists = errors.New("pool: the namespace exists already; use it as it is, or choose another name")
)

// Errors of a pool that may serve the same request later.
var (
	// ErrClockJumped says that the pool's wall clock has jumped against the time
	// that passed. Nothing is granted until it is set right or an operator
	// accepts it.
	ErrClockJumped = errors.New("pool: the wall clock has jumped; set it right, or accept it (easyflake-cli namespace accept-clock)")

	// ErrClosed says that the pool or the lease has been closed.
	ErrClosed = errors.New("pool: closed")
)

// ExhaustedError says that all nodes of a namespace that are for this use are
// taken.
type ExhaustedError struct {
	Namespace string
	// Use is [Leased], or [Legacy] for a stream to EasyFlake for Python.
	Use Use
	// Nodes is how many of them the namespace has.
	Nodes int64
	// RetryAfter is when the next lease ends unless it is renewed; zero where
	// no node can become free.
	RetryAfter time.Duration
}

// Error says what could help.
func (e *ExhaustedError) Error() string {
	use := ""
	if e.Use != Leased {
		use = e.Use.String() + " "
	}
	s := fmt.Sprintf("pool: all %d %snodes of namespace %q are taken", e.Nodes, use, e.Namespace)
	if e.Nodes == 1 {
		s = fmt.Sprintf("pool: the only %snode of namespace %q is taken", use, e.Namespace)
	}
	if e.RetryAfter > 0 {
		return s + fmt.Sprintf("; try again in %v, or revoke leases that nobody uses", e.RetryAfter.Round(time.Millisecond))
	}
	return s + "; revoke leases that nobody uses, or create a namespace of a layout with more node bits"
}

// NoLegacyNodesError says that a namespace has no nodes for streams to EasyFlake for
// Python. Its nodes never change their use.
type NoLegacyNodesError struct {
	Namespace string
}

// Error says how to come by some.
func (e *NoLegacyNodesError) Error() string {
	return fmt.Sprintf("pool: namespace %q has no legacy nodes, and what its nodes are for never changes: create a namespace with some (easyflake-cli namespace create --legacy FROM-TO)", e.Namespace)
}

// NotYetError says that a free node's next window cannot begin yet: too far in
// the future is what its last holder reserved, or what the namespace is kept
// from.
type NotYetError struct {
	// RetryAfter is how long until it can.
	RetryAfter time.Duration
}

// Error says when to come again.
func (e *NotYetError) Error() string {
	return fmt.Sprintf("pool: no window can begin yet; try again in %v", e.RetryAfter.Round(time.Millisecond))
}

// UnknownNamespaceError says that there is no namespace of that name.
type UnknownNamespaceError struct {
	Name string
	// Nearest is the existing name most like it, if any is.
	Nearest string
}

// Error names the nearest namespace.
func (e *UnknownNamespaceError) Error() string {
	s := fmt.Sprintf("pool: there is no namespace %q", e.Name)
	if e.Nearest != "" {
		return s + fmt.Sprintf("; the nearest is %q", e.Nearest)
	}
	return s + "; create it with easyflake-cli namespace create"
}

// LayoutMismatchError says that a namespace has another layout than the one asked
// for. A namespace's layout never changes.
type LayoutMismatchError struct {
	Namespace string
	Have      layout.Layout
	Want      layout.Layout
}

// Error names both layouts.
func (e *LayoutMismatchError) Error() string {
	return fmt.Sprintf("pool: namespace %q has the layout %v, not %v: use its layout, or another namespace", e.Namespace, e.Have, e.Want)
}

// RecordError says that a store holds something that is no record of ours, or one
// of a newer version. Nothing is granted on such a record, and it is left as it
// is.
type RecordError struct {
	// What was read: "namespace NAME" or "node N of NAME".
	What   string
	Reason string
}

// Error says which record it is.
func (e *RecordError) Error() string {
	return fmt.Sprintf("pool: the stored record of %s is not usable: %s", e.What, e.Reason)
}
