package redisstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

const name = "default"

// unavailable skips a test of what is not there, but not in CI.
func unavailable(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}

// address returns the URL of the server that tests share.
func address(tb testing.TB) string {
	tb.Helper()
	url := "redis://127.0.0.1:6379"
	if set := os.Getenv("EASYFLAKE_TEST_REDIS"); set != "" {
		url = set
	}
	c := client(tb, url)
	if err := c.Ping(tb.Context()).Err(); err != nil {
		unavailable(tb, "no Redis (EASYFLAKE_TEST_REDIS): %v", err)
	}
	return url
}

func client(tb testing.TB, url string) *redis.Client {
	tb.Helper()
	o, err := redis.ParseURL(url)
	require.NoError(tb, err)
	o.DialerRetries = 1
	c := redis.NewClient(o)
	tb.Cleanup(func() { c.Close() })
	return c
}

// newPrefix returns a prefix of the test's own, whose keys are deleted in the end.
func newPrefix(tb testing.TB, url string) string {
	tb.Helper()
	prefix := fmt.Sprintf("easyflake-test:%016x:", rand.Uint64())
	c := client(tb, url)
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		keys, err := c.Keys(ctx, prefix+"*").Result()
		require.NoError(tb, err)
		for _, key := range keys {
			require.NoError(tb, c.Del(ctx, key).Err())
		}
	})
	return prefix
}

// said collects what is logged.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *said) option() Option { return WithLogger(slog.New(slog.NewTextHandler(s, nil))) }

func quiet() Option { return WithLogger(slog.New(slog.DiscardHandler)) }

func open(tb testing.TB, url string, opts ...Option) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), url, append([]Option{quiet()}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

func factory() pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, _ clock.Clock) pooltest.Storage {
			t.Helper()
			url := address(t)
			prefix := newPrefix(t, url)
			return pooltest.Storage{
				Open: func() (pool.Store, error) {
					return Open(context.WithoutCancel(t.Context()), url, WithPrefix(prefix), WithFresh(), quiet())
				},
				Crash: func(s pool.Store) { require.NoError(t, s.Close()) },
			}
		},
		Durable:  true,
		OwnClock: true,
	}
}

func create(tb testing.TB, s *Store) (revision uint64) {
	tb.Helper()
	revision, err := s.Write(tb.Context(), pool.Write{Namespace: name, OfNamespace: true, Value: []byte("{}")})
	require.NoError(tb, err)
	return revision
}

// newPool returns a pool with a namespace of all nodes of the default layout.
func newPool(tb testing.TB, s pool.Store) *pool.Local {
	tb.Helper()
	p := pool.New(s, pool.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(tb, p.EnsureNamespace(tb.Context(), pool.NewNamespace(name, layout.Default())))
	return p
}

// server is a Redis of a test's own.
type server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
	stop func() // kills the process, and waits for its end
}

// startServer starts a server that has its data in a folder of its own.
func startServer(tb testing.TB, args ...string) *server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		unavailable(tb, "no redis-server in the PATH: %v", err)
	}
	s := &server{t: tb, dir: tb.TempDir(), args: args}
	for range 5 { // another process may take the port first
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		addr, ok := l.Addr().(*net.TCPAddr)
		require.True(tb, ok)
		s.port = addr.Port
		require.NoError(tb, l.Close())
		if err = s.try(); err == nil {
			break
		}
		tb.Log(err)
	}
	require.NotNil(tb, s.cmd, "no server could be started")
	tb.Cleanup(s.kill)
	return s
}

func (s *server) url() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.port) }

func (s *server) portText() string { return strconv.Itoa(s.port) }

// try starts the server, and waits until it answers.
func (s *server) try() error {
	args := append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--logfile", filepath.Join(s.dir, "log")}, s.args...)
	cmd := exec.Command("redis-server", args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	var end error
	ended := make(chan struct{})
	go func() {
		end = cmd.Wait()
		close(ended)
	}()
	c := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.port), DialerRetries: 1, MaxRetries: -1})
	defer c.Close()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := c.Ping(context.Background()).Err()
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") {
			s.cmd = cmd
			s.stop = func() {
				_ = cmd.Process.Kill()
				<-ended
			}
			return nil
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("redis-server ended: %w\n%s", end, log)
		case <-deadline.C:
			_ = cmd.Process.Kill()
			<-ended
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-again.C:
		}
	}
}

// kill ends the server as a crash would.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.stop()
	s.cmd = nil
}

// restart starts it again after it was killed.
func (s *server) restart() {
	s.t.Helper()
	s.kill()
	require.NoError(s.t, s.try())
}

// How long, and how often, to look for what a server does in its own time.
const (
	waitFor = 30 * time.Second
	tick    = 10 * time.Millisecond
)
