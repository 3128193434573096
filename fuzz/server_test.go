package fuzz

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/legacy"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// The callers that a server knows by their secrets. The last one shows none.
const (
	worker = iota // may lease, in all namespaces, 3 nodes at a time
	admin         // may do everything
	stranger
	numCallers
)

func secrets() []string { return []string{"secret-of-worker", "secret-of-admin"} }

// policy is who may do what at the server.
func policy(t *testing.T) *access.Policy {
	t.Helper()
	p, err := access.New(access.Config{
		Tokens: []access.Token{
			{Name: "worker", Hash: access.HashOf(secrets()[worker])},
			{Name: "admin", Hash: access.HashOf(secrets()[admin])},
		},
		Permissions: []access.Permission{
			{Identity: "worker", Namespace: "*", Actions: []access.Action{access.Lease}, Quota: 3},
			{Identity: "admin", Namespace: "*", Actions: []access.Action{access.Lease, access.Look, access.Manage}},
			{Identity: access.AnonymousName, Namespace: theSpaces()[0], Actions: []access.Action{access.Look, access.Legacy}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// theSpaces are the server's namespaces: one with a few nodes of each use, one with a
// single node, one of another layout.
func theSpaces() []string { return []string{"default", "one", "seconds"} }

// site is a server on a store in memory, reached through a pipe, whose time stands
// still.
type site struct {
	*testing.T
	clock   *clocktest.Clock // the store's and the server's
	numbers *clocktest.Clock // that of the legacy streams
	passed  time.Duration
	local   *pool.Local
	conn    *grpc.ClientConn
	held    *ghost
	spaces  map[string]layout.Layout
}

// newSite starts a server for one input. Nothing keeps a panic in it from ending the
// process, which is how one shows.
func newSite(t *testing.T, exclusive bool) *site {
	t.Helper()
	s := &site{T: t, clock: stopped(), numbers: stopped(), passed: time.Hour, held: newGhost(), spaces: make(map[string]layout.Layout)}
	s.local = pool.New(pool.NewMemory(s.clock, exclusive),
		pool.WithElapsed(func() time.Duration { return s.passed }), pool.WithLogger(slog.New(slog.DiscardHandler)))
	seconds, err := layout.Parse("unit=1s,time=35,sequence=20,node=8")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range theSpaces() {
		ns := pool.NewNamespace(name, layout.Default())
		switch i {
		case 0:
			ns.Ranges = []pool.Range{{First: 0, Last: 5}, {First: 6, Last: 7, Use: pool.ByHand}, {First: 8, Last: 9, Use: pool.Legacy}}
		case 1:
			ns.Ranges = []pool.Range{{First: theNode, Last: theNode}}
		case 2:
			ns = pool.NewNamespace(name, seconds)
			ns.Ranges = []pool.Range{{First: 250, Last: 255}}
		}
		if err := s.local.CreateNamespace(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		s.spaces[name] = ns.Layout
	}
	streams, err := legacy.New(t.Context(), s.local, theSpaces()[0], legacy.WithClock(s.numbers), legacy.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	allowed := policy(t)
	server, err := grpcpool.NewServer(struct{ pool.Manager }{s.local}, // without what looks after its health
		grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)),
		grpcpool.WithServerClock(s.clock),
		grpcpool.WithPolicy(func() *access.Policy { return allowed }),
		grpcpool.WithGuard(sequencepb.Sequence_LiveStream_FullMethodName, theSpaces()[0], access.Legacy),
		grpcpool.WithService(func(r grpc.ServiceRegistrar) { sequencepb.RegisterSequenceServer(r, streams) }, streams.Drain),
	)
	if err != nil {
		t.Fatal(err)
	}
	pipe := bufconn.Listen(1 << 16)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(pipe); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	s.conn, err = grpc.NewClient("passthrough:///pipe",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.conn.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing is under way any more
		server.Shutdown(ctx)
		serving.Wait()
	})
	return s
}

// pass lets time pass, for all clocks but that of the streams.
func (s *site) pass(d time.Duration) {
	s.passed += d
	s.clock.Advance(d)
}

// raw sends messages as they are, and receives them so: both are a *[]byte.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	data, ok := v.(*[]byte)
	if !ok {
		return nil, errNotRaw
	}
	return *data, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	into, ok := v.(*[]byte)
	if !ok {
		return errNotRaw
	}
	*into = bytes.Clone(data)
	return nil
}

var errNotRaw = errors.New("not bytes")

func (raw) Name() string { return "proto" }

// as returns a context of one who calls.
func (s *site) as(caller uint8) context.Context {
	if i := int(caller) % numCallers; i < len(secrets()) {
		return metadata.AppendToOutgoingContext(s.Context(), "authorization", "Bearer "+secrets()[i])
	}
	return s.Context()
}

// call sends one message to a method, and returns all that comes back.
func (s *site) call(caller uint8, method string, message []byte) (replies [][]byte, err error) {
	stream, err := s.open(s.as(caller), method, message)
	if err != nil {
		return nil, err
	}
	for {
		var reply []byte
		switch err := stream.RecvMsg(&reply); {
		case err == nil:
			replies = append(replies, reply)
		case errors.Is(err, io.EOF):
			return replies, nil
		default:
			return replies, err
		}
	}
}

// open sends one message to a method, whose replies are still to come.
func (s *site) open(ctx context.Context, method string, message []byte) (grpc.ClientStream, error) {
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(raw{}))
	if err != nil {
		return nil, err
	}
	// Where the server has ended the call already, receiving says why.
	if err := stream.SendMsg(&message); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream, stream.CloseSend()
}

// ask is call with messages.
func (s *site) ask(caller uint8, method string, request, reply proto.Message) error {
	s.Helper()
	data, err := proto.Marshal(request)
	if err != nil {
		s.Fatal(err)
	}
	replies, err := s.call(caller, method, data)
	if err == nil {
		s.read(replies, reply)
	}
	return err
}

// read reads all replies into one message, as gRPC does.
func (s *site) read(replies [][]byte, into proto.Message) {
	s.Helper()
	for _, data := range replies {
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(data, into); err != nil {
			s.Fatalf("the server's own reply is none: %v", err)
		}
	}
}
