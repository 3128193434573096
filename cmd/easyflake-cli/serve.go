package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
	"github.com/easyflake/easyflake/pool/grpcpool/legacy"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
	"github.com/easyflake/easyflake/pool/poolprom"
)

// poolServer is a pool server on its way from a command line to a port.
type poolServer struct {
	cmd        *grpcCmd
	w          *world
	log        *slog.Logger
	endpoint   grpcpool.Endpoint
	namespaces []pool.Namespace // of the command line
	implied    bool             // it says nothing about them

	// Made by serve before it is ready.
	pool   *pool.Local
	certs  *certs.Reloader // nil without TLS
	policy *atomic.Pointer[access.Policy]

	reloading  sync.Mutex // owns configured, and changes of policy
	configured *configuration
}

// changesEvery is how often files are looked at for a change.
const changesEvery = 5 * time.Second

// serve serves until ctx ends, and then lets what is under way finish.
func (s *poolServer) serve(ctx context.Context, ready func() error) (err error) {
	if s.configured, err = s.readConfig(); err != nil {
		return err
	}
	s.policy = policyBox(s.configured.policy)
	if err := s.readCerts(s.configured); err != nil {
		return err
	}
	s.advise(s.configured)
	// The ports first: whoever has them is the server, and its store is not touched.
	var doors doors
	defer doors.close()
	if err := s.listenAll(ctx, &doors); err != nil {
		return err
	}
	figures := prometheus.NewRegistry()
	opened, err := s.openStore(ctx, figures)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain(opened.Close())) }()
	s.pool = opened.local
	for _, ns := range slices.Concat(s.namespaces, s.configured.Namespaces) {
		if err := s.ensure(ctx, opened.local, ns); err != nil {
			return err
		}
	}
	leases := poolprom.NewCollector(opened.local, s.w.clock)
	defer func() { err = errors.Join(err, leases.Close()) }()
	if err := figures.Register(leases); err != nil {
		return err //nolint:wrapcheck // this program's own mistake
	}
	parts, err := s.assemble(ctx, figures)
	if err != nil {
		return err
	}
	return s.host(ctx, parts, &doors, ready)
}

// parts are what a server consists of.
type parts struct {
	server  *grpcpool.Server
	side    *grpcpool.Server // for EasyFlake for Python at a port of its own, or nil
	metrics *intercept.Metrics
	figures *prometheus.Registry
}

// host runs all parts until ctx ends or one of them fails.
func (s *poolServer) host(ctx context.Context, p *parts, at *doors, ready func() error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var working sync.WaitGroup
	run := func(part func() error) {
		working.Go(func() {
			if err := part(); err != nil {
				fail(err)
			}
		})
	}
	run(func() error { return p.server.Serve(p.metrics.Listener(at.main)) })
	if p.side != nil {
		run(func() error { return p.side.Serve(p.metrics.Listener(at.legacy)) })
	}
	working.Go(func() { s.watch(ctx, p.server, fail) })
	stopHTTP := func() {}
	if at.http != nil {
		pages := s.pages(p.server, p.figures)
		run(func() error { return serveHTTP(pages, at.http) })
		stopHTTP = func() { _ = pages.Close() }
	}

	err := s.settled(ctx, p.server)
	if err == nil {
		err = ready()
	}
	if err == nil {
		// Not before: until it is ready, a daemon speaks to the terminal.
		s.log.Info("serving", append([]any{"address", at.main.Addr().String(), "store", s.cmd.Store.String(), "tls", s.certs != nil}, at.others()...)...)
		<-ctx.Done()
		err = context.Cause(ctx)
		s.log.Info("ending", "why", err.Error(), "drain", s.cmd.Drain)
	}
	fail(nil) // nothing is watched any more
	draining, cancel := context.WithTimeout(context.Background(), s.cmd.Drain)
	defer cancel()
	var ending sync.WaitGroup
	ending.Go(func() { p.server.Shutdown(draining) })
	if p.side != nil {
		ending.Go(func() { p.side.Shutdown(draining) })
	}
	ending.Wait()
	stopHTTP() // to the end it says that the server is not ready
	working.Wait()
	s.log.Info("ended")
	return err
}

// settled waits until the server has asked its pool whether it serves. One whose
// clock has jumped, say, is up: it is there to be asked about it.
func (s *poolServer) settled(ctx context.Context, server *grpcpool.Server) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		if !errors.Is(server.Health(), grpcpool.ErrNotYet) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// doors are where a server listens.
type doors struct {
	main         net.Listener
	http, legacy net.Listener // nil for none
}

// close closes those that no server has closed.
func (d *doors) close() {
	for _, l := range []net.Listener{d.main, d.http, d.legacy} {
		if l != nil {
			_ = l.Close() // closed before, if all went well
		}
	}
}

// others are facts for the log about the ports that not every server has.
func (d *doors) others() []any {
	var facts []any
	if d.http != nil {
		facts = append(facts, "http", d.http.Addr().String())
	}
	if d.legacy != nil {
		facts = append(facts, "legacy", d.legacy.Addr().String())
	}
	return facts
}

// listenAll takes all ports.
func (s *poolServer) listenAll(ctx context.Context, d *doors) (err error) {
	if s.endpoint.Path != "" {
		d.main, err = listenUnix(ctx, s.endpoint.Path)
	} else {
		d.main, err = listenTCP(ctx, "--host and --port", net.JoinHostPort(s.endpoint.Host, strconv.Itoa(s.endpoint.Port)))
	}
	if err == nil && s.cmd.HTTP != "" {
		d.http, err = listenTCP(ctx, "--http", s.cmd.HTTP)
	}
	if err == nil && s.cmd.LegacyAddr != "" {
		d.legacy, err = listenTCP(ctx, "--legacy-listen", s.cmd.LegacyAddr)
	}
	return err
}

