//go:build !windows

package drill

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// redis is a server of this test's own.
type redis struct {
	folder string
	port   int
	aof    bool
	cmd    *exec.Cmd
	done   chan struct{}
}

func newRedis(t *testing.T, aof bool) *redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("no redis-server here: install it")
	}
	r := &redis{folder: t.TempDir(), port: freePort(t), aof: aof}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func (r *redis) start(t *testing.T) {
	t.Helper()
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--dir", r.folder, "--save", "", "--appendonly", "no"}
	if r.aof {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	r.cmd = exec.Command("redis-server", args...) //nolint:noctx // ended by hand
	out, err := os.Create(filepath.Join(t.TempDir(), "redis.log"))
	require.NoError(t, err)
	defer out.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, out
	require.NoError(t, r.cmd.Start())
	r.done = make(chan struct{})
	cmd, done := r.cmd, r.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	await(t, r.port, &server{done: r.done, said: &safeBuffer{}})
}

func (r *redis) kill(t *testing.T) {
	t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	<-r.done
}

func (r *redis) url() string { return "redis://127.0.0.1:" + strconv.Itoa(r.port) }

// TestDrillRedis kills Redis, which starts again with its log of all writes, or with
// nothing at all.
func TestDrillRedis(t *testing.T) {
	for _, c := range []struct {
		name string
		aof  bool
		last time.Duration // until nodes are leased again: without namespaces, two minutes
	}{{"with its log", true, time.Minute}, {"without a log", false, 160 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			need(t)
			r := newRedis(t, c.aof)
			d := drill(t, r.url(), func(*drilled) []step {
				return []step{{"SIGKILL of Redis, started again " + c.name, func(t *testing.T) {
					t.Helper()
					r.kill(t)
					r.start(t)
				}, c.last}}
			}, "--fresh")
			for i, s := range d.servers {
				t.Logf("server %d said:\n%s", i, s.said)
			}
			said := d.servers[0].said.String() + d.servers[1].said.String()
			require.Contains(t, said, "horizon", "no server says that it waits until what may be lost is over")
		})
	}
}
