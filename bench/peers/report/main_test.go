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

// recorded and recordedPools are the output of short runs, cut down to some benchmarks.
const (
	recorded      = "testdata/bench.txt"
	recordedPools = "testdata/pools.txt"
)

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
	got := page(t, report(t, "", recorded, recordedPools))
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
		"own":        {"bwmarrin", "sno", "xid", "easyflake-sharded-tsc", "only a counter", "only time.Since", "only the TSC", "floors, 2 CPUs", "this project, 1 CPU", "others, 2 CPUs"},
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
commit: 0123abc, with changes
BenchmarkNext/impl=floor-counter/layout=none 	 10 	 2 ns/op
BenchmarkNext/impl=floor-since/layout=none 	 10 	 20 ns/op
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
		"| commit | 0123abc, with changes |\n",
		"| runs of each | once (Next, Fill); 3 (Next) |\n",
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

// TestMixed holds that no sample is of two machines, two versions of Go or two commits,
// and that it is said which.
func TestMixed(t *testing.T) {
	const result = "BenchmarkNext/impl=xid/layout=none 10 47 ns/op\n"
	base := "goos: linux\ngoarch: amd64\ncpu: one\ngo: go1.99\ncpus: 2\ncommit: 111\n"
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	first := write("first.txt", base+result)
	for key, value := range map[string]string{"goos": "plan9", "goarch": "arm64", "cpu": "two", "go": "go1.98", "cpus": "8"} {
		second := write("second.txt", base+key+": "+value+"\n"+result)
		err := run([]string{"-out", t.TempDir(), first, second}, nil, io.Discard)
		var mixed *mixedError
		require.ErrorAs(t, err, &mixed, key)
		require.Equal(t, key, mixed.key)
		require.Equal(t, value, mixed.is)
		require.Equal(t, []string{first, second}, []string{mixed.file, mixed.here})
	}

	// Other benchmarks may be of another commit, which the page says; those of one may not.
	second := write("second.txt", base+"commit: 222\n"+result)
	err := run([]string{"-out", t.TempDir(), first, second}, nil, io.Discard)
	require.ErrorContains(t, err, `the commit of BenchmarkNext/impl=xid/layout=none is "222", and in an earlier run it is "111"`)
	second = write("second.txt", base+"commit: 222\nBenchmarkPool/store=bolt/via=direct/leases=1/op=renew 10 47 ns/op\n")
	require.Contains(t, page(t, report(t, "", first, second)), "| commit | 111 (Next); 222 (Pool) |")

	// What one output does not say contradicts no other.
	require.Contains(t, page(t, report(t, "", first, write("second.txt", result))), "| processor | one |")
}

// TestPools holds that each figure of a pool stands in the row of its store and of what
// was done, and in the column of its number.
func TestPools(t *testing.T) {
	const out = `BenchmarkPool/store=bolt/via=direct/leases=1/op=renew-2 10 500 ns/op
BenchmarkPool/store=bolt/via=direct/leases=1000/op=renew-2 10 700 ns/op
BenchmarkPool/store=bolt/via=direct/leases=1000/op=lease-2 10 5000000 ns/op 3000000 acquire-ns/op 2000000 release-ns/op
BenchmarkPool/store=bolt/via=direct/leases=1000/op=spaced-2 10 10000 ns/op 9000 renew-ns/op
BenchmarkPool/store=bolt/via=grpc/leases=1/op=echo-2 10 40000 ns/op
BenchmarkPool/store=file/via=direct/leases=1/op=renew-2 10 4000000 ns/op
BenchmarkPoolCrowd/store=bolt/via=direct/goroutines=16/op=lease-2 10 500 ns/op 1200 calls/s
BenchmarkPoolCrowd/store=bolt/via=direct/goroutines=1/op=lease-2 10 500 ns/op 99.9 calls/s
`
	text := page(t, report(t, out))
	require.Contains(t, text, `| store | used | 2 CPUs, leases | 1 | 1000 |
|---|---|---|---:|---:|
| bolt | direct | renew at once | 500 ns | 700 ns |
| bolt | direct | renew in time | – | 9.00 µs |
| bolt | direct | acquire | – | 3.00 ms |
| bolt | direct | release | – | 2.00 ms |
| bolt | grpc | echo | 40.0 µs | – |
| file | direct | renew at once | 4.00 ms | – |
`)
	require.Contains(t, text, `| store | used | 2 CPUs, goroutines | 1 | 16 |
|---|---|---|---:|---:|
| bolt | direct | acquire and release | 99.9 | 1.20 k |
`)
	// That a renewal at once is the best case is said where it is shown.
	require.Contains(t, text, "**`renew at once`** is the best case")
}

