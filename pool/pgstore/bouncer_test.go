//go:build !windows

package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// bouncer puts a PgBouncer in transaction mode before a server, with few connections
// to it.
func bouncer(t *testing.T, server string) string {
	t.Helper()
	program := pgtest.Binary(t, "pgbouncer")
	c, err := pgx.ParseConfig(server)
	require.NoError(t, err)
	dir, port := pgtest.Folder(t), pgtest.FreePort(t)
	database := fmt.Sprintf("host=%s port=%d dbname=%s user=%s", c.Host, c.Port, c.Database, c.User)
	if c.Password != "" {
		database += " password=" + c.Password
	}
	config := []string{
		"[databases]", "test = " + database,
		"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + strconv.Itoa(port), "unix_socket_dir =",
		"auth_type = any", "pool_mode = transaction", "default_pool_size = 3", "max_client_conn = 500",
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(config, "\n")+"\n"), 0o644))
	cmd := pgtest.Unprivileged(t, exec.Command(program, file))
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Process.Kill()
		for range ended { // until it has
		}
	})
	address := fmt.Sprintf("postgres://somebody@127.0.0.1:%d/test", port)
	for {
		conn, err := pgx.Connect(context.Background(), address)
		if err == nil {
			require.NoError(t, conn.Close(t.Context()))
			return address
		}
		require.Empty(t, ended, "pgbouncer has ended")
	}
}
