package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
)

// Lease is a node leased from a pool and kept, until it is closed: it renews
// itself and, where the pool has given it up, leases another node. It is the
// source of a generator, of one at a time.
//
// A lease lives as long as its process: it is not stored, and a new process
// acquires a new one.
type Lease struct {
	pool   Pool
	clock  clock.Clock
	log    *slog.Logger
	layout layout.Layout

	ctx    context.Context //nolint:containedctx // the lease's life, ended by Close or by the machine
	cancel context.CancelFunc
	work   sync.WaitGroup // the requests and the alarm under way
	done   chan struct{}
	begun  chan struct{} // closed with the first window, or with done
	once   sync.Once     // Close

	mu      sync.Mutex // owns the fields below; never held during a request
	machine machine
	opened  bool
	alarm   context.CancelFunc
	user    user
	notes   []note
}

// user is the generator that has the lease. It is called under the lease's lock,
// and calls the lease without a lock of its own.
type user struct {
	grant func(layout.Window) error
	seal  func() int64
	// open says that it was granted the window in force: what it says about its
	// last tick is then about this window.
	open bool
}

// note is something to log, kept until the lease's lock is free.
type note struct {
	level   slog.Level
	message string
	attrs   []any
}

// LeaseOption changes how a lease is kept.
type LeaseOption func(*Lease)

// WithClock sets the clock that the lease goes by. It should be the generator's.
// The default is [clock.Default].
func WithClock(c clock.Clock) LeaseOption { return func(l *Lease) { l.clock = c } }

// WithLeaseLogger sets where the lease says what it cannot return: failed
// renewals, and the loss of a node. The default is [slog.Default].
func WithLeaseLogger(log *slog.Logger) LeaseOption { return func(l *Lease) { l.log = log } }

// clockLimit is how far a client's clock may be behind its window's start: what
// generators wait for.
const clockLimit = time.Second

// requestTimeout bounds each request.
const requestTimeout = 10 * time.Second

// Acquire leases a node of a namespace that has this layout. It returns the pool's
// refusal, if that is the answer: exhausted pools say when to try again.
func Acquire(ctx context.Context, p Pool, namespace string, l layout.Layout, opts ...LeaseOption) (*Lease, error) {
	switch {
	case p == nil:
		return nil, &layout.FieldError{Field: "pool", Value: "(nil)", Reason: "must be given: New makes one of a store"}
	case l.IsZero():
		return nil, &layout.FieldError{Field: "layout", Value: l, Reason: "must be given: take layout.Default or layout.New"}
	case ctx.Err() != nil:
		return nil, fmt.Errorf("pool: acquiring a lease: %w", ctx.Err())
	}
	life, cancel := context.WithCancel(context.Background())
	s := &Lease{
		pool: p, layout: l,
		ctx: life, cancel: cancel,
		done:  make(chan struct{}),
		begun: make(chan struct{}),
		machine: machine{
			namespace: namespace,
			layout:    l,
			limit:     max(clockLimit, 3*l.Unit()),
		},
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.clock == nil {
		s.clock = clock.Default()
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.handle(event{kind: begun})
	select {
	case <-s.begun:
	case <-ctx.Done():
		err := errors.Join(fmt.Errorf("pool: acquiring a lease: %w", ctx.Err()), s.Close())
		return nil, err
	}
	if err := s.Err(); err != nil {
		s.work.Wait()
		return nil, err
	}
	return s, nil
}

// Node returns the number of the node leased now. It changes when a lease is lost
// and another one acquired.
func (s *Lease) Node() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.grant.Node
}

// Window returns the window in force, an empty one while there is none.
func (s *Lease) Window() layout.Window {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine.phase != holding {
		return layout.Window{}
	}
	g := s.machine.grant
	return layout.Window{Node: g.Node, From: g.From, Until: g.Until}
}

// Layout returns the layout whose ticks the windows count.
func (s *Lease) Layout() layout.Layout { return s.layout }

// Done is closed when the lease has ended for good, by Close. A lease that was
// lost and is being replaced has not.
func (s *Lease) Done() <-chan struct{} { return s.done }

// Err returns why the lease has ended, nil while it has not.
func (s *Lease) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.err
}

// Attach makes a generator the lease's user; see generator.Source. It returns
// false if there is one already.
func (s *Lease) Attach(_ int64, grant func(layout.Window) error, seal func() int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine.phase == ended {
		return false, s.machine.err
	}
	if s.user.grant != nil {
		return false, nil
	}
	s.user = user{grant: grant, seal: seal}
	if s.machine.phase == holding {
		if err := s.open(); err != nil {
			s.user = user{}
			return false, err
		}
	}
	return true, nil
}

