package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// Local is the pool of a store: the rules, applied to its records. Several, in
// one process or in many, can share a store that is not exclusive.
type Local struct {
	store   Store
	elapsed func() time.Duration
	log     *slog.Logger

	closed atomic.Bool

	mu     sync.Mutex // owns spaces
	spaces map[string]*space
}

var _ Manager = (*Local)(nil)

// Option changes how a Local works.
type Option func(*Local)

// WithElapsed sets the clock that time is measured with between two looks at the
// store's: it must never go back, and should count the time that the machine is
// suspended. For tests.
func WithElapsed(f func() time.Duration) Option { return func(p *Local) { p.elapsed = f } }

// WithLogger sets where the pool says what an operator should know: jumps of the
// clock, stores that have lost records. The default is [slog.Default].
func WithLogger(l *slog.Logger) Option { return func(p *Local) { p.log = l } }

// New returns the pool of a store, which the pool closes when it is closed.
func New(s Store, opts ...Option) *Local {
	p := &Local{store: s, elapsed: elapsed, log: slog.Default(), spaces: make(map[string]*space)}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Close closes the store. Leases stay as they are. What comes later is refused with
// [ErrClosed], also what could be answered from memory: the store may be another
// process's by then.
func (p *Local) Close() error {
	p.closed.Store(true)
	return p.store.Close() //nolint:wrapcheck // says itself what is wrong
}

// usable returns [ErrClosed] for a pool that has been closed.
func (p *Local) usable() error {
	if p.closed.Load() {
		return ErrClosed
	}
	return nil
}

// space returns what is known of a namespace, read from the store the first time.
func (p *Local) space(ctx context.Context, name string) (*space, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	s := p.spaces[name]
	p.mu.Unlock()
	if s == nil {
		// Only what exists is kept: names that somebody thought of have no end.
		if err := (&space{pool: p, name: name}).reload(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if s = p.spaces[name]; s == nil {
			s = &space{pool: p, name: name, entries: make(map[int64]*entry), granted: make(map[Token]int64)}
			p.spaces[name] = s
		}
		p.mu.Unlock()
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Acquire implements [Pool].
func (p *Local) Acquire(ctx context.Context, namespace string, l layout.Layout, token Token) (Grant, error) {
	return p.acquire(ctx, namespace, Leased, token, func(ns *Namespace) error {
		if l != ns.Layout {
			return &LayoutMismatchError{Namespace: namespace, Have: ns.Layout, Want: l}
		}
		return nil
	})
}

// AcquireLegacy leases a node of the namespace's [Legacy] ranges, which Acquire
// never grants: to the server of streams to EasyFlake for Python, for as long as a
// stream is open. In all else it is Acquire, and the lease is renewed, given back
// and revoked like any other. A namespace without such nodes is a
// [*NoLegacyNodesError].
func (p *Local) AcquireLegacy(ctx context.Context, namespace string, token Token) (Grant, error) {
	return p.acquire(ctx, namespace, Legacy, token, func(ns *Namespace) error {
		if ns.count(Legacy) == 0 {
			return &NoLegacyNodesError{Namespace: namespace}
		}
		return nil
	})
}

// acquire leases a node of a use, where the namespace fits.
func (p *Local) acquire(ctx context.Context, namespace string, use Use, token Token, fits func(*Namespace) error) (Grant, error) {
	if token.IsZero() {
		return Grant{}, &layout.FieldError{Field: "token", Value: token, Reason: "must be drawn by NewToken"}
	}
	s, err := p.space(ctx, namespace)
	if err != nil {
		return Grant{}, err
	}
	if err := fits(s.current()); err != nil {
		return Grant{}, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return Grant{}, err
	}
	return s.acquire(ctx, use, token, now)
}

// Renew implements [Pool].
func (p *Local) Renew(ctx context.Context, r Renewal) (Grant, error) {
	s, err := p.space(ctx, r.Namespace)
	if err != nil {
		return Grant{}, err
	}
	if err := s.current().leases(r.Node); err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	now, err := s.now(ctx)
	if err != nil {
		return Grant{}, err
	}
	var g Grant
	err = ErrLeaseLost
	if s.has(r.Node) {
		err = s.update(ctx, r.Node, now, func(ns *Namespace, e *entry) (Node, error) {
			n, err := renew(ns, e.node, r, now, e.reopened)
			g = n.grant(ns, now)
			return n, err
		})
	}
	if err == nil {
		return g, nil
	}
	if errors.Is(err, ErrLeaseLost) {
		if doubtful := s.doubt(ctx, r, now); doubtful != nil {
			// Not that the lease is lost: then nobody would show that window again.
			return Grant{}, doubtful
		}
	}
	return Grant{}, err
}

// Release implements [Pool].
func (p *Local) Release(ctx context.Context, r Release) error {
	s, err := p.space(ctx, r.Namespace)
	if err != nil {
		return err
	}
	if err := s.current().leases(r.Node); err != nil {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	if !s.has(r.Node) {
		return ErrLeaseLost
	}
	return s.update(ctx, r.Node, 0, func(_ *Namespace, e *entry) (Node, error) { return release(e.node, r) })
}

// Revoke implements [Pool].
func (p *Local) Revoke(ctx context.Context, namespace string, node int64) error {
	return p.administer(ctx, namespace, node, func(n Node) (Node, error) {
		if n.Token.IsZero() {
			return n, fmt.Errorf("%w: nobody has it", ErrNotLeasable)
		}
		n.Revoked = true
		return n, nil
	})
}

// Retire implements [Pool].
func (p *Local) Retire(ctx context.Context, namespace string, node int64) error {
	return p.administer(ctx, namespace, node, func(n Node) (Node, error) {
		n.Retired = true
		return n, nil
	})
}

func (p *Local) administer(ctx context.Context, namespace string, node int64, change func(Node) (Node, error)) error {
	s, err := p.space(ctx, namespace)
	if err != nil {
		return err
	}
	if err := s.current().leases(node); err != nil {
		return err
	}
	err = s.update(ctx, node, 0, func(_ *Namespace, e *entry) (Node, error) { return change(e.node) })
	if err == nil {
		s.forgetExhaustion(node)
	}
	return err
}

// List implements [Pool].
func (p *Local) List(ctx context.Context, namespace string) iter.Seq2[NodeInfo, error] {
	return func(yield func(NodeInfo, error) bool) {
		s, err := p.space(ctx, namespace)
		if err != nil {
			yield(NodeInfo{}, err)
			return
		}
		s.list(ctx, yield)
	}
}

// CreateNamespace creates a namespace. It refuses a layout that has less than a
// year to live, and a name that exists. In a store that was in doubt (see Doubt),
// where the name may have been in use before, its floor is a horizon after that.
func (p *Local) CreateNamespace(ctx context.Context, n Namespace) error {
	if err := n.Validate(); err != nil {
		return err
	}
	if err := p.usable(); err != nil {
		return err
	}
	wall, err := p.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("pool: reading the store's clock: %w", err)
	}
	if err := n.Layout.Check(time.Unix(0, wall)); err != nil {
		var life *layout.LifeError
		if !errors.As(err, &life) || !life.Warning() {
			return fmt.Errorf("pool: creating namespace %q: %w", n.Name, err)
		}
		p.log.WarnContext(ctx, "layout of the new namespace", "namespace", n.Name, "warning", err)
	}
	if n.Floor, err = p.floorAfterDoubt(ctx, &n); err != nil {
		return err
	}
	value, err := encodeNamespace(&n)
	if err != nil {
		return fmt.Errorf("pool: creating namespace %q: %w", n.Name, err)
	}
	_, err = p.store.Write(ctx, Write{Namespace: n.Name, OfNamespace: true, Value: value})
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("pool: creating namespace %q: %w", n.Name, ErrExists)
	}
	if err != nil {
		return err //nolint:wrapcheck // a store's errors say themselves what is wrong
	}
	// A doubt that came in between has not seen this namespace.
	floor, err := p.floorAfterDoubt(ctx, &n)
	if err != nil || floor <= n.Floor {
		return err
	}
	s, err := p.space(ctx, n.Name)
	if err != nil {
		return err
	}
	return s.raiseFloorTo(ctx, floor)
}

// Namespaces returns all namespaces.
func (p *Local) Namespaces(ctx context.Context) ([]Namespace, error) {
	names, err := p.names(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Namespace, 0, len(names))
	for _, name := range names {
		s, err := p.space(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, *s.current())
	}
	return all, nil
}

// AcceptClock takes the wall clock as it is now, after it has jumped or was found
// behind the highest time ever noted.
func (p *Local) AcceptClock(ctx context.Context, namespace string) error {
	s, err := p.space(ctx, namespace)
	if err != nil {
		return err
	}
	return s.time.accept(ctx)
}

// Doubt tells the pool that the store may have lost records, as after restoring a
// backup: no namespace grants a window that begins before a horizon from now, nor
// does one that is created later.
func (p *Local) Doubt(ctx context.Context) error {
	// First the note, then the namespaces there are: see CreateNamespace.
	if err := p.noteDoubt(ctx); err != nil {
		return err
	}
	names, err := p.names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		s, err := p.space(ctx, name)
		if err != nil {
			return err
		}
		now, err := s.now(ctx)
		if err != nil {
			return err
		}
		if err := s.raiseFloor(ctx, now); err != nil {
			return err
		}
	}
	return nil
}
