package intercept_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// benched returns the interceptors as a server has them.
func benched(b *testing.B) (m *intercept.Metrics, l *intercept.Log, r *intercept.Recover) {
	b.Helper()
	c := clock.Default()
	m, err := intercept.NewMetrics(prometheus.NewRegistry(), c)
	require.NoError(b, err)
	quiet := slog.New(slog.NewTextHandler(discard{}, nil))
	return m, intercept.NewLog(quiet, c), intercept.NewRecover(quiet, c, m.Panics())
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// What each interceptor adds to a call, without gRPC around it.
func BenchmarkInterceptor(b *testing.B) {
	m, l, r := benched(b)
	reply := any(&healthv1.HealthCheckResponse{})
	granted := func(context.Context, any) (any, error) { return reply, nil }
	lost := refusal(codes.Aborted, "LEASE_LOST")
	refused := func(context.Context, any) (any, error) { return nil, lost }
	run := func(name, method string, i intercept.Interceptor, handler grpc.UnaryHandler) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			info := &grpc.UnaryServerInfo{FullMethod: method}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = i.Unary(b.Context(), nil, info, handler)
				}
			})
		})
	}
	renew, acquire := poolv1.NodePool_Renew_FullMethodName, poolv1.NodePool_Acquire_FullMethodName
	run("of=metrics/result=ok", renew, m, granted)
	run("of=metrics/result=refused", renew, m, refused)
	run("of=log/result=quiet", renew, l, granted)
	run("of=log/result=line", acquire, l, granted)
	run("of=log/result=suppressed", renew, l, refused)
	run("of=recover/result=ok", renew, r, granted)
}

// ignore is a handler of statistics that does nothing: what it costs is gRPC's.
type ignore struct{}

func (ignore) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (ignore) HandleRPC(context.Context, stats.RPCStats)                         {}
func (ignore) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (ignore) HandleConn(context.Context, stats.ConnStats)                       {}

// What they add to a call over a pipe; and what a handler of statistics would.
func BenchmarkCall(b *testing.B) {
	m, l, r := benched(b)
	run := func(name string, opts []grpc.ServerOption, all ...intercept.Interceptor) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := serve(b, m.Listener, opts, all...)
			client := healthv1.NewHealthClient(s.conn)
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.Check(b.Context(), &healthv1.HealthCheckRequest{}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	run("with=nothing", nil)
	run("with=interceptors", nil, m, l, r)
	run("with=statshandler", []grpc.ServerOption{grpc.StatsHandler(ignore{})})
}
