package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// TestDecodePublishedIDs has IDs that the systems' own documentation explains.
func TestDecodePublishedIDs(t *testing.T) {
	assert.JSONEq(t, `{
		"id": "175928847299117063", "time": "2016-04-30T11:18:25.796Z", "unix_ms": 1462015105796,
		"tick": 41944705796, "node": 32, "sequence": 7,
		"layout": "epoch=2015-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12"
	}`, output(t, "decode", "--layout", "discord", "--json", "175928847299117063"))
	assert.JSONEq(t, `{
		"id": "1541815603606036480", "time": "2022-06-28T16:07:40.105Z", "unix_ms": 1656432460105,
		"tick": 367597485448, "node": 378, "sequence": 0,
		"layout": "epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12"
	}`, output(t, "decode", "--layout", "twitter", "--json", "1541815603606036480"))
}

func TestDecodeOneForPeople(t *testing.T) {
	assert.Equal(t, `ID        175928847299117063
Time      2016-04-30T11:18:25.796Z  (10 years ago)
Tick      41944705796  (1ms each, from 2015-01-01T00:00:00Z on)
Node      32  (of 0 to 1023)
Sequence  7  (of 0 to 4095)
`, output(t, "decode", "--layout", "discord", "175928847299117063"))
}

const decodedTable = `                 ID  TIME                               TICK  NODE  SEQUENCE
                  0  2015-01-01T00:00:00.000Z              0     0         0
 175928847299117063  2016-04-30T11:18:25.796Z    41944705796    32         7
9223372036854775807  2084-09-06T15:47:35.551Z  2199023255551  1023      4095
`

func TestDecodeSeveralForPeople(t *testing.T) {
	assert.Equal(t, decodedTable, output(t, "decode", "--layout", "discord", "0", "175928847299117063", "9223372036854775807"))
}

func TestDecodeStandardInput(t *testing.T) {
	const input = "0 175928847299117063\r\n\n\t 9223372036854775807"
	for _, args := range []string{"decode --layout discord", "decode --layout discord -"} {
		for name, reader := range map[string]io.Reader{
			"whole":       strings.NewReader(input),
			"by byte":     iotest.OneByteReader(strings.NewReader(input)),
			"end with":    iotest.DataErrReader(strings.NewReader(input)),
			"halves":      iotest.HalfReader(strings.NewReader(input)),
			"end of line": strings.NewReader(input + "\n"),
		} {
			r := newTrial(t, strings.Fields(args)...)
			r.stdin = reader
			assert.Equal(t, statusOK, r.run(), name)
			assert.Equal(t, decodedTable, r.out.String(), name)
			assert.Empty(t, r.err.String(), name)
		}
	}
}

func TestDecodeNothing(t *testing.T) {
	for _, input := range []string{"", "\n", " \t\r\n"} {
		r := newTrial(t, "decode")
		r.stdin = strings.NewReader(input)
		assert.Equal(t, statusOK, r.run())
		assert.Empty(t, r.out.String())
	}
}

func TestDecodeTellsTerminalUsersToType(t *testing.T) {
	r := newTrial(t, "decode")
	r.stdinTerminal = true
	assert.Equal(t, statusOK, r.run())
	assert.Contains(t, r.err.String(), "Ctrl-D")
}

func TestDecodeStreamStopsAtTheFirstBadID(t *testing.T) {
	for _, test := range []struct{ input, want string }{
		{"1 2\n  17x 3\n", `line 2, column 3: decimal ID "17x": at offset 2: 'x' is no decimal digit`},
		{"1 2\n\n-3", `line 3, column 1: decimal ID "-3": at offset 0: negative IDs are invalid`},
		{"1\t2 9223372036854775808\n", `line 1, column 5: decimal ID "9223372036854775808": at offset 18: the number is past the largest ID, 9223372036854775807`},
	} {
		for name, reader := range map[string]io.Reader{
			"whole":   strings.NewReader(test.input),
			"by byte": iotest.OneByteReader(strings.NewReader(test.input)),
		} {
			r := newTrial(t, "decode", "--json")
			r.stdin = reader
			assert.Equal(t, statusUsage, r.run(), name)
			assert.Len(t, objects(t, r.out.String()), 2, name)
			assert.Equal(t, "easyflake-cli: "+test.want+"\n", r.err.String(), name)
		}
	}
}

func TestDecodeStreamOfAnotherLayout(t *testing.T) {
	r := newTrial(t, "decode", "--layout", "js53")
	r.stdin = strings.NewReader("9007199254740991\n9007199254740992\n")
	assert.Equal(t, statusUsage, r.run())
	assert.Contains(t, r.err.String(), "line 2, column 1: id 9007199254740992: must be at most 9007199254740991")
}

