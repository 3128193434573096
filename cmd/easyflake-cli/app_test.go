package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// testNow is when tests happen.
var testNow = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// trial is one run of the program in process.
type trial struct {
	world
	out, err bytes.Buffer
	clock    *clocktest.Clock
	env      map[string]string
}

// newTrial prepares a run, with a clock that runs by itself.
func newTrial(t *testing.T, args ...string) *trial {
	t.Helper()
	t.Setenv("COLUMNS", "80") // kong asks the environment itself
	state := filepath.Join(t.TempDir(), "state")
	r := &trial{clock: clocktest.New(testNow), env: map[string]string{"XDG_STATE_HOME": state, "LocalAppData": state}}
	r.clock.Run(time.Microsecond)
	r.world = world{
		args:      args,
		stdin:     strings.NewReader(""),
		stdout:    &r.out,
		stderr:    &r.err,
		goos:      runtime.GOOS,
		getenv:    func(key string) string { return r.env[key] },
		clock:     r.clock,
		buildInfo: func() (*debug.BuildInfo, bool) { return nil, false },
		hosting: hosting{
			unsetenv:  func(key string) error { delete(r.env, key); return nil },
			hangups:   func() (<-chan os.Signal, func()) { return nil, func() {} },
			abandoned: func() bool { return false },
			daemonize: func(context.Context, *world, string) (ground, error) {
				return nil, errors.New("a test runs in process")
			},
		},
	}
	return r
}

// newLeaseTrial prepares a run with leases, which by a clock that runs as fast as
// it is read would all be over at once. All runs with one state folder share the
// user's own pool.
func newLeaseTrial(t *testing.T, state string, args ...string) *trial {
	t.Helper()
	r := newTrial(t, args...)
	r.world.clock = clock.Default()
	r.env["XDG_STATE_HOME"], r.env["LocalAppData"] = state, state
	return r
}

func (r *trial) run() int { return r.runUntil(context.Background()) }

func (r *trial) runUntil(ctx context.Context) int { return run(ctx, &r.world) }

