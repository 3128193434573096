package property

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/prop"
	"go.uber.org/goleak"
)

var (
	seedFlag  = flag.Int64("property.seed", 0, "run cases from this seed only (0: the fixed seed and a fresh one, by halves)")
	sizeFlag  = flag.Int("property.size", 0, "run the one case of -property.seed that has this size")
	casesFlag = flag.Int("property.cases", defaultCases, "cases of a cheap property; costly ones run a fraction")
)

const (
	// fixedSeed gives everyone, and every run, the same first half of the cases.
	fixedSeed = 1
	// largest is the size of the last case; the first ones are small.
	largest = 100
	// patience bounds how many runs are spent on making a case smaller.
	patience = 5000
)

// freshSeed differs with each run, and is short enough to be read out.
var freshSeed = 2 + rand.Int64N(1e9)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seedFlag == 0 {
		fmt.Fprintf(os.Stderr, "properties: seeds %d and %d\n", fixedSeed, freshSeed)
	}
	goleak.VerifyTestMain(m)
}

// kind is a kind of case: how one is drawn, and which ones are a little smaller.
// The first smaller one that breaks the property too is gone on from, so that the
// boldest cuts come first. None may be as large as its origin, or shrinking never
// ends.
type kind[T any] struct {
	draw    func(c chance) T
	smaller func(v T) []T
}

// gen is the kind as gopter knows it.
func (k kind[T]) gen() gopter.Gen {
	shrink := func(v any) gopter.Shrink {
		var all []T
		if k.smaller != nil {
			if of, ok := v.(T); ok {
				all = k.smaller(of)
			}
		}
		return func() (any, bool) {
			if len(all) == 0 {
				return nil, false
			}
			next := all[0]
			all = all[1:]
			return next, true
		}
	}
	return func(p *gopter.GenParameters) *gopter.GenResult {
		return gopter.NewGenResult(k.draw(chance{p}), shrink)
	}
}

// effort is what a property takes.
type effort struct {
	cost   int // of cheap cases that one case stands for
	repeat int // how often a case is run to see whether it fails; more than 1 where goroutines race
}

var cheap = effort{cost: 1, repeat: 1}

// forAll runs a property over drawn cases. broken says in which way a case
// breaks it, or nothing.
func forAll[T any](t *testing.T, e effort, k kind[T], broken func(v T) string) {
	t.Helper()
	cases := max(2, *casesFlag/e.cost)
	switch {
	case *sizeFlag != 0:
		runCase(t, e, k, *seedFlag, *sizeFlag, broken)
	case *seedFlag != 0:
		runCases(t, e, k, *seedFlag, cases, broken)
	default:
		runCases(t, e, k, fixedSeed, cases/2, broken)
		runCases(t, e, k, freshSeed, cases-cases/2, broken)
	}
}

// runCases runs cases of growing size, each from a seed of its own, so that a
// single one can be repeated.
func runCases[T any](t *testing.T, e effort, k kind[T], base int64, cases int, broken func(v T) string) {
	t.Helper()
	for i := range cases {
		h := fnv.New32a()
		_, _ = fmt.Fprintf(h, "%d %s %d", base, t.Name(), i)
		runCase(t, e, k, int64(h.Sum32()), 1+i*largest/cases, broken)
	}
}

func runCase[T any](t *testing.T, e effort, k kind[T], seed int64, size int, broken func(v T) string) {
	t.Helper()
	failed, runs := false, 0
	check := func(v T) string {
		times := 1
		switch {
		case failed:
			times = e.repeat
		case *sizeFlag != 0:
			times = 10 * e.repeat
		}
		for range times {
			runs++
			if runs > patience {
				return ""
			}
			if why := safely(broken, v); why != "" {
				failed = true
				return why
			}
		}
		return ""
	}
	p := gopter.DefaultTestParametersWithSeed(seed)
	p.MinSuccessfulTests, p.MinSize, p.MaxSize = 1, size, size
	r := prop.ForAll(check, k.gen()).Check(p)
	if r.Passed() {
		return
	}
	if len(r.Args) == 0 { // the drawing itself went wrong
		t.Fatalf("seed %d, size %d: %v\n%s", seed, size, r.Error, r.ErrorStack)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  case:  %s\n", strings.Join(r.Labels, "\n"), r.Args[0].ArgFormatted)
	if r.Args[0].Shrinks > 0 {
		fmt.Fprintf(&b, "  drawn: %s (made smaller %d times)\n", beginOfText(r.Args[0].OrigArgFormatted), r.Args[0].Shrinks)
	}
	fmt.Fprintf(&b, "  again: go test ./property -run '^%s$' -property.seed=%d -property.size=%d",
		strings.ReplaceAll(t.Name(), "/", "$/^"), seed, size)
	t.Fatal(b.String())
}

// beginOfText is enough to see what a case looked like as it was drawn; a script
// can fill a screen.
func beginOfText(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// safely makes a panic one more way to break a property, so that its case
// shrinks as well.
func safely[T any](broken func(v T) string, v T) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return broken(v)
}
