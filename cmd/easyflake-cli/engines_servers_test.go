//go:build !windows

package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// Their log does not show the password.
func TestTwoServersOnPostgres(t *testing.T) {
	const secret = "S3cr3t"
	address := pgtest.Schema(t, pgtest.Server(t))
	address = strings.Replace(address, "postgres@", "postgres:"+secret+"@", 1) // trust takes any
	for _, text := range twoServers(t, address) {
		assert.Contains(t, text, pgstore.Redacted(address))
		assert.NotContains(t, text, secret)
	}
}

func TestTwoServersOnEtcd(t *testing.T) {
	address := "etcd://" + etcdtest.Start(t, 1, "--unsafe-no-fsync").Endpoints()[0] + "/ids"
	for _, text := range twoServers(t, address) {
		assert.Contains(t, text, address)
	}
}

// twoServers sees that two servers on one engine serve the same leases: what one has
// granted the other renews, and no node twice. It returns what they have said.
func twoServers(t *testing.T, address string) (said []string) {
	t.Helper()
	l, err := layout.New(layout.Config{Epoch: layout.Default().Epoch(), Unit: layout.Default().Unit(), NodeBits: 4, SequenceBits: 8})
	require.NoError(t, err)
	var servers []*served
	var pools []pool.Pool
	for range 2 {
		s := serveIn(t, t.TempDir(), "--store", address, "--layout", "node=4,sequence=8")
		require.Zero(t, s.status, "%s", s.text)
		c, err := grpcpool.NewClient([]grpcpool.Endpoint{{Path: s.socket}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		servers, pools = append(servers, s), append(pools, c)
	}
	ctx := context.Background()
	taken := make(map[int64]pool.Grant)
	for i := range int(l.MaxNode()) + 1 {
		g, err := pools[i%2].Acquire(ctx, defaultNamespace, l, pool.NewToken())
		require.NoError(t, err)
		assert.NotContains(t, taken, g.Node)
		taken[g.Node] = g
		renewed, err := pools[(i+1)%2].Renew(ctx, pool.Renewal{
			Namespace: g.Namespace, Node: g.Node, Token: g.Token, Revision: g.Revision, Until: g.Until, Nonce: pool.NewToken(),
		})
		require.NoError(t, err)
		assert.Greater(t, renewed.Until, g.Until)
	}
	for _, p := range pools {
		_, err := p.Acquire(ctx, defaultNamespace, l, pool.NewToken())
		var exhausted *pool.ExhaustedError
		require.ErrorAs(t, err, &exhausted)
	}
	for _, s := range servers {
		s.end(t)
		said = append(said, s.text.String())
	}
	return said
}
