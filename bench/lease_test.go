package bench

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// BenchmarkSource makes IDs of a node numbered by hand, and of a leased one that is
// renewed meanwhile: a lease must cost the hot path nothing.
func BenchmarkSource(b *testing.B) {
	for _, gen := range strategies() {
		b.Run("gen="+gen, func(b *testing.B) {
			for _, source := range []string{"static", "lease"} {
				b.Run("source="+source, func(b *testing.B) {
					l := parseLayout(b, wide)
					c := newTSC(b)
					src := generator.Static(0)
					if source == "lease" {
						src = newLease(b, l, c)
					}
					runNext(b, newGeneratorOf(b, gen, l, src, c))
				})
			}
		})
	}
}

// newLease leases a node from a pool in memory, with windows so short that they
// are renewed some times a second.
func newLease(b *testing.B, l layout.Layout, c clock.Clock) *pool.Lease {
	b.Helper()
	p := pool.New(pool.NewMemory(c, true), pool.WithLogger(slog.New(slog.DiscardHandler)))
	ns := pool.NewNamespace("bench", l)
	ns.Terms = pool.Terms{FirstWindow: time.Second, Window: time.Second, Horizon: 2 * time.Second}
	require.NoError(b, p.CreateNamespace(b.Context(), ns))
	lease, err := pool.Acquire(b.Context(), p, "bench", l, pool.WithClock(c), pool.WithLeaseLogger(slog.New(slog.DiscardHandler)))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, lease.Close()) })
	return lease
}
