package redisstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

const name = "default"

// address returns the URL of the server that tests share.
func address(tb testing.TB) string {
	tb.Helper()
	url := "redis://127.0.0.1:6379"
	if set := os.Getenv("EASYFLAKE_TEST_REDIS"); set != "" {
		url = set
	}
	c := client(tb, url)
	if err := c.Ping(tb.Context()).Err(); err != nil {
		redistest.Missing(tb, "no Redis (EASYFLAKE_TEST_REDIS): %v", err)
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
	return factoryOf(func(t *testing.T) func(context.Context) (*Store, error) {
		t.Helper()
		url := address(t)
		prefix := newPrefix(t, url)
		return func(ctx context.Context) (*Store, error) {
			return Open(ctx, url, WithPrefix(prefix), WithFresh(), quiet())
		}
	})
}

// factoryOf makes storages; each is opened by what next returns for it.
func factoryOf(next func(t *testing.T) func(context.Context) (*Store, error)) pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, _ clock.Clock) pooltest.Storage {
			t.Helper()
			open := next(t)
			return pooltest.Storage{
				Open:  func() (pool.Store, error) { return open(context.WithoutCancel(t.Context())) },
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

// How long, and how often, to look for what a server does in its own time.
const (
	waitFor = 30 * time.Second
	tick    = 10 * time.Millisecond
)
