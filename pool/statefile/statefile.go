// Package statefile remembers, across restarts, up to which tick a node that was
// numbered by hand has been used.
//
// A number from a flag, an environment variable, a host name or an address comes
// with two promises of its user (package pool, Guarantee): nobody else has it at the
// same time (A4), and after a restart the clock is past every tick stamped before
// (A5). A state file takes over the second one. It is a pool of one node: a window
// is on the disk before it is stamped, and the next process begins after it,
// whatever the clock says by then. Where the clock was set back so far that this
// would mean to wait long, there is an error, and never an ID.
//
// Of the first promise it keeps what a file can: its lock is held for as long as
// the process lives, so that no second process on this machine has the same file.
// A second machine, or a second file, with the same number is still one's own to
// prevent; and no pool may lease the number.
//
// Deleting the file is forgetting, and putting an older one in its place too, as
// far as it is not noticed (package boltstore says how far). So a file that is
// missing is an error: only [WithCreate] makes one, and that is as good as a start
// without a file, when the clock must be past what was stamped before.
package statefile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
)

// Option changes how a state file is opened.
type Option func(*options)

type options struct {
	create  bool
	clock   clock.Clock
	log     *slog.Logger
	elapsed func() time.Duration
}

// WithCreate creates the file where there is none and never was one. Give it once,
// not at every start: where a file was lost together with the marker beside it,
// only the error tells.
func WithCreate() Option { return func(o *options) { o.create = true } }

// WithClock sets the clock, which should be the generator's. By default the file
// is kept by [clock.System] and the lease by [clock.Default].
func WithClock(c clock.Clock) Option { return func(o *options) { o.clock = c } }

// WithLogger sets where troubles are said. The default is [slog.Default].
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// NodeMismatchError says that a state file is another node's.
type NodeMismatchError struct {
	Path       string
	Have, Want int64
}

// Error names both nodes.
func (e *NodeMismatchError) Error() string {
	return fmt.Sprintf("statefile: %s is the state of node %d, not %d: use its node, or another file", e.Path, e.Have, e.Want)
}

// ErrNotState says that a file is a store of something else than one node.
var ErrNotState = errors.New("not a state file")

// namespace is what the one in a state file is called.
const namespace = "state"

// terms are short, for after a crash the next process waits until the window on the
// disk is over: at most two of them. Nobody else's clock matters, so that there is
// no skew.
func terms(l layout.Layout) pool.Terms {
	window := max(3*time.Second, 3*l.Unit())
	return pool.Terms{FirstWindow: window, Window: window, Horizon: 2 * window}
}

// Lease is the one node of a state file, and the source of a generator. The file is
// locked until Close.
type Lease struct {
	*pool.Lease
	pool *pool.Local
}

// Open opens the state file of a node and leases the node from it, which makes it
// the source of a generator. After a crash it waits for what the process before has
// reserved, some seconds; after a Close it does not.
//
// Beside the errors of this package there are those of package boltstore (ErrMissing,
// ErrInUse, …), a [*pool.LayoutMismatchError] where the file's IDs have another
// layout, and a [*pool.ClockOffError] where the clock was set back since.
func Open(ctx context.Context, path string, l layout.Layout, node int64, opts ...Option) (*Lease, error) {
	o := options{log: slog.Default()}
	for _, opt := range opts {
		opt(&o)
	}
	if l.IsZero() {
		return nil, &layout.FieldError{Field: "layout", Value: l, Reason: "must be given: take layout.Default or layout.New"}
	}
	if err := l.CheckNode(node); err != nil {
		return nil, err //nolint:wrapcheck // says itself what is wrong
	}
	var storeOptions []boltstore.Option
	if o.create {
		storeOptions = append(storeOptions, boltstore.WithCreate())
	}
	if o.clock != nil {
		storeOptions = append(storeOptions, boltstore.WithClock(o.clock))
	} else {
		o.clock = clock.Default()
	}
	store, err := boltstore.Open(path, storeOptions...)
	if err != nil {
		return nil, fmt.Errorf("statefile: %w", err)
	}
	poolOptions := []pool.Option{pool.WithLogger(o.log)}
	if o.elapsed != nil {
		poolOptions = append(poolOptions, pool.WithElapsed(o.elapsed))
	}
	p := pool.New(store, poolOptions...)
	lease, err := open(ctx, store, p, l, node, o)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &Lease{Lease: lease, pool: p}, nil
}

