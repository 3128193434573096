package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/benchmarks.md anew")

// recorded is the output of a run, cut down to some benchmarks.
const recorded = "testdata/bench.txt"

// report runs the program and returns the folder that it wrote to.
func report(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out := t.TempDir()
	require.NoError(t, run(append([]string{"-out", out}, args...), strings.NewReader(stdin), io.Discard))
	return out
}

func page(t *testing.T, folder string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "benchmarks.md"))
	require.NoError(t, err)
	return string(data)
}

// TestGolden compares the page of a recorded run with the one in testdata, which
// go test -update writes.
func TestGolden(t *testing.T) {
	got := page(t, report(t, "", recorded))
	golden := filepath.Join("testdata", "benchmarks.md")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
}

// TestPictures holds that the page shows each picture that there is, and that each is
// well-formed and has everything by its name.
func TestPictures(t *testing.T) {
	folder := report(t, "", recorded)
	text := page(t, folder)
	for name, has := range map[string][]string{
		"own":        {"bwmarrin", "sno", "xid", "easyflake-sharded-tsc", "a clock alone, 2 CPUs", "a counter alone, 2 CPUs", "this project, 1 CPU", "others, 2 CPUs"},
		"wide":       {"bwmarrin", "xid", "easyflake-sharded-tsc", "easyflake-mutex-coarse"},
		"goroutines": {"bwmarrin", "easyflake-sharded-tsc", "xid", "1024"},
		"sequence":   {"bwmarrin", "easyflake-sharded-tsc", "the layout's ceiling", "20"},
		"latency":    {"floor-nothing", "easyflake-sharded-tsc", "99.9 %", "max"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, text, "(benchmarks-"+name+".svg)")
			svg, err := os.ReadFile(filepath.Join(folder, "benchmarks-"+name+".svg"))
			require.NoError(t, err)
			require.NotContains(t, string(svg), "NaN")
			require.NotContains(t, string(svg), "Inf")
			texts := textsOf(t, svg)
			for _, want := range has {
				require.Contains(t, texts, want)
			}
			if name == "wide" {
				require.NotContains(t, texts, "sno") // its sequence cannot be widened
				require.NotContains(t, texts, "easyflake-sharded-monotonic")
			}
		})
	}
}

// textsOf returns what is written in a picture, which must be well-formed and fit
// what is 800 pixels wide.
func textsOf(t *testing.T, svg []byte) []string {
	t.Helper()
	var texts []string
	inText := false
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
			for _, a := range token.Attr {
				if token.Name.Local == "svg" && a.Name.Local == "width" {
					require.Equal(t, "600pt", a.Value)
				}
			}
			if inText {
				require.Equal(t, "textLength", token.Attr[0].Name.Local)
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); inText && s != "" {
				texts = append(texts, s)
			}
		}
	}
}

// TestFigures checks medians and ratios of numbers made up for it.
func TestFigures(t *testing.T) {
	const out = `go: go1.99
modules: github.com/bwmarrin/snowflake@v9.9.9 example.org/other
cpu: a processor
BenchmarkNext/impl=floor-counter/layout=none 	 10 	 2 ns/op
BenchmarkNext/impl=floor-clock/layout=none 	 10 	 20 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 	 10 	 90 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 	 10 	 100 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 	 10 	 900 ns/op
BenchmarkNext/impl=xid/layout=none 	 10 	 50 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=wide 	 10 	 10 ns/op 	 0 allocs/op
BenchmarkFill/impl=easyflake-sharded-tsc/layout=wide/n=256 	 10 	 512 ns/op 	 2 ns/id
`
	text := page(t, report(t, out))
	for _, want := range []string{
		"| processor | a processor |\n",
		"| runs of each | 1 to 3 |\n",
		"| bwmarrin | github.com/bwmarrin/snowflake | v9.9.9 |\n",
		"| xid | github.com/rs/xid | not recorded |\n",
		"| bwmarrin | wide | 100 ns | ∞ | 50 | 5.0 | – |\n",
		"| easyflake-sharded-tsc | wide | 10.0 ns | ∞ | 5.0 | 0.50 | 0 |\n",
		"| easyflake-sharded-tsc | 0.10 | 0.20 |\n",
		// The peer to beat is the fastest with a sequence, not xid.
		"| easyflake-sharded-tsc | 2.00 ns | 0.020 |\n",
	} {
		require.Contains(t, text, want)
	}
	// What was not measured is not mentioned.
	for _, not := range []string{"layout=own", "BenchmarkLatency", "BenchmarkFairness", "BenchmarkSaturate", "BenchmarkGoroutines", "BenchmarkSequence", "sonyflake"} {
		require.NotContains(t, text, not)
	}
}

// TestNeverMixed holds that what is at its default and what is wide open have no
// table and no ratio in common.
func TestNeverMixed(t *testing.T) {
	const out = `BenchmarkNext/impl=bwmarrin/layout=own 	 10 	 244 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 	 10 	 31 ns/op
BenchmarkNext/impl=sno/layout=own 	 10 	 61 ns/op
BenchmarkNext/impl=xid/layout=none 	 10 	 47 ns/op
BenchmarkNext/impl=easyflake-mutex-tsc/layout=own 	 10 	 3900 ns/op
BenchmarkNext/impl=easyflake-mutex-tsc/layout=wide 	 10 	 17 ns/op
`
	text := page(t, report(t, out))
	own, wide, found := strings.Cut(text, "## One ID at a time: the sequence wide open")
	require.True(t, found)
	_, own, found = strings.Cut(own, "## One ID at a time: each at its default")
	require.True(t, found)
	require.NotContains(t, own, "| wide |")
	require.Contains(t, own, "| easyflake-mutex-tsc | 16 | 64 | 83 |")
	require.NotContains(t, wide, "| own |")
	require.NotContains(t, wide, "| sno |")
	require.Contains(t, wide, "| easyflake-mutex-tsc | 0.55 | 0.36 |")
	for _, part := range []string{own, wide} {
		require.Contains(t, part, "| xid | — | 47.0 ns |")
	}
}

// TestFilesTogether holds that runs in several files are one sample.
func TestFilesTogether(t *testing.T) {
	text := page(t, report(t, "", recorded, recorded))
	require.Contains(t, page(t, report(t, "", recorded)), "| runs of each | 6 |")
	require.Contains(t, text, "| runs of each | 12 |")
}

// TestRefused holds that nothing is written of what is not a whole, good run.
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct{ out, want string }{
		"nothing":   {"", "no benchmark in what was read"},
		"no bench":  {"PASS\nok \texample.org \t1.0s\n", "no benchmark in what was read"},
		"failed":    {"BenchmarkNext/impl=xid/layout=none 1 47 ns/op\n--- FAIL: BenchmarkNext\n", "a benchmark failed"},
		"malformed": {"BenchmarkNext/impl=xid/layout=none 1 many ns/op\n", "no benchmark output"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			err := run([]string{"-out", folder}, strings.NewReader(tt.out), io.Discard)
			require.ErrorContains(t, err, tt.want)
			written, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Empty(t, written)
		})
	}
	require.ErrorIs(t, run([]string{"missing.txt"}, nil, io.Discard), os.ErrNotExist)
	require.ErrorIs(t, run([]string{"-help"}, nil, io.Discard), flag.ErrHelp)
	require.ErrorIs(t, run([]string{"-out", filepath.Join(t.TempDir(), "missing"), recorded}, nil, io.Discard), os.ErrNotExist)
}
