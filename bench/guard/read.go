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

// times are medians, in seconds.
type times map[key]float64

// measured is what a run says.
type measured struct {
	multiples map[key]float64 // of the floors
	allocs    map[key]float64 // of an operation: the most in any run
}

// read reads the output of go test.
func read(r io.Reader, name string) (*measured, error) {
	samples := map[key][]float64{}
	m := &measured{multiples: map[key]float64{}, allocs: map[key]float64{}}
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
			for _, v := range record.Values {
				switch v.Unit {
				case unit:
					samples[k] = append(samples[k], v.Value)
				case "allocs/op":
					m.allocs[k] = max(m.allocs[k], v.Value)
				}
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	medians := times{}
	for k, list := range samples {
		slices.Sort(list)
		medians[k] = list[len(list)/2]
	}
	for k, v := range medians {
		if floor, ok := medians.floor(k); ok {
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

// floor returns the time of what a benchmark is made of: reading its clock, and what
// its strategy cannot do without. An ID of a batch is compared with one addition.
func (t times) floor(k key) (float64, bool) {
	var ops []string
	part := partsOf(k.name)
	switch {
	case strings.HasPrefix(k.name, "Fill/"):
		ops = []string{"add"}
	case strings.HasPrefix(k.name, "Next/") && part["layout"] == "wide":
		op, known := map[string]string{"mutex": "mutex", "atomic": "add", "sharded": "pin"}[part["gen"]]
		if !known {
			return 0, false
		}
		ops = []string{part["clock"], op}
	default:
		return 0, false
	}
	var sum float64
	for _, op := range ops {
		v, ok := t[key{"Floor/op=" + op, k.procs}]
		if !ok {
			return 0, false
		}
		sum += v
	}
	return sum, sum > 0
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
