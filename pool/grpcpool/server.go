package grpcpool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// Server serves a pool. It keeps nothing but how many leases each identity has.
type Server struct {
	grpc   *grpc.Server
	conns  *connections
	calls  *requests
	health *health.Server
	clock  clock.Clock
	log    *slog.Logger
	drains []func(context.Context)
	check  func(context.Context) error

	ctx      context.Context //nolint:containedctx // the server's life, ended by Shutdown
	cancel   context.CancelFunc
	watching sync.WaitGroup
	begin    sync.Once

	mu     sync.Mutex // owns sick
	sick   error      // why the pool cannot grant, nil while it can
	looked bool
}

// ServerOption changes how a server works.
type ServerOption func(*serverOptions)

type serverOptions struct {
	tls        *tls.Config
	policy     func() *access.Policy
	clock      clock.Clock
	log        *slog.Logger
	limits     Limits
	unary      []grpc.UnaryServerInterceptor
	stream     []grpc.StreamServerInterceptor
	extra      []grpc.ServerOption
	services   []func(grpc.ServiceRegistrar)
	guarded    map[string]guarded
	drains     []func(context.Context)
	check      func(context.Context) error
	reflection bool
}

// Limits bound what clients can make a server hold.
type Limits struct {
	// Connections is how many may be open in all, those that have not said who they
	// are included; 0 for no bound. More are closed at once.
	Connections int
	// Requests is how many may be under way on all connections together; 0 for no
	// bound. More are refused with the code Unavailable. Each can make the server hold
	// 64 KiB.
	Requests int
	// Request is how long one may take, from its headers on, so that one whose message
	// never comes ends too; of a stream, how long its message may take. 0 for no bound.
	Request time.Duration
	// Message is the longest request in bytes.
	Message int
	// Header is the longest list of headers in bytes.
	Header uint32
	// Streams is how many requests a connection may have under way.
	Streams uint32
	// Idle is how long a connection without any is kept; that of a lease that
	// renews itself is never that long without one.
	Idle time.Duration
	// Handshake is how long a new connection may take to say who it is.
	Handshake time.Duration
	// Ping is how often at most a client may ask whether the server is there.
	Ping time.Duration
	// Silence is after how long without a word from a client it is asked whether
	// it is there, and SilenceMore how long it has to answer.
	Silence, SilenceMore time.Duration
	// Age is how long a connection with TLS is kept, so that a client whose
	// certificate has ended, or whose authority is trusted no more, has to go; it
	// is asked to connect again, and then has AgeMore to finish what is under way.
	Age, AgeMore time.Duration
}

// DefaultLimits returns 4096 connections with as many requests under way in all, 64 of
// them on one connection, 20 seconds for a request, messages of 64 KiB, headers of 16
// KiB, 5 minutes idle, 10 seconds for a handshake, a ping each 10 seconds, 30 + 10
// seconds of silence, and an hour and a minute of age.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096,
		Requests:    4096,
		Request:     20 * time.Second,
		Message:     64 << 10,
		Header:      16 << 10,
		Streams:     64,
		Idle:        5 * time.Minute,
		Handshake:   10 * time.Second,
		Ping:        10 * time.Second,
		Silence:     30 * time.Second,
		SilenceMore: 10 * time.Second,
		Age:         time.Hour,
		AgeMore:     time.Minute,
	}
}

// WithTLS makes the server speak TLS with these settings, 1.3 only; those of a
// certs.Reloader change with its files.
func WithTLS(c *tls.Config) ServerOption { return func(o *serverOptions) { o.tls = c } }

// WithPolicy sets who may do what. It is asked for the policy with each request,
// and must return one. Without it everybody may do everything.
func WithPolicy(current func() *access.Policy) ServerOption {
	return func(o *serverOptions) { o.policy = current }
}

// WithServerClock sets the clock that quotas and health checks go by. The default
// is [clock.System].
func WithServerClock(c clock.Clock) ServerOption { return func(o *serverOptions) { o.clock = c } }

// WithServerLogger sets where the server says what clients do not hear. The default
// is [slog.Default].
func WithServerLogger(l *slog.Logger) ServerOption { return func(o *serverOptions) { o.log = l } }

// WithLimits replaces [DefaultLimits].
func WithLimits(l Limits) ServerOption { return func(o *serverOptions) { o.limits = l } }

// WithInterceptors adds interceptors; the first one given is the outermost.
func WithInterceptors(unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor) ServerOption {
	return func(o *serverOptions) {
		o.unary = append(o.unary, unary...)
		o.stream = append(o.stream, stream...)
	}
}

// WithGRPC adds options of gRPC's own, but for [grpc.InTapHandle], which the server has
// a use for.
func WithGRPC(opts ...grpc.ServerOption) ServerOption {
	return func(o *serverOptions) { o.extra = append(o.extra, opts...) }
}

