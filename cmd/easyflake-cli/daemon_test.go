//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sevlyar/go-daemon"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDaemon(t *testing.T) {
	folder := t.TempDir()
	// As inherited from another daemon.
	d := newDirector(t, daemon.MARK_NAME+"="+daemon.MARK_VALUE, daemonMark+"=")
	p := d.command(t, os.Args[0], "--daemon", "--pid-file", "pid", "--log-file", "log")
	p.Dir = folder
	out := &strings.Builder{}
	p.Stdout = out
	require.NoError(t, p.Start())
	a := d.meet(t)
	a.do(t, "say early words")
	a.do(t, "ready")
	require.Equal(t, statusOK, p.end(t))
	assert.Equal(t, "easyflake-cli: early words\n", p.err.text.String())
	assert.Empty(t, out.String())

	pid, log := filepath.Join(folder, "pid"), filepath.Join(folder, "log")
	assert.Equal(t, strconv.Itoa(a.PID)+"\n", content(pid))
	info, err := os.Stat(log)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	info, err = os.Stat(pid)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())

	session, err := unix.Getsid(a.PID)
	require.NoError(t, err)
	assert.Equal(t, a.PID, session)
	assert.Equal(t, daemonUmask, a.Umask)
	resolved, err := filepath.EvalSymlinks(folder)
	require.NoError(t, err)
	assert.Equal(t, resolved, a.Folder)
	assert.False(t, slices.ContainsFunc(a.Env, func(v string) bool {
		return strings.HasPrefix(v, daemon.MARK_NAME+"=") || strings.HasPrefix(v, daemonMark+"=")
	}))

	a.do(t, "say later words")
	a.do(t, "write output")
	assert.Equal(t, "easyflake-cli: later words\noutput\n", content(log))
	assert.Equal(t, "easyflake-cli: early words\n", p.err.text.String())

	// As logrotate does it.
	require.NoError(t, os.Rename(log, log+".1"))
	a.signal(t, syscall.SIGHUP)
	eventually(t, "the new log file has what the daemon says", func() bool {
		return content(log) == "easyflake-cli: reloaded\n"
	})

	a.signal(t, syscall.SIGTERM)
	a.ends(t)
	assert.NoFileExists(t, pid)
	assert.Equal(t, "easyflake-cli: reloaded\n", content(log))
}

// TestDaemonHasNothingOfTheShell: neither its terminal nor its pipes.
func TestDaemonHasNothingOfTheShell(t *testing.T) {
	const files = "/proc/%d/fd"
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows a process's files")
	}
	inherited, in, err := os.Pipe()
	require.NoError(t, err)
	defer inherited.Close()
	defer in.Close()
	d, log := newDirector(t), filepath.Join(t.TempDir(), "log")
	for _, c := range []struct {
		flags  []string
		stderr string
	}{
		{[]string{"-d"}, os.DevNull},
		{[]string{"-d", "--log-file", log}, log},
	} {
		p := d.command(t, os.Args[0], c.flags...)
		p.ExtraFiles = []*os.File{in, in} // go-daemon uses 3 itself
		require.NoError(t, p.Start())
		a := d.meet(t)
		a.do(t, "ready")
		require.Equal(t, statusOK, p.end(t))
		folder := strings.Replace(files, "%d", strconv.Itoa(a.PID), 1)
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			target, err := os.Readlink(filepath.Join(folder, e.Name()))
			require.NoError(t, err)
			switch e.Name() {
			case "0":
				assert.Equal(t, os.DevNull, target)
			case "1", "2":
				assert.Equal(t, c.stderr, target)
			default: // the test's socket, and what the Go runtime needs
				assert.NotContains(t, target, "pipe:", e.Name())
				assert.NotEqual(t, os.DevNull, target)
			}
		}
		a.signal(t, syscall.SIGTERM)
		a.ends(t)
	}
}

// TestDaemonThatDoesNotStart says why, once, at the process that waits for it.
func TestDaemonThatDoesNotStart(t *testing.T) {
	for name, c := range map[string]struct {
		what string
		said string // "…" stands for anything
	}{
		"failing":         {"fail the port is taken", "easyflake-cli: the port is taken\n"},
		"used wrongly":    {"misuse no such store", "easyflake-cli: no such store\n"},
		"ending in order": {"return", "easyflake-cli: the server ended (exit status 0) before it answered: run it without --daemon to see more\n"},
		"panicking":       {"panic out of cheese", "panic: out of cheese…"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			pid, log := filepath.Join(folder, "pid"), filepath.Join(folder, "log")
			d := newDirector(t)
			p := d.start(t, "-d", "--pid-file", pid, "--log-file", log)
			a := d.meet(t)
			a.tell(t, c.what)
			assert.Equal(t, statusFailed, p.end(t))
			said := p.err.text.String()
			if start, open := strings.CutSuffix(c.said, "…"); open {
				assert.True(t, strings.HasPrefix(said, start), said)
				assert.Equal(t, 1, strings.Count(said, start))
			} else {
				assert.Equal(t, c.said, said)
				assert.NoFileExists(t, pid)
			}
			assert.Empty(t, content(log))
			a.ends(t)
		})
	}
}

