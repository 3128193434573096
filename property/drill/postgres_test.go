//go:build !windows

package drill

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// postgres is a server of this test's own. It runs as the user postgres where the test
// is root's, whom it refuses.
type postgres struct {
	bin, folder string
	port        int
	as          *syscall.Credential
}

// newPostgres makes and starts one, with durability as it is by default.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	bin := ""
	for _, folder := range append([]string{os.Getenv("POSTGRES_BIN")}, glob("/usr/lib/postgresql/*/bin")...) {
		if _, err := os.Stat(filepath.Join(folder, "initdb")); folder != "" && err == nil {
			bin = folder
		}
	}
	if bin == "" {
		t.Fatal("no programs of PostgreSQL here: install it, or set POSTGRES_BIN to their folder")
	}
	folder, err := os.MkdirTemp("", "drill-postgres-") //nolint:usetesting // which nobody else may look into
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	p := &postgres{bin: bin, folder: folder, port: freePort(t)}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		require.NoError(t, err)
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		require.NoError(t, err)
		require.NoError(t, os.Chown(folder, int(uid), int(gid)))
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	p.run(t, "initdb", "-D", p.data(), "-U", "postgres", "-A", "trust")
	p.run(t, "pg_ctl", "-D", p.data(), "-l", filepath.Join(folder, "log"), "-w",
		"-o", fmt.Sprintf("-c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -p %d", folder, p.port), "start")
	t.Cleanup(func() { p.run(t, "pg_ctl", "-D", p.data(), "-m", "immediate", "stop") })
	return p
}

func (p *postgres) data() string { return filepath.Join(p.folder, "data") }

func (p *postgres) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", p.port)
}

func (p *postgres) run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, program), args...) //nolint:noctx // also in cleanups
	cmd.Dir = p.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	out, err := os.Create(filepath.Join(t.TempDir(), program)) // a pipe would be kept open by what it starts
	require.NoError(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", program, err, said)
	}
}

func glob(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

// TestDrillPostgres restarts PostgreSQL without letting it end in order, and stops it
// for a while.
func TestDrillPostgres(t *testing.T) {
	need(t)
	p := newPostgres(t)
	out, err := exec.CommandContext(t.Context(), build(t), "store", "init", p.url()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	d := drill(t, p.url(), func(*drilled) []step {
		return []step{
			{"restart of PostgreSQL in immediate mode", func(t *testing.T) {
				t.Helper()
				p.run(t, "pg_ctl", "-D", p.data(), "-m", "immediate", "-w", "restart")
			}, 15 * time.Second},
			{"SIGSTOP of PostgreSQL for 3 s", func(t *testing.T) {
				t.Helper()
				p.pause(t, 3*time.Second)
			}, 15 * time.Second},
		}
	})
	d.calm(t)
}

// pause stops all of PostgreSQL's processes for a while.
func (p *postgres) pause(t *testing.T, d time.Duration) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	main, err := strconv.Atoi(line)
	require.NoError(t, err)
	of := append([]int{main}, children(main)...)
	for _, pid := range of {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	time.Sleep(d)
	for _, pid := range of {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// children returns the processes that one has started.
func children(of int) (pids []int) {
	for _, stat := range glob("/proc/[0-9]*/stat") {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		_, rest, found := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if found && len(fields) > 1 && fields[1] == strconv.Itoa(of) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
