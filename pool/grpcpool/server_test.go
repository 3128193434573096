package grpcpool_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// raw returns a connection without a client's care for what it sends.
func raw(t *testing.T, r *running) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("dns:///"+r.Endpoint.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestMalformedRequestsAreInvalid(t *testing.T) {
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)))
	c := poolv1.NewNodePoolClient(raw(t, r))
	token := make([]byte, 16)
	_, err := rand.Read(token)
	require.NoError(t, err)
	easyflake := layout.Default().String()
	ask := func(f func(context.Context) error) error { return f(t.Context()) }
	for name, c := range map[string]struct {
		err  error
		code codes.Code
	}{
		"no token": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: orders, Layout: easyflake})
			return err
		}), codes.InvalidArgument},
		"a zero token": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: orders, Layout: easyflake, Token: make([]byte, 16)})
			return err
		}), codes.InvalidArgument},
		"a long token": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: orders, Layout: easyflake, Token: make([]byte, 17)})
			return err
		}), codes.InvalidArgument},
		"no layout": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: orders, Token: token})
			return err
		}), codes.InvalidArgument},
		"no namespace": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Layout: easyflake, Token: token})
			return err
		}), codes.NotFound},
		"another namespace": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: "order", Layout: easyflake, Token: token})
			return err
		}), codes.NotFound},
		"another layout": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: orders, Layout: "twitter", Token: token})
			return err
		}), codes.FailedPrecondition},
		"no nonce": {ask(func(ctx context.Context) error {
			_, err := c.Renew(ctx, &poolv1.RenewRequest{Namespace: orders, Token: token})
			return err
		}), codes.InvalidArgument},
		"a node out of range": {ask(func(ctx context.Context) error {
			_, err := c.Renew(ctx, &poolv1.RenewRequest{Namespace: orders, Node: -1, Token: token, Nonce: token})
			return err
		}), codes.Aborted},
		"a foreign token": {ask(func(ctx context.Context) error {
			_, err := c.Renew(ctx, &poolv1.RenewRequest{Namespace: orders, Node: 1, Token: token, Nonce: token})
			return err
		}), codes.Aborted},
		"releasing what is not one's own": {ask(func(ctx context.Context) error {
			_, err := c.Release(ctx, &poolv1.ReleaseRequest{Namespace: orders, Node: 1, Token: token})
			return err
		}), codes.Aborted},
		"revoking nothing": {ask(func(ctx context.Context) error {
			_, err := c.Revoke(ctx, &poolv1.RevokeRequest{Namespace: orders, Node: 1})
			return err
		}), codes.FailedPrecondition},
		"retiring what is none": {ask(func(ctx context.Context) error {
			_, err := c.Retire(ctx, &poolv1.RetireRequest{Namespace: orders, Node: 256})
			return err
		}), codes.FailedPrecondition},
		"creating nothing": {ask(func(ctx context.Context) error {
			_, err := c.CreateNamespace(ctx, &poolv1.CreateNamespaceRequest{})
			return err
		}), codes.InvalidArgument},
		"an unknown use": {ask(func(ctx context.Context) error {
			_, err := c.CreateNamespace(ctx, &poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{
				Name: "x", Layout: easyflake, Ranges: []*poolv1.Range{{Use: 256}},
			}})
			return err
		}), codes.InvalidArgument},
		"creating what there is": {ask(func(ctx context.Context) error {
			_, err := c.CreateNamespace(ctx, &poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{
				Name: orders, Layout: easyflake, Ranges: []*poolv1.Range{{Last: 255}},
				Terms: &poolv1.Terms{FirstWindow: int64(time.Second), Window: int64(time.Second), Horizon: int64(time.Second)},
			}})
			return err
		}), codes.AlreadyExists},
		"a long message": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: strings.Repeat("x", 65<<10)})
			return err
		}), codes.ResourceExhausted},
		"a long name": {ask(func(ctx context.Context) error {
			_, err := c.Acquire(ctx, &poolv1.AcquireRequest{Namespace: strings.Repeat("x", 8<<10), Layout: easyflake, Token: token})
			return err
		}), codes.InvalidArgument},
		"an unknown clock": {ask(func(ctx context.Context) error {
			_, err := c.AcceptClock(ctx, &poolv1.AcceptClockRequest{Namespace: "order"})
			return err
		}), codes.NotFound},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.code, status.Code(c.err), c.err) })
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("y", 20<<10))
	_, err = c.Namespaces(ctx, &poolv1.NamespacesRequest{})
	require.Error(t, err, "long headers")
	_, err = c.Namespaces(t.Context(), &poolv1.NamespacesRequest{})
	require.NoError(t, err, "and it goes on")
}

// TestAPoolThatManagesNothing serves what it can.
func TestAPoolThatManagesNothing(t *testing.T) {
	r := listen(t, struct{ pool.Pool }{newPool(t, pool.NewMemory(clock.System{}, true))})
	c := client(t, []grpcpool.Endpoint{r.Endpoint})
	_, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	_, err = c.Namespaces(t.Context())
	assert.Equal(t, codes.Unimplemented, status.Code(errors.Unwrap(err)))
	assert.Equal(t, codes.Unimplemented, status.Code(errors.Unwrap(c.AcceptClock(t.Context(), orders))))
	assert.Equal(t, codes.Unimplemented, status.Code(errors.Unwrap(c.CreateNamespace(t.Context(), pool.NewNamespace("x", layout.Default())))))
}

