package grpcpool_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// withhold begins a request and does not send its message.
func withhold(t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	require.NoError(t, err)
	return stream
}

// within is a server, and a connection to it, in a bubble of fake time.
type within struct {
	*grpcpool.Server

	conn *grpc.ClientConn
}

func bubble(t *testing.T, limits grpcpool.Limits, opts ...grpcpool.ServerOption) *within {
	t.Helper()
	now := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	opts = append([]grpcpool.ServerOption{
		grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)), grpcpool.WithServerClock(now), grpcpool.WithLimits(limits),
	}, opts...)
	s, err := grpcpool.NewServer(newPool(t, pool.NewMemory(now, true)), opts...)
	require.NoError(t, err)
	l := bufconn.Listen(1 << 16)
	var serving sync.WaitGroup
	serving.Go(func() { assert.NoError(t, s.Serve(l)) })
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		s.Shutdown(t.Context())
		serving.Wait()
	})
	return &within{s, conn}
}

// streams is a service whose streams last for as long as the client likes.
type streams struct {
	sequencepb.UnimplementedSequenceServer
}

func (streams) LiveStream(_ *sequencepb.SequenceRequest, stream grpc.ServerStreamingServer[sequencepb.SequenceReply]) error {
	if err := stream.Send(&sequencepb.SequenceReply{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// TestAMessageThatNeverComes: whoever sends a request's headers
// and then nothing is not waited for without end, and a stream whose message has come
// is not ended.
func TestAMessageThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := grpcpool.DefaultLimits()
		limits.Request = 5 * time.Second
		s := bubble(t, limits, grpcpool.WithService(func(r grpc.ServiceRegistrar) {
			sequencepb.RegisterSequenceServer(r, streams{})
		}, nil))
		live, err := sequencepb.NewSequenceClient(s.conn).LiveStream(t.Context(), &sequencepb.SequenceRequest{})
		require.NoError(t, err)
		_, err = live.Recv()
		require.NoError(t, err)
		watch, err := healthv1.NewHealthClient(s.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = watch.Recv()
		require.NoError(t, err)

		var hanging []grpc.ClientStream
		for _, method := range []string{
			poolv1.NodePool_Acquire_FullMethodName, poolv1.NodePool_List_FullMethodName,
			sequencepb.Sequence_LiveStream_FullMethodName, healthv1.Health_Watch_FullMethodName,
		} {
			hanging = append(hanging, withhold(t, s.conn, method))
		}
		synctest.Wait()
		assert.Equal(t, 2+len(hanging), s.Load().Requests)
		for _, stream := range hanging {
			err := stream.RecvMsg(new(poolv1.Grant))
			assert.Equal(t, codes.DeadlineExceeded, status.Code(err), err)
		}
		synctest.Wait()
		assert.Equal(t, 2, s.Load().Requests)

		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 2, s.Load().Requests, "a stream that was begun in order is as long as it likes")
	})
}

// TestARequestThatTakesTooLong ends at the server too, whatever its client says.
func TestARequestThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := grpcpool.DefaultLimits()
		limits.Request = 5 * time.Second
		stuck := func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		s := bubble(t, limits, grpcpool.WithInterceptors([]grpc.UnaryServerInterceptor{stuck}, nil))
		c := poolv1.NewNodePoolClient(s.conn)
		for _, own := range []time.Duration{time.Second, time.Hour} {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), own)
			_, err := c.Namespaces(ctx, &poolv1.NamespacesRequest{})
			cancel()
			assert.Equal(t, codes.DeadlineExceeded, status.Code(err), err)
			assert.Equal(t, min(own, limits.Request), time.Since(begun))
		}
	})
}

// TestTooManyRequestsUnderWay are refused, those of one connection and of many alike.
func TestTooManyRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := grpcpool.DefaultLimits()
		limits.Requests = 3
		s := bubble(t, limits)
		for range 3 {
			withhold(t, s.conn, poolv1.NodePool_Acquire_FullMethodName)
		}
		synctest.Wait()
		c := poolv1.NewNodePoolClient(s.conn)
		for range 2 {
			_, err := c.Namespaces(t.Context(), &poolv1.NamespacesRequest{})
			assert.Equal(t, codes.Unavailable, status.Code(err), err)
		}
		assert.Equal(t, grpcpool.Load{Connections: 1, Requests: 3, RequestsRefused: 2}, s.Load())
		time.Sleep(limits.Request)
		synctest.Wait()
		_, err := c.Namespaces(t.Context(), &poolv1.NamespacesRequest{})
		require.NoError(t, err)
	})
}

