package intercept

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// Log writes a line about each call when it is over, with the attributes method,
// code, reason, peer, identity and duration, as far as there is something to say.
// It writes nothing of a message, nor the text of an error, which may quote one.
//
// Of calls of one method with one code, it writes a few, and then one in a while, with
// how many there were in between in "suppressed": fewer of failures than of those that
// succeed, which tell who came and went. What is worth a Debug only is written as often
// as it succeeds, for whoever asks for that wants to see it.
type Log struct {
	log      *slog.Logger
	clock    clock.Clock
	limit    *limiter // of failures
	ok       *limiter // of what succeeds
	level    func(Call) slog.Level
	identity func(context.Context) string
	facts    func(ctx context.Context, request, reply any) []slog.Attr
}

// Call is what became of a call.
type Call struct {
	// Method is the full name, as "/easyflake.pool.v1.NodePool/Renew".
	Method string
	Code   codes.Code
	// Reason is that of the google.rpc.ErrorInfo in the status' details; empty
	// where there is none.
	Reason   string
	Duration time.Duration
}

// LogOption changes what a Log writes.
type LogOption func(*Log)

// WithLevel sets how important a call is. The default is [Level].
func WithLevel(f func(Call) slog.Level) LogOption { return func(l *Log) { l.level = f } }

// WithIdentity sets how to find out who calls, from the context that the handler
// has too. It is only called for a line that is written, and its result is, up to
// 256 bytes of it: a name, never a token. Empty means unknown.
func WithIdentity(f func(context.Context) string) LogOption {
	return func(l *Log) { l.identity = f }
}

// WithFacts adds attributes that f picks from a call's messages; those of a stream,
// and the reply of a call that failed, are nil. It is only called for a line that
// is written. What it returns is written as it is, but for texts, which are cut at
// 256 bytes.
func WithFacts(f func(ctx context.Context, request, reply any) []slog.Attr) LogOption {
	return func(l *Log) { l.facts = f }
}

// WithFailures sets how many failures of one method with one code are written in a
// row, and after how long one more may be. The default is 10, and 5 seconds.
func WithFailures(burst int, every time.Duration) LogOption {
	return func(l *Log) { l.limit = newLimiter(burst, every) }
}

// WithSuccesses sets the same for calls that succeed, but for those whose level is
// Debug. The default is 100, and 5 seconds: that a thousand programs have started is
// seen without a thousand lines.
func WithSuccesses(burst int, every time.Duration) LogOption {
	return func(l *Log) { l.ok = newLimiter(burst, every) }
}

// How many lines or panics of a kind are written, unless it is said otherwise.
const (
	defaultBurst = 10
	defaultEvery = 5 * time.Second

	defaultSuccesses = 100
)

// NewLog returns the interceptor; durations are measured by c.
func NewLog(log *slog.Logger, c clock.Clock, opts ...LogOption) *Log {
	l := &Log{log: log, clock: c, limit: newLimiter(defaultBurst, defaultEvery), ok: newLimiter(defaultSuccesses, defaultEvery), level: Level}
	for _, opt := range opts {
		opt(l)
	}
	return l
}

// Level returns Debug for what happens all the time: renewals and questions about
// health, when they succeed or nobody waits for the answer any more. A fault of the
// server is a Warn. Everything else is an Info, refusals included.
func Level(c Call) slog.Level {
	switch c.Code {
	case codes.OK, codes.Canceled:
		switch c.Method {
		case poolv1.NodePool_Renew_FullMethodName,
			healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName, healthv1.Health_List_FullMethodName:
			return slog.LevelDebug
		}
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return slog.LevelWarn
	case codes.Unavailable:
		if c.Reason != "NOT_YET" { // nothing is wrong, only early
			return slog.LevelWarn
		}
	}
	return slog.LevelInfo
}

// Suppressed returns how many lines were not written, because there were too many
// like them.
func (l *Log) Suppressed() uint64 { return l.limit.suppressed() + l.ok.suppressed() }

// Unary is a [grpc.UnaryServerInterceptor].
func (l *Log) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	begun := l.clock.Now()
	err = errUnfinished
	defer func() { l.write(ctx, info.FullMethod, info.FullMethod, begun, err, req, reply) }()
	return handler(ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor].
func (l *Log) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	begun := l.clock.Now()
	counted := info.FullMethod
	if srv == nil {
		counted = unknown
	}
	err = errUnfinished
	defer func() { l.write(stream.Context(), info.FullMethod, counted, begun, err, nil, nil) }()
	return handler(srv, stream)
}

// write writes the line, if it is wanted. Lines are limited by the method's name, or by
// what stands for all names that clients make up.
func (l *Log) write(ctx context.Context, method, counted string, begun int64, err error, req, reply any) {
	now := l.clock.Now()
	call := Call{Method: method, Duration: time.Duration(max(0, now-begun))}
	if err != nil {
		call.Code, call.Reason = codeOf(err), reasonOf(err)
	}
	level := l.level(call)
	if !l.log.Enabled(ctx, level) {
		return
	}
	limit := l.ok
	if err != nil {
		limit = l.limit
	}
	held, ok := uint64(0), true
	if err != nil || level > slog.LevelDebug {
		held, ok = limit.allow(kind{counted, call.Code}, now)
	}
	if !ok {
		return
	}
	l.log.LogAttrs(ctx, level, "call", l.attributes(ctx, call, held, req, reply)...)
}

func (l *Log) attributes(ctx context.Context, call Call, held uint64, req, reply any) []slog.Attr {
	all := make([]slog.Attr, 0, 10)
	all = append(all, slog.String("method", short(call.Method)), slog.String("code", call.Code.String()))
	if call.Reason != "" {
		all = append(all, slog.String("reason", short(call.Reason)))
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		all = append(all, slog.String("peer", p.Addr.String()))
	}
	if l.identity != nil {
		if who := l.identity(ctx); who != "" {
			all = append(all, slog.String("identity", short(who)))
		}
	}
	all = append(all, slog.Duration("duration", call.Duration))
	if l.facts != nil {
		for _, a := range l.facts(ctx, req, reply) {
			if a.Value.Kind() == slog.KindString {
				a.Value = slog.StringValue(short(a.Value.String()))
			}
			all = append(all, a)
		}
	}
	if held > 0 {
		all = append(all, slog.Uint64("suppressed", held))
	}
	return all
}

// reasonOf returns the reason in a status' details.
func reasonOf(err error) string {
	if err == errUnfinished { //nolint:errorlint // never wrapped, and never seen by anybody else
		return "UNFINISHED"
	}
	st, ok := status.FromError(err)
	if !ok {
		return ""
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// short cuts what may be a client's to a length that fits a line.
func short(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
