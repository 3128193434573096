package legacy

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// listen serves on a port of this machine, and returns its address.
func (s *site) listen(opts ...grpc.ServerOption) string {
	s.Helper()
	var config net.ListenConfig
	l, err := config.Listen(s.Context(), "tcp", "127.0.0.1:0")
	require.NoError(s, err)
	g := grpc.NewServer(opts...)
	sequencepb.RegisterSequenceServer(g, s.server)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	s.Cleanup(func() {
		g.Stop()
		assert.NoError(s, <-served)
		s.server.Drain(context.WithoutCancel(s.Context())) // nothing is left running
	})
	return l.Addr().String()
}

// waiting returns when so many streams wait for the clock.
func (s *site) waiting(n int) {
	s.Helper()
	require.NoError(s, s.clock.BlockUntil(s.Context(), n))
}

// lending returns when so many streams have a number.
func (s *site) lending(n int) {
	for s.server.Stats().Lending != n && s.Context().Err() == nil {
		runtime.Gosched()
	}
}

// settled returns when all streams that have a number wait for the clock.
func (s *site) settled() {
	for s.clock.Sleepers() != s.server.Stats().Lending && s.Context().Err() == nil {
		runtime.Gosched()
	}
}

// raw passes messages as the bytes that they are on the wire.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil } //nolint:errcheck // what the test sends

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...) //nolint:errcheck // what the test receives
	return nil
}

// wire is a client that knows the path of the method, the bytes of its messages and
// nothing else.
type wire struct {
	t *testing.T
	grpc.ClientStream
}

func dialWire(t *testing.T, address string, request []byte) wire {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/Sequence/LiveStream", grpc.ForceCodec(raw{}))
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(&request))
	require.NoError(t, stream.CloseSend())
	return wire{t, stream}
}

func (w wire) receive() []byte {
	w.t.Helper()
	var data []byte
	require.NoError(w.t, w.RecvMsg(&data))
	return data
}

// end reads up to the end of the stream, and returns its code.
func (w wire) end() codes.Code {
	w.t.Helper()
	for {
		var data []byte
		err := w.RecvMsg(&data)
		if errors.Is(err, io.EOF) {
			return codes.OK
		}
		if err != nil {
			return status.Code(err)
		}
	}
}

// What Python's generated code writes and reads, byte by byte: SequenceRequest{bits:
// 8} is field 1 as a varint, and so is SequenceReply; 0 is not written.
func TestWire(t *testing.T) {
	s := newSite(t, true, 2)
	address := s.listen()
	a, b := dialWire(t, address, []byte{0x08, 0x08}), dialWire(t, address, []byte{0x08, 0x08})
	first, second := a.receive(), b.receive()
	assert.ElementsMatch(t, [][]byte{{0x08, 0xfc, 0x01}, {0x08, 0xfd, 0x01}}, [][]byte{first, second})

	for name, request := range map[string][]byte{
		"no bits":           {},
		"10 bits":           {0x08, 0x0a},
		"a negative int32":  {0x08, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"the largest int32": {0x08, 0xff, 0xff, 0xff, 0xff, 0x07},
	} {
		assert.Equal(t, codes.InvalidArgument, dialWire(t, address, request).end(), name)
	}
	for name, request := range map[string][]byte{
		"cut":                 {0x08},
		"a varint of 11 byte": {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"no protobuf":         {0xff, 0xff, 0xff},
	} {
		assert.NotEqual(t, codes.OK, dialWire(t, address, request).end(), name)
	}
	// A field of a later protocol is none of this one's.
	c := dialWire(t, address, []byte{0x08, 0x08, 0x10, 0x07})
	s.waiting(3)
	s.clock.Advance(hold)
	assert.Equal(t, codes.OutOfRange, c.end())
	assert.Equal(t, first, a.receive(), "repeated")
	assert.Equal(t, second, b.receive(), "repeated")

	s.server.Drain(t.Context())
	assert.Equal(t, codes.Unavailable, a.end())
	assert.Equal(t, codes.Unavailable, b.end())
	assert.Equal(t, codes.Unavailable, dialWire(t, address, []byte{0x08, 0x08}).end())
}

func TestNumberZeroOnTheWire(t *testing.T) {
	s := newSite(t, true, 1)
	s.ns.Name, s.ns.Ranges = "zero", []pool.Range{{First: 0, Last: 0, Use: pool.Legacy}}
	require.NoError(t, s.local.CreateNamespace(t.Context(), s.ns))
	var err error
	s.server, err = New(t.Context(), s.local, "zero", WithClock(s.clock))
	require.NoError(t, err)
	assert.Empty(t, dialWire(t, s.listen(), []byte{0x08, 0x08}).receive())
}

func TestDescriptor(t *testing.T) {
	// Names and numbers are built into deployed programs.
	file := sequencepb.File_sequence_proto
	assert.Empty(t, file.Package())
	method := file.Services().ByName("Sequence").Methods().ByName("LiveStream")
	require.NotNil(t, method)
	assert.True(t, method.IsStreamingServer())
	assert.False(t, method.IsStreamingClient())
	for message, field := range map[string]string{"SequenceRequest": "bits int32", "SequenceReply": "sequence int64"} {
		d := method.Input()
		if message == "SequenceReply" {
			d = method.Output()
		}
		require.Equal(t, message, string(d.FullName()))
		require.Equal(t, 1, d.Fields().Len())
		f := d.Fields().Get(0)
		assert.Equal(t, field, string(f.Name())+" "+f.Kind().String())
		assert.EqualValues(t, 1, f.Number())
	}
	assert.Equal(t, "/Sequence/LiveStream", sequencepb.Sequence_LiveStream_FullMethodName)
}

// long makes replies so long that few of them are all that gRPC lets wait.
type long struct {
	grpc.ServerStream

	sent chan struct{}
}

func (l long) SendMsg(m any) error {
	reply, ok := proto.Clone(m.(proto.Message)).(*sequencepb.SequenceReply)
	if !ok {
		return errors.ErrUnsupported
	}
	reply.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 15, protowire.BytesType), make([]byte, 40<<10)))
	err := l.ServerStream.SendMsg(reply)
	l.sent <- struct{}{}
	return err
}

// A client that reads nothing keeps one reply from being sent, and the stream ends
// all the same, and the sending with it.
func TestStalledOnTheWire(t *testing.T) {
	s := newSite(t, true, 2)
	sent := make(chan struct{}, 100)
	address := s.listen(grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return handler(srv, long{stream, sent})
	}))
	w := dialWire(t, address, []byte{0x08, 0x08})
	s.waiting(1)
	for range 300 { // in less, the stream has ended; each is as long as the first pause
		s.settled()
		if s.server.Stats().Lending == 0 {
			break
		}
		s.clock.Advance(firstPause)
	}
	s.lending(0)
	s.server.Drain(t.Context()) // nothing is being sent any more
	assert.Less(t, len(sent), 10)
	assert.Equal(t, codes.Canceled, w.end())
}

// A connection that is cut ends the stream at the server, and frees what it held.
func TestConnectionCut(t *testing.T) {
	s := newSite(t, true, 2)
	address := s.listen()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	stream, err := sequencepb.NewSequenceClient(conn).LiveStream(t.Context(), &sequencepb.SequenceRequest{Bits: 8})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, 1, s.server.Stats().Lending)
	require.NoError(t, conn.Close())
	s.lending(0)
	assert.Zero(t, s.server.Stats())
}
