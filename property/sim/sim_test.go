package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	seeds = flag.Int("seeds", 200, "how many seeds to simulate, from 0 on")
	fresh = flag.Int("fresh", 10, "how many seeds to simulate that were never used")
	broke = flag.Int("break", 0, "with -seed: which assumption to break, from 1 (A1) to 5 (A5)")
	one   = flag.Int64("seed", -1, "the seed to simulate alone, with all that happens printed")
	part  = flag.Int("part", -1, "which of the seeds: set by the test itself")
	first = flag.Int64("first", 0, "the first fresh seed: set by the test itself")
	long  = flag.Duration("for", 0, "simulate fresh seeds for so long")
)

// single gives the runtime one processor, so that Sharded repeats.
func single(t *testing.T) {
	t.Helper()
	n := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(n) })
}

// run simulates a seed.
func run(t *testing.T, r *Runner, seed uint64) (res Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		res = r.Run(seed)
	})
	return res
}

// must simulates a seed, in which nothing may go wrong that must not.
func must(t *testing.T, r *Runner, seed uint64) Counters {
	t.Helper()
	res := run(t, r, seed)
	if res.Failure != "" {
		t.Fatalf("seed %d: %s\n\n%v\n\nwhat happened last:\n%s\nTo see all of it: go test ./property/sim -run Sim -seed %d -break %d -v", seed, res.Failure, res.Params, res.Tail, seed, r.Break)
	}
	return res.Counters
}

// TestSim simulates as many seeds as asked for, and reports what happened in them.
func TestSim(t *testing.T) {
	single(t)
	r := &Runner{}
	if *one >= 0 {
		r.Break = Assumption(*broke)
		r.Out = os.Stdout
		res := run(t, r, uint64(*one))
		t.Logf("%v\n%v\n%v", res, res.Params, res.Counters)
		if res.Failure != "" {
			t.Error(res.Failure)
		}
		return
	}
	begun := time.Now()
	if *part >= 0 { // one of several processes
		simulate(t, r, begun)
		return
	}
	*first = int64(rand.Uint32()) << 16
	total := simulateAll(t)
	n := total.Seeds
	took := time.Since(begun)
	t.Logf("seeds 0 to %d, and %d fresh ones from %d on: %.1f a second, %.1f million IDs a second\n%v",
		*seeds-1, n-*seeds, *first, float64(n)/took.Seconds(), float64(total.IDs)/took.Seconds()/1e6, total)
	if *seeds >= 200 {
		rare(t, total)
	}
}

// parts is how many processes simulate, for each has but one processor.
const parts = 2

// simulateAll has each of several processes simulate a part of the seeds.
func simulateAll(t *testing.T) (total Counters) {
	t.Helper()
	type result struct {
		out []byte
		err error
	}
	var limit time.Duration // none
	if d, ok := t.Deadline(); ok {
		limit = max(time.Second, time.Until(d))
	}
	results := make(chan result, parts)
	for i := range parts {
		args := []string{
			"-test.run=^TestSim$", "-test.timeout", limit.String(), "-part", strconv.Itoa(i), "-first", strconv.FormatInt(*first, 10),
			"-seeds", strconv.Itoa(*seeds), "-fresh", strconv.Itoa(*fresh), "-for", long.String(),
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		go func() {
			out, err := cmd.CombinedOutput()
			results <- result{out, err}
		}()
	}
	for range parts {
		r := <-results
		_, after, found := strings.Cut(string(r.out), marker)
		line, _, _ := strings.Cut(after, "\n")
		var counters Counters
		if r.err != nil || !found || json.Unmarshal([]byte(line), &counters) != nil {
			t.Fatalf("%v\n%s", r.err, r.out)
		}
		total.Add(counters)
	}
	return total
}

// marker begins the line in which a process hands its counters back.
const marker = "counters of this part: "

// simulate simulates this process' part of the seeds.
func simulate(t *testing.T, r *Runner, begun time.Time) {
	t.Helper()
	var total Counters
	for seed := *part; seed < *seeds; seed += parts {
		total.Add(must(t, r, uint64(seed)))
	}
	for i := *part; i < *fresh || time.Since(begun) < *long; i += parts {
		total.Add(must(t, r, uint64(*first)+uint64(i)))
	}
	line, err := json.Marshal(total)
	require.NoError(t, err)
	fmt.Println(marker + string(line))
}

// rare asserts that all that is rare did happen: else the simulation has said
// nothing about it.
func rare(t *testing.T, total Counters) {
	t.Helper()
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "Doubles", "Overlaps", "Early", "Mismatches":
			require.Zero(t, v.Field(i).Interface(), name)
		default:
			if v.Field(i).IsZero() {
				t.Errorf("in all these seeds there was no case of %s", name)
			}
		}
	}
}

// TestSimRepeats asserts that a seed is all that a run depends on.
func TestSimRepeats(t *testing.T) {
	single(t)
	for seed := range uint64(12) {
		a, b := run(t, &Runner{}, seed), run(t, &Runner{}, seed)
		require.Equal(t, a.Hash, b.Hash, "seed %d", seed)
		require.Equal(t, a.Counters, b.Counters, "seed %d", seed)
	}
}