func TestDecodeEndlessWord(t *testing.T) {
	// Leading zeros are legal, so that only the length is wrong.
	for _, length := range []int{maxWord + 1, 50_000, 1 << 20} {
		r := newTrial(t, "decode", "--json")
		r.stdin = strings.NewReader("7 " + strings.Repeat("0", length) + " 8")
		assert.Equal(t, statusUsage, r.run())
		assert.Len(t, objects(t, r.out.String()), 1)
		assert.Equal(t, "easyflake-cli: line 1, column 3: a word of more than 4096 characters is no ID\n", r.err.String())
	}
	r := newTrial(t, "decode", "--json")
	r.stdin = strings.NewReader(strings.Repeat("0", maxWord-1) + "7")
	assert.Equal(t, statusOK, r.run())
	assert.Equal(t, "7", objects(t, r.out.String())[0]["id"])
}

func TestDecodeFailedRead(t *testing.T) {
	r := newTrial(t, "decode", "--json")
	r.stdin = io.MultiReader(strings.NewReader("1 2 "), iotest.ErrReader(errors.New("the disk is gone")))
	assert.Equal(t, statusFailed, r.run())
	assert.Len(t, objects(t, r.out.String()), 2)
	assert.Equal(t, "easyflake-cli: reading standard input: the disk is gone\n", r.err.String())
}

// TestDecodeAnswersAtOnce: whoever types an ID sees it decoded before the next.
func TestDecodeAnswersAtOnce(t *testing.T) {
	r := newTrial(t, "decode", "--json")
	in, toStdin := io.Pipe()
	fromStdout, out := io.Pipe()
	r.stdin, r.stdout = in, out
	done := make(chan int)
	go func() { done <- r.run() }()
	answers := bufio.NewScanner(fromStdout)
	for _, id := range []string{"1", "2", "3"} {
		_, err := io.WriteString(toStdin, id+"\n")
		require.NoError(t, err)
		require.True(t, answers.Scan())
		assert.Equal(t, id, objects(t, answers.Text())[0]["id"])
	}
	require.NoError(t, toStdin.Close())
	assert.Equal(t, statusOK, <-done)
}

func TestInterruptedDecodeDoesNotWaitForInput(t *testing.T) {
	r := newTrial(t, "decode", "--json")
	in, toStdin := io.Pipe()
	fromStdout, out := io.Pipe()
	r.stdin, r.stdout = in, out
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan int)
	go func() { done <- r.runUntil(ctx) }()
	_, err := io.WriteString(toStdin, "1\n2")
	require.NoError(t, err)
	require.True(t, bufio.NewScanner(fromStdout).Scan())
	cancel(&interruptedError{signal: syscall.SIGINT})
	assert.Equal(t, 130, <-done)
	assert.Empty(t, r.err.String())
	toStdin.Close()
}

// TestDecodeLargestIDOfEveryLayout also reads its JSON back.
func TestDecodeLargestIDOfEveryLayout(t *testing.T) {
	for _, name := range append(presetNames(nil), "unit=1us,node=0,sequence=1", "unit=100us,node=0,sequence=0", "unit=24h,node=10,sequence=10", "unit=1h,node=0,sequence=0", "time=1,node=30,sequence=32") {
		l, err := layout.Parse(name)
		require.NoError(t, err)
		id := l.MaxID().String()
		text := output(t, "decode", "--layout", name, "--json", id)
		record := objects(t, text)[0]
		assert.Equal(t, id, record["id"], name)
		assert.Equal(t, json.Number(number(l.MaxTick())), record["tick"], name)
		assert.Equal(t, l.String(), record["layout"], name)
		assert.Len(t, record, 7)
		assert.Contains(t, output(t, "decode", "--layout", name, id), record["time"], name)
		for _, line := range lines(output(t, "decode", "--layout", name, id, "0")) {
			assert.LessOrEqual(t, len(strings.Fields(line)), 5)
		}
	}
}

// TestSplitterAgainstFields compares with the slow way, for input that arrives in
// random pieces.
func TestSplitterAgainstFields(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		input := make([]byte, random.IntN(60))
		for i := range input {
			input[i] = "12345 \t\n\r\n  67"[random.IntN(14)]
		}
		var want []word
		for i, line := range strings.Split(string(input), "\n") {
			column := 1
			for text := range strings.FieldsSeq(line) {
				column += strings.Index(line[column-1:], text)
				want = append(want, word{text, i + 1, column})
				column += len(text)
			}
		}
		var got []word
		var s splitter
		for rest := string(input); ; {
			n := random.IntN(len(rest) + 1)
			last := n == len(rest) && random.IntN(2) == 0
			for w := range s.split(rest[:n], last) {
				got = append(got, w)
			}
			if rest = rest[n:]; last {
				break
			}
		}
		require.Equal(t, want, got, "%q", input)
	}
}