// WithGuard asks the policy about a method of another service, by its full name as
// "/Sequence/LiveStream": whether the caller may do this in a namespace.
func WithGuard(method, namespace string, action access.Action) ServerOption {
	return func(o *serverOptions) {
		if o.guarded == nil {
			o.guarded = make(map[string]guarded)
		}
		o.guarded[method] = guarded{namespace, action}
	}
}

// WithService adds another service to the same port; drain, which may be nil, is
// called when the server begins to shut down, and must return when ctx ends.
func WithService(register func(grpc.ServiceRegistrar), drain func(ctx context.Context)) ServerOption {
	return func(o *serverOptions) {
		o.services = append(o.services, register)
		if drain != nil {
			o.drains = append(o.drains, drain)
		}
	}
}

// WithCheck sets how to find out whether the pool serves, which health tells. The
// default is the pool's own Check, where it has one as [pool.Local] does.
func WithCheck(check func(ctx context.Context) error) ServerOption {
	return func(o *serverOptions) { o.check = check }
}

// WithReflection lets clients ask which services there are.
func WithReflection() ServerOption { return func(o *serverOptions) { o.reflection = true } }

// NewServer returns a server of a pool, which stays the caller's to close, after
// the server. What a [pool.Manager] has beside a pool is served too.
func NewServer(p pool.Pool, opts ...ServerOption) (*Server, error) {
	if p == nil {
		return nil, &layout.FieldError{Field: "pool", Value: "(nil)", Reason: "must be given: pool.New makes one of a store"}
	}
	return newServer(p, opts), nil
}

// NewSideServer returns a server of other services only, those of [WithService], for
// a port of their own: one without TLS, say, for clients that do not know it.
func NewSideServer(opts ...ServerOption) *Server { return newServer(nil, opts) }

func newServer(p pool.Pool, opts []ServerOption) *Server {
	o := serverOptions{limits: DefaultLimits(), clock: clock.System{}, log: slog.Default()}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Server{clock: o.clock, log: o.log, health: health.NewServer(), drains: o.drains, check: o.check}
	s.conns, s.calls = s.bounds(o.limits)
	if c, ok := p.(checker); ok && s.check == nil {
		s.check = c.Check
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	manager, _ := p.(pool.Manager) // nil for a pool that is none
	door := newGate(o.policy, o.clock, manager)
	// The door is innermost, so that what it refuses is logged and counted too.
	o.unary = slices.Concat([]grpc.UnaryServerInterceptor{s.calls.refuseUnary}, o.unary, []grpc.UnaryServerInterceptor{door.guardUnary(o.guarded)})
	o.stream = slices.Concat([]grpc.StreamServerInterceptor{s.calls.refuseStream}, o.stream, []grpc.StreamServerInterceptor{door.guardStream(o.guarded), s.calls.hears})
	s.grpc = grpc.NewServer(o.grpc(s.calls)...)
	if p != nil {
		poolv1.RegisterNodePoolServer(s.grpc, &service{
			pool:    p,
			manager: manager,
			gate:    door,
			failed: func(ctx context.Context, err error) {
				s.log.ErrorContext(ctx, "the pool has failed", "error", err)
			},
		})
	}
	healthv1.RegisterHealthServer(s.grpc, s.health)
	s.say(healthv1.HealthCheckResponse_NOT_SERVING)
	for _, register := range o.services {
		register(s.grpc)
	}
	if o.reflection {
		reflection.Register(s.grpc)
	}
	s.calls.know(s.grpc.GetServiceInfo())
	return s
}

// bounds returns what counts connections and requests, and says when there are too many.
func (s *Server) bounds(l Limits) (*connections, *requests) {
	tooManyConns, tooManyCalls := &lines{clock: s.clock}, &lines{clock: s.clock}
	conns := &connections{most: l.Connections, all: make(map[*connection]struct{}), refused: func(from net.Addr, most int) {
		if unsaid, ok := tooManyConns.may(); ok {
			s.log.Warn("a connection was closed, for there are too many", "peer", from.String(), "open", most, "unsaid", unsaid)
		}
	}}
	calls := &requests{most: l.Requests, limit: l.Request, refused: func(from string, most int) {
		if unsaid, ok := tooManyCalls.may(); ok {
			s.log.Warn("a request was refused, for there are too many under way", "peer", from, "under_way", most, "unsaid", unsaid)
		}
	}}
	return conns, calls
}

// Load is how much a server has to do, and what it had to refuse.
type Load struct {
	// Connections are open, and Requests under way.
	Connections, Requests int
	// ConnectionsRefused and RequestsRefused were too many, since the server began.
	ConnectionsRefused, RequestsRefused uint64
}

// Load returns the present load.
func (s *Server) Load() Load {
	return Load{
		Connections:        s.conns.open(),
		Requests:           int(s.calls.underWay.Load()),
		ConnectionsRefused: s.conns.dropped.Load(),
		RequestsRefused:    s.calls.dropped.Load(),
	}
}

// window is how much of a request's message is taken before somebody reads it: the
// least that gRPC can do with, and all that a request may have. It does not grow with
// the connection's speed, for nothing here needs that.
const window = 64 << 10

func (o *serverOptions) grpc(calls *requests) []grpc.ServerOption {
	l := o.limits
	alive := keepalive.ServerParameters{MaxConnectionIdle: l.Idle, Time: l.Silence, Timeout: l.SilenceMore}
	if o.tls != nil {
		alive.MaxConnectionAge, alive.MaxConnectionAgeGrace = l.Age, l.AgeMore
	}
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(l.Message),
		grpc.MaxHeaderListSize(l.Header),
		grpc.MaxConcurrentStreams(l.Streams),
		grpc.ConnectionTimeout(l.Handshake),
		grpc.StaticStreamWindowSize(window),
		grpc.InTapHandle(calls.tap),
		grpc.KeepaliveParams(alive),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: l.Ping, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(o.unary...),
		grpc.ChainStreamInterceptor(o.stream...),
	}
	if o.tls != nil {
		opts = append(opts, grpc.Creds(&handshakes{TransportCredentials: credentials.NewTLS(atLeast13(o.tls)), log: o.log, lines: &lines{clock: o.clock}}))
	}
	return append(opts, o.extra...)
}

