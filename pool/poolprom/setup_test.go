package poolprom_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func begin() *clocktest.Clock { return clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) }

// small is a namespace of eight nodes that are leased, four that are numbered by
// hand and four for legacy streams.
func small(t *testing.T, name string) pool.Namespace {
	t.Helper()
	c := layout.DefaultConfig()
	c.NodeBits = 4
	l, err := layout.New(c)
	require.NoError(t, err)
	n := pool.NewNamespace(name, l)
	n.Ranges = []pool.Range{{First: 0, Last: 7}, {First: 8, Last: 11, Use: pool.ByHand}, {First: 12, Last: 15, Use: pool.Legacy}}
	return n
}

func exposition(tb testing.TB, g prometheus.Gatherer) string {
	tb.Helper()
	families, err := g.Gather()
	require.NoError(tb, err)
	var text strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(tb, err)
	}
	return text.String()
}

// lines returns the samples whose name begins like this.
func lines(tb testing.TB, g prometheus.Gatherer, prefix string) []string {
	tb.Helper()
	var found []string
	for line := range strings.Lines(exposition(tb, g)) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
