package intercept_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
)

// explode panics with its name as the first on the stack, and a token among its
// arguments, which a traceback prints.
//
//go:noinline
func explode(token [16]byte, with any) {
	panic(fmt.Sprintf("%v of %d", with, len(bytes.Trim(token[:], "\x00"))))
}

const explodes = "github.com/easyflake/easyflake/pool/grpcpool/intercept_test.explode\n"

// A panic ends its call alone, tells the client nothing and the log all but what
// was in the arguments.
func TestRecover(t *testing.T) {
	var out lines
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics_total"})
	s := serve(t, nil, nil, intercept.NewRecover(out.logger(slog.LevelInfo), begin(), counter))
	token := [16]byte(bytes.Repeat([]byte{0xab}, 16))
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		explode(token, "it broke")
		return nil, nil
	}
	s.trial.flow = func(grpc.ServerStream) error {
		explode(token, "it tore")
		return nil
	}
	for _, err := range []error{s.call(t.Context(), ""), s.stream(t.Context(), trialFlow)} {
		assert.Equal(t, codes.Internal, status.Code(err))
		assert.NotContains(t, err.Error(), "it ")
		assert.NotContains(t, err.Error(), "explode")
	}
	assert.InDelta(t, 2, testutil.ToFloat64(counter), 0)
	got := out.all(t)
	require.Len(t, got, 2)
	for i, cause := range []string{"it broke of 16", "it tore of 16"} {
		assert.Equal(t, "ERROR", got[i]["level"])
		assert.Equal(t, cause, got[i]["panic"])
		stack := fmt.Sprint(got[i]["stack"])
		assert.True(t, strings.HasPrefix(stack, explodes), "%s", stack)
		assert.Contains(t, stack, "recover_test.go:")
		assert.NotContains(t, strings.ToLower(stack), "abab")
	}
	assert.Equal(t, trialDo, got[0]["method"])

	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		return &healthv1.HealthCheckResponse{}, nil
	}
	s.trial.flow = func(grpc.ServerStream) error { return nil }
	require.NoError(t, s.call(t.Context(), ""), "the server goes on")
	require.ErrorIs(t, s.stream(t.Context(), trialFlow), io.EOF)
}

// A panic's own words are logged, a value that could be a message is not; where a
// panic leads to another, the stack is the first one's.
func TestRecoverCauses(t *testing.T) {
	var out lines
	s := serve(t, nil, nil, intercept.NewRecover(out.logger(slog.LevelInfo), begin(), nil))
	var none map[string]int
	for _, c := range []struct {
		do   func()
		want string
	}{
		{func() { panic(errors.New("an error")) }, "an error"},
		{func() { none["a"] = 1 }, "assignment to entry in nil map"},
		{func() { panic(&healthv1.HealthCheckRequest{Service: secret}) }, "a value of type *grpc_health_v1.HealthCheckRequest"},
		{func() { panic([]byte(secret)) }, "a value of type []uint8"},
		{func() { panic(strings.Repeat("x", 1<<20)) }, strings.Repeat("x", 256) + "…"},
		{func() { panic(nil) }, //nolint:govet // is what it tests
			"panic called with nil argument"},
		{func() {
			defer func() { panic("second") }()
			explode([16]byte{}, "first")
		}, "second"},
	} {
		s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
			c.do()
			return nil, nil
		}
		require.Equal(t, codes.Internal, status.Code(s.call(t.Context(), "")))
		all := out.all(t)
		last := all[len(all)-1]
		assert.Equal(t, c.want, last["panic"])
		if c.want == "second" {
			assert.True(t, strings.HasPrefix(fmt.Sprint(last["stack"]), explodes), "%s", last["stack"])
		}
	}
	assert.NotContains(t, out.String(), secret)
}

// A panic that clients can cause at will does not fill the log.
func TestRecoverFlood(t *testing.T) {
	var out lines
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics_total"})
	s := serve(t, nil, nil, intercept.NewRecover(out.logger(slog.LevelInfo), begin(), counter))
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		panic("again")
	}
	for range 100 {
		require.Error(t, s.call(t.Context(), ""))
	}
	assert.Len(t, out.all(t), 10)
	assert.InDelta(t, 100, testutil.ToFloat64(counter), 0)
}

// A goroutine that is told to end ends: nothing is recovered, logged as a panic or
// answered, and the figures know that the call is over.
func TestGoexit(t *testing.T) {
	var out lines
	c := begin()
	registry := prometheus.NewRegistry()
	metrics, err := intercept.NewMetrics(registry, c)
	require.NoError(t, err)
	unary, stream := intercept.Chain(metrics, intercept.NewLog(out.logger(slog.LevelInfo), c), intercept.NewRecover(out.logger(slog.LevelInfo), c, metrics.Panics()))
	// The first one is the outermost.
	around := func(ctx context.Context, handler grpc.UnaryHandler) (any, error) {
		info := &grpc.UnaryServerInfo{FullMethod: trialDo}
		return unary[0](ctx, nil, info, func(ctx context.Context, req any) (any, error) {
			return unary[1](ctx, req, info, func(ctx context.Context, req any) (any, error) {
				return unary[2](ctx, req, info, handler)
			})
		})
	}
	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		_, _ = around(t.Context(), func(context.Context, any) (any, error) {
			runtime.Goexit()
			return nil, nil
		})
		returned = true
	}()
	<-ended
	assert.False(t, returned)
	require.Len(t, stream, 3)
	got := out.all(t)
	require.Len(t, got, 1)
	assert.Equal(t, "call", got[0]["msg"])
	assert.Equal(t, "UNFINISHED", got[0]["reason"])
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP grpc_server_handled_total Calls that ended, by the code they ended with.
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="Unknown",grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 1
# HELP grpc_server_in_flight Calls under way.
# TYPE grpc_server_in_flight gauge
grpc_server_in_flight{grpc_method="Do",grpc_service="trial.Trial",grpc_type="unary"} 0
# HELP grpc_server_panics_total Panics in handlers, each of which one call has died of.
# TYPE grpc_server_panics_total counter
grpc_server_panics_total 0
`), "grpc_server_handled_total", "grpc_server_in_flight", "grpc_server_panics_total"))
}