// listenTCP takes a port. flag is the one that says which.
func listenTCP(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(flag, address, err)
	}
	return l, nil
}

// listenUnix takes a socket. One that a killed server has left is taken over, one
// that a server answers at is not.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listening at unix:%s: a server answers there already; end it, or choose another --host", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listening at unix:%s: removing what another server has left: %w", path, err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, listenError("--host", "unix:"+path, err)
	}
	return l, nil
}

// openStore opens the store, and the pool that it makes.
func (s *poolServer) openStore(ctx context.Context, figures *prometheus.Registry) (*openPool, error) {
	c := s.cmd
	p := &openPool{url: poolValue{scheme: c.Store.scheme, path: c.Store.path}, warn: s.w.warn}
	if c.Store.database != nil {
		p.url = *c.Store.database
	}
	var err error
	switch c.Store.scheme {
	case schemeMemory:
		p.store = &memoryStore{Memory: pool.NewMemory(clock.System{}, true), fresh: c.Fresh}
	default:
		if p.store, err = p.openStore(ctx, openHow{create: true, restored: c.Restored, fresh: c.Fresh, log: s.log}); err != nil {
			return nil, s.explainStore(p, err)
		}
	}
	measured, err := poolprom.Store(p.store, figures, s.w.clock)
	if err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	p.local = pool.New(measured, pool.WithLogger(s.log))
	p.Manager = p.local
	if why := p.store.Doubtful(); why != "" {
		if err := p.store.Settle(ctx, p.local); err != nil {
			return nil, errors.Join(s.explainStore(p, err), plain(p.Close()))
		}
		s.log.Warn("nothing is granted before all that the store may have forgotten is over, about two minutes", "why", why)
	}
	return p, nil
}

// assemble puts the pool behind all that a server has.
func (s *poolServer) assemble(ctx context.Context, figures *prometheus.Registry) (*parts, error) {
	metrics, err := intercept.NewMetrics(figures, s.w.clock)
	if err != nil {
		return nil, err //nolint:wrapcheck // this program's own mistake
	}
	counted, err := poolprom.Pool(s.pool, figures, s.w.clock)
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	calls := intercept.NewLog(s.log, s.w.clock, intercept.WithIdentity(grpcpool.IdentityOf(s.policy.Load)))
	limits := grpcpool.DefaultLimits()
	limits.Connections, limits.Requests = s.cmd.MaxConns, s.cmd.MaxConns
	common := []grpcpool.ServerOption{
		grpcpool.WithLimits(limits),
		grpcpool.WithServerClock(s.w.clock),
		grpcpool.WithServerLogger(s.log),
		grpcpool.WithPolicy(s.policy.Load),
		grpcpool.WithInterceptors(intercept.Chain(
			metrics,
			calls,
			intercept.NewRecover(s.log, s.w.clock, metrics.Panics()),
		)),
	}
	main := append(slices.Clip(common), grpcpool.WithCheck(s.pool.Check))
	if s.certs != nil {
		main = append(main, grpcpool.WithTLS(s.certs.TLSConfig()))
	}
	if s.cmd.Reflection {
		main = append(main, grpcpool.WithReflection())
	}
	streams, err := s.legacy(ctx, counted, figures)
	if err != nil {
		return nil, err
	}
	p := &parts{metrics: metrics, figures: figures}
	if s.cmd.LegacyAddr != "" {
		p.side = grpcpool.NewSideServer(append(slices.Clip(common), streams...)...)
		metrics.Expect(p.side.ServiceInfo())
	} else {
		main = append(main, streams...)
	}
	if p.server, err = grpcpool.NewServer(counted, main...); err != nil {
		return nil, plain(err)
	}
	metrics.Expect(p.server.ServiceInfo())
	return p, registerAll(figures, slices.Concat(s.figures(calls), p.refusals())...)
}

// legacy returns the service for EasyFlake for Python, if it was asked for.
func (s *poolServer) legacy(ctx context.Context, counted pool.Manager, figures *prometheus.Registry) ([]grpcpool.ServerOption, error) {
	name, ok, err := s.legacyNamespace()
	if err != nil {
		return nil, err
	}
	if !ok {
		if s.cmd.LegacyAddr != "" {
			return nil, wrongf("--legacy-listen needs nodes to lend there: give --legacy-nodes, or 'legacy' of a namespace in the configuration")
		}
		return nil, nil
	}
	lender, ok := counted.(legacy.Pool)
	if !ok {
		lender = s.pool
	}
	streams, err := legacy.New(ctx, lender, name, legacy.WithClock(s.w.clock), legacy.WithLogger(s.log))
	if err != nil {
		return nil, plain(err)
	}
	if err := registerAll(figures, streamFigures(streams)...); err != nil {
		return nil, err
	}
	if s.certs != nil && s.cmd.LegacyAddr == "" {
		s.log.Warn("EasyFlake for Python knows no TLS, and cannot reach this port: give it one with --legacy-listen", "namespace", name)
	}
	return []grpcpool.ServerOption{
		grpcpool.WithService(func(r grpc.ServiceRegistrar) { sequencepb.RegisterSequenceServer(r, streams) }, streams.Drain),
		grpcpool.WithGuard(sequencepb.Sequence_LiveStream_FullMethodName, name, access.Legacy),
	}, nil
}
