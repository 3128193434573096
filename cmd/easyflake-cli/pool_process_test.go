//go:build !windows

package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// These tests need signals that Windows does not have. What they show of leases,
// pool/filestore shows on Windows too.

// wide has enough IDs in a tick that these tests are quick.
const wide = "node=4,sequence=12"

// whole drops the line that a process was killed in.
func whole(text string) string { return text[:strings.LastIndexByte(text, '\n')+1] }

// register notes IDs, none of which may come twice.
type register map[int64]bool

func (seen register) add(t *testing.T, text string) int {
	t.Helper()
	list := ids(t, text)
	for _, id := range list {
		require.False(t, seen[id], "%d twice", id)
		seen[id] = true
	}
	return len(list)
}

// TestTenProcessesNeverRepeat, all of which have a node at the same time, and two
// of which are killed in the middle and started again: they have far more to print
// than fits into a pipe that nobody reads.
func TestTenProcessesNeverRepeat(t *testing.T) {
	const processes, killed, n = 10, 2, 100_000
	state := t.TempDir()
	begin := func() *process {
		return startIn(t, state, os.Args[0], "next", "-n", strconv.Itoa(n), "--layout", wide)
	}
	running := make([]*process, processes)
	for i := range running {
		running[i] = begin()
	}
	outs := make([]string, processes)
	for i, p := range running {
		outs[i] = p.line(t)
	}
	seen := register{}
	for i := range killed {
		require.NoError(t, running[i].Process.Kill())
		rest, err := io.ReadAll(running[i].out)
		require.NoError(t, err)
		running[i].end(t)
		count := seen.add(t, whole(outs[i]+string(rest)))
		assert.Positive(t, count)
		assert.Less(t, count, n)
		running[i] = begin()
		outs[i] = running[i].line(t)
	}
	errs := make([]error, processes)
	var reading sync.WaitGroup
	for i, p := range running {
		reading.Go(func() {
			var rest []byte
			rest, errs[i] = io.ReadAll(p.out)
			outs[i] += string(rest)
		})
	}
	reading.Wait()
	require.NoError(t, errors.Join(errs...))
	for i, p := range running {
		assert.Equal(t, statusOK, p.end(t), &p.err.text)
		assert.Empty(t, p.err.text.String())
		assert.Equal(t, n, seen.add(t, outs[i]))
	}

	// Those that ended have given their nodes back. The killed ones' windows end
	// soon: a first one has ten seconds, and a second at its beginning for clocks
	// that are behind.
	count := map[string]int{}
	for _, lease := range leases(t, state) {
		if lease.Holder == "" {
			assert.Equal(t, "free", lease.State)
			count["free"]++
			continue
		}
		count["killed"]++
		assert.LessOrEqual(t, lease.UntilTick-lease.FromTick, int64(11_000)<<lease.Renewals)
	}
	assert.Equal(t, killed, count["killed"])
	assert.GreaterOrEqual(t, count["free"], processes-killed)
}

// TestStoppedProcessGoesOnWithAnotherWindow: a process is stopped until its window
// is over and the only node that there is has another holder. When it goes on,
// it waits for that one, and then has another window.
func TestStoppedProcessGoesOnWithAnotherWindow(t *testing.T) {
	state := t.TempDir()
	l, err := layout.Parse(wide)
	require.NoError(t, err)
	tick := func(line string) int64 {
		t.Helper()
		p, err := l.Decompose(layout.ID(ids(t, line)[0]))
		require.NoError(t, err)
		require.Zero(t, p.Node)
		return p.Tick
	}
	leaseOutput(t, state, "namespace", "create", "short", "--layout", wide, "--by-hand", "1-15",
		"--skew", "0s", "--first-window", "300ms", "--window", "300ms", "--horizon", "1s")
	begin := func() *process {
		return startIn(t, state, os.Args[0], "next", "-q", "-n", "1000000000", "--layout", wide)
	}

	stopped := begin()
	var out strings.Builder
	out.WriteString(stopped.line(t))
	require.NoError(t, stopped.Process.Signal(syscall.SIGSTOP))

	// The node is refused until the stopped one's window is over.
	var second *process
	var text string
	for {
		second = begin()
		if text, err = second.out.ReadString('\n'); err == nil {
			break
		}
		require.Equal(t, statusFailed, second.end(t))
		if strings.Contains(second.err.text.String(), "the only node") {
			continue
		}
		// It was stopped while it had the file. Listing waits for its lock.
		require.Contains(t, second.err.text.String(), strconv.Itoa(stopped.Process.Pid))
		require.NoError(t, stopped.Process.Signal(syscall.SIGCONT))
		leases(t, state)
		require.NoError(t, stopped.Process.Signal(syscall.SIGSTOP))
	}
	require.NoError(t, stopped.Process.Signal(syscall.SIGCONT))
	require.NoError(t, second.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(second.out)
	require.NoError(t, err)
	require.Equal(t, 130, second.end(t))
	text += string(rest)
	last := tick(text[strings.LastIndexByte(text[:len(text)-1], '\n')+1:])

	for {
		line := stopped.line(t)
		out.WriteString(line)
		if tick(line) > last {
			break
		}
	}
	require.NoError(t, stopped.Process.Signal(syscall.SIGINT))
	rest, err = io.ReadAll(stopped.out)
	require.NoError(t, err)
	require.Equal(t, 130, stopped.end(t))
	out.Write(rest)

	seen := register{}
	seen.add(t, text)
	seen.add(t, out.String())
	assert.Equal(t, "free", leases(t, state)[0].State)
}
