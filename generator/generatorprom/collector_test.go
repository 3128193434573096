package generatorprom_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/generator/generatorprom"
	"github.com/easyflake/easyflake/layout"
)

// fake has the figures that a test gives it.
type fake struct {
	stats generator.Stats
	tick  int64
}

func (f *fake) Stats() generator.Stats { return f.stats }
func (f *fake) LastTick() int64        { return f.tick }

// plain is one without ticks.
type plain struct{ stats generator.Stats }

func (p *plain) Stats() generator.Stats { return p.stats }

func TestCollector(t *testing.T) {
	c := generatorprom.New(prometheus.Labels{"service": "shop"})
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	n, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	assert.Zero(t, n, "without generators")

	l := layout.Default()
	orders := &fake{tick: 1500, stats: generator.Stats{
		Issued: 1000, Waits: 3, WaitTime: 1500 * time.Millisecond, BackwardSteps: 4, BorrowedTicks: 5, Discarded: 6,
		LeaseAge: 2500 * time.Millisecond,
	}}
	require.NoError(t, c.Add("orders", orders, generatorprom.WithLayout(l)))
	require.NoError(t, c.Add("users", &plain{generator.Stats{Issued: 7}}, generatorprom.WithLayout(l)))
	require.NoError(t, c.Add("bare", &fake{tick: 5}))
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP easyflake_generator_backward_steps_total How often the clock was found behind the IDs made before.
# TYPE easyflake_generator_backward_steps_total counter
easyflake_generator_backward_steps_total{generator="bare",service="shop"} 0
easyflake_generator_backward_steps_total{generator="orders",service="shop"} 4
easyflake_generator_backward_steps_total{generator="users",service="shop"} 0
# HELP easyflake_generator_borrowed_ticks_total Ticks that were begun before the clock reached them.
# TYPE easyflake_generator_borrowed_ticks_total counter
easyflake_generator_borrowed_ticks_total{generator="bare",service="shop"} 0
easyflake_generator_borrowed_ticks_total{generator="orders",service="shop"} 5
easyflake_generator_borrowed_ticks_total{generator="users",service="shop"} 0
# HELP easyflake_generator_discarded_total Sequence numbers that were reserved and thrown away.
# TYPE easyflake_generator_discarded_total counter
easyflake_generator_discarded_total{generator="bare",service="shop"} 0
easyflake_generator_discarded_total{generator="orders",service="shop"} 6
easyflake_generator_discarded_total{generator="users",service="shop"} 0
# HELP easyflake_generator_ids_total IDs returned.
# TYPE easyflake_generator_ids_total counter
easyflake_generator_ids_total{generator="bare",service="shop"} 0
easyflake_generator_ids_total{generator="orders",service="shop"} 1000
easyflake_generator_ids_total{generator="users",service="shop"} 7
# HELP easyflake_generator_last_tick_timestamp_seconds Unix time of the last tick of which numbers were reserved.
# TYPE easyflake_generator_last_tick_timestamp_seconds gauge
easyflake_generator_last_tick_timestamp_seconds{generator="orders",service="shop"} 1.6758590415e+09
# HELP easyflake_generator_layout_end_timestamp_seconds Unix time at which the layout's life ends.
# TYPE easyflake_generator_layout_end_timestamp_seconds gauge
easyflake_generator_layout_end_timestamp_seconds{generator="orders",service="shop"} 1.42413347395328e+11
easyflake_generator_layout_end_timestamp_seconds{generator="users",service="shop"} 1.42413347395328e+11
# HELP easyflake_generator_lease_age_seconds How long ago the window in force was granted or made longer; 0: there is none.
# TYPE easyflake_generator_lease_age_seconds gauge
easyflake_generator_lease_age_seconds{generator="bare",service="shop"} 0
easyflake_generator_lease_age_seconds{generator="orders",service="shop"} 2.5
easyflake_generator_lease_age_seconds{generator="users",service="shop"} 0
# HELP easyflake_generator_wait_seconds_total How long calls waited, all together.
# TYPE easyflake_generator_wait_seconds_total counter
easyflake_generator_wait_seconds_total{generator="bare",service="shop"} 0
easyflake_generator_wait_seconds_total{generator="orders",service="shop"} 1.5
easyflake_generator_wait_seconds_total{generator="users",service="shop"} 0
# HELP easyflake_generator_waits_total Calls that waited for the clock.
# TYPE easyflake_generator_waits_total counter
easyflake_generator_waits_total{generator="bare",service="shop"} 0
easyflake_generator_waits_total{generator="orders",service="shop"} 3
easyflake_generator_waits_total{generator="users",service="shop"} 0
`)))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// value returns the one sample of a metric of a collector with one generator.
func value(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// A counter does not go down with the figure that it is of; with another generator
// it begins anew.
func TestCountersRise(t *testing.T) {
	c := generatorprom.New(nil)
	g := &fake{}
	require.NoError(t, c.Add("a", g))
	for _, step := range []struct{ issued, want uint64 }{{0, 0}, {500, 500}, {300, 500}, {499, 500}, {501, 501}} {
		g.stats.Issued = step.issued
		assert.InDelta(t, step.want, value(t, c, "easyflake_generator_ids_total"), 0)
	}
	assert.True(t, c.Remove("a"))
	require.NoError(t, c.Add("a", &fake{}))
	assert.Zero(t, value(t, c, "easyflake_generator_ids_total"))
}

func TestNames(t *testing.T) {
	c := generatorprom.New(nil)
	require.NoError(t, c.Add("a", &fake{}))
	for _, name := range []string{"a", "", "\xff"} {
		var field *layout.FieldError
		require.ErrorAs(t, c.Add(name, &fake{}), &field, "%q", name)
	}
	assert.False(t, c.Remove("b"))
	assert.True(t, c.Remove("a"))
	assert.False(t, c.Remove("a"))
	require.NoError(t, c.Add("a", &fake{}))
}

// Generators work, come and go while they are looked at, and what is seen of a
// counter never goes down.
func TestConcurrently(t *testing.T) {
	c := generatorprom.New(nil)
	k := clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	k.Run(time.Microsecond)
	g, err := generator.NewSharded(layout.Default(), generator.Static(1), generator.WithClock(k))
	require.NoError(t, err)
	defer g.Close()
	require.NoError(t, c.Add("steady", g, generatorprom.WithLayout(layout.Default())))
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))

	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5000 {
				if _, err := g.Next(); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			name := fmt.Sprint(i)
			for range 200 {
				if c.Add(name, g) != nil || !c.Remove(name) {
					t.Errorf("%s could not be added and removed", name)
				}
			}
		})
	}
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for last := 0.0; ; {
				families, err := registry.Gather()
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range families {
					for _, m := range f.GetMetric() {
						if f.GetName() == "easyflake_generator_ids_total" && m.GetLabel()[0].GetValue() == "steady" {
							assert.GreaterOrEqual(t, m.GetCounter().GetValue(), last)
							last = m.GetCounter().GetValue()
						}
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	looking.Wait()
	assert.GreaterOrEqual(t, value(t, c, "easyflake_generator_ids_total"), 20000.0)
}
