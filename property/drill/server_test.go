package drill

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	namespace = "default"
	// form is small enough that nodes are used again, and large enough for all clients.
	form = "node=8,sequence=10"
	// terms are short enough that each step sees renewals of all clients, and longer
	// than an engine takes to be there again.
	terms = "    skew: 200ms\n    first_window: 6s\n    window: 12s\n    horizon: 24s\n"
)

// server is a pool server on the engine, in a process of its own.
type server struct {
	args []string
	cmd  *exec.Cmd
	said *safeBuffer // by all its lives
	done chan struct{}
}

// build builds the command line's program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "easyflake-cli")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/easyflake-cli").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// newServer starts a server of a store on a port, with further flags in its first life.
func newServer(t *testing.T, program, store string, port int, first ...string) *server {
	t.Helper()
	folder := t.TempDir()
	config := filepath.Join(folder, "config.yaml")
	text := fmt.Sprintf("namespaces:\n  - name: %s\n    layout: %s\n%s", namespace, form, terms)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	s := &server{
		args: []string{program, "grpc", "-p", strconv.Itoa(port), "--config", config, "--store", store, "--log-level", "info"},
		said: &safeBuffer{},
	}
	s.start(t, first...)
	t.Cleanup(func() { s.end(t) })
	return s
}

func (s *server) start(t *testing.T, more ...string) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], append(s.args[1:len(s.args):len(s.args)], more...)...) //nolint:noctx // ended by hand: it must be able to end well
	s.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	require.NoError(t, s.cmd.Start())
	s.done = make(chan struct{})
	cmd, done := s.cmd, s.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
}

// signal sends a signal, after which the server ends.
func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Errorf("a server does not end on %v; it said:\n%s", sig, s.said)
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

func (s *server) end(t *testing.T) {
	t.Helper()
	select {
	case <-s.done:
	default:
		s.signal(t, syscall.SIGTERM)
	}
}

// await waits until something listens at a port.
func await(t *testing.T, port int, s *server) {
	t.Helper()
	for range 600 {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
		if err == nil {
			require.NoError(t, conn.Close())
			return
		}
		select {
		case <-s.done:
			t.Fatalf("the server has ended:\n%s", s.said)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("nothing listens at port %d; the server said:\n%s", port, s.said)
}

// freePort returns a port that is free now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.NoError(t, l.Close())
	return at.Port
}

// safeBuffer is written by one process, and read by another goroutine.
type safeBuffer struct {
	mu sync.Mutex // owns b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p) //nolint:wrapcheck // never an error
}

// String returns all that was written.
func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
