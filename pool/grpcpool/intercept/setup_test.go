package intercept_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
)

// trial is a service of which a test says what it does.
type trial struct {
	do   func(ctx context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error)
	flow func(stream grpc.ServerStream) error
}

const (
	trialDo   = "/trial.Trial/Do"
	trialFlow = "/trial.Trial/Flow"
)

func (s *trial) desc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "trial.Trial",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Do",
			Handler: func(srv any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
				req := new(healthv1.HealthCheckRequest)
				if err := decode(req); err != nil {
					return nil, err
				}
				handler := func(ctx context.Context, req any) (any, error) {
					return s.do(ctx, req.(*healthv1.HealthCheckRequest)) //nolint:errcheck // is what was decoded
				}
				if around == nil {
					return handler(ctx, req)
				}
				return around(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: trialDo}, handler)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName: "Flow",
			Handler:    func(_ any, stream grpc.ServerStream) error { return s.flow(stream) },

			ServerStreams: true,
			ClientStreams: true,
		}},
	}
}

// server is one that is running, with a client.
type server struct {
	*grpc.Server

	conn   *grpc.ClientConn
	health *health.Server
	trial  *trial
}

// serve runs a server behind interceptors until the test is over.
func serve(tb testing.TB, on func(net.Listener) net.Listener, opts []grpc.ServerOption, all ...intercept.Interceptor) *server {
	tb.Helper()
	unary, stream := intercept.Chain(all...)
	opts = append(opts, grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...))
	pipe := bufconn.Listen(1 << 16)
	s := &server{Server: grpc.NewServer(opts...), health: health.NewServer(), trial: &trial{}}
	s.RegisterService(s.trial.desc(), s.trial)
	healthv1.RegisterHealthServer(s.Server, s.health)
	listener := net.Listener(pipe)
	if on != nil {
		listener = on(pipe)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(listener) })
	tb.Cleanup(serving.Wait)
	tb.Cleanup(s.Stop)
	var err error
	s.conn, err = grpc.NewClient("passthrough:pipe",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// call calls the trial's unary method.
func (s *server) call(ctx context.Context, text string) error {
	return s.conn.Invoke(ctx, trialDo, &healthv1.HealthCheckRequest{Service: text}, new(healthv1.HealthCheckResponse))
}

// stream opens one and reads to its end.
func (s *server) stream(ctx context.Context, method string) error {
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	return stream.RecvMsg(new(healthv1.HealthCheckResponse))
}

func begin() *clocktest.Clock { return clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) }

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// all returns what was logged.
func (l *lines) all(tb testing.TB) []map[string]any {
	tb.Helper()
	var all []map[string]any
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		require.NoError(tb, json.Unmarshal([]byte(line), &m))
		all = append(all, m)
	}
	return all
}