// TestReadme holds that the figures stand between their lines, and all else of the file
// as it did.
func TestReadme(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(file, []byte("# Title\n\n"+figuresBegin+"old\n"+figuresEnd+"\nend\n"), 0o600))
	const out = `cpu: a processor
cpus: 2
go: go1.99
BenchmarkNext/impl=bwmarrin/layout=wide 10 90 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 10 100 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide 10 900 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide-2 10 200 ns/op
BenchmarkNext/impl=bwmarrin/layout=wide-2 10 200 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=wide 10 10 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=wide 10 10 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=own 10 3900 ns/op
BenchmarkFill/impl=easyflake-sharded-tsc/layout=wide/n=256-2 10 512 ns/op 2 ns/id
BenchmarkFill/impl=easyflake-sharded-tsc/layout=wide/n=256-2 10 512 ns/op 2 ns/id
`
	const want = `| one ID, sequence wide open | 1 CPU | 2 CPUs | × bwmarrin, 1 CPU | × bwmarrin, 2 CPUs |
|---|---:|---:|---:|---:|
| ` + "`Sharded.Next`" + `, cycle counter | 10.0 ns | – | 0.10 | – |
| ` + "`Sharded.Fill`" + ` of 256, an ID | – | 2.00 ns | – | 0.010 |
| bwmarrin/snowflake | 100 ns | 200 ns | 1.0 | 1.0 |

Medians of 2 runs on 2 CPUs, a processor, go1.99.
`
	for range 2 { // the second time over what the first one wrote
		report(t, out, "-readme", file)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "# Title\n\n"+figuresBegin+want+figuresEnd+"\nend\n", string(got))
	}

	require.NoError(t, os.WriteFile(file, []byte(figuresEnd+figuresBegin), 0o600))
	require.ErrorIs(t, run([]string{"-out", t.TempDir(), "-readme", file}, strings.NewReader(out), io.Discard), errNoFigures)
}

