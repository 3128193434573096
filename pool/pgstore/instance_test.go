//go:build !windows

package pgstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/pgstore"
	"github.com/easyflake/easyflake/pool/pgstore/pgtest"
)

// instance is a PostgreSQL of a test's own, which it may ruin.
type instance struct {
	dir     string
	port    int
	running *exec.Cmd
}

// binary finds a program of PostgreSQL's server, or skips.
func binary(t *testing.T, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if sbin := "/usr/sbin/" + program; len(found) == 0 {
		found, _ = filepath.Glob(sbin)
	}
	if len(found) == 0 {
		pgtest.Missing(t, "there is no %s on this machine", program)
	}
	return found[len(found)-1]
}

// unprivileged has a command run as the user postgres, for as root it refuses to.
func unprivileged(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	cmd.Dir = "/"
	return cmd
}

func postgresUser(t *testing.T) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		pgtest.Missing(t, "PostgreSQL does not run as root, and there is no other user for it: %v", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// folder makes a folder that such commands may write to.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgstore") //nolint:usetesting // no other user may enter the test's own
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(t)
		require.NoError(t, os.Chown(dir, uid, gid))
	}
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port //nolint:errcheck // it is one
}

func newInstance(t *testing.T, settings ...string) *instance {
	t.Helper()
	p := &instance{dir: folder(t), port: freePort(t)}
	out, err := unprivileged(t, exec.CommandContext(t.Context(), binary(t, "initdb"), "-N", "-U", "postgres", "-A", "trust", "-D", p.dir)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	p.start(t, settings...)
	return p
}

// start starts it, and waits until it answers.
func (p *instance) start(t *testing.T, settings ...string) {
	t.Helper()
	args := []string{"-D", p.dir, "-p", strconv.Itoa(p.port)}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=40", "shared_buffers=16MB"}, settings...) {
		args = append(args, "-c", s)
	}
	var said bytes.Buffer
	p.running = unprivileged(t, exec.Command(binary(t, "postgres"), args...))
	p.running.Stdout, p.running.Stderr = &said, &said
	require.NoError(t, p.running.Start())
	ended := make(chan error, 1)
	running := p.running
	go func() {
		defer close(ended)
		ended <- running.Wait()
	}()
	t.Cleanup(func() {
		_ = running.Process.Signal(syscall.SIGQUIT)
		for range ended { // until it has
		}
	})
	for {
		conn, err := pgx.Connect(t.Context(), p.address())
		if err == nil {
			require.NoError(t, conn.Close(t.Context()))
			return
		}
		if len(ended) > 0 {
			t.Fatalf("it has ended: %s", said.String())
		}
	}
}

func (p *instance) address() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", p.port)
}

// schema makes a new store in it, which goes with it.
func (p *instance) schema(t *testing.T) string {
	t.Helper()
	address := pgtest.With(p.address(), "easyflake_schema=s"+strings.ToLower(rand.Text()))
	_, err := pgstore.CreateSchema(t.Context(), address)
	require.NoError(t, err)
	return address
}

// crash ends it without letting anything finish, and returns when it has let go.
func (p *instance) crash(t *testing.T) {
	t.Helper()
	require.NoError(t, p.running.Process.Signal(syscall.SIGQUIT))
	for {
		if _, err := os.Stat(filepath.Join(p.dir, "postmaster.pid")); os.IsNotExist(err) {
			return
		}
	}
}

// standby returns a copy of it that follows it.
func (p *instance) standby(t *testing.T) *instance {
	t.Helper()
	s := &instance{dir: folder(t), port: freePort(t)}
	out, err := unprivileged(t, exec.CommandContext(t.Context(), binary(t, "pg_basebackup"), "-R", "-N", "-c", "fast", "-D", s.dir, "-d", p.address())).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.start(t)
	return s
}

// promote makes it a primary.
func (p *instance) promote(t *testing.T) {
	t.Helper()
	pgtest.Exec(t, p.address(), "SELECT pg_promote()")
}

// bouncer puts a PgBouncer in transaction mode before a server, with few connections
// to it.
func bouncer(t *testing.T, server string) string {
	t.Helper()
	program := binary(t, "pgbouncer")
	c, err := pgx.ParseConfig(server)
	require.NoError(t, err)
	dir, port := folder(t), freePort(t)
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
	cmd := unprivileged(t, exec.Command(program, file))
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
