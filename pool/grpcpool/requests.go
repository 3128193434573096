package grpcpool

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// requests bounds what a server has under way from the moment that a request's headers
// are there. Interceptors see it only when its message is, too, and that is the client's
// to send or to withhold.
type requests struct {
	most    int           // 0: no bound
	limit   time.Duration // 0: no bound
	streams map[string]bool
	refused func(from string, most int) // hears of those that were too many

	underWay atomic.Int64
	dropped  atomic.Uint64
}

// know notes which of the server's methods are streams: before it serves.
func (r *requests) know(services map[string]grpc.ServiceInfo) {
	r.streams = make(map[string]bool)
	for name, service := range services {
		for _, m := range service.Methods {
			if m.IsClientStream || m.IsServerStream {
				r.streams["/"+name+"/"+m.Name] = true
			}
		}
	}
}

// tap is gRPC's [grpc.InTapHandle]. The transport waits for it.
func (r *requests) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if now := r.underWay.Add(1); r.most > 0 && now > int64(r.most) {
		r.underWay.Add(-1)
		r.dropped.Add(1)
		r.refused(addressOf(ctx), r.most)
		return r.turnAway(ctx), nil
	}
	bounded, cancel := r.bound(ctx, info.FullMethodName)
	// gRPC ends its own context with the request, whatever comes of it.
	context.AfterFunc(ctx, func() {
		r.underWay.Add(-1)
		cancel()
	})
	return bounded, nil
}

// moment is how long a request that is refused waits for its message, without which
// gRPC asks no interceptor.
const moment = 100 * time.Millisecond

type tooManyKey struct{}

// turnAway returns the context of a request that an interceptor refuses. An error of
// tap's would do it at once, but leave behind gRPC's timer for the client's deadline,
// and that may be years away: a flood of such requests would fill the memory.
func (r *requests) turnAway(ctx context.Context) context.Context {
	brief, cancel := context.WithTimeout(context.WithValue(ctx, tooManyKey{}, true), moment)
	context.AfterFunc(ctx, cancel)
	return brief
}

// tooMany returns the error of a request that was turned away.
func (r *requests) tooMany(ctx context.Context) error {
	if ctx.Value(tooManyKey{}) == nil {
		return nil
	}
	return status.Errorf(codes.Unavailable, "the server has %d requests under way, and takes no more; try again", r.most)
}

// refuseUnary is an interceptor, the outermost.
func (r *requests) refuseUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := r.tooMany(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// refuseStream is the same for streams.
func (r *requests) refuseStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := r.tooMany(stream.Context()); err != nil {
		return err
	}
	return handler(srv, stream)
}

func addressOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// bound returns a context that ends when a request has taken too long or, where it is a
// stream, its message. A client's own deadline that is earlier stays.
func (r *requests) bound(ctx context.Context, method string) (context.Context, func()) {
	switch {
	case r.limit <= 0:
		return ctx, func() {}
	case r.streams[method]:
		return r.patient(ctx)
	}
	return context.WithTimeout(ctx, r.limit)
}

// patience is the context of a stream that ends unless its message comes in time, and may
// then last for as long as it likes.
type patience struct {
	context.Context //nolint:containedctx // it is one

	heard context.CancelFunc // ends the waiting
	over  atomic.Bool
}

// patient returns a patience, and what ends it.
func (r *requests) patient(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	waiting, heard := context.WithTimeout(context.Background(), r.limit)
	p := &patience{Context: ctx, heard: heard}
	context.AfterFunc(waiting, func() {
		if errors.Is(waiting.Err(), context.DeadlineExceeded) {
			p.over.Store(true)
			cancel()
		}
	})
	return p, func() {
		heard()
		cancel()
	}
}

// Err implements [context.Context]. It is what gRPC makes the client's status of.
func (p *patience) Err() error {
	err := p.Context.Err()
	if err != nil && p.over.Load() {
		return context.DeadlineExceeded
	}
	return err //nolint:wrapcheck // a context's own
}

type patienceKey struct{}

// Value implements [context.Context].
func (p *patience) Value(key any) any {
	if key == (patienceKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// hears is an interceptor that lets a stream go on once its message has come.
func (r *requests) hears(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	p, ok := stream.Context().Value(patienceKey{}).(*patience)
	if !ok {
		return handler(srv, stream)
	}
	return handler(srv, &heardStream{stream, p.heard})
}

type heardStream struct {
	grpc.ServerStream

	heard context.CancelFunc
}

// RecvMsg implements [grpc.ServerStream].
func (s *heardStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.heard()
	}
	return err //nolint:wrapcheck // gRPC's own
}