// TestARefusedRequestLeavesNothing, however long its client would have waited: what gRPC
// keeps of one until then adds up.
func TestARefusedRequestLeavesNothing(t *testing.T) {
	limits := grpcpool.DefaultLimits()
	limits.Requests, limits.Request = 1, time.Hour
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithLimits(limits))
	conn, err := grpc.NewClient(r.Endpoint.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	withhold(t, conn, poolv1.NodePool_Acquire_FullMethodName)
	require.Eventually(t, func() bool { return r.Load().Requests == 1 }, 30*time.Second, time.Millisecond)
	c := poolv1.NewNodePoolClient(conn)
	refused := func(n int) {
		for range n {
			ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
			_, err := c.Namespaces(ctx, &poolv1.NamespacesRequest{})
			cancel()
			require.Error(t, err)
		}
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const many = 6000
	refused(500)
	before := held()
	refused(many)
	assert.Less(t, held(), before+many*80, "gRPC's timer alone has more than that")
	assert.EqualValues(t, 500+many, r.Load().RequestsRefused)

	// A stream is refused, too, and one whose message does not come.
	list, err := c.List(t.Context(), &poolv1.ListRequest{Namespace: orders})
	require.NoError(t, err)
	_, err = list.Recv()
	require.Error(t, err)
	require.Error(t, withhold(t, conn, poolv1.NodePool_Renew_FullMethodName).RecvMsg(new(poolv1.Grant)))
	assert.Equal(t, 1, r.Load().Requests)
}

// TestTooManyConnections are closed at once, counted, and logged, though not each; when
// one has gone there is room for another.
func TestTooManyConnections(t *testing.T) {
	limits := grpcpool.DefaultLimits()
	limits.Connections = 3
	limits.Handshake = time.Hour
	log := new(logText)
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithLimits(limits),
		grpcpool.WithServerLogger(slog.New(slog.NewTextHandler(log, nil))))
	c := client(t, []grpcpool.Endpoint{r.Endpoint})
	acquire := func() error {
		_, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
		return err
	}
	require.NoError(t, acquire())
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", r.Endpoint.String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	silent := []net.Conn{dial(), dial()}
	// Whoever is closed at once has been counted; the kernel accepts in order.
	const more = 50
	for range more {
		_, _ = io.Copy(io.Discard, dial())
	}
	assert.Equal(t, 3, r.Load().Connections)
	assert.EqualValues(t, more, r.Load().ConnectionsRefused)
	assert.Equal(t, 10, strings.Count(log.String(), "too many"))
	require.NoError(t, acquire(), "who was there stays")
	require.NoError(t, silent[0].Close())
	other := client(t, []grpcpool.Endpoint{r.Endpoint})
	require.Eventually(t, func() bool {
		_, err := other.Namespaces(t.Context())
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
}

// TestShutdownWaitsForNobodyInTheMiddle: a connection that gRPC does not know of yet,
// whatever it lacks, does not hold up a shutdown.
func TestShutdownWaitsForNobodyInTheMiddle(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	ca := certstest.NewCA(t, "ca")
	pair := ca.Server(t)
	limits := grpcpool.DefaultLimits()
	limits.Handshake = time.Hour
	for name, c := range map[string]struct {
		tls  bool // at the server
		text string
		done bool // the client's handshake
	}{
		"nothing":                     {},
		"half of HTTP/2's beginning":  {text: preface[:10]},
		"HTTP/2 without its settings": {text: preface},
		"TLS: nothing":                {tls: true},
		"TLS: half a hello":           {tls: true, text: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 100)},
		"TLS, and nothing more":       {tls: true, done: true},
		"TLS, and half of HTTP/2's":   {tls: true, done: true, text: preface},
	} {
		t.Run(name, func(t *testing.T) {
			opts := []grpcpool.ServerOption{grpcpool.WithLimits(limits)}
			if c.tls {
				opts = append(opts, grpcpool.WithTLS(&tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, MinVersion: tls.VersionTLS13}))
			}
			r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), opts...)
			conn, err := net.Dial("tcp", r.Endpoint.String())
			require.NoError(t, err)
			t.Cleanup(func() { conn.Close() })
			if c.done {
				secure := tls.Client(conn, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
				require.NoError(t, secure.HandshakeContext(t.Context()))
				conn = secure
			}
			_, err = io.WriteString(conn, c.text)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return r.Load().Connections == 1 }, 30*time.Second, time.Millisecond)
			r.Shutdown(context.WithoutCancel(t.Context())) // which has no end
			assert.Zero(t, r.Load().Connections)
		})
	}
}

// many is a pool with more namespaces than fit one message.
type many struct {
	pool.Manager

	all []pool.Namespace
}