// ServiceInfo returns which services there are.
func (s *Server) ServiceInfo() map[string]grpc.ServiceInfo { return s.grpc.GetServiceInfo() }

// atLeast13 returns settings that refuse TLS before 1.3, also where they are chosen
// for each client.
func atLeast13(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil || chosen.MinVersion >= tls.VersionTLS13 {
				return chosen, err
			}
			chosen = chosen.Clone()
			chosen.MinVersion = tls.VersionTLS13
			return chosen, nil
		}
	}
	return c
}

// Serve serves a listener until Shutdown, and closes it. Several may be served at
// once.
func (s *Server) Serve(l net.Listener) error {
	s.begin.Do(func() {
		s.look()
		s.watching.Go(s.watch)
	})
	if err := s.grpc.Serve(s.conns.listener(l)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("grpcpool: serving %v: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown lets requests under way finish, until ctx ends; then it breaks them
// off. It returns when nothing is left.
func (s *Server) Shutdown(ctx context.Context) {
	s.cancel()            // the first look, which begin waits for, included
	s.begin.Do(func() {}) // nothing begins any more
	s.health.Shutdown()   // NOT_SERVING from here on
	var draining sync.WaitGroup
	for _, drain := range s.drains {
		draining.Go(func() { drain(ctx) })
	}
	s.conns.end(false)
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.conns.end(true)
		s.grpc.Stop() // GracefulStop returns then
		<-stopped
	}
	draining.Wait()
	s.watching.Wait()
}

// checker is a pool that can say whether it serves, as [pool.Local] can.
type checker interface {
	Check(ctx context.Context) error
}

// lookEvery is how long a server may say something wrong about its health, in
// nanoseconds.
const lookEvery = int64(time.Second)

// watch keeps health true.
func (s *Server) watch() {
	for s.clock.Wait(s.ctx, s.clock.Now()+lookEvery) == nil {
		s.look()
	}
}

// look asks the pool whether it serves, and says so.
func (s *Server) look() {
	var sick error
	if s.check != nil {
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		sick = s.check(ctx)
		cancel()
	}
	if s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	first, changed := !s.looked, (sick == nil) != (s.sick == nil)
	s.sick, s.looked = sick, true
	s.mu.Unlock()
	switch {
	case sick == nil && (first || changed):
		s.say(healthv1.HealthCheckResponse_SERVING)
		if !first {
			s.log.Info("the pool serves again")
		}
	case sick != nil && changed:
		s.say(healthv1.HealthCheckResponse_NOT_SERVING)
		s.log.Error("the pool does not serve", "error", sick)
	}
}

// Health returns why the server does not serve, nil while it does.
func (s *Server) Health() error {
	if s.ctx.Err() != nil {
		return ErrShutDown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.looked {
		return ErrNotYet
	}
	return s.sick
}

// ErrShutDown says that a server is shutting down.
var ErrShutDown = errors.New("grpcpool: the server is shutting down")

// ErrNotYet says that a server has not asked its pool yet whether that serves.
var ErrNotYet = errors.New("grpcpool: the server does not serve yet")

// say tells those who ask by gRPC's health service, about the server as a whole
// and about the pool.
func (s *Server) say(status healthv1.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(poolv1.NodePool_ServiceDesc.ServiceName, status)
}
