package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells systemd how a server is, by the protocol of sd_notify(3): datagrams
// of lines to a socket that the environment names. Where it names none, as under
// anything but systemd, nothing happens.
type notifier struct {
	socket   string
	watchdog time.Duration // a server that says nothing for as long is restarted; 0: for ever
}

// notifyTimeout bounds how long a message waits for a queue that is full.
const notifyTimeout = 5 * time.Second

// newNotifier reads the environment, and takes out of it what is meant for this
// process alone. It is of use also with an error: what was understood is there.
func newNotifier(getenv func(string) string, unsetenv func(string) error) (*notifier, error) {
	n := &notifier{}
	socket, usec, pid := getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := unsetenv(name); err != nil {
			return n, err
		}
	}
	if socket == "" {
		return n, nil
	}
	// "@" stands for the NUL that an abstract name begins with.
	if socket[0] != '/' && socket[0] != '@' || len(socket) == 1 {
		return n, fmt.Errorf("NOTIFY_SOCKET is %q: it must be an absolute path or @NAME, and systemd hears nothing of this server", socket)
	}
	n.socket = socket
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil
	}
	microseconds, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || microseconds <= 0 || microseconds > int64(maxWatchdog/time.Microsecond) {
		return n, fmt.Errorf("WATCHDOG_USEC is %q: it must be a number of microseconds, and the watchdog hears nothing of this server", usec)
	}
	n.watchdog = time.Duration(microseconds) * time.Microsecond
	return n, nil
}

// maxWatchdog is far beyond any use, and far from overflow.
const maxWatchdog = 100 * 365 * 24 * time.Hour

// ready says that the server answers, or is done with reloading.
func (n *notifier) ready() error { return n.send("READY=1", status("answering")) }

// reloading says that the configuration is being read again, and ready follows.
func (n *notifier) reloading() error {
	lines := []string{"RELOADING=1", status("reloading")}
	if now := monotonicMicroseconds(); now > 0 {
		// So that systemd can tell a ready that belongs to this from one before.
		lines = append(lines, "MONOTONIC_USEC="+strconv.FormatInt(now, 10))
	}
	return n.send(lines...)
}

// stopping says that the server is about to end.
func (n *notifier) stopping() error {
	return n.send("STOPPING=1", status("stopping: waiting for requests to end"))
}

// alive feeds the watchdog.
func (n *notifier) alive() error { return n.send("WATCHDOG=1") }

// status is what 'systemctl status' shows.
func status(text string) string {
	return "STATUS=" + strings.NewReplacer("\n", " ", "\x00", " ").Replace(text)
}

// send connects anew for each message: the socket may have been made anew too.
func (n *notifier) send(lines ...string) error {
	if n.socket == "" {
		return nil
	}
	err := n.write(strings.Join(lines, "\n"))
	if err != nil {
		return fmt.Errorf("telling systemd %s: %w", lines[0], err)
	}
	return nil
}

func (n *notifier) write(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is buffered
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}
