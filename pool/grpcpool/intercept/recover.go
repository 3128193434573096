package intercept

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/clock"
)

// Recover makes a panic in a handler an error of that call alone. The client hears
// the code Internal and nothing of the cause; the log has it, with the stack. Of
// panics in one method it logs a few, and then one in a while; it counts all.
//
// A goroutine that ends by [runtime.Goexit] goes on ending. A panic in a goroutine
// that a handler started is out of reach.
type Recover struct {
	log    *slog.Logger
	clock  clock.Clock
	panics Counter
	limit  *limiter
}

// Counter is what panics are counted with: a [prometheus.Counter] is one.
//
// [prometheus.Counter]: https://pkg.go.dev/github.com/prometheus/client_golang/prometheus#Counter
type Counter interface{ Inc() }

// NewRecover returns the interceptor. The counter may be nil.
func NewRecover(log *slog.Logger, c clock.Clock, panics Counter) *Recover {
	return &Recover{log: log, clock: c, panics: panics, limit: newLimiter(defaultBurst, defaultEvery)}
}

// Unary is a [grpc.UnaryServerInterceptor].
func (r *Recover) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, r.handle(ctx, info.FullMethod, info.FullMethod, p)
		}
	}()
	return handler(ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor].
func (r *Recover) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			counted := info.FullMethod
			if srv == nil {
				counted = unknown
			}
			err = r.handle(stream.Context(), info.FullMethod, counted, p)
		}
	}()
	return handler(srv, stream)
}

// handle is called while the panic's frames are still on the stack.
func (r *Recover) handle(ctx context.Context, method, counted string, p any) error {
	if r.panics != nil {
		r.panics.Inc()
	}
	if held, ok := r.limit.allow(kind{method: counted}, r.clock.Now()); ok {
		attrs := []slog.Attr{
			slog.String("method", short(method)),
			slog.String("panic", cause(p)),
			slog.String("stack", stack()),
		}
		if held > 0 {
			attrs = append(attrs, slog.Uint64("suppressed", held))
		}
		r.log.LogAttrs(ctx, slog.LevelError, "a handler panicked", attrs...)
	}
	return status.Error(codes.Internal, "the server has a fault; its log says which")
}

// cause says what a panic said. Of a value that is no text it says the type alone:
// it may be a message.
func cause(p any) string {
	switch p.(type) {
	case error, string:
		return short(fmt.Sprint(p)) // where printing panics in turn, Sprint says so
	}
	return fmt.Sprintf("a value of type %T", p)
}

// stack returns the frames from the one that panicked on, outwards: functions and
// lines without arguments, which a traceback would print, tokens among them.
func stack() string {
	var all [128]uintptr
	frames := runtime.CallersFrames(all[:runtime.Callers(1, all[:])])
	var s strings.Builder
	panicked := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
			s.Reset() // of several panics, the first counts
		case panicked && f.Function != "":
			fmt.Fprintf(&s, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return s.String()
		}
	}
}
