// Package redistest starts Redis servers that tests may ruin.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a Redis of a test's own, which ends with it.
type Server struct {
	// Port is that of the loopback interface which it listens at.
	Port int

	tb   testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
	stop func() // kills the process, and waits for its end
}

// Missing skips a test of what is not there, but not in CI.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}

// Start starts a server that has its data in a folder of its own, with further flags,
// and waits until it answers.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		Missing(tb, "no redis-server in the PATH: %v", err)
	}
	s := &Server{tb: tb, dir: tb.TempDir(), args: args}
	for range 5 { // another process may take the port first
		s.Port = FreePort(tb)
		err := s.Try()
		if err == nil {
			break
		}
		tb.Log(err)
	}
	if s.cmd == nil {
		tb.Fatal("no server could be started")
	}
	tb.Cleanup(s.Kill)
	return s
}

// FreePort returns a port of the loopback interface that is free now.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	return number
}

// URL is where it is.
func (s *Server) URL() string { return "redis://127.0.0.1:" + s.PortText() }

// PortText is its port as Redis' commands want it.
func (s *Server) PortText() string { return strconv.Itoa(s.Port) }

// Try starts a server that was killed, and waits until it answers.
func (s *Server) Try() error {
	args := append([]string{"--port", s.PortText(), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--logfile", filepath.Join(s.dir, "log")}, s.args...)
	cmd := exec.Command("redis-server", args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	var end error
	ended := make(chan struct{})
	go func() {
		end = cmd.Wait()
		close(ended)
	}()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + s.PortText(), DialerRetries: 1, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := c.Ping(context.Background()).Err()
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") {
			s.cmd = cmd
			s.stop = func() {
				_ = cmd.Process.Kill()
				<-ended
			}
			return nil
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("redis-server ended: %w\n%s", end, log)
		case <-deadline.C:
			_ = cmd.Process.Kill()
			<-ended
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-again.C:
		}
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.stop()
	s.cmd = nil
}

// Restart kills the server, and starts it again.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.Try(); err != nil {
		s.tb.Fatal(err)
	}
}
