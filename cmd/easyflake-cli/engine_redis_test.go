package main

import (
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/redisstore/redistest"
)

// emptyRedis returns the URL of a database of its own in the Redis of the tests, which
// is emptied before and after.
func emptyRedis(t *testing.T) string {
	t.Helper()
	server := os.Getenv("EASYFLAKE_TEST_REDIS")
	if server == "" {
		server = "redis://127.0.0.1:6379"
	}
	address := strings.TrimSuffix(server, "/") + "/13"
	o, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	if err := client.Ping(t.Context()).Err(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no Redis at %s: %v", server, err)
		}
		t.Skipf("no Redis at %s: %v", server, err)
	}
	empty := func() {
		if err := client.FlushDB(t.Context()).Err(); t.Context().Err() == nil {
			require.NoError(t, err)
		}
	}
	empty()
	return address
}

// An empty Redis tells nothing about what there was: the first window waits, unless it
// is said that there was nothing.
func TestRedis(t *testing.T) {
	address := emptyRedis(t)
	_, text := runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "easyflake-cli namespace create NAME --layout LAYOUT --pool "+address)
	out, _ := runs(t, statusOK, "namespace", "create", "orders", "--pool", address)
	assert.Contains(t, out, "created namespace orders in "+address)
	_, text = runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "no window can begin yet")
	_, text = runs(t, statusUsage, "next", "--pool", "redis://u:S3cr3t@h/x/y")
	assert.NotContains(t, text, "S3cr3t")
	assert.Contains(t, text, "redis://u@h")
}

// The master may be named by Sentinel, and the server be a cluster.
func TestRedisOfSeveralServers(t *testing.T) {
	master, member := redistest.Start(t), redistest.StartCluster(t, 1, 0).Masters[0]
	sentinel := redistest.StartSentinel(t, "main", master, 0)
	for _, address := range []string{
		"redis+sentinel://" + sentinel.Addr() + "/1?master_name=main",
		"redis+cluster://" + member.Addr() + "?addr=127.0.0.1:1",
	} {
		out, _ := runs(t, statusOK, "namespace", "create", "orders", "--pool", address)
		shown, _, _ := strings.Cut(address, "?")
		assert.Contains(t, out, "created namespace orders in "+shown)
		out, _ = runs(t, statusOK, "namespace", "list", "--pool", address)
		assert.Contains(t, out, "orders")
	}
}
