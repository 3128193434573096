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
BenchmarkFloor/op=loop 100 1.0 ns/op 0 B/op 0 allocs/op
BenchmarkFloor/op=pin 100 3.0 ns/op 0 allocs/op
BenchmarkFloor/op=tsc 100 8.0 ns/op 0 allocs/op
BenchmarkFloor/op=add 100 4.0 ns/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 13 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 12 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 900 ns/op 0 B/op 0 allocs/op
BenchmarkNext/gen=sharded/clock=tsc/layout=easyflake 100 4000 ns/op 0 B/op 0 allocs/op
BenchmarkFill/gen=atomic/clock=tsc/layout=wide/n=256-2 100 128 ns/op 1.0 ns/id 0 B/op 0 allocs/op
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

	_, err = guard(t, strings.ReplaceAll(good, "1.0 ns/id 0 B/op 0 allocs/op", "1.0 ns/id 8 B/op 1 allocs/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	// An allocation that is rarer than one an operation shows in its bytes.
	_, err = guard(t, strings.ReplaceAll(good, "4000 ns/op 0 B/op", "4000 ns/op 3 B/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	// A run in which few operations share what the benchmark itself takes is no proof.
	again := "BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 13 ns/op 43 B/op 1 allocs/op\n"
	_, err = guard(t, good+again, baseline)
	require.NoError(t, err)

	// What has no floor must not allocate either.
	_, err = guard(t, strings.ReplaceAll(good, "4000 ns/op 0 B/op 0 allocs/op", "4000 ns/op 8 B/op 1 allocs/op"), baseline)
	require.ErrorIs(t, err, errAllocs)

	_, err = guard(t, good, baseline+"Next/gen=mutex/clock=system/layout=wide 1 2\n")
	require.ErrorIs(t, err, errMissing)

	_, err = guard(t, good, "Next/gen=sharded/clock=tsc/layout=wide 1 0.56\n")
	require.ErrorIs(t, err, errNew)
	require.ErrorContains(t, err, "Fill/gen=atomic/clock=tsc/layout=wide/n=256 on 2")
}

// TestNoTSC holds that what is made of the processor's counter may be missing where that
// is no clock, and nowhere else.
func TestNoTSC(t *testing.T) {
	const baseline = "Next/gen=sharded/clock=tsc/layout=wide 1 0.56\nFill/gen=atomic/clock=tsc/layout=wide/n=256 2 0.2\n"
	var without strings.Builder
	for line := range strings.Lines(good) {
		if !strings.Contains(line, "clock=tsc") {
			without.WriteString(line)
		}
	}
	const other = "BenchmarkFloor/op=coarse 100 2 ns/op 0 B/op 0 allocs/op\nBenchmarkNext/gen=sharded/clock=coarse/layout=wide 100 4 ns/op 0 B/op 0 allocs/op\n"
	const also = baseline + "Next/gen=sharded/clock=coarse/layout=wide 1 1\n"
	_, err := guard(t, without.String()+other, also)
	require.ErrorIs(t, err, errMissing)
	out, err := guard(t, strings.ReplaceAll(without.String(), "BenchmarkFloor/op=tsc", "BenchmarkFloor/op=none")+other, also)
	require.NoError(t, err)
	require.Contains(t, out, "no such clock here")
}

// TestUncounted holds that what does not say what it allocates is not taken to allocate
// nothing.
func TestUncounted(t *testing.T) {
	const baseline = "Next/gen=sharded/clock=tsc/layout=wide 1 0.56\nFill/gen=atomic/clock=tsc/layout=wide/n=256 2 0.2\n"
	_, err := guard(t, good, baseline)
	require.NoError(t, err)
	for _, without := range []string{" 0 B/op", " 0 allocs/op"} {
		_, err := guard(t, strings.ReplaceAll(good, without, ""), baseline)
		require.ErrorIs(t, err, errUnread, without)
		require.NotErrorIs(t, err, errAllocs, without)
	}
	// Not even in one of several runs.
	_, err = guard(t, good+"BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 13 ns/op\n", baseline)
	require.ErrorIs(t, err, errUnread)
}

// TestScaling judges the output of short runs, of the code as it is and with what must
// not pass planted into [generator.Sharded], by the committed baseline.
func TestScaling(t *testing.T) {
	for file, want := range map[string]error{
		"good.txt":   nil,
		"mutex.txt":  errScale, // Next holds a lock that all share
		"shared.txt": errScale, // Next counts in the cache line that all read
	} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err)
			m, err := read(bytes.NewReader(data), file)
			require.NoError(t, err)
			var out bytes.Buffer
			require.ErrorIs(t, m.scaling(&out), want)
			for _, clock := range []string{"tsc", "coarse"} {
				require.Contains(t, out.String(), "Sharded on two processors, clock="+clock)
			}
			// And the whole judgement, by what of the baseline these runs have.
			baseline := map[key]float64{}
			all, err := readBaseline("baseline.txt")
			require.NoError(t, err)
			for k := range m.multiples {
				baseline[k] = all[k]
			}
			require.ErrorIs(t, judge(&out, m, baseline, 2.5), want)
		})
	}
}

// TestNotScaling holds that nothing is asked of Sharded where the machine itself has no
// second processor to spare: the floor says so, in most of the runs.
func TestNotScaling(t *testing.T) {
	const rest = `BenchmarkNext/gen=sharded/clock=tsc/layout=wide-2 100 12 ns/op
BenchmarkNext/gen=mutex/clock=tsc/layout=wide-2 100 13 ns/op
`
	for name, tt := range map[string]struct {
		pin, one string
		says     string
		err      error
	}{
		"never measured":       {"", "12", "was not measured on both", nil},
		"in one of three":      {"3 3 3 1.5 3 3", "12", "takes 1.00 of its time", nil},
		"in two of three":      {"3 3 3 1.5 3 1.5", "12", "1.00 of its time on one (at most 0.85), 0.92 of Mutex's", errScale},
		"on one in bad luck":   {"9 3 9 2.5 2.5 2.5", "12", "takes 0.83 of its time", nil},
		"no faster than Mutex": {"3 3 3 1.5 1.5 1.5", "24", "0.50 of its time on one (at most 0.85), 0.92 of Mutex's", errScale},
	} {
		t.Run(name, func(t *testing.T) {
			var in strings.Builder
			for i, v := range strings.Fields(tt.pin) {
				in.WriteString("BenchmarkFloor/op=pin" + map[bool]string{true: "-2"}[i > 2] + " 100 " + v + " ns/op\n")
			}
			m, err := read(strings.NewReader(in.String()+"BenchmarkNext/gen=sharded/clock=tsc/layout=wide 100 "+tt.one+" ns/op\n"+rest), name)
			require.NoError(t, err)
			var out bytes.Buffer
			require.ErrorIs(t, m.scaling(&out), tt.err)
			require.Contains(t, out.String(), tt.says)
		})
	}
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
