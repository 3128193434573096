// Package redistest starts Redis servers that tests may ruin.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	args func() []string
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
	port := FreePort
	if slices.Contains(args, "--cluster-enabled") {
		port = freePorts
	}
	return start(tb, port, func(s *Server) []string {
		return append([]string{"--port", s.PortText(), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--repl-diskless-sync-delay", "0", "--logfile", filepath.Join(s.dir, "log")}, args...)
	})
}

// start starts a server at a port of its choice, with the arguments that it has there.
func start(tb testing.TB, port func(testing.TB) int, args func(*Server) []string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		Missing(tb, "no redis-server in the PATH: %v", err)
	}
	s := &Server{tb: tb, dir: tb.TempDir()}
	s.args = func() []string { return args(s) }
	for range 5 { // another process may take the port first
		s.Port = port(tb)
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

// freePorts returns a free port to which a cluster's own, 10000 above it, is free, too.
func freePorts(tb testing.TB) int {
	tb.Helper()
	for range 1000 {
		port := FreePort(tb)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+10000)) // fails above 65535
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no port is free together with the one 10000 above it")
	return 0
}

// URL is where it is.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// PortText is its port as Redis' commands want it.
func (s *Server) PortText() string { return strconv.Itoa(s.Port) }

// Addr is where it is, for clients' options.
func (s *Server) Addr() string { return "127.0.0.1:" + s.PortText() }

// Try starts a server that was killed, and waits until it answers.
func (s *Server) Try() error {
	cmd := exec.Command("redis-server", s.args()...)
	if err := cmd.Start(); err != nil {
		return err
	}
	var end error
	ended := make(chan struct{})
	go func() {
		end = cmd.Wait()
		close(ended)
	}()
	c := s.client()
	defer func() { _ = c.Close() }()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		info, err := c.Info(context.Background(), "server").Result()
		// Another one that has taken the port meanwhile answers, too.
		own := strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", cmd.Process.Pid))
		if own || redis.HasErrorPrefix(err, "NOAUTH") {
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

func (s *Server) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), DialerRetries: 1, MaxRetries: -1})
}

// Do has the server carry out a command, and returns the reply.
func (s *Server) Do(args ...any) any {
	s.tb.Helper()
	c := s.client()
	defer func() { _ = c.Close() }()
	reply, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.tb.Fatalf("%v: %v", args, err)
	}
	return reply
}

// until waits until something is so.
func until(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline.C:
			tb.Fatalf("waited in vain until %s", what)
		case <-again.C:
		}
	}
}

// Freeze has the server hang: its connections stay open, and nothing is answered.
func (s *Server) Freeze() { s.suspend(true) }

// Wake lets a server that was frozen go on.
func (s *Server) Wake() { s.suspend(false) }

func (s *Server) suspend(stop bool) {
	s.tb.Helper()
	err := suspend(s.cmd.Process, stop)
	if errors.Is(err, errors.ErrUnsupported) {
		s.tb.Skip("this system cannot make a process hang")
	}
	if err != nil {
		s.tb.Fatal(err)
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
