//go:build !windows

package main

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// systemd is the other end of a notifier.
type systemd struct{ *net.UnixConn }

// listenAsSystemd listens at a path in a folder whose name is short enough, or at an
// abstract name.
func listenAsSystemd(t *testing.T, name string) *systemd {
	t.Helper()
	if name == "" {
		name = filepath.Join(shortFolder(t), "notify")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	return &systemd{conn}
}

// shortFolder is for sockets, whose paths may have about a hundred bytes.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "ef") //nolint:usetesting // t.TempDir has the test's name in its path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func (s *systemd) hear(t *testing.T) []string {
	t.Helper()
	message := make([]byte, 1<<12)
	n, err := s.Read(message)
	require.NoError(t, err)
	return strings.Split(string(message[:n]), "\n")
}

// environment is one of a test's own.
type environment map[string]string

func (e environment) get(key string) string { return e[key] }

func (e environment) unset(key string) error {
	delete(e, key)
	return nil
}

func TestNotifierSpeaksTheProtocol(t *testing.T) {
	names := []string{""}
	if runtime.GOOS == "linux" {
		names = append(names, "@easyflake-test-"+strconv.Itoa(os.Getpid()))
	}
	for _, name := range names {
		s := listenAsSystemd(t, name)
		env := environment{"NOTIFY_SOCKET": s.LocalAddr().String(), "OTHER": "1"}
		n, err := newNotifier(env.get, env.unset)
		require.NoError(t, err)
		assert.Equal(t, environment{"OTHER": "1"}, env)

		require.NoError(t, n.ready())
		assert.Equal(t, []string{"READY=1", "STATUS=answering"}, s.hear(t))
		before := monotonicMicroseconds()
		require.NoError(t, n.reloading())
		heard := s.hear(t)
		assert.Equal(t, []string{"RELOADING=1", "STATUS=reloading"}, heard[:2])
		if runtime.GOOS == "linux" {
			usec, found := strings.CutPrefix(heard[2], "MONOTONIC_USEC=")
			require.True(t, found)
			at, err := strconv.ParseInt(usec, 10, 64)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, at, before)
			assert.LessOrEqual(t, at, monotonicMicroseconds())
		}
		require.NoError(t, n.alive())
		assert.Equal(t, []string{"WATCHDOG=1"}, s.hear(t))
		require.NoError(t, n.stopping())
		assert.Equal(t, "STOPPING=1", s.hear(t)[0])
	}
}

func TestNotifierWithoutSystemd(t *testing.T) {
	env := environment{"WATCHDOG_USEC": "1000"}
	n, err := newNotifier(env.get, env.unset)
	require.NoError(t, err)
	require.NoError(t, n.ready())
	assert.Zero(t, n.watchdog)
	assert.Empty(t, env)
}

func TestNotifierReportsWhatFails(t *testing.T) {
	for _, socket := range []string{"relative", "vsock:2:1234", "@", "/"} {
		env := environment{"NOTIFY_SOCKET": socket}
		n, err := newNotifier(env.get, env.unset)
		require.ErrorContains(t, err, strconv.Quote(socket))
		require.NoError(t, n.ready(), "there is nobody to tell")
		assert.Empty(t, env)
	}
	env := environment{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "nobody")}
	n, err := newNotifier(env.get, env.unset)
	require.NoError(t, err)
	require.ErrorContains(t, n.ready(), "telling systemd READY=1: ")
	require.ErrorContains(t, n.alive(), "telling systemd WATCHDOG=1: ")
}

func TestNotifierWatchdog(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		wrong     bool
	}{
		{"", "", 0, false},
		{"30000000", "", 30 * time.Second, false},
		{"30000000", own, 30 * time.Second, false},
		{"30000000", strconv.Itoa(os.Getppid()), 0, false},
		{"1", own, time.Microsecond, false},
		{"0", own, 0, true},
		{"-5", own, 0, true},
		{"9223372036854775807", own, 0, true},
		{"9223372036854775808", own, 0, true},
		{"soon", own, 0, true},
	} {
		env := environment{"NOTIFY_SOCKET": "/nobody", "WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}
		n, err := newNotifier(env.get, env.unset)
		assert.Equal(t, c.wrong, err != nil, "%+v: %v", c, err)
		assert.Equal(t, c.want, n.watchdog, "%+v", c)
		assert.Equal(t, "/nobody", n.socket)
		assert.Empty(t, env)
	}
}

// TestStatusIsOneLine whatever it is made of.
func TestStatusIsOneLine(t *testing.T) {
	assert.Equal(t, "STATUS=a READY=1 b", status("a\nREADY=1\x00b"))
}
