package intercept_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
)

func TestMetrics(t *testing.T) {
	c := begin()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := intercept.NewMetrics(registry, c, intercept.WithBuckets(0.001, 0.01))
	require.NoError(t, err)
	s := serve(t, metrics.Listener, nil, metrics)
	s.trial.do = func(_ context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		c.Advance(2 * time.Millisecond)
		if req.GetService() != "" {
			return nil, status.Error(codes.NotFound, "no")
		}
		return &healthv1.HealthCheckResponse{}, nil
	}
	reached, leave := make(chan struct{}), make(chan struct{})
	s.trial.flow = func(grpc.ServerStream) error {
		close(reached)
		<-leave
		return status.Error(codes.Code(99), "no code at all")
	}
	require.NoError(t, s.call(t.Context(), ""))
	require.NoError(t, s.call(t.Context(), ""))
	require.Error(t, s.call(t.Context(), "x"))

	done := make(chan error)
	go func() { done <- s.stream(t.Context(), trialFlow) }()
	<-reached
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP grpc_server_connections Open connections, those that have not said who they are included.
# TYPE grpc_server_connections gauge
grpc_server_connections 1
# HELP grpc_server_connections_total Connections ever accepted.
# TYPE grpc_server_connections_total counter
grpc_server_connections_total 1
# HELP grpc_server_handled_total Calls that ended, by the code they ended with.
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 1
grpc_server_handled_total{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 2
# HELP grpc_server_handling_seconds How long calls took, by the code they ended with.
# TYPE grpc_server_handling_seconds histogram
grpc_server_handling_seconds_bucket{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="0.001"} 0
grpc_server_handling_seconds_bucket{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="0.01"} 1
grpc_server_handling_seconds_bucket{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="+Inf"} 1
grpc_server_handling_seconds_sum{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 0.002
grpc_server_handling_seconds_count{grpc_code="NotFound",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 1
grpc_server_handling_seconds_bucket{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="0.001"} 0
grpc_server_handling_seconds_bucket{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="0.01"} 2
grpc_server_handling_seconds_bucket{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary",le="+Inf"} 2
grpc_server_handling_seconds_sum{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 0.004
grpc_server_handling_seconds_count{grpc_code="OK",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 2
# HELP grpc_server_in_flight Calls under way.
# TYPE grpc_server_in_flight gauge
grpc_server_in_flight{grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 0
grpc_server_in_flight{grpc_method="Flow",grpc_service="trial.Trial",grpc_type="bidi_stream"} 1
# HELP grpc_server_panics_total Panics in handlers, each of which one call has died of.
# TYPE grpc_server_panics_total counter
grpc_server_panics_total 0
# HELP grpc_server_started_total Calls that were begun.
# TYPE grpc_server_started_total counter
grpc_server_started_total{grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 3
grpc_server_started_total{grpc_method="Flow",grpc_service="trial.Trial",grpc_type="bidi_stream"} 1
`)))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)

	close(leave)
	require.Error(t, <-done)
	s.Stop()
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP grpc_server_connections Open connections, those that have not said who they are included.
# TYPE grpc_server_connections gauge
grpc_server_connections 0
# HELP grpc_server_in_flight Calls under way.
# TYPE grpc_server_in_flight gauge
grpc_server_in_flight{grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 0
grpc_server_in_flight{grpc_method="Flow",grpc_service="trial.Trial",grpc_type="bidi_stream"} 0
`), "grpc_server_connections", "grpc_server_in_flight"))
	assert.Contains(t, exposition(t, registry), `grpc_server_handled_total{grpc_code="Unknown",grpc_method="Flow",grpc_service="trial.Trial",grpc_type="bidi_stream"} 1`)
}

func exposition(tb testing.TB, g prometheus.Gatherer) string {
	tb.Helper()
	families, err := g.Gather()
	require.NoError(tb, err)
	var text strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(tb, err)
	}
	return text.String()
}

// What clients call methods becomes no series.
func TestMetricsOfUnknownMethods(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	s := serve(t, nil, []grpc.ServerOption{grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.Unimplemented, "no")
	})}, metrics)
	for i := range 50 {
		require.Error(t, s.stream(t.Context(), fmt.Sprintf("/made.Up/%d", i)))
	}
	text := exposition(t, registry)
	assert.NotContains(t, text, "made.Up")
	assert.Contains(t, text, `grpc_server_handled_total{grpc_code="Unimplemented",grpc_method="unknown",grpc_service="unknown",grpc_type="bidi_stream"} 50`)
}

// Even where each method is said to be known, there is an end to series.
func TestMetricsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	for i := range 1000 {
		info := &grpc.UnaryServerInfo{FullMethod: fmt.Sprintf("/made.Up/%d\xff", i)}
		_, err := metrics.Unary(t.Context(), nil, info, func(context.Context, any) (any, error) { return nil, nil })
		require.NoError(t, err)
	}
	n, err := testutil.GatherAndCount(registry, "grpc_server_handled_total")
	require.NoError(t, err)
	assert.Equal(t, 257, n)
}