func open(ctx context.Context, store *boltstore.Store, p *pool.Local, l layout.Layout, node int64, o options) (*pool.Lease, error) {
	if err := prepare(ctx, store, p, l, node, o.create); err != nil {
		return nil, err
	}
	if err := store.Settle(ctx, p); err != nil {
		return nil, fmt.Errorf("statefile: %w", err)
	}
	for {
		lease, err := pool.Acquire(ctx, p, namespace, l, pool.WithClock(o.clock), pool.WithLeaseLogger(o.log))
		var taken *pool.ExhaustedError
		var notYet *pool.NotYetError
		var off *pool.ClockOffError
		var wait time.Duration
		switch {
		case err == nil:
			return lease, nil
		case errors.As(err, &taken) && taken.RetryAfter > 0:
			wait = taken.RetryAfter // the process before has crashed: the lock says that it is gone
		case errors.As(err, &notYet):
			wait = notYet.RetryAfter
		case errors.As(err, &off) && off.By < 0:
			// The pool's time is our own clock's of then.
			return nil, fmt.Errorf("statefile: %s: the clock was set back since this was written, or was ahead then; set it right, or take another node: %w", store.Path(), err)
		default:
			return nil, fmt.Errorf("statefile: %s: %w", store.Path(), err)
		}
		if err := o.clock.Wait(ctx, o.clock.Now()+int64(wait)); err != nil {
			return nil, fmt.Errorf("statefile: %s: waiting for what was reserved before: %w", store.Path(), err)
		}
	}
}

// prepare makes sure that there is the state of this node, and of nothing else.
func prepare(ctx context.Context, store *boltstore.Store, p *pool.Local, l layout.Layout, node int64, create bool) error {
	names, err := store.Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	if len(names) == 0 && create {
		return begin(ctx, store, p, l, node)
	}
	all, err := p.Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	switch {
	case len(all) == 0:
		return fmt.Errorf("statefile: %s: %w: its creation was cut off; open it with the option that creates it", store.Path(), ErrNotState)
	case !slices.Equal(names, []string{namespace}), len(all[0].Ranges) != 1, all[0].Ranges[0].First != all[0].Ranges[0].Last:
		return fmt.Errorf("statefile: %s: %w: it is the store of a pool; name another file", store.Path(), ErrNotState)
	case all[0].Layout != l:
		return fmt.Errorf("statefile: %s: %w", store.Path(), &pool.LayoutMismatchError{Namespace: namespace, Have: all[0].Layout, Want: l})
	case all[0].Ranges[0].First != node:
		return &NodeMismatchError{Path: store.Path(), Have: all[0].Ranges[0].First, Want: node}
	}
	return nil
}

// begin makes the state of a node that may have been used without a file up to now:
// it begins with the next tick.
func begin(ctx context.Context, store *boltstore.Store, p *pool.Local, l layout.Layout, node int64) error {
	now, err := store.Now(ctx)
	if err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	tick, err := l.Tick(time.Unix(0, now))
	if err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	n := pool.NewNamespace(namespace, l)
	n.Ranges = []pool.Range{{First: node, Last: node, Floor: tick + 1}}
	n.Terms = terms(l)
	if err := p.CreateNamespace(ctx, n); err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	return nil
}

// AcceptClock takes the wall clock as it is, after it has jumped: until then, or
// until it is back, windows are not renewed ([pool.ErrClockJumped]), lest a clock
// that is wrong by years puts the node out of reach for so long. A restart does the
// same.
func (s *Lease) AcceptClock(ctx context.Context) error {
	return s.pool.AcceptClock(ctx, namespace) //nolint:wrapcheck // says itself what is wrong
}

// Close seals the generator, notes the last tick in the file, and lets go of it.
// Closing again does nothing.
func (s *Lease) Close() error { return errors.Join(s.Lease.Close(), s.pool.Close()) }
