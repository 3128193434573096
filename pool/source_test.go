package pool_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/generator" //nolint:depguard // shows what the numbers are for
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func withNodeBits(t *testing.T, bits int) layout.Layout {
	t.Helper()
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: time.Millisecond, NodeBits: bits, SequenceBits: 8})
	require.NoError(t, err)
	return l
}

// noNode asserts that there was a refusal, and what it says.
func noNode(t *testing.T, node int64, err error, says string) {
	t.Helper()
	var source *pool.NodeSourceError
	require.ErrorAs(t, err, &source)
	assert.Zero(t, node)
	require.ErrorContains(t, err, says)
	assert.NotEmpty(t, source.Source)
}

func TestNodeFromEnv(t *testing.T) {
	l := withNodeBits(t, 8)
	for value, want := range map[string]int64{"0": 0, "7": 7, "255": 255} {
		t.Setenv("EASYFLAKE_NODE", value)
		node, err := pool.NodeFromEnv(os.LookupEnv, "EASYFLAKE_NODE", l)
		require.NoError(t, err)
		assert.Equal(t, want, node)
	}
	for value, says := range map[string]string{
		"":                     `pool: no node number from environment variable EASYFLAKE_NODE: it is empty`,
		"256":                  `pool: no node number from environment variable EASYFLAKE_NODE "256": the layout's highest node is 255`,
		"99999999999999999999": "more than 8 node bits",
		"-1":                   "decimal",
		"+1":                   "decimal",
		"1 000":                "decimal",
		"1.0":                  "decimal",
		"0x10":                 "leading zero",
		"1_0":                  "decimal",
		"٣":                    "decimal",
		"00":                   "leading zero",
		"010":                  "leading zero",
	} {
		t.Setenv("EASYFLAKE_NODE", value)
		node, err := pool.NodeFromEnv(os.LookupEnv, "EASYFLAKE_NODE", l)
		noNode(t, node, err, says)
	}
	node, err := pool.NodeFromEnv(func(string) (string, bool) { return "", false }, "EASYFLAKE_NODE", l)
	noNode(t, node, err, "not set")

	none := withNodeBits(t, 0)
	node, err = pool.NodeFromEnv(func(string) (string, bool) { return "0", true }, "X", none)
	require.NoError(t, err)
	assert.Zero(t, node)
}

func TestNodeFromHostName(t *testing.T) {
	l := withNodeBits(t, 8)
	for name, want := range map[string]int64{
		"web-0":                               0,
		"web-3":                               3,
		"my-web-255":                          255,
		"web-3.web.prod.svc.cluster.local":    3,
		"kafka-2-1":                           1,
		"a-1-2-3":                             3,
		"zk-10.zk":                            10,
		"web-7d4b9c6f5d-2":                    2,
		"web-2024-01-02-3":                    3,
		strings.Repeat("x", 200) + "-" + "42": 42,
	} {
		node, err := pool.NodeFromHostName(name, l)
		require.NoError(t, err, name)
		assert.Equal(t, want, node, name)
	}
	for name, says := range map[string]string{
		"":                         "StatefulSet",
		"web":                      `pool: no node number from host name "web": it does not end in a hyphen and an ordinal`,
		"web3":                     "StatefulSet",
		"3":                        "StatefulSet",
		"-3":                       "StatefulSet",
		"web-":                     "StatefulSet",
		"web-3a":                   "StatefulSet",
		"web-x.a-3":                "StatefulSet",
		"web-03":                   "leading zero",
		"web-00":                   "leading zero",
		"web-256":                  "highest node is 255",
		"web-7d4b9c6f5d-x2x7":      "StatefulSet",
		"web-7d4b9c6f5d-24567":     "Deployment",
		"ip-10-0-1-5":              "address",
		"ip-10-0-1-5.ec2.internal": "address",
		"10-0-1-5":                 "address",
	} {
		node, err := pool.NodeFromHostName(name, l)
		noNode(t, node, err, says)
	}
}