// TestSimRegressions simulates seeds that have found something. A seed means the
// same only as long as the simulation draws what it did then: what an older one has
// found is kept as a test of its own, and named in docs/guarantees.md, section 9.
func TestSimRegressions(t *testing.T) {
	single(t)
	for _, c := range []struct {
		seed  uint64
		broke Assumption
		why   string
	}{
		{191507281515047, Nothing, "at the end of the layout's life no floor is higher than a lease that reaches as far, and an old copy's was renewed"},
		{6554400471051, Nothing, "a write that was given up made a pool forget renewals, and a copy that had been left behind was renewed"},
		{71378546262930, Nothing, "a holder that could not use what it was granted, by a clock years back, asked again only after twice what had been added"},
		{53, Copies, "a copy of a client gave back the lease that the original went on with"},
	} {
		t.Run(c.why, func(t *testing.T) { must(t, &Runner{Break: c.broke}, c.seed) })
	}
}

// TestSimWithCopies breaks A2: clients are copied while they run, and the copies
// make IDs too. Then there are equal IDs, as docs/guarantees.md says; but none from
// before the copy was made, and none further than the window that both of a pair have
// held, or that one of them gave back.
func TestSimWithCopies(t *testing.T) {
	single(t)
	r := &Runner{Break: Copies}
	var total Counters
	for seed := range uint64(100) {
		total.Add(must(t, r, seed))
	}
	require.Positive(t, total.Doubles, "the copies made no equal IDs: what is this test about?")
	require.Positive(t, total.CloneRefused)
	require.Positive(t, total.OriginalRefused)
	t.Logf("%d copies, %d equal IDs among %d; %d copies and %d originals were refused their renewals", total.Clones, total.Doubles, total.IDs, total.CloneRefused, total.OriginalRefused)
}

// TestSimWithLostWrites breaks A1: the store is set back, and nobody knows. Then
// there are equal IDs, of ticks that the store has granted and an old copy of it again;
// but clients that find their leases gone stop, and one that shows a window that the
// store does not know has the floor raised.
func TestSimWithLostWrites(t *testing.T) {
	single(t)
	r := &Runner{Break: LostWrites}
	var total Counters
	for seed := range uint64(200) {
		total.Add(must(t, r, seed))
	}
	require.Positive(t, total.Doubles, "the lost writes led to no equal IDs: what is this test about?")
	require.Positive(t, total.Evidence, "no store was found out")
	require.Positive(t, total.FloorsRaised, "no floor was raised")
	t.Logf("%d times set back, found out by %d renewals; the floor was raised %d times; %d equal IDs among %d", total.Restores, total.Evidence, total.FloorsRaised, total.Doubles, total.IDs)
}

// TestSimWithTwoLayouts breaks A3: another layout is written into the namespace's
// record, past all rules. Then there are equal IDs, each of one layout and the other;
// clients that ask with a layout which is not the record's are refused.
func TestSimWithTwoLayouts(t *testing.T) {
	single(t)
	r := &Runner{Break: TwoLayouts}
	var total Counters
	for seed := range uint64(100) {
		total.Add(must(t, r, seed))
	}
	require.Positive(t, total.Doubles, "two layouts led to no equal IDs: what is this test about?")
	require.Positive(t, total.Mismatches)
	t.Logf("%d equal IDs among %d, none under one layout; %d requests with the wrong layout refused", total.Doubles, total.IDs, total.Mismatches)
}

// TestSimWithTwoSources breaks A4: a node numbered by hand has two processes, or is
// leased by the pool as well. Then there are equal IDs on such nodes, and on no other.
func TestSimWithTwoSources(t *testing.T) {
	single(t)
	r := &Runner{Break: TwoSources}
	var total [2]Counters
	for seed := range uint64(100) {
		total[seed%2].Add(must(t, r, seed))
	}
	for _, c := range total {
		require.Positive(t, c.Doubles, "two sources of a node made no equal IDs: what is this test about?")
	}
	require.Positive(t, total[0].Overlaps, "no node numbered by hand was leased")
	t.Logf("leased as well: %d equal IDs among %d; numbered twice: %d among %d; none on another node", total[0].Doubles, total[0].IDs, total[1].Doubles, total[1].IDs)
}

// TestSimWithEarlyClocks breaks A5: processes on nodes numbered by hand start with
// clocks that are not past every tick stamped before. Then there are equal IDs, but
// of no tick that is past those.
func TestSimWithEarlyClocks(t *testing.T) {
	single(t)
	r := &Runner{Break: EarlyClocks}
	var total Counters
	for seed := range uint64(100) {
		total.Add(must(t, r, seed))
	}
	require.Positive(t, total.Doubles, "starting too early led to no equal IDs: what is this test about?")
	t.Logf("%d starts too early; %d equal IDs among %d", total.Early, total.Doubles, total.IDs)
}
