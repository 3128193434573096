//go:build !windows

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// director starts fake servers and tells them what to do.
type director struct {
	*net.UnixListener

	env []string
}

func newDirector(t *testing.T, env ...string) *director {
	t.Helper()
	path := filepath.Join(shortFolder(t), "control")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return &director{l, append(env, asServer+"=1", fakeControl+"="+path)}
}

// start starts a program.
func (d *director) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := d.command(t, os.Args[0], args...)
	require.NoError(t, p.Start())
	return p
}

func (d *director) command(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), name, args...)}
	t.Cleanup(p.reap)
	p.err.written = make(chan struct{})
	p.Env, p.Stderr = append(os.Environ(), d.env...), &p.err
	return p
}

// actor is a server that one of those programs has become.
type actor struct {
	fakeFacts

	conn net.Conn
	in   *bufio.Reader
	over bool
}

// meet waits for a server, and has it end with the test.
func (d *director) meet(t *testing.T) *actor {
	t.Helper()
	require.NoError(t, d.SetDeadline(time.Now().Add(patience)))
	conn, err := d.Accept()
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*patience)))
	a := &actor{conn: conn, in: bufio.NewReader(conn)}
	t.Cleanup(func() {
		if !a.over && a.PID > 0 {
			_ = syscall.Kill(a.PID, syscall.SIGKILL)
			a.ends(t)
		}
		conn.Close()
	})
	a.hear(t)
	require.Positive(t, a.PID)
	return a
}

func (a *actor) hear(t *testing.T) {
	t.Helper()
	line, err := a.in.ReadBytes('\n')
	require.NoError(t, err)
	a.fakeFacts.Err = ""
	require.NoError(t, json.Unmarshal(line, &a.fakeFacts))
}

// tell tells the server what to do.
func (a *actor) tell(t *testing.T, what string) {
	t.Helper()
	_, err := fmt.Fprintln(a.conn, what)
	require.NoError(t, err)
}

// do tells the server what to do, and waits until it is done.
func (a *actor) do(t *testing.T, what string) {
	t.Helper()
	a.tell(t, what)
	a.hear(t)
}

func (a *actor) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.False(t, a.over)
	require.NoError(t, syscall.Kill(a.PID, sig))
}

// ends waits for the end of the server's process.
func (a *actor) ends(t *testing.T) {
	t.Helper()
	for !a.over {
		if _, err := a.in.ReadByte(); err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			a.over = true
		}
	}
}

// eventually polls what another process does to the file system.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, patience, 5*time.Millisecond, what)
}

func content(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

func TestServerInTheForeground(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			d, pid := newDirector(t), filepath.Join(t.TempDir(), "pid")
			p := d.start(t, "--pid-file", pid)
			a := d.meet(t)
			assert.Equal(t, p.Process.Pid, a.PID)
			assert.Equal(t, strconv.Itoa(a.PID)+"\n", content(pid))
			a.do(t, "ready")
			a.signal(t, sig)
			assert.Equal(t, statusOK, p.end(t))
			assert.NoFileExists(t, pid)
			assert.Empty(t, p.err.text.String())
		})
	}
}

// TestHangupOfAServer does not end it, under nohup or not.
func TestHangupOfAServer(t *testing.T) {
	for name, command := range map[string][]string{
		"plain":       {os.Args[0]},
		"under nohup": {"nohup", os.Args[0]},
		"ignored":     {"sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0]},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirector(t)
			p := d.command(t, command[0], command[1:]...)
			require.NoError(t, p.Start())
			a := d.meet(t)
			a.do(t, "ready")
			a.signal(t, syscall.SIGHUP)
			<-p.err.written // that it has reloaded
			a.do(t, "facts")
			a.signal(t, syscall.SIGTERM)
			assert.Equal(t, statusOK, p.end(t))
			assert.Contains(t, p.err.text.String(), "easyflake-cli: reloaded\n")
		})
	}
}

// TestSecondSignalKillsAServer that does not end, and the next one takes over its
// PID file.
func TestSecondSignalKillsAServer(t *testing.T) {
	d, pid := newDirector(t), filepath.Join(t.TempDir(), "pid")
	p := d.start(t, "--pid-file", pid)
	a := d.meet(t)
	a.do(t, "stay")
	a.signal(t, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Wait() }()
	for waiting := true; waiting; {
		select {
		case <-ended:
			waiting = false
		case <-time.After(10 * time.Millisecond): // the first one takes a moment
			_ = p.Process.Signal(syscall.SIGTERM)
		}
	}
	a.ends(t)
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	assert.Equal(t, syscall.SIGTERM, status.Signal())
	assert.Equal(t, strconv.Itoa(a.PID)+"\n", content(pid))

	p = d.start(t, "--pid-file", pid)
	b := d.meet(t)
	assert.Equal(t, strconv.Itoa(b.PID)+"\n", content(pid))
	b.tell(t, "return")
	assert.Equal(t, statusOK, p.end(t))
	assert.NoFileExists(t, pid)
}

// TestServerNamesTheOneThatRuns and fails before it does anything.
func TestServerNamesTheOneThatRuns(t *testing.T) {
	d, pid := newDirector(t), filepath.Join(t.TempDir(), "pid")
	d.start(t, "--pid-file", pid)
	a := d.meet(t)
	for _, flags := range [][]string{{"--pid-file", pid}, {"--pid-file", pid, "-d"}} {
		p := d.start(t, flags...)
		assert.Equal(t, statusFailed, p.end(t))
		said := p.err.text.String()
		assert.Equal(t, 1, strings.Count(said, "\n"), said)
		assert.Contains(t, said, fmt.Sprintf("belongs to a running server, process %d: end that one first ('kill %d')", a.PID, a.PID))
	}
	assert.Equal(t, strconv.Itoa(a.PID)+"\n", content(pid))
}

// TestServersAtOnce are many that want one PID file, left by a killed one. Exactly
// one gets it, and the others name it.
func TestServersAtOnce(t *testing.T) {
	const n = 4
	d, pid := newDirector(t), filepath.Join(t.TempDir(), "pid")
	p := d.start(t, "-d", "--pid-file", pid)
	a := d.meet(t)
	a.do(t, "ready")
	require.Equal(t, statusOK, p.end(t))
	a.signal(t, syscall.SIGKILL)
	a.ends(t)
	require.FileExists(t, pid)

	var starters []*process
	for i := range n {
		flags := []string{"--pid-file", pid}
		if i%2 == 0 {
			flags = append(flags, "--daemon")
		}
		starters = append(starters, d.start(t, flags...))
	}
	holder := d.meet(t)
	holder.do(t, "ready")
	failed := 0
	for _, p := range starters {
		if p.Process.Pid == holder.PID {
			continue
		}
		if p.end(t) == statusFailed {
			failed++
			assert.Contains(t, p.err.text.String(), fmt.Sprintf("process %d", holder.PID))
		}
	}
	assert.Equal(t, n-1, failed)
	assert.Equal(t, strconv.Itoa(holder.PID)+"\n", content(pid))
	holder.signal(t, syscall.SIGTERM)
	holder.ends(t)
	assert.NoFileExists(t, pid)
}
