package pool

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestNamespaceValidate(t *testing.T) {
	for _, c := range []struct {
		field  string // "" if it is right
		reason string
		change func(*Namespace)
	}{
		{"", "", func(*Namespace) {}},
		{"", "", func(n *Namespace) { n.Name = strings.Repeat("n", 255) }},
		{"", "", func(n *Namespace) { n.Name = "日本:a-b_c.d" }},
		{"namespace", "1 to 255 bytes", func(n *Namespace) { n.Name = "" }},
		{"namespace", "1 to 255 bytes", func(n *Namespace) { n.Name = strings.Repeat("n", 256) }},
		{"namespace", "1 to 255 bytes", func(n *Namespace) { n.Name = strings.Repeat("日", 86) }},
		{"namespace", "spaces", func(n *Namespace) { n.Name = "a b" }},
		{"namespace", "spaces", func(n *Namespace) { n.Name = " " }},
		{"namespace", "control characters", func(n *Namespace) { n.Name = "a\x00" }},
		{"namespace", "control characters", func(n *Namespace) { n.Name = "a\n" }},
		{"namespace", "control characters", func(n *Namespace) { n.Name = "\x7f" }},
		{"namespace", "slashes", func(n *Namespace) { n.Name = "a/b" }},
		{"namespace", "dot", func(n *Namespace) { n.Name = "." }},
		{"namespace", "dot", func(n *Namespace) { n.Name = "..a" }},
		{"namespace", "UTF-8", func(n *Namespace) { n.Name = "a\xff" }},
		{"namespace", "UTF-8", func(n *Namespace) { n.Name = "\xed\xa0\x80" }}, // half of a surrogate pair
		{"layout", "must be given", func(n *Namespace) { n.Layout = layout.Layout{} }},
		{"node range", "between 0 and 255", func(n *Namespace) { n.Ranges = []Range{{First: -1, Last: 5}} }},
		{"node range", "between 0 and 255", func(n *Namespace) { n.Ranges = []Range{{First: 0, Last: 256}} }},
		{"node range", "not end before it begins", func(n *Namespace) { n.Ranges = []Range{{First: 6, Last: 5}} }},
		{"node range", "overlaps with 0-5 leased", func(n *Namespace) { n.Ranges = []Range{{First: 5, Last: 9, Use: ByHand}, {First: 0, Last: 5}} }},
		{"node range", "overlaps", func(n *Namespace) { n.Ranges = []Range{{First: 0, Last: 9}, {First: 2, Last: 3}} }},
		{"node range", "overlaps", func(n *Namespace) { n.Ranges = []Range{{First: 1, Last: 1}, {First: 1, Last: 1}} }},
		{"node range", "unknown use", func(n *Namespace) { n.Ranges = []Range{{Use: 3}} }},
		{"", "", func(n *Namespace) { n.Ranges = nil }},
		{"", "", func(n *Namespace) {
			n.Ranges = []Range{{First: 5, Last: 9, Use: ByHand}, {First: 0, Last: 4}, {First: 10, Last: 255, Use: Legacy}}
		}},
		{"skew", "must not be negative", func(n *Namespace) { n.Terms.Skew = -1 }},
		{"", "", func(n *Namespace) { n.Terms.Skew = 0 }},
		{"", "", func(n *Namespace) { n.Terms.Skew = 5 * time.Second }},
		{"first window", "at least 10.000000002s", func(n *Namespace) { n.Terms.Skew = 5*time.Second + 1 }},
		{"first window", "three ticks", func(n *Namespace) { n.Terms.Skew, n.Terms.FirstWindow = 0, 3*time.Millisecond-1 }},
		{"", "", func(n *Namespace) { n.Terms.Skew, n.Terms.FirstWindow = 0, 3*time.Millisecond }},
		{"first window", "three ticks", func(n *Namespace) { n.Terms.Skew, n.Terms.FirstWindow = 0, -1 }},
		{"window", "not be shorter than the first window", func(n *Namespace) { n.Terms.Window = n.Terms.FirstWindow - 1 }},
		{"", "", func(n *Namespace) { n.Terms.Window = n.Terms.FirstWindow }},
		{"horizon", "not be shorter than the window", func(n *Namespace) { n.Terms.Horizon = n.Terms.Window - 1 }},
		{"", "", func(n *Namespace) { n.Terms.Horizon = n.Terms.Window }},
		{"", "", func(n *Namespace) { n.Terms.Horizon = maxHorizon }},
		{"horizon", "at most 87600h", func(n *Namespace) { n.Terms.Horizon = maxHorizon + 1 }},
		{"horizon", "at most 87600h", func(n *Namespace) { n.Terms.Horizon = math.MaxInt64 }},
		{"skew", "at most 43800h", func(n *Namespace) { n.Terms.Skew = math.MaxInt64 }},
		{"skew", "at most 43800h", func(n *Namespace) { n.Terms.Skew = math.MaxInt64/2 + 2 }}, // twice that is negative
		{"first window", "at least 87600h", func(n *Namespace) { n.Terms.Skew = maxHorizon / 2 }},
	} {
		n := NewNamespace("n", layout.Default())
		c.change(&n)
		err := n.Validate()
		if c.field == "" {
			require.NoError(t, err, "%+v", n)
			continue
		}
		var e *layout.FieldError
		require.ErrorAs(t, err, &e, "%+v", n)
		assert.Equal(t, c.field, e.Field)
		assert.Contains(t, e.Reason, c.reason)
	}
}

