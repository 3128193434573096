package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/etcdstore/etcdtest"
	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// runs runs a command with what tests of leases need.
func runs(t *testing.T, status int, args ...string) (out, err string) {
	t.Helper()
	r := newLeaseTrial(t, t.TempDir(), args...)
	require.Equal(t, status, r.run(), "stderr: %s", &r.err)
	return r.out.String(), r.err.String()
}

// From nothing to IDs, with what a user is told on the way.
func TestPostgres(t *testing.T) {
	address := pgtest.Empty(t, pgtest.Server(t))
	shown := pgstore.Redacted(address)
	_, text := runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "'easyflake-cli store init "+shown+"'")
	_, text = runs(t, statusFailed, "grpc", "--store", address, "-H", "unix:"+t.TempDir()+"/s")
	assert.Contains(t, text, "'easyflake-cli store init "+shown+"'")

	out, _ := runs(t, statusOK, "store", "init", address)
	assert.Equal(t, shown+" is ready\n", out)
	out, _ = runs(t, statusOK, "store", "init", address)
	assert.Equal(t, shown+" is ready, and was before\n", out)

	_, text = runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "easyflake-cli namespace create NAME --layout LAYOUT --pool "+shown)
	out, _ = runs(t, statusOK, "namespace", "create", "orders", "--pool", address)
	assert.Contains(t, out, "created namespace orders in "+shown)
	out, _ = runs(t, statusOK, "next", "-n", "3", "--pool", address)
	assert.Len(t, lines(out), 3)
	out, _ = runs(t, statusOK, "lease", "list", "--pool", address)
	assert.Contains(t, out, "free")
	out, _ = runs(t, statusOK, "namespace", "accept-clock", "orders", "--pool", address)
	assert.Contains(t, out, "the clock of "+shown)

	// A database put back from a backup is told so once.
	_, text = runs(t, statusOK, "namespace", "list", "--restored", "--pool", address)
	assert.Contains(t, text, shown+" may have lost records")
	_, text = runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "no window can begin yet")
}

// With etcd there is nothing to prepare, and each prefix is a store of its own.
func TestEtcd(t *testing.T) {
	cluster := "etcd://" + etcdtest.Start(t, 1, "--unsafe-no-fsync").Endpoints()[0]
	address := cluster + "/ids"
	_, text := runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "easyflake-cli namespace create NAME --layout LAYOUT --pool "+address)
	_, text = runs(t, statusUsage, "store", "init", address, "x")
	assert.Contains(t, text, "unexpected argument")

	out, _ := runs(t, statusOK, "namespace", "create", "orders", "--pool", address)
	assert.Contains(t, out, "created namespace orders in "+address)
	out, _ = runs(t, statusOK, "next", "-n", "3", "--pool", address)
	assert.Len(t, lines(out), 3)
	out, _ = runs(t, statusOK, "lease", "list", "--pool", address)
	assert.Contains(t, out, "free")
	_, text = runs(t, statusFailed, "next", "--pool", cluster)
	assert.Contains(t, text, "easyflake-cli namespace create")

	// A snapshot that was put back is told so once.
	_, text = runs(t, statusOK, "namespace", "list", "--restored", "--pool", address)
	assert.Contains(t, text, address+" may have lost records")
	_, text = runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "no window can begin yet")
}

// What a user types is refused without a word of the password.
func TestPasswordsAreNotShown(t *testing.T) {
	const secret = "S3cr3t"
	for name, test := range map[string]struct {
		status int
		args   string
		want   string
	}{
		"unreachable":     {statusFailed, "next --pool postgres://u:S3cr3t@127.0.0.1:1/d", "cannot be reached"},
		"as a server":     {statusFailed, "grpc --store postgres://u:S3cr3t@127.0.0.1:1/d -H unix:/nonexistent/s", "listening"},
		"not a URL":       {statusUsage, "next --pool postgres://u:S3cr3t/S3cr3t@h/d", "cannot be understood"},
		"a parameter":     {statusUsage, "next --pool postgres://u@h/d?password=S3cr3t&sslmode=S3cr3", "sslmode is invalid"},
		"with an @":       {statusFailed, "next --pool postgres://u@127.0.0.1:1/d?password=S3@S3cr3t", "cannot be reached"},
		"upper case":      {statusUsage, "next --pool POSTGRES://u:S3cr3t@h/d", "must be grpc://"},
		"one slash":       {statusUsage, "next --pool etcd:/root:S3cr3t@h", "must be etcd://HOST"},
		"no host":         {statusUsage, "next --pool etcd://root:S3cr3t", "endpoint"},
		"an argument":     {statusUsage, "next postgres://u:S3cr3t@h/d", "unexpected argument"},
		"another scheme":  {statusUsage, "next --pool mysql://u:S3cr3t@h/d", "must be grpc://"},
		"another store":   {statusUsage, "grpc --store mysql://u:S3cr3t@h/d", "must be bolt:PATH"},
		"an option":       {statusUsage, "next --pool redis+sentry://h?password=S3cr3t&sentinel_password=S3cr3t", "must be grpc://"},
		"another option":  {statusUsage, "next --pool redis+sentry://h?Password=x'S3cr3t", "must be grpc://"},
		"no master":       {statusUsage, "next --pool redis+sentinel://u:S3cr3t@h?password=S3cr3t", "redis+sentinel://u@h is no URL of a Redis"},
		"no Sentinel":     {statusFailed, "next --pool redis+sentinel://u:S3cr3t@127.0.0.1:1?master_name=m&password=S3cr3t", "cannot be reached"},
		"no cluster":      {statusFailed, "next --pool redis+cluster://u:S3cr3t@127.0.0.1:1?addr=127.0.0.1:1", "cannot be reached"},
		"fresh":           {statusUsage, "grpc --fresh --store postgres://u:S3cr3t@h/d", "--fresh is for --store memory:"},
		"restored":        {statusUsage, "grpc --restored --store postgres://u:S3cr3t@h/d", "namespace list --restored --pool postgres://u@h/d"},
		"nothing to make": {statusUsage, "store init bolt:x", "must be etcd://"},
	} {
		t.Run(name, func(t *testing.T) {
			out, text := runs(t, test.status, strings.Fields(test.args)...)
			assert.Contains(t, text, test.want)
			assert.NotContains(t, out+text, secret)
		})
	}
}

// The URL may come from the environment, where other users cannot see it.
func TestStoreInitFromEnvironment(t *testing.T) {
	address := pgtest.Empty(t, pgtest.Server(t))
	t.Setenv("EASYFLAKE_STORE", address)
	out, _ := runs(t, statusOK, "store", "init")
	assert.Contains(t, out, "is ready")
}

// A database that was emptied tells nothing of what was leased: whoever is told that
// it was put back raises the floors of what is created in it afterwards.
func TestRestoredThoughEmpty(t *testing.T) {
	address := pgtest.Empty(t, pgtest.Server(t))
	_, _ = runs(t, statusOK, "store", "init", address)
	_, text := runs(t, statusOK, "namespace", "list", "--restored", "--pool", address)
	assert.Contains(t, text, "may have lost records")
	_, _ = runs(t, statusOK, "namespace", "create", "orders", "--pool", address)
	_, text = runs(t, statusFailed, "next", "--pool", address)
	assert.Contains(t, text, "no window can begin yet")
}