// What a server offers has figures before the first call.
func TestMetricsExpect(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	s := serve(t, nil, nil, metrics)
	metrics.Expect(s.GetServiceInfo())
	text := exposition(t, registry)
	for _, labels := range []string{
		`grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"`,
		`grpc_method="Flow",grpc_service="trial.Trial",grpc_type="bidi_stream"`,
		`grpc_method="Watch",grpc_service="grpc.health.v1.Health",grpc_type="server_stream"`,
	} {
		assert.Contains(t, text, `grpc_server_handled_total{grpc_code="OK",`+labels+`} 0`)
		assert.Contains(t, text, `grpc_server_started_total{`+labels+`} 0`)
	}
}

// A registry that has such figures already is left as it was.
func TestMetricsTwice(t *testing.T) {
	registry := prometheus.NewRegistry()
	first, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	_, err = intercept.NewMetrics(registry, begin())
	require.Error(t, err)
	first.Panics().Inc()
	assert.Contains(t, exposition(t, registry), "grpc_server_panics_total 1")

	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "grpc_server_connections_total", Help: "x"}))
	_, err = intercept.NewMetrics(other, begin())
	require.Error(t, err)
	assert.NotContains(t, exposition(t, other), "grpc_server_connections ", "half registered")
}

// Calls of all kinds at once are counted once each.
func TestMetricsConcurrently(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	var out lines
	unary, _ := intercept.Chain(metrics, intercept.NewLog(out.logger(0), begin(), intercept.WithFailures(1, time.Hour)))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				info := &grpc.UnaryServerInfo{FullMethod: fmt.Sprintf("/trial.Trial/%d", (g+i)%10)}
				_, _ = unary[0](t.Context(), nil, info, func(ctx context.Context, req any) (any, error) {
					return unary[1](ctx, req, info, func(context.Context, any) (any, error) {
						return nil, status.Error(codes.Code(i%20), "")
					})
				})
			}
		})
	}
	wg.Wait()
	families, err := registry.Gather()
	require.NoError(t, err)
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sums[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	assert.InDelta(t, 4000, sums["grpc_server_started_total"], 0)
	assert.InDelta(t, 4000, sums["grpc_server_handled_total"], 0)
	assert.InDelta(t, 4000, sums["grpc_server_handling_seconds"], 0)
	assert.InDelta(t, 0, sums["grpc_server_in_flight"], 0)
}

// A connection is one until it is closed, however often.
func TestListener(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, begin())
	require.NoError(t, err)
	tcp, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := metrics.Listener(tcp)
	defer l.Close()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	c, err := l.Accept()
	require.NoError(t, err)
	assert.Contains(t, exposition(t, registry), "grpc_server_connections 1\n")
	raw, ok := c.(syscall.Conn)
	require.True(t, ok)
	_, err = raw.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Error(t, c.Close())
	text := exposition(t, registry)
	assert.Contains(t, text, "grpc_server_connections 0\n")
	assert.Contains(t, text, "grpc_server_connections_total 1\n")
}
