package linear

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

// server is the pool of a file, reached through a server's protocol.
type server struct {
	store   *bolt
	server  *grpcpool.Server
	client  *grpcpool.Client
	serving sync.WaitGroup
}

func (s *server) start(t *testing.T) pool.Pool {
	t.Helper()
	p := s.store.start(t)
	var err error
	s.server, err = grpcpool.NewServer(p, grpcpool.WithServerLogger(slog.New(slog.DiscardHandler)), grpcpool.WithServerClock(s.store.clock))
	require.NoError(t, err)
	l := bufconn.Listen(1 << 16)
	s.serving.Go(func() {
		if err := s.server.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	s.client, err = grpcpool.NewClient([]grpcpool.Endpoint{{Host: "127.0.0.1", Port: 1}},
		grpcpool.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	return s.client
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // requests are broken off
	s.server.Shutdown(ctx)
	s.serving.Wait()
	s.store.stop(t)
	require.NoError(t, s.client.Close())
}

func TestServer(t *testing.T) {
	runs(t, func(t *testing.T, s scene) target {
		t.Helper()
		return &server{store: newBolt(t, s)}
	})
}
