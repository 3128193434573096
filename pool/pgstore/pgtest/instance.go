//go:build !windows

package pgtest

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
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/easyflake/easyflake/pool/pgstore"
)

// tick is how long to wait before looking again for what a server does in its own time.
const tick = 5 * time.Millisecond

// Instance is a PostgreSQL of a test's own, which it may ruin, and which ends with it.
type Instance struct {
	// Port is that of the loopback interface which it listens at.
	Port int

	tb      testing.TB
	dir     string
	running *exec.Cmd
}

// New makes and starts one, with settings such as "fsync=off".
func New(tb testing.TB, settings ...string) *Instance {
	tb.Helper()
	p := &Instance{Port: FreePort(tb), tb: tb, dir: Folder(tb)}
	p.run("initdb", "-N", "-U", "postgres", "-A", "trust", "-D", p.dir)
	p.Start(settings...)
	return p
}

// Start starts it after a crash, and waits until it answers.
func (p *Instance) Start(settings ...string) {
	p.tb.Helper()
	args := []string{"-D", p.dir, "-p", strconv.Itoa(p.Port)}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=40", "shared_buffers=16MB"}, settings...) {
		args = append(args, "-c", s)
	}
	var said bytes.Buffer
	running := Unprivileged(p.tb, exec.Command(Binary(p.tb, "postgres"), args...))
	running.Stdout, running.Stderr = &said, &said
	if err := running.Start(); err != nil {
		p.tb.Fatal(err)
	}
	p.running = running
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- running.Wait()
	}()
	p.tb.Cleanup(func() {
		_ = running.Process.Signal(syscall.SIGQUIT)
		for range ended { // until it has
		}
	})
	for {
		conn, err := pgx.Connect(p.tb.Context(), p.Address())
		if err == nil {
			_ = conn.Close(p.tb.Context())
			return
		}
		if len(ended) > 0 {
			p.tb.Fatalf("it has ended: %s", said.String())
		}
		time.Sleep(tick)
	}
}

// Address is the URL of its database, as its superuser.
func (p *Instance) Address() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", p.Port)
}

// Schema makes a new store in it, which goes with it, and returns its URL.
func (p *Instance) Schema() string {
	p.tb.Helper()
	address := With(p.Address(), "easyflake_schema=s"+strings.ToLower(rand.Text()))
	if _, err := pgstore.CreateSchema(p.tb.Context(), address); err != nil {
		p.tb.Fatal(err)
	}
	return address
}

// Crash ends it without letting anything finish, and returns when it has let go.
func (p *Instance) Crash() {
	p.tb.Helper()
	if err := p.running.Process.Signal(syscall.SIGQUIT); err != nil {
		p.tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(p.dir, "postmaster.pid")); os.IsNotExist(err) {
			return
		}
		time.Sleep(tick)
	}
}

// Standby returns a copy of it that follows it.
func (p *Instance) Standby() *Instance {
	p.tb.Helper()
	s := &Instance{Port: FreePort(p.tb), tb: p.tb, dir: Folder(p.tb)}
	p.run("pg_basebackup", "-R", "-N", "-c", "fast", "-D", s.dir, "-d", p.Address())
	s.Start()
	return s
}

// Promote makes a standby a primary.
func (p *Instance) Promote() {
	p.tb.Helper()
	Exec(p.tb, p.Address(), "SELECT pg_promote()")
}

// Signal sends a signal to all of its processes, such as SIGSTOP, which has it hang with
// its connections open, and SIGCONT.
func (p *Instance) Signal(s syscall.Signal) {
	p.tb.Helper()
	main := p.running.Process.Pid
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	if len(stats) == 0 {
		p.tb.Skip("this system does not tell a process' children in /proc")
	}
	_ = syscall.Kill(main, s)
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		_, rest, found := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if found && len(fields) > 1 && fields[1] == strconv.Itoa(main) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil {
				_ = syscall.Kill(pid, s)
			}
		}
	}
}

func (p *Instance) run(program string, args ...string) {
	p.tb.Helper()
	out, err := Unprivileged(p.tb, exec.CommandContext(p.tb.Context(), Binary(p.tb, program), args...)).CombinedOutput()
	if err != nil {
		p.tb.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// Binary finds a program of PostgreSQL's server, or calls [Missing].
func Binary(tb testing.TB, program string) string {
	tb.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if sbin := "/usr/sbin/" + program; len(found) == 0 {
		found, _ = filepath.Glob(sbin)
	}
	if len(found) == 0 {
		Missing(tb, "there is no %s on this machine", program)
	}
	return found[len(found)-1]
}

// Unprivileged has a command run as the user postgres, for as root it refuses to.
func Unprivileged(tb testing.TB, cmd *exec.Cmd) *exec.Cmd {
	tb.Helper()
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(tb)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	cmd.Dir = "/"
	return cmd
}

func postgresUser(tb testing.TB) (uid, gid int) {
	tb.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		Missing(tb, "PostgreSQL does not run as root, and there is no other user for it: %v", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// Folder makes a folder that such commands may write to.
func Folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgtest") //nolint:usetesting // no other user may enter the test's own
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if os.Geteuid() == 0 {
		uid, gid := postgresUser(tb)
		if err := os.Chown(dir, uid, gid); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// FreePort returns a port of the loopback interface that is free now.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port //nolint:errcheck // it is one
}