func TestValidateDoesNotChangeTheOrder(t *testing.T) {
	n := NewNamespace("n", layout.Default())
	n.Ranges = []Range{{First: 5, Last: 9}, {First: 0, Last: 4}}
	require.NoError(t, n.Validate())
	assert.EqualValues(t, 5, n.Ranges[0].First)
}

func TestDefaultTermsFitEveryLayout(t *testing.T) {
	for _, l := range append(someLayouts(t), layout.Default()) {
		n := NewNamespace("n", l)
		require.NoError(t, n.Validate(), "%v: %+v", l, n.Terms)
		assert.GreaterOrEqual(t, n.Terms.FirstWindow, 3*l.Unit())
		assert.Equal(t, l.MaxNode()+1, n.count(Leased))
	}
	assert.Equal(t, Terms{Skew: time.Second, FirstWindow: 10 * time.Second, Window: time.Minute, Horizon: 2 * time.Minute}, DefaultTerms(layout.Default()))
}

func TestTermsFitTheCoarsestUnits(t *testing.T) {
	of := func(unit time.Duration) layout.Layout {
		l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: unit, TimeBits: 10, NodeBits: 8})
		require.NoError(t, err)
		return l
	}
	for _, unit := range []time.Duration{time.Second, 1234567891, 5 * time.Second, 10 * time.Second, time.Hour, 365 * 24 * time.Hour, maxHorizon / 6, maxHorizon/6 + 1, maxHorizon / 3} {
		terms := DefaultTerms(of(unit))
		require.NoError(t, terms.validate(of(unit)), "%v", unit)
		assert.GreaterOrEqual(t, terms.Skew, unit)
		assert.GreaterOrEqual(t, terms.FirstWindow, max(2*terms.Skew, 3*unit))
	}
	for _, unit := range []time.Duration{maxHorizon/3 + 1, math.MaxInt64/3 + 1, math.MaxInt64} {
		l := of(unit)
		var e *layout.FieldError
		require.ErrorAs(t, NewNamespace("n", l).Validate(), &e, "%v", unit)
		assert.Equal(t, "layout", e.Field)
		assert.Contains(t, e.Reason, "too long to be leased")
	}
}

func TestCoarseTicksAreHadAtOnce(t *testing.T) {
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Hour, NodeBits: 3, TimeBits: 30})
	require.NoError(t, err)
	ns := NewNamespace("n", l)
	for _, after := range []time.Duration{0, 1, time.Minute, time.Hour - 1} {
		now := start(l, 400_000) + int64(after)
		n, err := acquire(&ns, Node{}, Leased, Token{1}, now)
		require.NoError(t, err)
		assert.LessOrEqual(t, n.From, int64(400_000), "%v into the tick", after)
	}
}

