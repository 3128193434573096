package legacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// Pool is what the server needs of a pool; a [pool.Local] has it.
type Pool interface {
	AcquireLegacy(ctx context.Context, namespace string, token pool.Token) (pool.Grant, error)
	Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error)
	Namespaces(ctx context.Context) ([]pool.Namespace, error)
}

var _ Pool = (*pool.Local)(nil)

// Limits bound what clients can make a server hold.
type Limits struct {
	// Streams is how many may be open in all, those that wait for a number
	// included.
	Streams int
	// PerPeer is how many of them may come from one network address.
	PerPeer int
}

// DefaultLimits returns 1024 streams, 256 of them from one address.
func DefaultLimits() Limits { return Limits{Streams: 1024, PerPeer: 256} }

// DefaultRest is how long a number rests at least after its stream has ended. A
// Python process looks at its stream every 1.5 s at most, and then may stamp a time
// of 3 s ago, for which it had waited for a number; that makes 4.5 s.
const DefaultRest = 5 * time.Second

// Server lends the legacy nodes of a namespace. It implements
// [sequencepb.SequenceServer].
type Server struct {
	sequencepb.UnimplementedSequenceServer

	pool   Pool
	name   string
	layout layout.Layout
	clock  clock.Clock
	log    *slog.Logger
	limits Limits
	rest   time.Duration
	random func() float64 // in [0, 1), for jitter
	allow  func(context.Context) error

	life  context.Context //nolint:containedctx // the server's, ended by Drain
	drain context.CancelCauseFunc
	work  sync.WaitGroup // the streams, which grow in number under mu only, and the replies they send

	mu      sync.Mutex // owns the fields below
	peers   map[string]int
	open    int
	lending int
}

var _ sequencepb.SequenceServer = (*Server)(nil)

// Option changes how a server works.
type Option func(*Server)

// WithClock sets the clock that replies and renewals are timed by. The default is
// [clock.Default].
func WithClock(c clock.Clock) Option { return func(s *Server) { s.clock = c } }

// WithLogger sets where the server says what clients do not hear. The default is
// [slog.Default].
func WithLogger(l *slog.Logger) Option { return func(s *Server) { s.log = l } }

// WithLimits replaces [DefaultLimits].
func WithLimits(l Limits) Option { return func(s *Server) { s.limits = l } }

// WithRest replaces [DefaultRest].
func WithRest(d time.Duration) Option { return func(s *Server) { s.rest = d } }

// WithAllow sets what is asked whether a stream may be opened; the client gets its
// error. Python's client has no way to say who it is: the default lets all in that
// reach the port.
func WithAllow(allow func(context.Context) error) Option { return func(s *Server) { s.allow = allow } }

// New returns a server of a namespace's legacy nodes. The namespace must exist, have
// such nodes, and a first window long enough for a number to rest:
// [*pool.UnknownNamespaceError], [*pool.NoLegacyNodesError] and [*layout.FieldError]
// say otherwise. The pool stays the caller's to close, after [Server.Drain].
func New(ctx context.Context, p Pool, namespace string, opts ...Option) (*Server, error) {
	if p == nil {
		return nil, &layout.FieldError{Field: "pool", Value: "(nil)", Reason: "must be given: pool.New makes one of a store"}
	}
	s := &Server{pool: p, name: namespace, log: slog.Default(), limits: DefaultLimits(), rest: DefaultRest, random: rand.Float64, peers: make(map[string]int)}
	for _, opt := range opts {
		opt(s)
	}
	switch {
	case s.limits.Streams < 1 || s.limits.PerPeer < 1:
		return nil, &layout.FieldError{Field: "limits", Value: s.limits, Reason: "must let at least one stream be open"}
	case s.rest < 0:
		return nil, &layout.FieldError{Field: "rest", Value: s.rest, Reason: "must not be negative"}
	}
	if s.clock == nil {
		s.clock = clock.Default()
	}
	ns, err := s.namespace(ctx)
	if err != nil {
		return nil, err
	}
	s.layout = ns.Layout
	s.life, s.drain = context.WithCancelCause(context.Background())
	return s, nil
}

// namespace returns the namespace, if it will do.
func (s *Server) namespace(ctx context.Context) (pool.Namespace, error) {
	all, err := s.pool.Namespaces(ctx)
	if err != nil {
		return pool.Namespace{}, fmt.Errorf("legacy: reading the namespaces: %w", err)
	}
	for _, ns := range all {
		if ns.Name != s.name {
			continue
		}
		legacy := false
		for _, r := range ns.Ranges {
			legacy = legacy || r.Use == pool.Legacy
		}
		// A renewal is due when a third of the window has passed; a tick may be lost
		// to rounding.
		least := s.rest*3/2 + ns.Layout.Unit()
		switch {
		case !legacy:
			return ns, &pool.NoLegacyNodesError{Namespace: s.name}
		case ns.Terms.FirstWindow < least:
			return ns, &layout.FieldError{Field: "first window", Value: ns.Terms.FirstWindow, Reason: fmt.Sprintf("must be at least %v in a namespace with legacy streams, whose numbers rest for %v: take another namespace", least, s.rest)}
		}
		return ns, nil
	}
	return pool.Namespace{}, &pool.UnknownNamespaceError{Name: s.name}
}

// Stats is what the server is doing.
type Stats struct {
	// Lending is how many streams have a number, Waiting how many would like one.
	Lending, Waiting int
}

// Stats returns what the server is doing now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Lending: s.lending, Waiting: s.open - s.lending}
}

// Drain ends all streams with UNAVAILABLE, refuses new ones in the same way, and
// returns when all have ended, or with ctx. The numbers on loan rest from then on.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.drain(errDraining) // under the lock: nobody enters from here on
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { // ends with the streams, which have all been told to
		s.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Why a stream is not opened.
var (
	errDraining   = errors.New("the server is shutting down")
	errTooMany    = errors.New("too many streams are open")
	errTooManyOne = errors.New("too many streams are open from this address")
)

// seat is what a stream takes of the limits.
type seat struct {
	from    string
	lending bool // owned by Server.mu
}

// enter counts a stream, which must leave.
func (s *Server) enter(from string) (*seat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.life.Err() != nil:
		return nil, errDraining
	case s.open >= s.limits.Streams:
		return nil, errTooMany
	case s.peers[from] >= s.limits.PerPeer:
		return nil, errTooManyOne
	}
	s.open++
	s.peers[from]++
	s.work.Add(1)
	return &seat{from: from}, nil
}

// lends counts a stream among those that have a number.
func (s *Server) lends(at *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lending++
	at.lending = true
}

func (s *Server) leave(at *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if at.lending {
		s.lending--
	}
	s.peers[at.from]--
	if s.peers[at.from] == 0 {
		delete(s.peers, at.from) // addresses that were here have no end
	}
	s.work.Done()
}
