package intercept_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

const secret = "5ec7e7-5ec7e7"

func refusal(code codes.Code, reason string) error {
	st, err := status.New(code, "about "+secret).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "trial"})
	if err != nil {
		return err
	}
	return st.Err()
}

// One line tells what became of a call, and nothing of what was in it.
func TestLogLine(t *testing.T) {
	var out lines
	c := begin()
	log := intercept.NewLog(out.logger(slog.LevelDebug), c,
		intercept.WithIdentity(func(context.Context) string { return "alice" }),
		intercept.WithFacts(func(_ context.Context, req, _ any) []slog.Attr {
			r, ok := req.(*healthv1.HealthCheckRequest)
			if !ok {
				return []slog.Attr{slog.Bool("stream", true)}
			}
			return []slog.Attr{slog.Int("bytes", len(r.GetService())), slog.String("long", strings.Repeat("é", 1000))}
		}))
	s := serve(t, nil, nil, log)
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		c.Advance(1500 * time.Microsecond)
		return nil, refusal(codes.Aborted, "LEASE_LOST")
	}
	s.trial.flow = func(grpc.ServerStream) error { return nil }
	require.Error(t, s.call(t.Context(), secret))
	require.Error(t, s.stream(t.Context(), trialFlow)) // EOF
	s.GracefulStop()

	got := out.all(t)
	require.Len(t, got, 2)
	assert.Equal(t, map[string]any{
		"level": "INFO", "msg": "call", "method": trialDo, "code": "Aborted", "reason": "LEASE_LOST", "peer": "bufconn",
		"identity": "alice", "duration": 1.5e6, "bytes": float64(len(secret)), "long": strings.Repeat("é", 128) + "…",
	}, got[0])
	assert.Equal(t, map[string]any{
		"level": "INFO", "msg": "call", "method": trialFlow, "code": "OK", "peer": "bufconn", "identity": "alice",
		"duration": 0.0, "stream": true,
	}, got[1])
	assert.NotContains(t, out.String(), secret)
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		call intercept.Call
		want slog.Level
	}{
		{intercept.Call{Method: poolv1.NodePool_Renew_FullMethodName}, slog.LevelDebug},
		{intercept.Call{Method: healthv1.Health_Check_FullMethodName}, slog.LevelDebug},
		{intercept.Call{Method: healthv1.Health_Watch_FullMethodName, Code: codes.Canceled}, slog.LevelDebug},
		{intercept.Call{Method: poolv1.NodePool_Renew_FullMethodName, Code: codes.Aborted}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Acquire_FullMethodName}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Acquire_FullMethodName, Code: codes.Canceled}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Release_FullMethodName}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Revoke_FullMethodName, Code: codes.PermissionDenied}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Acquire_FullMethodName, Code: codes.Unavailable, Reason: "NOT_YET"}, slog.LevelInfo},
		{intercept.Call{Method: poolv1.NodePool_Acquire_FullMethodName, Code: codes.Unavailable, Reason: "STORE"}, slog.LevelWarn},
		{intercept.Call{Method: poolv1.NodePool_Renew_FullMethodName, Code: codes.Internal}, slog.LevelWarn},
		{intercept.Call{Method: trialDo, Code: codes.Unknown}, slog.LevelWarn},
		{intercept.Call{Method: trialDo, Code: codes.DataLoss}, slog.LevelWarn},
	} {
		assert.Equal(t, c.want, intercept.Level(c.call), "%+v", c.call)
	}
}

// What nobody wants to read is not put together.
func TestLogDisabled(t *testing.T) {
	var out lines
	log := intercept.NewLog(out.logger(slog.LevelWarn), begin(),
		intercept.WithIdentity(func(context.Context) string { t.Error("asked who calls"); return "" }))
	s := serve(t, nil, nil, log)
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		return &healthv1.HealthCheckResponse{}, nil
	}
	require.NoError(t, s.call(t.Context(), ""))
	s.GracefulStop()
	assert.Empty(t, out.String())
}

