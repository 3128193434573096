package pool

import (
	"context"
	"iter"

	"github.com/easyflake/easyflake/layout"
)

// Pool leases nodes. [New] makes one of a store; a client of a pool server is one
// too. All methods are safe for concurrent use.
//
// Where a call fails with an error that is not of this package, it is not known
// whether the pool has carried it out: repeat it with the same token and nonce,
// which does no harm.
type Pool interface {
	// Acquire leases a node of a namespace that has this layout to the holder of
	// the token. Repeated with the same token, it returns the same lease.
	Acquire(ctx context.Context, namespace string, l layout.Layout, token Token) (Grant, error)

	// Renew makes a lease longer: [ErrLeaseLost] and [ErrRevoked] say that it is
	// the caller's no more.
	Renew(ctx context.Context, r Renewal) (Grant, error)

	// Release gives a lease back.
	Release(ctx context.Context, r Release) error

	// List returns all nodes of a namespace that were ever leased.
	List(ctx context.Context, namespace string) iter.Seq2[NodeInfo, error]

	// Revoke refuses a node's holder any renewal. The node is free when its
	// window is over, not before: the holder may be using it.
	Revoke(ctx context.Context, namespace string, node int64) error

	// Retire takes a node out of use for good.
	Retire(ctx context.Context, namespace string, node int64) error
}

// NodeInfo is what an administrator may see of a node: not the whole token.
type NodeInfo struct {
	Node        int64
	Holder      string // the beginning of the token; empty without a holder
	From, Until int64
	Renewals    uint64
	Expired     bool // the window is over by the pool's clock
	Revoked     bool
	Retired     bool
}

// Manager is a pool whose namespaces can be looked at and changed: a [Local], or a
// client of a server that has one.
type Manager interface {
	Pool

	// Namespaces returns all namespaces.
	Namespaces(ctx context.Context) ([]Namespace, error)

	// CreateNamespace creates a namespace: [ErrExists] says that there is one of
	// that name.
	CreateNamespace(ctx context.Context, n Namespace) error

	// AcceptClock takes the pool's wall clock as it is, after it has jumped.
	AcceptClock(ctx context.Context, namespace string) error
}
