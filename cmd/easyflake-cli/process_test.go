package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asProgram makes this test's binary the program itself.
const asProgram = "EASYFLAKE_CLI_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	if os.Getenv(asServer) != "" {
		os.Exit(fakeMain())
	}
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) { // in the background, or under nohup; what is started here must not be
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	goleak.VerifyTestMain(m)
}

// process is the program as a process of its own.
type process struct {
	*exec.Cmd

	in  io.WriteCloser
	out *bufio.Reader
	err stderr

	close func() error // the reading end of out
}

// stderr tells when something has been written to it.
type stderr struct {
	text    bytes.Buffer
	once    sync.Once
	written chan struct{}
}

func (w *stderr) Write(p []byte) (int, error) {
	defer w.once.Do(func() { close(w.written) })
	return w.text.Write(p)
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

// startIn starts a process with a state folder.
func startIn(t *testing.T, state string, args ...string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has neither these signals nor SIGPIPE")
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), args[0], args[1:]...)}
	t.Cleanup(p.reap)
	p.err.written = make(chan struct{})
	p.Env = append(os.Environ(), asProgram+"=1", "XDG_STATE_HOME="+state)
	p.Stderr = &p.err
	var err error
	p.in, err = p.StdinPipe()
	require.NoError(t, err)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.out, p.close = bufio.NewReader(out), out.Close
	require.NoError(t, p.Start())
	return p
}

// reap waits for a process that no test has waited for, and that is killed as its
// test is over.
func (p *process) reap() {
	if p.Process != nil && p.ProcessState == nil {
		_ = p.Wait()
	}
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err, "stderr: %s", &p.err.text)
	return line
}

// end waits for the process and returns its exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	var failed *exec.ExitError
	if err := p.Wait(); err != nil {
		require.ErrorAs(t, err, &failed)
	}
	return p.ProcessState.ExitCode()
}

func TestSignalsEndTheProcess(t *testing.T) {
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		for name, args := range map[string][]string{
			"at the layout's rate": {"next", "-q", "-n", "1000000000"},
			"at full speed":        {"next", "-q", "-n", "1000000000", "--layout", "node=0,sequence=22", "--strategy", "mutex"},
		} {
			t.Run(sig.String()+" "+name, func(t *testing.T) {
				p := start(t, append(os.Args[:1:1], args...)...)
				text := p.line(t)
				require.NoError(t, p.Process.Signal(sig))
				rest, err := io.ReadAll(p.out)
				require.NoError(t, err)
				assert.Equal(t, status, p.end(t))
				assert.Empty(t, p.err.text.String())
				last := int64(-1)
				for _, id := range ids(t, text+string(rest)) {
					require.Greater(t, id, last)
					last = id
				}
			})
		}
		t.Run(sig.String()+" waiting for a tick", func(t *testing.T) {
			epoch := time.Now().AddDate(0, 0, -1000).UTC().Truncate(time.Second).Format(time.RFC3339)
			p := start(t, os.Args[0], "next", "--layout", "epoch="+epoch+",unit=24h,time=11")
			<-p.err.written // that three years are left; signals are heard by then
			require.NoError(t, p.Process.Signal(sig))
			assert.Equal(t, status, p.end(t))
		})
		t.Run(sig.String()+" waiting for input", func(t *testing.T) {
			p := start(t, os.Args[0], "decode", "--json")
			_, err := io.WriteString(p.in, "7\n")
			require.NoError(t, err)
			p.line(t)
			require.NoError(t, p.Process.Signal(sig))
			assert.Equal(t, status, p.end(t))
			assert.Empty(t, p.err.text.String())
		})
	}
}

// TestSecondSignalKills a process that cannot end because nobody reads what it
// has still to write.
func TestSecondSignalKills(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) { secondSignalKills(t, sig) })
	}
}

func secondSignalKills(t *testing.T, sig syscall.Signal) {
	t.Helper()
	p := start(t, os.Args[0], "next", "-q", "-n", "1000000000", "--layout", "node=0,sequence=22")
	p.line(t)
	ended := make(chan error)
	go func() { ended <- p.Wait() }()
	for {
		select {
		case err := <-ended:
			require.Error(t, err)
			status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			assert.True(t, status.Signaled())
			assert.Equal(t, sig, status.Signal())
			return
		case <-time.After(10 * time.Millisecond): // the first one takes a moment
			_ = p.Process.Signal(sig)
		}
	}
}

// TestReaderThatStops is what head does, also where the parent ignores SIGPIPE.
func TestReaderThatStops(t *testing.T) {
	args := []string{os.Args[0], "next", "-q", "-n", "100000000"}
	for name, command := range map[string][]string{
		"default": args,
		"ignored": append([]string{"sh", "-c", `trap "" PIPE; exec "$0" "$@"`}, args...),
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, command...)
			p.line(t)
			p.line(t)
			require.NoError(t, p.close())
			assert.Equal(t, 141, p.end(t))
			assert.Empty(t, p.err.text.String())
		})
	}
}