func (p *many) Namespaces(context.Context) ([]pool.Namespace, error) { return slices.Clone(p.all), nil }

// TestNamespacesComeInPages where they are many. Who does not ask for pages gets them in
// one message, as before there were any.
func TestNamespacesComeInPages(t *testing.T) {
	p := &many{Manager: newPool(t, pool.NewMemory(clock.System{}, true))}
	for i := range 20_000 {
		p.all = append(p.all, pool.NewNamespace(fmt.Sprintf("%05d", i), layout.Default()))
	}
	r := listen(t, p)
	all, err := client(t, []grpcpool.Endpoint{r.Endpoint}).Namespaces(t.Context())
	require.NoError(t, err)
	assert.Equal(t, p.all, all)

	c := poolv1.NewNodePoolClient(raw(t, r))
	names := func(request *poolv1.NamespacesRequest) (names []string, more bool) {
		t.Helper()
		reply, err := c.Namespaces(t.Context(), request, grpc.MaxCallRecvMsgSize(16<<20))
		require.NoError(t, err)
		for _, n := range reply.GetNamespaces() {
			names = append(names, n.GetName())
		}
		return names, reply.GetMore()
	}
	got, more := names(&poolv1.NamespacesRequest{})
	assert.Len(t, got, 20_000)
	assert.False(t, more)
	got, more = names(&poolv1.NamespacesRequest{PageSize: 2, After: "00007"})
	assert.Equal(t, []string{"00008", "00009"}, got)
	assert.True(t, more)
	got, more = names(&poolv1.NamespacesRequest{PageSize: 2, After: "19997"})
	assert.Equal(t, []string{"19998", "19999"}, got)
	assert.False(t, more)
	got, more = names(&poolv1.NamespacesRequest{PageSize: 1 << 30})
	assert.Less(t, len(got), 5000)
	assert.True(t, more)
	got, more = names(&poolv1.NamespacesRequest{PageSize: -1, After: "19999"})
	assert.Empty(t, got)
	assert.False(t, more)
}

// TestALongNamespaceIsAPage of its own, and the others come too.
func TestALongNamespaceIsAPage(t *testing.T) {
	wide, err := layout.Parse("node=20,sequence=4,time=39")
	require.NoError(t, err)
	long := pool.NewNamespace("long", wide)
	long.Ranges = nil
	for node := range int64(40_000) {
		long.Ranges = append(long.Ranges, pool.Range{First: 2 * node, Last: 2 * node})
	}
	p := &many{Manager: newPool(t, pool.NewMemory(clock.System{}, true))}
	p.all = []pool.Namespace{pool.NewNamespace("a", layout.Default()), long, pool.NewNamespace("z", layout.Default())}
	all, err := client(t, []grpcpool.Endpoint{listen(t, p).Endpoint}).Namespaces(t.Context())
	require.NoError(t, err)
	assert.Equal(t, p.all, all)
}

// stutter is a server that never comes to the end of its namespaces.
type stutter struct {
	poolv1.UnimplementedNodePoolServer

	name string
}

func (s stutter) Namespaces(context.Context, *poolv1.NamespacesRequest) (*poolv1.NamespacesReply, error) {
	reply := &poolv1.NamespacesReply{More: true}
	if s.name != "" {
		reply.Namespaces = []*poolv1.Namespace{{Name: s.name, Layout: layout.Default().String()}}
	}
	return reply, nil
}

// TestNamespacesWithoutEnd are an error.
func TestNamespacesWithoutEnd(t *testing.T) {
	for _, name := range []string{"", "a"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := grpc.NewServer()
		poolv1.RegisterNodePoolServer(s, stutter{name: name})
		var serving sync.WaitGroup
		serving.Go(func() { assert.NoError(t, s.Serve(l)) })
		t.Cleanup(func() { s.Stop(); serving.Wait() })
		_, err = client(t, []grpcpool.Endpoint{endpointOf(t, l)}).Namespaces(t.Context())
		require.ErrorAs(t, err, new(*pool.RecordError))
	}
}

// TestShutdownInTheFirstLook: a server that is asked to end while it asks its pool for
// the first time whether that serves does not wait until that has had its time.
func TestShutdownInTheFirstLook(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan error, 1)
	s := grpcpool.NewSideServer(grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)), grpcpool.WithCheck(func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}))
	var serving sync.WaitGroup
	serving.Go(func() { assert.NoError(t, s.Serve(bufconn.Listen(1))) })
	<-asked
	s.Shutdown(t.Context())
	serving.Wait()
	require.ErrorIs(t, <-ended, context.Canceled)
}
