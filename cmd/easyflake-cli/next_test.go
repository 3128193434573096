package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// TestNextGolden has the first IDs of the tick after testNow.
func TestNextGolden(t *testing.T) {
	const record = `{"id":"%s","time":"2026-05-04T03:02:01.001Z","unix_ms":1777863721001,"tick":102004681001,"node":7,"sequence":%d,"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8"}` + "\n"
	for args, want := range map[string]string{
		"next -n 0":                              "",
		"next --node 0":                          "6684978774081536\n",
		"next -n 3 --node 0":                     "6684978774081536\n6684978774081537\n6684978774081538\n",
		"next -n 2 --node 255":                   "6684978774146816\n6684978774146817\n",
		"next -n 2 --node 7 --format hex":        "0017bff3e9290700\n0017bff3e9290701\n",
		"next -n 2 --node 7 --format base32":     "005XZYFMJJ1R0\n005XZYFMJJ1R1\n",
		"next -n 2 --node 7 --format json":       fmt.Sprintf(record, "6684978774083328", 0) + fmt.Sprintf(record, "6684978774083329", 1),
		"next -n 2 --node 7 --layout sonyflake2": "70756433779490823\n70756433779556359\n",
	} {
		assert.Equal(t, want, output(t, strings.Fields(args)...), args)
	}
}

func TestNextFormatsDecode(t *testing.T) {
	for _, encoding := range layout.Encodings() {
		text := output(t, "next", "-n", "1000", "--node", "9", "--format", encoding.String())
		r := newTrial(t, "decode", "--from", encoding.String(), "--json")
		r.stdin = strings.NewReader(text)
		require.Equal(t, statusOK, r.run())
		assert.Equal(t, output(t, "next", "-n", "1000", "--node", "9", "--format", "json"), r.out.String())
	}
}

func ids(t *testing.T, text string) []int64 {
	t.Helper()
	require.True(t, text == "" || strings.HasSuffix(text, "\n"), "the last line has no end")
	var list []int64
	for line := range strings.Lines(text) {
		id, err := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
		require.NoError(t, err)
		list = append(list, id)
	}
	return list
}

func TestNextMakesIncreasingIDsOfItsNode(t *testing.T) {
	for _, strategy := range []string{"mutex", "atomic", "sharded"} {
		for _, text := range []string{"easyflake", "sonyflake", "mastodon", "js53", "yitter", "node=0,sequence=22", "unit=1s,sequence=2", "unit=1h,sequence=0"} {
			const n = 10_000
			l, err := layout.Parse(text)
			require.NoError(t, err)
			node := l.MaxNode()
			last := int64(-1)
			list := ids(t, output(t, "next", "-n", strconv.Itoa(n), "--layout", text, "--strategy", strategy, "--node", strconv.FormatInt(node, 10)))
			require.Len(t, list, n, text)
			for _, id := range list {
				require.Greater(t, id, last, text)
				last = id
				p, err := l.Decompose(layout.ID(id))
				require.NoError(t, err)
				require.Equal(t, node, p.Node)
			}
		}
	}
}

func TestNextSaysHowFarUniquenessReaches(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nodes")
	for args, want := range map[string]string{
		"next":                           "IDs are unique for this user on this machine",
		"next --layout mastodon":         "no node number",
		"next --layout mastodon -q":      "",
		"next --node 0":                  "",
		"next --pool file:" + file:       "",
		"next --quiet":                   "",
		"next -n 0":                      "",
		"next --node 1 --layout time=37": "", // ends in 2027
	} {
		r := newLeaseTrial(t, t.TempDir(), strings.Fields(args)...)
		if strings.Contains(args, "time=37") {
			r.world.clock = r.clock
		}
		r.stderrTerminal, r.stdoutTerminal = true, true
		assert.Equal(t, statusOK, r.run(), args)
		switch {
		case strings.Contains(args, "time=37"):
			assert.Contains(t, r.err.String(), "less than three years of the layout's life are left")
		case want == "":
			assert.Empty(t, r.err.String(), args)
		default:
			assert.Contains(t, r.err.String(), want, args)
		}
		assert.LessOrEqual(t, strings.Count(r.err.String(), "\n"), 1, args)
	}
	r := newLeaseTrial(t, t.TempDir(), "next")
	assert.Equal(t, statusOK, r.run())
	assert.Empty(t, r.err.String(), "nobody is there to read it")
}

