package legacy

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

const (
	// The number is repeated after firstPause, and then ever more seldom, until it is
	// once in lastPause: so that whatever drops silent connections does not, and few
	// replies lie before the end of the stream for a client that was asleep, which
	// reads one a second.
	firstPause = 2 * time.Second
	lastPause  = 30 * time.Second

	// stall is how long a reply may wait to be taken before the stream is ended. It
	// waits only when as many lie unread as gRPC takes for one stream, 64 KiB.
	stall = 30 * time.Second

	// hold is how long a client is kept that gets no number: Python's asks again at
	// once, with a new connection, as fast as it can. It is less than the 3 s that
	// Python waits for a number.
	hold = 2 * time.Second
)

// LiveStream implements [sequencepb.SequenceServer].
//
// How a stream ends tells Python's client what to do, which knows three codes. With
// OUT_OF_RANGE, and where a stream ends without any, it asks again and meanwhile goes
// on using the number that it has, so these are only for those that have none.
// CANCELLED makes it drop the number and ask for another with its next ID: that is
// for numbers lost or revoked. With any other code it also drops the number, but one
// call may raise an error before it asks again.
func (s *Server) LiveStream(req *sequencepb.SequenceRequest, stream grpc.ServerStreamingServer[sequencepb.SequenceReply]) error {
	if bits := int(req.GetBits()); bits != s.layout.NodeBits() {
		return status.Errorf(codes.InvalidArgument, "the node has %d bits in namespace %q, not %d: set node_id_bits to %[1]d, and epoch, time scale and sequence bits to those of the layout %[4]v",
			s.layout.NodeBits(), s.name, bits, s.layout)
	}
	if s.allow != nil {
		if err := s.allow(stream.Context()); err != nil {
			return err
		}
	}
	from := address(stream.Context())
	at, err := s.enter(from)
	if err != nil {
		if errors.Is(err, errDraining) {
			return status.Error(codes.Unavailable, err.Error())
		}
		s.log.DebugContext(stream.Context(), "a legacy stream is refused", "peer", from, "error", err)
		return status.Errorf(codes.ResourceExhausted, "%v; close those that nobody uses, or let the server take more", err)
	}
	defer s.leave(at)

	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })()

	n, err := s.wait(ctx)
	if err != nil {
		return err
	}
	s.lends(at)
	log := s.log.With("namespace", s.name, "node", n.grant.Node, "peer", from)
	log.DebugContext(ctx, "a legacy stream has a number")
	l := &loan{number: n, stream: stream, cancel: cancel, reply: &sequencepb.SequenceReply{Sequence: n.grant.Node}}
	err = l.live(ctx)
	log.InfoContext(ctx, "a legacy stream has ended; its number rests", "until", s.layout.Time(n.grant.Until), "reason", err)
	return err
}

// address returns where a stream comes from: the network address without the port,
// which each connection has another of.
func address(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
		return host
	}
	return p.Addr.Network()
}

// wait leases a number. Where that fails it tries once more after a while, and only
// then refuses: the wait is what paces clients that ask in a loop, and it is theirs
// that counts against the limits.
func (s *Server) wait(ctx context.Context) (*number, error) {
	token := pool.NewToken()
	n, err := s.take(ctx, token)
	if err == nil || ctx.Err() != nil {
		return n, s.refuse(ctx, err)
	}
	if err := s.clock.Wait(ctx, s.clock.Now()+int64(s.jitter(hold))); err != nil {
		return nil, s.refuse(ctx, err)
	}
	n, err = s.take(ctx, token)
	return n, s.refuse(ctx, err)
}

// refuse says why there is no number; nil for nil.
func (s *Server) refuse(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ending(ctx)
	}
	if e, ok := errors.AsType[*pool.ExhaustedError](err); ok {
		return outOfRange(err, e.RetryAfter)
	}
	if e, ok := errors.AsType[*pool.NotYetError](err); ok {
		return outOfRange(err, e.RetryAfter)
	}
	s.log.ErrorContext(ctx, "no number for a legacy stream", "namespace", s.name, "error", err)
	return status.Error(codes.Unavailable, "the pool cannot lend numbers now; try again, and see the server's log")
}

// outOfRange is the code by which Python's client asks again.
func outOfRange(err error, retry time.Duration) error {
	st := status.New(codes.OutOfRange, err.Error())
	if retry > 0 {
		if more, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)}); err == nil {
			st = more
		}
	}
	return st.Err()
}

// ending returns the status of a stream whose context has ended.
func ending(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errDraining) {
		return status.Error(codes.Unavailable, cause.Error())
	}
	return status.FromContextError(ctx.Err()).Err() // nobody hears it
}

// loan is a stream with its number.
type loan struct {
	*number

	stream  grpc.ServerStreamingServer[sequencepb.SequenceReply]
	cancel  context.CancelCauseFunc
	reply   *sequencepb.SequenceReply
	sending atomic.Bool
}

// live sends the number and renews its lease, until one of both ends. The lease is
// left as it is: the number rests until it runs out.
func (l *loan) live(ctx context.Context) error {
	s := l.server
	pause := firstPause
	sent := s.clock.Now()
	next := sent // at once, unless asking for the number has taken all of its time
	for {
		if err := s.clock.Wait(ctx, min(next, l.renew, l.end)); err != nil {
			return ending(ctx)
		}
		now := s.clock.Now()
		if now >= l.renew && now < l.end {
			if err := l.extend(ctx); err != nil {
				return status.Errorf(codes.Canceled, "number %d is not yours any more; ask for another: %v", l.grant.Node, err)
			}
			now = s.clock.Now()
		}
		switch {
		case now >= l.end:
			return status.Errorf(codes.Unavailable, "the lease of number %d cannot be renewed; ask for another", l.grant.Node)
		case now < next:
		case !l.sending.Load():
			l.send()
			sent, next = now, now+int64(pause)
			pause = min(2*pause, lastPause)
		case now-sent >= int64(stall):
			return status.Errorf(codes.Canceled, "nobody has read number %d for %v; ask for another", l.grant.Node, stall)
		default:
			next = min(now+int64(firstPause), sent+int64(stall))
		}
	}
}

// send sends the number, without waiting for its reader: a reply that is not taken
// keeps neither renewals from going on nor the stream from ending, which ends the
// sending too.
func (l *loan) send() {
	l.sending.Store(true)
	l.server.work.Go(func() {
		if err := l.stream.Send(l.reply); err != nil {
			l.cancel(err)
		}
		l.sending.Store(false)
	})
}
