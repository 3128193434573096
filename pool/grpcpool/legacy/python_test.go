package legacy

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// python returns an interpreter that has grpcio. The system's own is asked first:
// that is where the distribution's package is, whatever comes first in PATH. Under
// CI there must be one.
func python(t *testing.T) string {
	t.Helper()
	var said []string
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		out, err := exec.CommandContext(t.Context(), path, "-c", "import grpc").CombinedOutput()
		if err == nil {
			return path
		}
		said = append(said, strings.TrimSpace(path+": "+err.Error()+" "+string(out)))
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no Python with grpcio; install python3-grpcio: %s", strings.Join(said, "; "))
	}
	t.Skipf("needs Python with grpcio (python3-grpcio); TestWire shows the same without: %s", strings.Join(said, "; "))
	return ""
}

// snake is a Python client.
type snake struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   strings.Builder
}

func newSnake(t *testing.T, python, address string, bits int) *snake {
	t.Helper()
	s := &snake{t: t, cmd: exec.CommandContext(t.Context(), python, "testdata/client.py", address, strconv.Itoa(bits))}
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.cmd.Stderr = &s.err
	require.NoError(t, s.cmd.Start())
	s.lines = bufio.NewScanner(out)
	t.Cleanup(s.kill)
	return s
}

// kill ends the process, as a crash would.
func (s *snake) kill() {
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Kill() //nolint:errcheck // it may have ended by itself
		s.cmd.Wait()         //nolint:errcheck // killed
	}
}

// line returns the next line that it prints.
func (s *snake) line() string {
	s.t.Helper()
	if !s.lines.Scan() {
		s.kill()
		s.t.Fatalf("the Python client has ended: %s", s.err.String())
	}
	return s.lines.Text()
}

func (s *snake) number() int {
	s.t.Helper()
	text, found := strings.CutPrefix(s.line(), "number ")
	require.True(s.t, found)
	n, err := strconv.Atoi(text)
	require.NoError(s.t, err)
	return n
}

// A client made of Python's gRPC gets a number from the legacy range and keeps it
// while it is connected, two get different ones, and each hears the codes by which
// EasyFlake for Python knows what to do.
func TestPythonClient(t *testing.T) {
	python := python(t)
	s := newSite(t, true, 2)
	address := s.listen()

	a, b := newSnake(t, python, address, 8), newSnake(t, python, address, 8)
	first, second := a.number(), b.number()
	assert.ElementsMatch(t, []int{252, 253}, []int{first, second})
	assert.Equal(t, "end INVALID_ARGUMENT", newSnake(t, python, address, 10).line())
	assert.Equal(t, "end INVALID_ARGUMENT", newSnake(t, python, address, -8).line())

	// All are taken: the clock goes on until the third one has been kept for long enough.
	third := newSnake(t, python, address, 8)
	s.waiting(3)
	s.clock.Advance(hold)
	assert.Equal(t, "end OUT_OF_RANGE", third.line())
	assert.Equal(t, first, a.number(), "repeated")
	assert.Equal(t, second, b.number(), "repeated")

	// One is killed. Its number rests, and then it is another's.
	b.kill()
	s.lending(1)
	rested := newSnake(t, python, address, 8)
	s.waiting(2)
	s.clock.Advance(hold)
	assert.Equal(t, "end OUT_OF_RANGE", rested.line())
	for range 3 { // until ten seconds have passed since it was lent
		s.settled()
		s.clock.Advance(hold)
	}
	next := newSnake(t, python, address, 8)
	assert.Equal(t, second, next.number())

	// Revoked.
	require.NoError(t, s.local.Revoke(t.Context(), theNamespace, int64(first)))
	for s.settled(); s.server.Stats().Lending == 2; s.settled() {
		s.clock.Advance(hold)
	}
	for text := a.line(); text != "end CANCELLED"; text = a.line() {
		assert.Equal(t, "number "+strconv.Itoa(first), text)
	}

	// The server ends.
	s.server.Drain(t.Context())
	for text := next.line(); text != "end UNAVAILABLE"; text = next.line() {
		assert.Equal(t, "number "+strconv.Itoa(second), text)
	}
}