// TestSummary holds that each peer is compared with the fastest of what makes the same
// promise, at the same layout, and that a limit that is missed is said to be.
func TestSummary(t *testing.T) {
	const out = `BenchmarkNext/impl=bwmarrin/layout=wide 10 100 ns/op
BenchmarkNext/impl=bwmarrin/layout=own 10 250 ns/op
BenchmarkNext/impl=xid/layout=none 10 50 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=wide 10 40 ns/op
BenchmarkNext/impl=easyflake-mutex-tsc/layout=wide 10 60 ns/op
BenchmarkNext/impl=easyflake-atomic-tsc/layout=wide 10 80 ns/op
BenchmarkNext/impl=easyflake-sharded-coarse/layout=wide 10 20 ns/op
BenchmarkNext/impl=easyflake-mutex-coarse/layout=wide 10 30 ns/op
BenchmarkNext/impl=easyflake-mutex-tsc/layout=own 10 3900 ns/op
BenchmarkNext/impl=easyflake-sharded-tsc/layout=own 10 4000 ns/op
BenchmarkSaturate/impl=bwmarrin/layout=twitter/goroutines=1 10 244 ns/op 100 %cpu 100 %rate
BenchmarkSaturate/impl=bwmarrin/layout=twitter/goroutines=8 10 244 ns/op 200 %cpu 100 %rate
BenchmarkSaturate/impl=easyflake-mutex-tsc/layout=twitter/goroutines=1 10 244 ns/op 25 %cpu 100 %rate
BenchmarkSaturate/impl=easyflake-mutex-tsc/layout=twitter/goroutines=8 10 244 ns/op 30 %cpu 98 %rate
BenchmarkSaturate/impl=easyflake-mutex-tsc/layout=sonyflake2/goroutines=1 10 244 ns/op 1.25 %cpu 100 %rate
`
	text := page(t, report(t, out))
	_, text, found := strings.Cut(text, "## In short\n")
	require.True(t, found)
	text, _, found = strings.Cut(text, "## What was measured\n")
	require.True(t, found)
	for _, want := range []string{
		"| *this project* |  | 40.0 ns sharded-tsc | 60.0 ns mutex-tsc | 20.0 ns sharded-coarse |\n",
		"| xid | 50.0 ns | 0.80 | 1.2 | 0.40 |\n| bwmarrin | 100 ns | 0.40 | 0.60 | 0.20 |\n",
		"| *this project* | 3.90 µs |  |\n| bwmarrin | 250 ns | 16 |\n",
		"| fastest strategy on an exact clock, 1 CPU | 0.45 | 0.40 (easyflake-sharded-tsc, of bwmarrin) |\n",
		"| fastest on the coarse clock, 1 CPU | 0.15 | **0.20 (easyflake-sharded-coarse, of bwmarrin)** |\n",
		"| bwmarrin's own layout, used up: of its rate |  | 98 % to 100 % |\n",
		"| bwmarrin's own layout, used up: CPU, of bwmarrin's | 0.20 | **0.15 to 0.25 (easyflake-mutex-tsc)** |\n",
		"| Sonyflake's own layout, used up: CPU, of one | 5 % | 1.2 % at most |\n",
	} {
		require.Contains(t, text, want)
	}
}

// TestCeiling holds that one row stands for all strategies only where all of them reach
// the ceiling of the layout.
func TestCeiling(t *testing.T) {
	const reached = `BenchmarkNext/impl=bwmarrin/layout=own 10 250 ns/op
BenchmarkNext/impl=easyflake-mutex-tsc/layout=own 10 3900 ns/op
`
	const says = "One row stands for all strategies"
	text := page(t, report(t, reached+"BenchmarkNext/impl=easyflake-sharded-tsc/layout=own 10 4000 ns/op\n"))
	require.Contains(t, text, "| each strategy | 16 |\n\n"+says)
	text = page(t, report(t, reached+"BenchmarkNext/impl=easyflake-sharded-tsc/layout=own 10 5000 ns/op\n"))
	require.NotContains(t, text, says)
	require.Contains(t, text, "| easyflake-mutex-tsc | 16 |\n| easyflake-sharded-tsc | 20 |\n")
}

// TestRefused holds that nothing is written of what is not a whole, good run.
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct{ out, want string }{
		"nothing":   {"", "no benchmark in what was read"},
		"no bench":  {"PASS\nok \texample.org \t1.0s\n", "no benchmark in what was read"},
		"failed":    {"BenchmarkNext/impl=xid/layout=none 1 47 ns/op\n--- FAIL: BenchmarkNext\n", "a benchmark failed"},
		"malformed": {"BenchmarkNext/impl=xid/layout=none 1 many ns/op\n", "no benchmark output"},
		"two machines": {
			"cpu: one\nBenchmarkNext/impl=xid/layout=none 1 47 ns/op\ncpu: other\nBenchmarkNext/impl=xid/layout=none 1 48 ns/op\n",
			`cpu is "other", and in standard input it is "one"`,
		},
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
