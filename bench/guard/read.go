package main

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// key is a benchmark on so many processors.
type key struct{ name, procs string }

// String returns it as it stands in a baseline.
func (k key) String() string { return k.name + " " + k.procs }

// times are the best of several, in seconds.
type times map[key]float64

// measured is what a run says.
type measured struct {
	multiples map[key]float64 // of the floors
	allocs    map[key]float64 // of an operation, the most in any run; or bytes, which show rarer ones
}

// read reads the output of go test.
func read(r io.Reader, name string) (*measured, error) {
	best := times{}
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
					if was, ok := best[k]; !ok || v.Value < was {
						best[k] = v.Value
					}
				case "allocs/op", "B/op":
					m.allocs[k] = max(m.allocs[k], v.Value)
				}
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for k, v := range best {
		if floor, ok := best.floor(k); ok {
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
	loop, ok := t[key{"Floor/op=loop", procs}]
	sum := loop // which each of them has as well
	for _, op := range ops {
		v, found := t[key{"Floor/op=" + op, procs}]
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
