package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// key is a benchmark on so many processors.
type key struct{ name, procs string }

// String returns it as it stands in a baseline.
func (k key) String() string { return k.name + " " + k.procs }

// times are those of each benchmark in all runs, in seconds.
type times map[key][]float64

// best returns the least, which other work on the machine has disturbed least, and
// whether there is one.
func (t times) best(k key) (float64, bool) {
	if len(t[k]) == 0 {
		return 0, false
	}
	return slices.Min(t[k]), true
}

// measured is what a run says.
type measured struct {
	times     times
	multiples map[key]float64 // of the floors
	allocs    map[key]float64 // of an operation, or bytes, which show rarer ones; the least of all runs
	uncounted map[key]bool    // some run of it did not say what it allocates
}

// read reads the output of go test.
func read(r io.Reader, name string) (*measured, error) {
	m := &measured{times: times{}, multiples: map[key]float64{}, allocs: map[key]float64{}, uncounted: map[key]bool{}}
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, fmt.Errorf("no benchmark output of go test: %w", record)
		case *benchfmt.Result:
			k := keyOf(string(record.Name))
			unit := "sec/op"
			if strings.HasPrefix(k.name, "Fill/") {
				unit = "sec/id"
			}
			said, most := 0, 0.0
			for _, v := range record.Values {
				switch v.Unit {
				case unit:
					m.times[k] = append(m.times[k], v.Value)
				case "allocs/op", "B/op":
					said++
					most = max(most, v.Value)
				}
			}
			// What a benchmark allocates at its start weighs the more, the fewer operations
			// a disturbed run has; what each operation allocates is in all runs.
			if was, ok := m.allocs[k]; !ok || most < was {
				m.allocs[k] = most
			}
			m.uncounted[k] = m.uncounted[k] || said != 2
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for k := range m.times {
		v, _ := m.times.best(k)
		if floor, ok := m.times.floor(k); ok {
			m.multiples[k] = v / floor
		}
	}
	return m, nil
}

// keyOf parts the number of processors from a benchmark's name.
func keyOf(name string) key {
	if i := strings.LastIndexByte(name, '-'); i >= 0 && strings.Trim(name[i+1:], "0123456789") == "" && i+1 < len(name) {
		return key{name[:i], name[i+1:]}
	}
	return key{name, "1"}
}

func floorOf(op, procs string) key { return key{"Floor/op=" + op, procs} }

// floor returns the time of what a benchmark is made of: reading its clock, and what
// its strategy cannot do without. An ID of a batch is compared with one addition.
func (t times) floor(k key) (float64, bool) {
	var ops []string
	procs := k.procs
	part := partsOf(k.name)
	switch {
	case strings.HasPrefix(k.name, "Fill/"):
		ops = []string{"add"}
		procs = "1" // what several take for one turns on whether the machine has as many to spare
	case strings.HasPrefix(k.name, "Next/") && part["layout"] == "wide":
		op, known := map[string]string{"mutex": "mutex", "atomic": "add", "sharded": "pin"}[part["gen"]]
		if !known {
			return 0, false
		}
		ops = []string{part["clock"], op}
	default:
		return 0, false
	}
	loop, ok := t.best(floorOf("loop", procs))
	sum := loop // which each of them has as well
	for _, op := range ops {
		v, found := t.best(floorOf(op, procs))
		ok = ok && found
		sum += max(0, v-loop)
	}
	return sum, ok && sum > 0
}

// partsOf returns the name=value parts of a benchmark's name.
func partsOf(name string) map[string]string {
	parts := map[string]string{}
	for p := range strings.SplitSeq(name, "/") {
		if k, v, ok := strings.Cut(p, "="); ok {
			parts[k] = v
		}
	}
	return parts
}
