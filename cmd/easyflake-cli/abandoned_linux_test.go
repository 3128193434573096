package main

import (
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a terminal: closing the first one is what closing
// its window does.
func newTerminal(t *testing.T) (window, terminal *os.File) {
	t.Helper()
	window, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { window.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(window.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(window.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return window, terminal
}

// TestServerInATerminal reloads on SIGHUP while that is there, and ends with it,
// unless nohup says otherwise.
func TestServerInATerminal(t *testing.T) {
	for name, command := range map[string][]string{
		"plain":   {os.Args[0]},
		"ignored": {"sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0]},
	} {
		t.Run(name, func(t *testing.T) {
			window, terminal := newTerminal(t)
			d := newDirector(t)
			p := d.command(t, command[0], command[1:]...)
			p.Stdin = terminal
			p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // as a shell's login
			require.NoError(t, p.Start())
			require.NoError(t, terminal.Close())
			a := d.meet(t)
			a.do(t, "ready")
			a.signal(t, syscall.SIGHUP)
			<-p.err.written // that it has reloaded
			a.do(t, "facts")
			require.NoError(t, window.Close()) // upon which the kernel sends SIGHUP
			if name == "ignored" {
				for a.Reloads < 2 {
					a.do(t, "facts")
				}
				a.signal(t, syscall.SIGTERM)
			}
			assert.Equal(t, statusOK, p.end(t))
			a.ends(t)
		})
	}
}