// Detach ends what Attach began: last is the last tick that the generator
// reserved.
func (s *Lease) Detach(last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user.open {
		s.machine.last = max(s.machine.last, last)
	}
	s.user = user{}
}

// open opens the window in force to the user. It needs s.mu.
func (s *Lease) open() error {
	g := s.machine.grant
	from := max(g.From, s.machine.last+1)
	if from >= g.Until {
		return nil // used up; the next renewal brings more
	}
	if err := s.user.grant(layout.Window{Node: g.Node, From: from, Until: g.Until}); err != nil {
		return err
	}
	s.user.open = true
	return nil
}

// Close seals the generator, gives the node back, and ends all that the lease has
// running. The error is that of giving back: the node is then free at the end of
// its window. Closing again does nothing, but waits for what the first call does.
func (s *Lease) Close() error {
	var err error
	s.once.Do(func() { err = s.close() })
	return err
}

func (s *Lease) close() error {
	s.mu.Lock()
	e := event{kind: closing, last: s.machine.grant.From - 1}
	if s.user.open {
		e.last = s.user.seal()
	}
	var back *Release
	for _, a := range s.machine.step(e, s.clock.Now()) {
		if a.kind == toRelease {
			back = &a.release
			continue
		}
		s.carryOut(a)
	}
	s.mu.Unlock()
	s.work.Wait()
	if back == nil {
		return nil
	}
	if err := s.giveBack(*back); err != nil {
		return fmt.Errorf("pool: giving the lease back: %w", err)
	}
	return nil
}

// giveBack sends a release, also when the lease has ended. That the pool does not
// know the lease is no error: somebody gave it back, or it was taken away.
func (s *Lease) giveBack(r Release) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), requestTimeout)
	defer cancel()
	if err := s.pool.Release(ctx, r); err != nil && !lost(err) {
		return err //nolint:wrapcheck // by the caller
	}
	return nil
}

// handle feeds the machine, and does what it asks for.
func (s *Lease) handle(e event) {
	e.random = NewToken()
	s.mu.Lock()
	for _, a := range s.machine.step(e, s.clock.Now()) {
		s.carryOut(a)
	}
	notes := s.notes
	s.notes = nil
	s.mu.Unlock()
	for _, n := range notes {
		s.log.Log(s.ctx, n.level, n.message, n.attrs...)
	}
}

// carryOut does one action. It needs s.mu.
func (s *Lease) carryOut(a action) {
	switch a.kind {
	case toAcquire:
		s.request(a.request, func(ctx context.Context) (Grant, error) {
			return s.pool.Acquire(ctx, s.machine.namespace, s.layout, a.token)
		})
	case toRenew:
		s.request(a.request, func(ctx context.Context) (Grant, error) { return s.pool.Renew(ctx, a.renewal) })
	case toRelease:
		s.work.Go(func() {
			if err := s.giveBack(a.release); err != nil {
				s.log.Warn("cannot give a lease back; its node is free when its window ends", "node", a.release.Node, "error", err)
			}
		})
	case toOpen:
		if s.user.grant != nil {
			// A generator that has been closed refuses too; it is about to detach.
			var unfit *layout.FieldError
			if err := s.open(); errors.As(err, &unfit) {
				s.note(slog.LevelError, "the generator refuses its window", "window", a.window, "error", err)
			}
		}
		s.start()
	case toSeal:
		if s.user.open {
			s.user.seal()
			s.user.open = false
		}
	case toSet:
		s.set(a.at)
	case toSay:
		s.note(slog.LevelWarn, "the lease has trouble", "namespace", s.machine.namespace, "node", s.machine.grant.Node, "error", a.err)
	case toEnd:
		s.cancel()
		close(s.done)
		s.start()
	}
}

// start lets Acquire return. It needs s.mu.
func (s *Lease) start() {
	if !s.opened {
		s.opened = true
		close(s.begun)
	}
}

// note needs s.mu.
func (s *Lease) note(level slog.Level, message string, attrs ...any) {
	s.notes = append(s.notes, note{level, message, attrs})
}

// request sends a request and hands the reply to the machine. It needs s.mu.
func (s *Lease) request(number uint64, send func(context.Context) (Grant, error)) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, requestTimeout)
		defer cancel()
		g, err := send(ctx)
		if err != nil {
			s.handle(event{kind: refused, request: number, err: err})
			return
		}
		s.handle(event{kind: granted, request: number, grant: g})
	})
}

// set sets the alarm in place of the one before. It needs s.mu.
func (s *Lease) set(at int64) {
	if s.alarm != nil {
		s.alarm()
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.alarm = cancel
	s.work.Go(func() {
		defer cancel()
		// A wait that ends early costs an early renewal, no more.
		if s.clock.Wait(ctx, at) == nil {
			s.handle(event{kind: rang})
		}
	})
}