// TestInterruptedNextPrintsWhatItMade stops a generator that waits for its second
// tick, with the IDs of the first one in hand.
func TestInterruptedNextPrintsWhatItMade(t *testing.T) {
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		r := newTrial(t, "next", "--node", "0", "-n", "100000000")
		r.clock.Freeze()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan int)
		go func() { done <- r.runUntil(ctx) }()

		require.NoError(t, r.clock.BlockUntil(t.Context(), 1)) // for the node's first tick
		r.clock.Advance(time.Millisecond)
		require.NoError(t, r.clock.BlockUntil(t.Context(), 1))
		cancel(&interruptedError{signal: sig})
		assert.Equal(t, status, <-done)
		assert.Len(t, ids(t, r.out.String()), 256)
		assert.Empty(t, r.err.String())
	}
}

// cancelingWriter is interrupted at its first write.
type cancelingWriter struct {
	bytes.Buffer

	cancel context.CancelCauseFunc
}

func (w *cancelingWriter) Write(p []byte) (int, error) {
	w.cancel(&interruptedError{signal: syscall.SIGINT})
	return w.Buffer.Write(p)
}

func TestInterruptionWhileWritingLosesNothing(t *testing.T) {
	r := newTrial(t, "next", "--node", "0", "-n", strconv.Itoa(math.MaxInt))
	ctx, cancel := context.WithCancelCause(t.Context())
	w := cancelingWriter{cancel: cancel}
	r.stdout = &w
	assert.Equal(t, 130, r.runUntil(ctx))
	assert.NotEmpty(t, ids(t, w.String()))
	assert.Zero(t, len(ids(t, w.String()))%256)
}

func TestFinishedWorkIsNoInterruption(t *testing.T) {
	r := newTrial(t, "next", "--node", "0", "-n", "10")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := cancelingWriter{cancel: cancel}
	r.stdout = &w
	assert.Equal(t, statusOK, r.runUntil(ctx))
	assert.Len(t, ids(t, w.String()), 10)
}

// TestChunksDoNotWaitForTheNextTick: either a chunk is a tick's or a part of it,
// or all its ticks pass within chunkSpan.
func TestChunksDoNotWaitForTheNextTick(t *testing.T) {
	for _, unit := range []time.Duration{time.Microsecond, 100 * time.Microsecond, time.Millisecond, 7 * time.Millisecond, 10 * time.Millisecond, 11 * time.Millisecond, 20 * time.Millisecond, time.Second, time.Hour} {
		for bits := range 31 {
			c := layout.DefaultConfig()
			c.Unit, c.NodeBits, c.SequenceBits = unit, 0, bits
			l, err := layout.New(c)
			require.NoError(t, err)
			n := chunkSize(l)
			perTick := l.MaxSequence() + 1
			assert.Positive(t, n)
			assert.LessOrEqual(t, n, int64(maxChunk))
			if n > perTick {
				assert.Zero(t, n%perTick)
				assert.LessOrEqual(t, time.Duration(n/perTick)*unit, chunkSpan)
			} else {
				assert.Zero(t, perTick%n)
			}
		}
	}
}

func TestProgress(t *testing.T) {
	const n = "20000"
	for _, test := range []struct {
		name           string
		stdout, stderr bool
		args           []string
		want           bool
	}{
		{"to a file", false, true, []string{"next", "-n", n, "--node", "1"}, true},
		{"to the terminal", true, true, []string{"next", "-n", n, "--node", "1"}, false},
		{"unwatched", false, false, []string{"next", "-n", n, "--node", "1"}, false},
		{"quiet", false, true, []string{"next", "-n", n, "--node", "1", "-q"}, false},
		{"short", false, true, []string{"next", "-n", "10", "--node", "1"}, false},
		{"decode", false, true, []string{"decode"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newTrial(t, test.args...)
			r.clock.Run(50 * time.Millisecond) // a reading
			r.stdin = strings.NewReader(strings.Repeat("1234567\n", 1<<18))
			r.stdoutTerminal, r.stderrTerminal = test.stdout, test.stderr
			r.stderrWidth = 60
			require.Equal(t, statusOK, r.run())
			shown := r.err.String()
			if !test.want {
				assert.Empty(t, shown)
				return
			}
			assert.Contains(t, shown, " per second")
			for line := range strings.SplitSeq(shown, "\r") {
				assert.Less(t, len(line), 60)
			}
			// Nothing of it stays.
			require.True(t, strings.HasSuffix(shown, "\r"))
			last := strings.Split(strings.TrimSuffix(shown, "\r"), "\r")
			assert.Empty(t, strings.TrimSpace(last[len(last)-1]))
			assert.NotContains(t, shown, "\n")
		})
	}
}