func TestDaemonThatIsKilled(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			d := newDirector(t)
			p := d.start(t, "-d")
			a := d.meet(t)
			a.do(t, "say nothing yet")
			a.signal(t, sig)
			assert.Equal(t, statusFailed, p.end(t))
			a.ends(t)
			said := p.err.text.String()
			assert.Contains(t, said, "easyflake-cli: nothing yet\n")
			switch sig {
			case syscall.SIGKILL:
				assert.Contains(t, said, "the server was ended by a signal (killed) before it answered")
			case syscall.SIGTERM: // which it takes for a wish
				assert.Contains(t, said, "the server ended (exit status 0) before it answered")
			default: // the Go runtime's words
				assert.Contains(t, said, "SIGSEGV")
			}
		})
	}
}

// TestDaemonThatHangs is ended, also if it does not hear.
func TestDaemonThatHangs(t *testing.T) {
	t.Parallel() // to wait for all bounds at once
	for name, c := range map[string]struct {
		env   []string
		what  string
		stops bool
	}{
		"waiting":        {what: "facts"},
		"not listening":  {what: "stay"},
		"stopped":        {what: "facts", stops: true},
		"before it runs": {env: []string{fakeStuck + "=1"}, what: "facts"},
		// go-daemon's parent waits for the daemon to read its environment.
		"with an environment that does not fit into a pipe": {env: []string{fakeStuck + "=1", "BIG=" + strings.Repeat("x", 100_000)}, what: "facts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pid := filepath.Join(t.TempDir(), "pid")
			d := newDirector(t, append(c.env, fakeBounds+"=5s,100ms")...)
			p := d.start(t, "-d", "--pid-file", pid)
			a := d.meet(t)
			a.do(t, c.what)
			if c.stops {
				a.signal(t, syscall.SIGSTOP)
			}
			assert.Equal(t, statusFailed, p.end(t))
			assert.Equal(t, "easyflake-cli: the server did not answer within 5s, and was ended: run it without --daemon to see more\n", p.err.text.String())
			if len(c.env) < 2 {
				a.ends(t)
			} // else its process was never known, and it ends when it reads
		})
	}
}

// TestInterruptedParentEndsTheDaemon also where it does not hear.
func TestInterruptedParentEndsTheDaemon(t *testing.T) {
	for _, what := range []string{"facts", "stay"} {
		for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
			t.Run(what+" "+sig.String(), func(t *testing.T) {
				d := newDirector(t, fakeBounds+"=1m,100ms")
				p := d.start(t, "-d")
				a := d.meet(t)
				a.do(t, what)
				require.NoError(t, p.Process.Signal(sig))
				assert.Equal(t, status, p.end(t))
				a.ends(t)
				assert.Empty(t, p.err.text.String())
			})
		}
	}
}

// TestDaemonWithoutParent does not go on: whoever killed that one believes that
// there is no server.
func TestDaemonWithoutParent(t *testing.T) {
	folder := t.TempDir()
	pid, log := filepath.Join(folder, "pid"), filepath.Join(folder, "log")
	d := newDirector(t)
	p := d.start(t, "-d", "--pid-file", pid, "--log-file", log)
	a := d.meet(t)
	require.NoError(t, p.Process.Kill())
	p.end(t)
	a.do(t, "ready")
	assert.Contains(t, a.Err, "the process that waited for this daemon is gone")
	a.ends(t)
	assert.Contains(t, content(log), a.Err)
	assert.NoFileExists(t, pid)
}

func TestDaemonsLogFileMustBeOne(t *testing.T) {
	folder := t.TempDir()
	fifo := filepath.Join(folder, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	d := newDirector(t)
	for path, why := range map[string]string{
		folder:                               "is not a file that can be appended to",
		fifo:                                 "is not a file that can be appended to",
		"/dev/stderr":                        "is not a file that can be appended to",
		filepath.Join(folder, "none", "log"): "cannot be written",
	} {
		p := d.start(t, "-d", "--log-file", path)
		assert.Equal(t, statusFailed, p.end(t))
		said := p.err.text.String()
		assert.Equal(t, 1, strings.Count(said, "\n"), said)
		assert.Contains(t, said, "easyflake-cli: the log file "+path+" "+why)
	}
}

// TestKilledDaemonIsFollowed by one that takes over its PID file.
func TestKilledDaemonIsFollowed(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	d := newDirector(t)
	for range 3 {
		p := d.start(t, "-d", "--pid-file", pid)
		a := d.meet(t)
		a.do(t, "ready")
		require.Equal(t, statusOK, p.end(t), &p.err.text)
		assert.Equal(t, strconv.Itoa(a.PID)+"\n", content(pid))
		a.signal(t, syscall.SIGKILL)
		a.ends(t)
		assert.FileExists(t, pid)
	}
}

func TestDaemonRefusesALinkAsPIDFile(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "pid")
	require.NoError(t, os.Symlink(filepath.Join(folder, "target"), link))
	p := newDirector(t).start(t, "-d", "--pid-file", link)
	assert.Equal(t, statusFailed, p.end(t))
	assert.Contains(t, p.err.text.String(), "is a symbolic link")
	assert.NoFileExists(t, filepath.Join(folder, "target"))
}
