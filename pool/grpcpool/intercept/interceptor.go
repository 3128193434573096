package intercept

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Interceptor stands around the calls of a server, of both kinds.
type Interceptor interface {
	// Unary is a [grpc.UnaryServerInterceptor].
	Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error)
	// Stream is a [grpc.StreamServerInterceptor].
	Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error
}

var (
	_ Interceptor = (*Log)(nil)
	_ Interceptor = (*Recover)(nil)
	_ Interceptor = (*Metrics)(nil)
)

// Chain returns interceptors as [grpc.ChainUnaryInterceptor] and
// [grpc.ChainStreamInterceptor] want them. The first one is the outermost.
func Chain(all ...Interceptor) ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	unary := make([]grpc.UnaryServerInterceptor, 0, len(all))
	stream := make([]grpc.StreamServerInterceptor, 0, len(all))
	for _, i := range all {
		unary = append(unary, i.Unary)
		stream = append(stream, i.Stream)
	}
	return unary, stream
}

// unknown stands for the service and the method of calls that the server has no
// method for: their names are the clients' to choose.
const unknown = "unknown"

// errUnfinished stands for what a handler would have returned, had it returned: it
// panicked, or its goroutine was ended.
var errUnfinished = errors.New("intercept: the handler has not returned")

// codeOf returns the code that gRPC sends for what a handler returned.
func codeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	if st, ok := status.FromError(err); ok {
		return st.Code()
	}
	return status.FromContextError(err).Code()
}