func TestRanges(t *testing.T) {
	n := NewNamespace("n", layout.Default())
	n.Ranges = []Range{{First: 20, Last: 29}, {First: 0, Last: 9, Use: ByHand}, {First: 10, Last: 12}, {First: 200, Last: 200}, {First: 30, Last: 40, Use: Legacy}}
	require.NoError(t, n.Validate())
	assert.EqualValues(t, 14, n.count(Leased))
	var all []int64
	for i := range n.count(Leased) {
		node, run := n.at(Leased, i)
		all = append(all, node)
		for j := range run {
			next, _ := n.at(Leased, i+j)
			assert.Equal(t, node+j, next, "the run of %d from index %d on", run, i)
		}
		if i+run < n.count(Leased) {
			next, _ := n.at(Leased, i+run)
			assert.NotEqual(t, node+run, next, "the run ends where there is a gap")
		}
	}
	assert.Equal(t, []int64{20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 10, 11, 12, 200}, all)
	for _, node := range all {
		require.NoError(t, n.leases(node))
	}
	assert.EqualValues(t, 11, n.count(Legacy))
	for i := range n.count(Legacy) {
		node, run := n.at(Legacy, i)
		assert.Equal(t, 30+i, node)
		assert.Equal(t, 11-i, run)
		require.NoError(t, n.leases(node), "for the server of legacy streams")
	}
	for _, node := range []int64{-1, 0, 9, 13, 19, 41, 199, 201, 255, 256, math.MaxInt64, math.MinInt64} {
		require.ErrorIs(t, n.leases(node), ErrNotLeasable, "node %d", node)
	}
	for _, r := range n.Ranges {
		for _, node := range []int64{r.First, r.Last} {
			found, ok := n.rangeOf(node)
			assert.True(t, ok)
			assert.Equal(t, r, found)
		}
	}
}

func TestUses(t *testing.T) {
	for u, want := range []string{"leased", "by-hand", "legacy"} {
		assert.Equal(t, want, Use(u).String())
		got, err := parseUse(want)
		require.NoError(t, err)
		assert.Equal(t, Use(u), got)
	}
	assert.Equal(t, "Use(3)", Use(3).String())
	for _, bad := range []string{"", "Leased", "Use(3)", "leased "} {
		_, err := parseUse(bad)
		require.Error(t, err, bad)
	}
	assert.Equal(t, "3-5 by-hand", Range{First: 3, Last: 5, Use: ByHand}.String())
}

func TestNearest(t *testing.T) {
	names := []string{"default", "orders", "orders-eu", "payments"}
	for wrong, want := range map[string]string{
		"Default": "default", "order": "orders", "order-eu": "orders-eu", "payment": "payments",
		"x": "", "": "", "zzz": "", "d": "",
	} {
		assert.Equal(t, want, nearest(wrong, names), wrong)
	}
	assert.Empty(t, nearest("default", nil))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	other, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Second, NodeBits: 5})
	require.NoError(t, err)
	for want, err := range map[string]error{
		`pool: all 8 nodes of namespace "n" are taken; try again in 1.235s, or revoke leases that nobody uses`:                                                              &ExhaustedError{Namespace: "n", Nodes: 8, RetryAfter: 1234567890},
		`pool: all 0 nodes of namespace "n" are taken; revoke leases that nobody uses, or create a namespace of a layout with more node bits`:                               &ExhaustedError{Namespace: "n"},
		`pool: all 4 legacy nodes of namespace "n" are taken; try again in 1s, or revoke leases that nobody uses`:                                                           &ExhaustedError{Namespace: "n", Use: Legacy, Nodes: 4, RetryAfter: time.Second},
		`pool: namespace "n" has no legacy nodes, and what its nodes are for never changes: create a namespace with some (easyflake-cli namespace create --legacy FROM-TO)`: &NoLegacyNodesError{Namespace: "n"},
		`pool: no window can begin yet; try again in 2s`:                                 &NotYetError{RetryAfter: 2 * time.Second},
		`pool: there is no namespace "x"; create it with easyflake-cli namespace create`: &UnknownNamespaceError{Name: "x"},
		`pool: there is no namespace "ordrs"; the nearest is "orders"`:                   &UnknownNamespaceError{Name: "ordrs", Nearest: "orders"},
		fmt.Sprintf(`pool: namespace "n" has the layout %v, not %v: use its layout, or another namespace`, layout.Default(), other): &LayoutMismatchError{
			Namespace: "n", Have: layout.Default(), Want: other,
		},
		`pool: the stored record of node 5 of namespace "n" is not usable: cut`: &RecordError{What: `node 5 of namespace "n"`, Reason: "cut"},
	} {
		require.EqualError(t, err, want)
	}
	for err, what := range map[error]string{
		ErrLeaseLost:   "acquire a new one",
		ErrRevoked:     "revoked",
		ErrClockJumped: "accept",
		ErrBadSeal:     "outside of the lease's window",
		ErrConflict:    "changed since it was read",
		ErrExists:      "exists already; use it as it is, or choose another name",
		ErrClosed:      "closed",
	} {
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, err, "pool: ")
	}
}