// output runs a command that must succeed in silence.
func output(t *testing.T, args ...string) string {
	t.Helper()
	r := newTrial(t, args...)
	require.Equal(t, statusOK, r.run(), "stderr: %s", &r.err)
	require.Empty(t, r.err.String())
	return r.out.String()
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

// objects reads JSON lines.
func objects(t *testing.T, s string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for _, line := range lines(s) {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var v map[string]any
		require.NoError(t, d.Decode(&v), "line: %s", line)
		require.False(t, d.More(), "more than one value in: %s", line)
		list = append(list, v)
	}
	return list
}

func TestBadInputIsToldOnStderrOnlyWithStatus2(t *testing.T) {
	for _, test := range []struct {
		args string
		want []string // on stderr
	}{
		{"next --node 256", []string{"node 256", "between 0 and 255"}},
		{"next --node -1", []string{"node -1", "between 0 and 255"}},
		{"next --node 99999999999999999999", []string{"node 99999999999999999999", "between 0 and 255"}},
		{"next --node 1 --layout mastodon", []string{"node 1", "between 0 and 0"}},
		{"next --node seven", []string{`node "seven"`, "whole number"}},
		{"next --layout node=40,sequence=40", []string{"--layout", "sequence bits 40", "63"}},
		{"next --layout node=63", []string{"--layout", "node bits 63", "between 0 and 62"}},
		{"next --layout time=60", []string{"--layout", "time bits 60", "47"}},
		{"next --layout unit=0s", []string{"--layout", "unit 0s", "at least 1µs"}},
		{"next --layout unit=-1ms", []string{"--layout", "unit -1ms", "at least 1µs"}},
		{"next --layout nodes=8", []string{`"nodes"`, `"node"`}},
		{"next --layout=", []string{"--layout", "is empty"}},
		{"next --layout baidu", []string{"life is over", "2024-11-20T13:24:16Z"}},
		{"next --layout epoch=2099-01-01T00:00:00Z", []string{"before the layout's epoch", "2099-01-01T00:00:00Z"}},
		{"next --layout twiter", []string{`"twiter"`, `nearest is "twitter"`}},
		{"layout discrod", []string{"layout:", `"discrod"`, `nearest is "discord"`}},
		{"layout check twitter discrod", []string{"new:", `nearest is "discord"`}},
		{"layout check twitter discord --at yesterday", []string{"--at", `"yesterday"`, "RFC 3339"}},
		{"next -n -1", []string{"--count", `"-1"`, "from 0"}},
		{"next -n ten", []string{"--count", `"ten"`, "whole number"}},
		{"next -n 9223372036854775808", []string{"--count", "9223372036854775807"}},
		{"next -n", []string{"--count", "whole number"}},
		{"next --strategy fast", []string{"--strategy", `"mutex","atomic","sharded"`}},
		{"next --format octal", []string{"--format", "base58"}},
		{"decode 12x4", []string{`"12x4"`, "offset 2", "'x' is no decimal digit"}},
		{"decode 1 2 9223372036854775808", []string{"offset 18", "9223372036854775807"}},
		{"decode -5", []string{`"-5"`, "offset 0", "negative"}},
		{"decode 7 -17 --json", []string{`"-17"`, "offset 0", "negative"}},
		{"decode -- -5", []string{`"-5"`, "offset 0", "negative"}},
		{"decode --from hex 12", []string{"offset 2", "16 characters"}},
		{"decode --from base58 zzzzzzzzzzz", []string{"offset 10", "9223372036854775807"}},
		{"decode --from base32 U000000000000", []string{"offset 0", "'U' is no base32 digit"}},
		{"decode --from octal 12", []string{"--from", "base58"}},
		{"decode --layout js53 9223372036854775807", []string{"id 9223372036854775807", "at most 9007199254740991"}},
		{"decode 1 -", []string{"standard input"}},
		{"completion tcsh", []string{"bash", "zsh", "fish"}},
		{"layout check twitter", []string{"missing", "<new>", "layout check --help"}},
		{"layout --json list", []string{"--json", "--help"}},
		{"next --node 1 --pool file:x", []string{"--node and --pool can't be used together"}},
		{"next --node 1 --namespace x", []string{"--node and --namespace can't be used together"}},
		{"next --pool mongo:x", []string{"--pool", `"mongo:x"`, "file:PATH", "bolt:PATH"}},
		{"next --pool redis:x", []string{"--pool", "must be redis://"}},
		{"next --pool nodes", []string{"--pool", `"nodes"`, "file:PATH", "bolt:PATH"}},
		{"next --pool file:", []string{"--pool", `"file:"`, "file:PATH"}},
		{"lease revoke", []string{"missing", "<node>"}},
		{"lease list --pool tcp:x", []string{"--pool", "file:PATH"}},
		{"namespace create", []string{"missing", "<name>"}},
		{"namespace create a/b", []string{`namespace "a/b"`, "slashes"}},
		{"namespace create a --by-hand 5-3", []string{"--by-hand", `"5-3"`, "0-9"}},
		{"namespace create a --by-hand x", []string{"--by-hand", `"x"`, "0-9"}},
		{"namespace create a --by-hand 250-256", []string{"node range", "between 0 and 255"}},
		{"namespace create a --by-hand 0-9 --legacy 9", []string{"node range", "overlaps"}},
		{"namespace create a --first-window 1ms", []string{"first window 1ms", "at least 2s"}},
		{"namespace create a --window 1s", []string{"window 1s", "first window, 10s"}},
		{"namespace create a --skew soon", []string{"--skew"}},
		{"namespace create a --layout twiter", []string{"--layout", `nearest is "twitter"`}},
		{"nxt", []string{"nxt", `did you mean "next"?`, "--help"}},
		{"next --nod 1", []string{"--nod", `did you mean "--node"?`, "next --help"}},
		{"next 5", []string{"unexpected argument 5"}},
		{"--no-color", []string{"next", "decode"}},
	} {
		t.Run(test.args, func(t *testing.T) {
			r := newTrial(t, strings.Fields(test.args)...)
			assert.Equal(t, statusUsage, r.run())
			assert.Empty(t, r.out.String())
			assert.True(t, strings.HasPrefix(r.err.String(), "easyflake-cli: "), "stderr: %s", &r.err)
			for _, want := range test.want {
				assert.Contains(t, r.err.String(), want)
			}
			for _, unwanted := range []string{"layout: layout:", "generator:", " pool: ", "[<"} {
				assert.NotContains(t, r.err.String(), unwanted)
			}
			assert.LessOrEqual(t, len(lines(r.err.String())), 2)
		})
	}
}

func TestBadInputOnStandardInputToo(t *testing.T) {
	r := newTrial(t, "decode")
	r.stdin = strings.NewReader("nonsense\n")
	assert.Equal(t, statusUsage, r.run())
	assert.Empty(t, r.out.String())
	assert.Contains(t, r.err.String(), "line 1, column 1: ")
}

func TestNoCommandPrintsHelpToStderr(t *testing.T) {
	r := newTrial(t)
	assert.Equal(t, statusUsage, r.run())
	assert.Empty(t, r.out.String())
	assert.Contains(t, r.err.String(), "Usage: easyflake-cli <command>")
}

// helpful returns the calls of help that has examples.
func helpful() []string {
	return []string{
		"--help", "next --help", "decode --help",
		"layout --help", "layout show --help", "layout check --help",
		"lease --help", "lease list --help", "lease revoke --help", "lease retire --help",
		"namespace --help", "namespace list --help", "namespace create --help", "namespace accept-clock --help",
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, args := range helpful() {
		help := output(t, strings.Fields(args)...)
		assert.Contains(t, help, "Usage: easyflake-cli", args)
		assert.Contains(t, help, "Examples:", args)
		for _, line := range lines(help) {
			assert.LessOrEqual(t, len(line), 80, "%s: %s", args, line)
		}
	}
}

// TestExamplesOfTheHelpWork runs every line of the help that calls the program.
func TestExamplesOfTheHelpWork(t *testing.T) {
	ran := 0
	for _, args := range helpful() {
		for _, line := range lines(output(t, strings.Fields(args)...)) {
			line, ok := strings.CutPrefix(line, "    easyflake-cli ")
			if !ok {
				continue
			}
			line, _, _ = strings.Cut(line, "   ") // a remark
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " < ")
			line, _, _ = strings.Cut(line, " | ")
			if strings.Contains(line, "example.com") {
				continue // grpc_test.go has servers to speak to
			}
			line = strings.ReplaceAll(line, "/var/lib", t.TempDir())
			r := newLeaseTrial(t, t.TempDir(), strings.Fields(line)...)
			if slices.Contains(r.args, "--node") { // without a lease
				r.world.clock = r.clock
			}
			prepareExample(t, r)
			status := r.run()
			if status == statusFailed {
				assert.Contains(t, line, "layout check")
				assert.Empty(t, r.err.String())
			} else {
				assert.Equal(t, statusOK, status, "%s: %s", line, &r.err)
			}
			ran++
		}
	}
	assert.Greater(t, ran, 15)
}

// prepareExample makes the pool that an example tells about: with one namespace,
// orders, of which node 7 is held.
func prepareExample(t *testing.T, r *trial) {
	t.Helper()
	if r.args[0] != "lease" && r.args[0] != "namespace" || r.args[1] == "create" {
		return
	}
	args := []string{"namespace", "create", "orders", "--by-hand", "0-6", "--by-hand", "8-255"}
	if i := slices.Index(r.args, "--pool"); i >= 0 {
		args = append(args, r.args[i:i+2]...)
	}
	state := r.env["XDG_STATE_HOME"]
	require.Equal(t, statusOK, newLeaseTrial(t, state, args...).run())
	if !slices.Contains(args, "--pool") {
		hold(t, state, "orders", layout.Default())
	}
}

// brokenWriter fails after some bytes.
type brokenWriter struct {
	room int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if n := min(w.room, len(p)); n < len(p) {
		w.room = 0
		return n, w.err
	}
	w.room -= len(p)
	return len(p), nil
}

func TestClosedPipeEndsQuietly(t *testing.T) {
	for _, err := range []error{syscall.EPIPE, io.ErrClosedPipe} {
		for _, args := range []string{"next -q -n 100000000 --node 1", "decode 1 2", "decode", "layout", "layout list", "version", "--version", "--help", "completion bash"} {
			r := newTrial(t, strings.Fields(args)...)
			r.stdin = strings.NewReader(strings.Repeat("12345678901234567 ", 100_000))
			r.stdout = &brokenWriter{room: 10, err: err}
			assert.Equal(t, 141, r.run(), args)
			assert.Empty(t, r.err.String(), args)
		}
	}
}

func TestFailedWriteIsAFailure(t *testing.T) {
	for _, args := range []string{"next -q -n 100 --node 1", "decode 1 2", "decode", "layout", "layout list --json", "--version"} {
		r := newTrial(t, strings.Fields(args)...)
		r.stdin = strings.NewReader("1 2 3")
		r.stdout = &brokenWriter{err: syscall.ENOSPC}
		assert.Equal(t, statusFailed, r.run(), args)
		assert.Equal(t, "easyflake-cli: writing the output: "+syscall.ENOSPC.Error()+"\n", r.err.String(), args)
	}
}

func TestColorOnTerminalsOnly(t *testing.T) {
	for _, test := range []struct {
		name     string
		terminal bool
		args     string
		env      map[string]string
		want     bool
	}{
		{"terminal", true, "layout", nil, true},
		{"pipe", false, "layout", nil, false},
		{"flag", true, "--no-color layout", nil, false},
		{"flag behind", true, "layout --no-color", nil, false},
		{"environment", true, "layout", map[string]string{"NO_COLOR": "1"}, false},
		{"dumb terminal", true, "layout", map[string]string{"TERM": "dumb"}, false},
	} {
		for _, more := range []string{"", " list", " check sonyflake easyflake"} {
			t.Run(test.name+more, func(t *testing.T) {
				r := newTrial(t, strings.Fields(test.args+more)...)
				if test.args == "layout --no-color" && more != "" {
					r = newTrial(t, strings.Fields("layout"+more+" --no-color")...)
				}
				r.stdoutTerminal, r.env = test.terminal, test.env
				r.run()
				assert.Equal(t, test.want, strings.Contains(r.out.String(), "\x1b["))
			})
		}
	}
}
