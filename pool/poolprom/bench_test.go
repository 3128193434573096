package poolprom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/poolprom"
)

// What counting adds to a request that costs nothing else.
func BenchmarkPool(b *testing.B) {
	counted, err := poolprom.Pool(anything{}, prometheus.NewRegistry(), clock.Default())
	require.NoError(b, err)
	lost, err := poolprom.Pool(anything{pool.ErrLeaseLost}, prometheus.NewRegistry(), clock.Default())
	require.NoError(b, err)
	for _, c := range []struct {
		name string
		pool pool.Pool
	}{{"with=nothing", anything{}}, {"with=poolprom", counted}, {"with=poolprom-refused", lost}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			r := pool.Renewal{Namespace: "default"}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = c.pool.Renew(b.Context(), r)
				}
			})
		})
	}
}

// What measuring adds to an operation that costs next to nothing else.
func BenchmarkStore(b *testing.B) {
	m := pool.NewMemory(clock.Default(), true)
	measured, err := poolprom.Store(m, prometheus.NewRegistry(), clock.Default())
	require.NoError(b, err)
	for _, c := range []struct {
		name  string
		store pool.Store
	}{{"with=nothing", m}, {"with=poolprom", measured}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = c.store.Now(b.Context())
				}
			})
		})
	}
}

// A scan of 65,536 leases.
func BenchmarkCollector(b *testing.B) {
	config := layout.DefaultConfig()
	config.NodeBits = 16
	l, err := layout.New(config)
	require.NoError(b, err)
	p := pool.New(pool.NewMemory(clock.System{}, true))
	require.NoError(b, p.CreateNamespace(b.Context(), pool.NewNamespace("default", l)))
	for range 1 << 16 {
		_, err := p.Acquire(b.Context(), "default", l, pool.NewToken())
		require.NoError(b, err)
	}
	for _, c := range []struct {
		name string
		opts []poolprom.CollectorOption
	}{{"scan=each", []poolprom.CollectorOption{poolprom.WithMaxAge(0)}}, {"scan=kept", nil}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			k := poolprom.NewCollector(p, clock.System{}, c.opts...)
			b.Cleanup(func() { _ = k.Close() })
			for b.Loop() {
				require.Equal(b, 1, testutil.CollectAndCount(k, "easyflake_nodes"))
			}
		})
	}
}
