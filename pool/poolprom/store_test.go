package poolprom_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/poolprom"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// measured makes stores in memory that are measured.
func measured(exclusive bool) pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(_ *testing.T, c clock.Clock) pooltest.Storage {
			m := pool.NewMemory(c, exclusive)
			return pooltest.Storage{
				Open:  func() (pool.Store, error) { return poolprom.Store(m, prometheus.NewRegistry(), c) },
				Crash: func(pool.Store) {},
			}
		},
		Exclusive: exclusive,
		Durable:   true,
	}
}

// A store that is measured keeps its contract, and so does a pool that is counted.
func TestContracts(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive=%t", exclusive), func(t *testing.T) {
			pooltest.RunStore(t, measured(exclusive))
			pooltest.RunPool(t, pooltest.PoolFactory{
				Stores: measured(exclusive),
				Front: func(t *testing.T, p *pool.Local) pool.Pool {
					t.Helper()
					counted, err := poolprom.Pool(p, prometheus.NewRegistry(), begin())
					require.NoError(t, err)
					return counted
				},
			})
		})
	}
}

// forgetful is a store that may have lost records.
type forgetful struct{ *pool.Memory }

func (forgetful) Doubtful() string { return "it was put back" }

// What a store says of itself is heard through what measures it.
func TestDoubtIsPassedOn(t *testing.T) {
	c := begin()
	for s, doubt := range map[pool.Store]string{pool.NewMemory(c, true): "", forgetful{pool.NewMemory(c, true)}: "it was put back"} {
		m, err := poolprom.Store(s, prometheus.NewRegistry(), c)
		require.NoError(t, err)
		assert.Equal(t, doubt, pool.Doubtful(m))
		assert.Equal(t, doubt, pool.Doubtful(pooltest.NewFaultyStore(m)))
	}
}

// brittle is a store that takes its time and fails when it is told to.
type brittle struct {
	*pool.Memory

	clock  *clocktest.Clock
	err    error
	closed int
}

func (b *brittle) slow() error {
	b.clock.Advance(20 * time.Millisecond)
	return b.err
}

func (b *brittle) Namespaces(context.Context) ([]string, error) { return []string{"a"}, b.slow() }
func (b *brittle) Namespace(context.Context, string) (pool.Record, error) {
	return pool.Record{Revision: 1}, b.slow()
}

func (b *brittle) Nodes(context.Context, string, int64, int64) ([]pool.NodeRecord, error) {
	return make([]pool.NodeRecord, 2), b.slow()
}
func (b *brittle) Write(context.Context, pool.Write) (uint64, error) { return 3, b.slow() }
func (b *brittle) Now(context.Context) (int64, error)                { return 4, b.slow() }
func (b *brittle) Close() error                                      { b.closed++; return b.err }

// Each operation is measured, each failure counted for what it is, and both passed
// through as they are.
func TestStore(t *testing.T) {
	c := begin()
	inner := &brittle{Memory: pool.NewMemory(c, true), clock: c}
	registry := prometheus.NewPedanticRegistry()
	s, err := poolprom.Store(inner, registry, c)
	require.NoError(t, err)
	assert.True(t, s.Exclusive())
	broken := errors.New("broken")
	for _, inner.err = range []error{nil, broken, fmt.Errorf("it: %w", pool.ErrConflict), context.Canceled, context.DeadlineExceeded} {
		names, err := s.Namespaces(t.Context())
		assert.Equal(t, []string{"a"}, names)
		assert.Equal(t, inner.err, err)
		r, err := s.Namespace(t.Context(), "a")
		assert.Equal(t, uint64(1), r.Revision)
		assert.Equal(t, inner.err, err)
		nodes, err := s.Nodes(t.Context(), "a", 0, 1)
		assert.Len(t, nodes, 2)
		assert.Equal(t, inner.err, err)
		revision, err := s.Write(t.Context(), pool.Write{})
		assert.Equal(t, uint64(3), revision)
		assert.Equal(t, inner.err, err)
		now, err := s.Now(t.Context())
		assert.Equal(t, int64(4), now)
		assert.Equal(t, inner.err, err)
	}
	assert.Equal(t, inner.err, s.Close())
	assert.Equal(t, 1, inner.closed)
	for _, op := range []string{"namespaces", "namespace", "nodes", "write", "now"} {
		assert.Contains(t, exposition(t, registry), `easyflake_store_errors_total{op="`+op+`"} 2`)
		assert.Contains(t, exposition(t, registry), `easyflake_store_seconds_sum{op="`+op+`"} 0.1`)
		assert.Contains(t, exposition(t, registry), `easyflake_store_seconds_count{op="`+op+`"} 5`)
		assert.Contains(t, exposition(t, registry), `easyflake_store_seconds_bucket{op="`+op+`",le="0.01"} 0`)
		assert.Contains(t, exposition(t, registry), `easyflake_store_seconds_bucket{op="`+op+`",le="0.025"} 5`)
	}
	assert.Contains(t, exposition(t, registry), "easyflake_store_conflicts_total 5")
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// A registry that has such figures already is left as it was: nothing is in the way
// of another try.
func TestStoreTwice(t *testing.T) {
	registry := prometheus.NewRegistry()
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "easyflake_store_conflicts_total", Help: "Writes that came second, and were tried again."})
	registry.MustRegister(other)
	_, err := poolprom.Store(pool.NewMemory(begin(), true), registry, begin())
	require.Error(t, err)
	registry.Unregister(other)
	_, err = poolprom.Store(pool.NewMemory(begin(), true), registry, begin())
	require.NoError(t, err)
}
