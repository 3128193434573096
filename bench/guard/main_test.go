package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const good = `goos: linux
BenchmarkFloor/op=loop 100 1.0 ns/op 0 allocs/op
BenchmarkFloor/op=pin 100 3.0 ns/op 0 allocs/op
BenchmarkFloor/op=tsc 100 8.0 ns/op 0 allocs/op
BenchmarkFloor/op=add 100 4.0 ns/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 13 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 12 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 900 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=easyflake 100 4000 ns/op 0 B/op 0 allocs/op
BenchmarkFill/gen=atomic/clock=tsc/layout=wide/n=256-2 100 128 ns/op 1.0 ns/id 0 allocs/op
`

func guard(t *testing.T, in, baseline string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "baseline.txt")
	require.NoError(t, os.WriteFile(file, []byte(baseline), 0o600))
	var out bytes.Buffer
	err := run([]string{"-baseline", file}, strings.NewReader(in), &out, io.Discard)
	return out.String(), err
}

// TestMultiples holds that the best time is divided by what it is made of.
func TestMultiples(t *testing.T) {
	m, err := read(strings.NewReader(good), "test")
	require.NoError(t, err)
	require.InDeltaMapValues(t, map[key]float64{
		{"Next/gen=sharded/clock=tsc/layout=wide", "1"}:      1.2,
		{"Fill/gen=atomic/clock=tsc/layout=wide/n=256", "2"}: 0.25,
	}, m.multiples, 1e-9)
}

func TestJudge(t *testing.T) {
	const baseline = "# a comment\nNext/gen=sharded/clock=tsc/layout=wide 1 0.56\nFill/gen=atomic/clock=tsc/layout=wide/n=256 2 0.2\n"
	out, err := guard(t, good, baseline)
	require.NoError(t, err)
	require.Contains(t, out, "1.20")

	_, err = guard(t, strings.ReplaceAll(good, "100 12 ns/op", "100 13 ns/op"), strings.ReplaceAll(baseline, "wide 1 0.56", "wide 1 0.45"))
	require.ErrorIs(t, err, errSlow)
	require.ErrorContains(t, err, "1.30 × its floor, was 0.45")

	_, err = guard(t, strings.ReplaceAll(good, "1.0 ns/id 0 allocs/op", "1.0 ns/id 1 allocs/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	// An allocation that is rarer than one an operation shows in its bytes.
	_, err = guard(t, strings.ReplaceAll(good, "4000 ns/op 0 B/op", "4000 ns/op 3 B/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	// What is in no baseline must not allocate either.
	_, err = guard(t, strings.ReplaceAll(good, "4000 ns/op 0 B/op 0 allocs/op", "4000 ns/op 8 B/op 1 allocs/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	_, err = guard(t, good, baseline+"Next/gen=mutex/clock=system/layout=wide 1 2\n")
	require.ErrorIs(t, err, errMissing)

	// Not every machine has a counter that can be a clock.
	_, err = guard(t, good, baseline+"Next/gen=mutex/clock=tsc/layout=wide 1 2\n")
	require.NoError(t, err)
}

func TestBadInput(t *testing.T) {
	_, err := guard(t, "", "Next/a 1 1\n")
	require.ErrorIs(t, err, errNothing)
	for _, baseline := range []string{"", "Next/a 1\n", "Next/a 1 NaN\n", "Next/a 1 0\n"} {
		_, err := guard(t, good, baseline)
		require.ErrorContains(t, err, "baseline.txt", baseline)
	}
	require.Error(t, run([]string{"no such file"}, nil, io.Discard, io.Discard))
}

// TestUpdate holds that what is written is read again, and passes.
func TestUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "baseline.txt")
	require.NoError(t, run([]string{"-baseline", file, "-update"}, strings.NewReader(good), io.Discard, io.Discard))
	require.NoError(t, run([]string{"-baseline", file}, strings.NewReader(good), io.Discard, io.Discard))
}

// TestBaseline holds that the committed baseline has every strategy and clock.
func TestBaseline(t *testing.T) {
	all, err := readBaseline("baseline.txt")
	require.NoError(t, err)
	for _, gen := range []string{"mutex", "atomic", "sharded"} {
		for _, procs := range []string{"1", "2"} {
			for _, clock := range []string{"system", "monotonic", "tsc", "coarse"} {
				require.Contains(t, all, key{"Next/gen=" + gen + "/clock=" + clock + "/layout=wide", procs})
			}
			require.Contains(t, all, key{"Fill/gen=" + gen + "/clock=tsc/layout=wide/n=256", procs})
		}
	}
}