func TestNodeFromPrivateIPv4(t *testing.T) {
	type c struct {
		bits int
		of   []string
		want int64
		says string
	}
	for i, c := range []c{
		{bits: 8, of: []string{"10.1.2.3/24"}, want: 3},
		{bits: 16, of: []string{"10.1.2.3/16"}, want: 2<<8 | 3},
		{bits: 16, of: []string{"10.1.2.3/24"}, want: 2<<8 | 3},
		{bits: 24, of: []string{"10.1.2.3/8"}, want: 1<<16 | 2<<8 | 3},
		{bits: 12, of: []string{"172.16.18.52/20"}, want: 0x234},
		{bits: 2, of: []string{"192.168.0.2/30"}, want: 2},
		{bits: 32, of: []string{"192.168.1.2/24"}, want: 0xC0A80102},
		{bits: 8, of: []string{"8.8.8.8/24", "fd00::1/64", "127.0.0.1/8", "169.254.1.1/16", "100.64.0.1/24", "192.168.7.9/24", "172.32.0.1/24"}, want: 9},

		{bits: 8, of: []string{"10.1.2.3/23"}, says: "leaves 9 bits to hosts and the layout has 8"},
		{bits: 8, of: []string{"10.1.2.3/8"}, says: "leaves 24 bits"},
		{bits: 0, of: []string{"10.1.2.3/24"}, says: "more node bits"},
		{bits: 8, of: []string{"10.1.2.3/32"}, says: "does not say how large"},
		{bits: 8, of: []string{"10.1.2.3/31"}, says: "does not say how large"},
		{bits: 8, says: "there is none"},
		{bits: 8, of: []string{"8.8.8.8/24", "fd00::1/64"}, says: "there is none (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16) among 8.8.8.8/24, fd00::1/64"},
		{bits: 8, of: []string{"10.1.2.3/24", "172.17.0.1/16"}, says: "there are 2, 10.1.2.3/24, 172.17.0.1/16"},
		{bits: 8, of: []string{"10.1.2.3/24", "10.1.2.3/24"}, says: "there are 2"},
	} {
		var addresses []netip.Prefix
		for _, s := range c.of {
			addresses = append(addresses, netip.MustParsePrefix(s))
		}
		node, err := pool.NodeFromPrivateIPv4(addresses, withNodeBits(t, c.bits))
		if c.says != "" {
			noNode(t, node, err, c.says)
			continue
		}
		require.NoError(t, err, i)
		assert.Equal(t, c.want, node, i)
	}
	bad := netip.PrefixFrom(netip.MustParseAddr("10.1.2.3"), 33)
	node, err := pool.NodeFromPrivateIPv4([]netip.Prefix{bad, {}}, withNodeBits(t, 16))
	noNode(t, node, err, "not valid")
}

// Whatever this machine's network is like.
func TestPrivateIPv4(t *testing.T) {
	all, err := pool.PrivateIPv4()
	require.NoError(t, err)
	for _, p := range all {
		assert.True(t, p.IsValid() && p.Addr().Is4() && p.Addr().IsPrivate(), p)
	}
	_, err = pool.PrivateIPv4("no-such-interface")
	noNode(t, 0, err, `there is no interface "no-such-interface"; there are `)
}

func ExampleNodeFromHostName() {
	l := layout.Default()
	for _, host := range []string{"web-3.web.prod.svc", "web-7d4b9c6f5d-24567"} { // os.Hostname()
		node, err := pool.NodeFromHostName(host, l)
		if err != nil {
			fmt.Println(err)
			continue
		}
		g, err := generator.NewSharded(l, generator.Static(node))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("node", node)
		_ = g.Close()
	}
	// Output:
	// node 3
	// pool: no node number from host name "web-7d4b9c6f5d-24567": it is the name of a Deployment's pod, whose end is random; run the pods in a StatefulSet, or lease nodes from a pool
}