// A flood of failures becomes a burst of lines and then one in a while, which says
// how many are missing. Another kind of failure is not silenced by it, nor is success.
func TestLogFlood(t *testing.T) {
	var out lines
	c := begin()
	log := intercept.NewLog(out.logger(slog.LevelInfo), c, intercept.WithFailures(3, time.Second))
	s := serve(t, nil, nil, log)
	answer := error(nil)
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		return &healthv1.HealthCheckResponse{}, answer
	}
	// count makes n calls and returns the lines about them.
	count := func(n int, err error) []map[string]any {
		before := len(out.all(t))
		answer = err
		for range n {
			if err == nil {
				require.NoError(t, s.call(t.Context(), ""))
			} else {
				require.Error(t, s.call(t.Context(), ""))
			}
		}
		// A call's line is written before its client hears of it.
		return out.all(t)[before:]
	}
	denied := refusal(codes.PermissionDenied, "DENIED")
	assert.Len(t, count(100, denied), 3)
	assert.Equal(t, uint64(97), log.Suppressed())
	assert.Len(t, count(1, refusal(codes.Aborted, "LEASE_LOST")), 1)
	assert.Len(t, count(5, nil), 5)

	c.Advance(time.Second)
	got := count(50, denied)
	require.Len(t, got, 1)
	assert.InDelta(t, 97, got[0]["suppressed"], 0)
	c.Advance(time.Hour)
	got = count(50, denied)
	require.Len(t, got, 3, "the burst comes back, and no more than that")
	assert.InDelta(t, 49, got[0]["suppressed"], 0)
	assert.NotContains(t, got[1], "suppressed")

	c.StepBack(24 * time.Hour)
	assert.Len(t, count(50, denied), 3, "after the clock was set back")
}

// So does a flood of successes, as when a thousand programs start. What is at the level
// Debug is not left out, for whoever asks for that.
func TestLogFloodOfSuccesses(t *testing.T) {
	var out lines
	c := begin()
	level := slog.LevelInfo
	log := intercept.NewLog(out.logger(slog.LevelDebug), c, intercept.WithSuccesses(3, time.Second),
		intercept.WithLevel(func(intercept.Call) slog.Level { return level }))
	s := serve(t, nil, nil, log)
	s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
		return &healthv1.HealthCheckResponse{}, nil
	}
	call := func(n int) []map[string]any {
		before := len(out.all(t))
		for range n {
			require.NoError(t, s.call(t.Context(), ""))
		}
		return out.all(t)[before:]
	}
	assert.Len(t, call(100), 3)
	assert.Equal(t, uint64(97), log.Suppressed())
	c.Advance(time.Second)
	got := call(50)
	require.Len(t, got, 1)
	assert.InDelta(t, 97, got[0]["suppressed"], 0)
	level = slog.LevelDebug
	assert.Len(t, call(50), 50)
}

// Methods that clients make up share one allowance.
func TestLogFloodOfMethods(t *testing.T) {
	var out lines
	log := intercept.NewLog(out.logger(slog.LevelInfo), begin(), intercept.WithFailures(3, time.Second))
	s := serve(t, nil, []grpc.ServerOption{grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.Unimplemented, "no")
	})}, log)
	for i := range 100 {
		require.Error(t, s.stream(t.Context(), fmt.Sprintf("/made.Up/%d%s", i, strings.Repeat("x", 5000))))
	}
	got := out.all(t)
	require.Len(t, got, 3)
	assert.Less(t, len(out.String()), 3000)
	assert.Contains(t, got[0]["method"], "/made.Up/0xxx")
}

// A handler's error that is no status is what gRPC makes of it.
func TestLogForeignErrors(t *testing.T) {
	var out lines
	log := intercept.NewLog(out.logger(slog.LevelInfo), begin())
	s := serve(t, nil, nil, log)
	for _, err := range []error{errors.New("about " + secret), context.DeadlineExceeded, fmt.Errorf("it: %w", context.Canceled)} {
		s.trial.do = func(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
			return nil, err
		}
		got := status.Code(s.call(t.Context(), ""))
		all := out.all(t)
		assert.Equal(t, got.String(), all[len(all)-1]["code"])
	}
	assert.NotContains(t, out.String(), secret)
}
