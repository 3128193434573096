package bench

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
	"github.com/easyflake/easyflake/pool/poolprom"
)

const (
	grpcConnections = 8
	grpcCallers     = 64 // goroutines on those connections
)

// grpcServer is a server with all that "easyflake-cli grpc" puts before its pool,
// over TLS 1.3 on the loopback, and beside the pool a service that does nothing.
type grpcServer struct {
	local    *pool.Local
	endpoint grpcpool.Endpoint
	trusted  *tls.Config
}

// echo answers a renewal's request with a grant's size, and does nothing.
const echoMethod = "/easyflake.bench.v1.Echo/Echo"

type echoServer interface {
	Echo(ctx context.Context, r *poolv1.RenewRequest) (*poolv1.Grant, error)
}

type echo struct{}

// Echo implements echoServer.
func (echo) Echo(_ context.Context, r *poolv1.RenewRequest) (*poolv1.Grant, error) {
	return &poolv1.Grant{Node: r.GetNode(), From: r.GetUntil(), Until: r.GetUntil(), Revision: r.GetRevision(), Now: echoNow}, nil
}

// echoNow has as many bytes as a time of these days.
const echoNow = int64(1_800_000_000_000_000_000)

// registerEcho registers it as generated code does.
func registerEcho(r grpc.ServiceRegistrar) {
	handler := func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(poolv1.RenewRequest)
		if err := dec(in); err != nil {
			return nil, err
		}
		server, _ := srv.(echoServer)
		if interceptor == nil {
			return server.Echo(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: echoMethod}, func(ctx context.Context, req any) (any, error) {
			m, _ := req.(*poolv1.RenewRequest)
			return server.Echo(ctx, m)
		})
	}
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: "easyflake.bench.v1.Echo",
		HandlerType: (*echoServer)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handler}},
	}, echo{})
}

// newGRPCServer serves a new store, with a namespace of the default terms.
func newGRPCServer(tb testing.TB, store pool.Store, l layout.Layout, opts ...pool.Option) *grpcServer {
	tb.Helper()
	s := serveGRPC(tb, store, opts...)
	require.NoError(tb, s.local.CreateNamespace(tb.Context(), pool.NewNamespace(poolNamespace, l)))
	return s
}

// serveGRPC serves a store.
func serveGRPC(tb testing.TB, store pool.Store, opts ...pool.Option) *grpcServer {
	tb.Helper()
	figures := prometheus.NewRegistry()
	c := clock.Default()
	log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
	measured, err := poolprom.Store(store, figures, c)
	require.NoError(tb, err)
	local := pool.New(measured, append(opts, pool.WithLogger(log))...)
	tb.Cleanup(func() { require.NoError(tb, local.Close()) })
	counted, err := poolprom.Pool(local, figures, c)
	require.NoError(tb, err)
	metrics, err := intercept.NewMetrics(figures, c)
	require.NoError(tb, err)
	policy := access.Open()
	current := func() *access.Policy { return policy }
	ca := certstest.NewCA(tb, "bench")
	server, err := grpcpool.NewServer(counted,
		grpcpool.WithServerClock(c),
		grpcpool.WithServerLogger(log),
		grpcpool.WithCheck(local.Check),
		grpcpool.WithPolicy(current),
		grpcpool.WithInterceptors(intercept.Chain(
			metrics,
			intercept.NewLog(log, c, intercept.WithIdentity(grpcpool.IdentityOf(current))),
			intercept.NewRecover(log, c, metrics.Panics()),
		)),
		grpcpool.WithTLS(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{ca.Server(tb).TLS(tb)}}),
		grpcpool.WithService(registerEcho, nil),
	)
	require.NoError(tb, err)
	metrics.Expect(server.ServiceInfo())
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(metrics.Listener(listener)); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ctx)
		serving.Wait()
	})
	at, ok := listener.Addr().(*net.TCPAddr)
	require.True(tb, ok)
	return &grpcServer{
		local:    local,
		endpoint: grpcpool.Endpoint{Host: "127.0.0.1", Port: at.Port},
		trusted:  &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.Pool()},
	}
}

// clients returns clients of the pool, each with a connection of its own.
func (s *grpcServer) clients(tb testing.TB) []pool.Pool {
	tb.Helper()
	all := make([]pool.Pool, grpcConnections)
	for i := range all {
		c, err := grpcpool.NewClient([]grpcpool.Endpoint{s.endpoint}, grpcpool.WithClientTLS(func(host string) *tls.Config {
			trusted := s.trusted.Clone()
			trusted.ServerName = host
			return trusted
		}))
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, c.Close()) })
		all[i] = c
	}
	return all
}

// conns returns bare connections.
func (s *grpcServer) conns(tb testing.TB, n int) []*grpc.ClientConn {
	tb.Helper()
	all := make([]*grpc.ClientConn, n)
	for i := range all {
		trusted := s.trusted.Clone()
		trusted.ServerName = s.endpoint.Host
		c, err := grpc.NewClient(s.endpoint.String(), grpc.WithTransportCredentials(credentials.NewTLS(trusted)))
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, c.Close()) })
		all[i] = c
	}
	return all
}