// TestNoiseLeavesTheServerServing: garbage on the port, connections that never say
// a word or stop in the middle of one, and a thousand that only stay.
func TestNoiseLeavesTheServerServing(t *testing.T) {
	limits := grpcpool.DefaultLimits()
	limits.Handshake = 200 * time.Millisecond
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithLimits(limits))
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", r.Endpoint.String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	c := client(t, []grpcpool.Endpoint{r.Endpoint})
	serves := func() {
		t.Helper()
		_, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
		require.NoError(t, err)
	}
	noise := make([]byte, 4096)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, text := range []string{
		"", "\x00", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", string(noise), preface[:10], preface,
		preface + "\xff\xff\xff\x00\x00\x00\x00\x00\x00", // a frame of 16 MiB
		preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + string(noise),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise), // the beginning of TLS
	} {
		conn := dial()
		_, err := io.WriteString(conn, text)
		require.NoError(t, err)
		serves()
	}
	var silent []net.Conn
	for range 1000 {
		silent = append(silent, dial())
	}
	serves()
	// Who does not say who it is, is sent away.
	for _, conn := range silent {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		_, err := io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
	serves()
}

// healthOf asks a server how it is.
func healthOf(t *testing.T, c healthv1.HealthClient, service string) healthv1.HealthCheckResponse_ServingStatus {
	t.Helper()
	reply, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
	require.NoError(t, err)
	return reply.GetStatus()
}

// TestHealthFollowsThePool: a pool that cannot grant is not served, until it can.
func TestHealthFollowsThePool(t *testing.T) {
	now := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	sick := &ill{Manager: newPool(t, pool.NewMemory(now, true))}
	r := listen(t, sick, grpcpool.WithServerClock(now))
	c := healthv1.NewHealthClient(raw(t, r))
	stream, err := c.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: poolv1.NodePool_ServiceDesc.ServiceName})
	require.NoError(t, err)
	next := func() healthv1.HealthCheckResponse_ServingStatus {
		t.Helper()
		reply, err := stream.Recv()
		require.NoError(t, err)
		return reply.GetStatus()
	}
	if got := next(); got != healthv1.HealthCheckResponse_SERVING { // asked before the first look
		require.Equal(t, healthv1.HealthCheckResponse_SERVING, next())
	}
	require.NoError(t, r.Health())
	sick.fall(pool.ErrClockJumped)
	require.NoError(t, now.BlockUntil(t.Context(), 1))
	now.Advance(time.Second)
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, next())
	require.ErrorIs(t, r.Health(), pool.ErrClockJumped)
	assert.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, healthOf(t, c, ""))
	sick.err.Store(nil)
	require.NoError(t, now.BlockUntil(t.Context(), 1))
	now.Advance(time.Second)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, next())
	r.kill()
	require.ErrorIs(t, r.Health(), grpcpool.ErrShutDown)
}

// slow is a pool whose grants take as long as the test likes.
type slow struct {
	pool.Manager

	begun, end chan struct{}
}

func (p *slow) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	close(p.begun)
	select {
	case <-p.end:
	case <-ctx.Done():
		return pool.Grant{}, ctx.Err()
	}
	return p.Manager.Acquire(ctx, namespace, l, token)
}

// TestShutdownLetsRequestsFinish, for as long as it is given.
func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, patient := range []bool{true, false} {
		name := "in time"
		if !patient {
			name = "too late"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
				p := &slow{newPool(t, pool.NewMemory(now, true)), make(chan struct{}), make(chan struct{})}
				drained := false
				s, err := grpcpool.NewServer(p,
					grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)), grpcpool.WithServerClock(now),
					grpcpool.WithService(func(grpc.ServiceRegistrar) {}, func(context.Context) { drained = true }))
				require.NoError(t, err)
				l := bufconn.Listen(1 << 16)
				var working sync.WaitGroup
				working.Go(func() { assert.NoError(t, s.Serve(l)) })
				c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Host: "127.0.0.1", Port: 1}},
					grpcpool.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
				require.NoError(t, err)
				var got error
				working.Go(func() { _, got = c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken()) })
				<-p.begun
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				working.Go(func() { s.Shutdown(ctx) })
				synctest.Wait()
				assert.True(t, drained)
				if patient {
					close(p.end)
				}
				working.Wait()
				if patient {
					require.NoError(t, got)
				} else {
					require.Error(t, got)
				}
				require.NoError(t, c.Close())
			})
		})
	}
}

// TestShutdownWaitsForNobodyWhoSaysNothing: connections that never said who they are
// do not hold it up, nor do those that began to and broke off hold up its end.
func TestShutdownWaitsForNobodyWhoSaysNothing(t *testing.T) {
	limits := grpcpool.DefaultLimits()
	limits.Handshake = time.Hour
	r := listen(t, newPool(t, pool.NewMemory(clock.System{}, true)), grpcpool.WithLimits(limits))
	c := client(t, []grpcpool.Endpoint{r.Endpoint})
	_, err := c.Acquire(t.Context(), orders, layout.Default(), pool.NewToken())
	require.NoError(t, err)
	for _, text := range []string{"", "PRI * HTTP/2.0"} {
		conn, err := net.Dial("tcp", r.Endpoint.String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
	}
	r.Shutdown(t.Context()) // which has no end
}

func TestServingAfterShutdown(t *testing.T) {
	s, err := grpcpool.NewServer(newPool(t, pool.NewMemory(clock.System{}, true)))
	require.NoError(t, err)
	s.Shutdown(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, s.Serve(l))
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = grpcpool.NewServer(nil)
	require.ErrorAs(t, err, new(*layout.FieldError))
}
