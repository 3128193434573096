package redisstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// A URL names a cluster by some of its members.
func TestOpenCluster(t *testing.T) {
	srv := redistest.Start(t, "--cluster-enabled", "yes", "--requirepass", "secret1")
	at := func(who string) string { return "redis+cluster://" + who + srv.Addr() + "?max_redirects=5" }
	c := client(t, "redis://:secret1@"+srv.Addr())
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, redistest.Slots-1).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	}, waitFor, tick)
	log := new(said)
	s := open(t, at(":secret1@")+"&addr=127.0.0.1:1", WithFresh(), log.option())
	leases(t, newPool(t, s), 3)
	assert.Contains(t, log.String(), srv.Addr()+",127.0.0.1:1")
	assert.NotContains(t, log.String(), "secret")

	refused(t, at(""), ErrAccess, "give it in the URL")
	refused(t, at(":secret2@"), ErrAccess, "check those in the URL")
	refused(t, at(":secret1@")+"&route_randomly=true", ErrReadOnly, "reads from replicas")
	srv.Kill()
	refused(t, at(":secret1@"), ErrUnreachable, srv.Addr())
}

// A URL names a master by what Sentinels call it, with their password and its own.
func TestOpenSentinel(t *testing.T) {
	srv := redistest.Start(t, "--requirepass", "secret1")
	sentinel := redistest.StartSentinel(t, watched, srv, 0)
	sentinel.Do("SENTINEL", "SET", watched, "auth-pass", "secret1")
	sentinel.Do("ACL", "SETUSER", "default", ">secret2")
	at := func(who, name, password string) string {
		return fmt.Sprintf("redis+sentinel://%s%s/3?master_name=%s&password=%s", who, sentinel.Addr(), name, password)
	}
	log := new(said)
	s := open(t, at(":secret2@", watched, "secret1")+"&addr=127.0.0.1:1", WithFresh(), log.option())
	leases(t, newPool(t, s), 3)
	assert.EqualValues(t, 4, client(t, "redis://:secret1@"+srv.Addr()+"/3").DBSize(t.Context()).Val())
	assert.Contains(t, log.String(), "the master of Sentinel "+sentinel.Addr()+",127.0.0.1:1/3")
	assert.NotContains(t, log.String(), "secret")

	refused(t, at(":secret2@", watched, ""), ErrAccess, "password")
	refused(t, at(":secret2@", watched, "secret2"), ErrAccess, "check those in the URL")
	refused(t, at("", watched, "secret1"), ErrAccess, "password")
	refused(t, at(":secret1@", watched, "secret1"), ErrAccess, "check those in the URL")
	refused(t, at(":secret2@", "another", "secret1"), ErrUnreachable, "master_name")
	srv.Kill()
	refused(t, at(":secret2@", watched, "secret1"), ErrUnreachable, "the master of Sentinel")
	sentinel.Kill()
	refused(t, at(":secret2@", watched, "secret1"), ErrUnreachable, "the master of Sentinel "+sentinel.Addr())
}

func TestSentinelsPort(t *testing.T) {
	for address, shown := range map[string]string{
		"redis+sentinel://h?master_name=m":                "h:26379/0",
		"redis+sentinel://h:1/2?master_name=m&addr=i:3":   "h:1,i:3/2",
		"rediss+sentinel://u:p@?master_name=m":            "localhost:26379/0",
		"redis+sentinel://u:p@[::1]?master_name=m&db=4":   "[::1]:26379/4",
		"rediss+sentinel://[::1]:1?master_name=m&addr=h:": "",
	} {
		target, err := parse(address)
		if shown == "" {
			require.ErrorIs(t, err, ErrAddress, address)
			continue
		}
		require.NoError(t, err, address)
		assert.Equal(t, "the master of Sentinel "+shown, target.shown, address)
	}
}

// go-redis panics where numbers of things cannot be; nobody gets that far by a URL.
func TestNumbersInURLs(t *testing.T) {
	for _, option := range []string{
		"pool_size", "min_idle_conns", "max_idle_conns", "max_active_conns", "max_concurrent_dials",
		"pipeline_pool_size", "pipeline_read_buffer_size", "pipeline_write_buffer_size",
	} {
		for _, kind := range []string{"redis://127.0.0.1:1?", "redis+cluster://127.0.0.1:1?", "redis+sentinel://127.0.0.1:1?master_name=m&"} {
			for _, n := range []int64{-5, -1, 0, 1, 3_000_000_000, 1 << 62} {
				address := fmt.Sprintf("%s%s=%d", kind, option, n)
				if n > 1 || n < 0 && option == "pool_size" {
					require.ErrorIs(t, CheckURL(address), ErrAddress, address)
					continue
				}
				target, err := parse(address)
				require.NoError(t, err, address)
				assert.NotPanics(t, func() { assert.NoError(t, target.connect().Close()) }, address)
			}
		}
	}
}

func TestRedacted(t *testing.T) {
	for address, shown := range map[string]string{
		"redis://u:secret@h:1/2":                                                   "redis://u@h:1/2",
		"rediss+cluster://u:secret@h:1?addr=i:2":                                   "rediss+cluster://u@h:1",
		"redis+sentinel://u:secret@h:1/2?master_name=m&username=u&password=secret": "redis+sentinel://u@h:1/2",
		"rediss+sentinel://h?password=secret":                                      "rediss+sentinel://h",
		"redis+cluster://h?password=secret@secret":                                 "redis+cluster:",
		"redis+other://u:secret@h":                                                 "redis:",
	} {
		assert.Equal(t, shown, Redacted(address))
	}
}

// Somebody has named one kind of server in place of another.
func TestOpenAnotherKind(t *testing.T) {
	srv := redistest.Start(t)
	refused(t, "redis+cluster://"+srv.Addr(), ErrAddress, "write redis:// in place")
	refused(t, "redis+sentinel://"+srv.Addr()+"?master_name=m", ErrAddress, "is no Sentinel")
	member := redistest.StartCluster(t, 2, 0).Masters[0]
	var err error
	for n := 0; err == nil; n++ { // the keys of half of all stores are at the other one
		var s *Store
		if s, err = Open(t.Context(), "redis://"+member.Addr(), WithPrefix(fmt.Sprint(n)), WithFresh(), quiet()); err == nil {
			require.NoError(t, s.Close())
		}
	}
	require.ErrorIs(t, err, ErrCluster)
	require.ErrorContains(t, err, "write redis+cluster://")
}
