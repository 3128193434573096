package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchproc"
)

// measurements are all the results that were read.
type measurements struct {
	list   []*benchmark
	config map[string]string // of the machine, as the output says it
	from   map[string]string // which file said it

	keys   *benchproc.Projection // what tells one benchmark from another
	fields map[string]*benchproc.Field
	byKey  map[benchproc.Key]*benchmark
}

func newMeasurements() (*measurements, error) {
	var parser benchproc.ProjectionParser
	keys, err := parser.Parse(".name,/impl,/layout,/store,/via,/op,/leases,/goroutines,/sequence,/n,/gomaxprocs", nil)
	if err != nil {
		return nil, fmt.Errorf("projecting benchmarks: %w", err)
	}
	m := &measurements{
		config: map[string]string{},
		from:   map[string]string{},
		keys:   keys,
		fields: map[string]*benchproc.Field{},
		byKey:  map[benchproc.Key]*benchmark{},
	}
	for _, f := range keys.Fields() {
		m.fields[f.Name] = f
	}
	return m, nil
}

// benchmark is one benchmark with the values of all times that it was run. The
// numbers are 0 where its name has none of them; procs is at least 1.
type benchmark struct {
	name, impl, layout          string
	procs, goroutines, sequence int
	store, via, op              string // of a pool
	leases                      int
	commit                      string               // that was measured, empty if it was not recorded
	values                      map[string][]float64 // by unit, as benchfmt tidies it
}

// mixedError says that what was read is not of one machine and one version of Go, or
// that one benchmark was run of two commits.
type mixedError struct {
	key        string // of the configuration
	was, is    string
	file, here string // the files that say so
}

// Error implements error.
func (e *mixedError) Error() string {
	return fmt.Sprintf("%s: %s is %q, and in %s it is %q: figures of both in one table would say nothing; measure again, all of it in the same place, and report that",
		e.here, e.key, e.is, e.file, e.was)
}

// same returns what has to be the same in all that is read.
func same() []string { return []string{"cpu", "cpus", "goos", "goarch", "go"} }

// configure takes over the configuration that a result was printed with. What one
// output does not say cannot contradict another.
func (m *measurements) configure(config []benchfmt.Config, name string) error {
	for _, c := range config {
		value := string(c.Value)
		if was := m.config[c.Key]; was != "" && was != value && slices.Contains(same(), c.Key) {
			return &mixedError{c.Key, was, value, m.from[c.Key], name}
		}
		if value != "" {
			m.config[c.Key], m.from[c.Key] = value, name
		}
	}
	return nil
}

// read adds what the output of go test has, which is named for errors.
func (m *measurements) read(r io.Reader, name string) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("FAIL")) || bytes.HasPrefix(line, []byte("--- FAIL")) {
			return fmt.Errorf("%s: a benchmark failed; run again what is to be reported: %s", name, bytes.TrimSpace(line))
		}
	}
	reader := benchfmt.NewReader(bytes.NewReader(data), name)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return fmt.Errorf("no benchmark output of go test: %w", record)
		case *benchfmt.Result:
			if err := m.configure(record.Config, name); err != nil {
				return err
			}
			key := m.keys.Project(record)
			b := m.byKey[key]
			if b == nil {
				b = m.newBenchmark(key)
				m.byKey[key] = b
				m.list = append(m.list, b)
			}
			if c := record.GetConfig("commit"); c != "" {
				if b.commit != "" && b.commit != c {
					return &mixedError{"the commit of Benchmark" + string(record.Name), b.commit, c, "an earlier run", name}
				}
				b.commit = c
			}
			for _, v := range record.Values {
				b.values[v.Unit] = append(b.values[v.Unit], v.Value)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (m *measurements) newBenchmark(key benchproc.Key) *benchmark {
	number := func(field string) int {
		n, err := strconv.Atoi(key.Get(m.fields[field]))
		if err != nil {
			return 0
		}
		return n
	}
	return &benchmark{
		name:       key.Get(m.fields[".name"]),
		impl:       key.Get(m.fields["/impl"]),
		layout:     key.Get(m.fields["/layout"]),
		procs:      max(number("/gomaxprocs"), 1),
		goroutines: number("/goroutines"),
		sequence:   number("/sequence"),
		store:      key.Get(m.fields["/store"]),
		via:        key.Get(m.fields["/via"]),
		op:         key.Get(m.fields["/op"]),
		leases:     number("/leases"),
		values:     map[string][]float64{},
	}
}

// summary returns the median of a unit's values and the interval around it, and
// whether there are any.
func (b *benchmark) summary(unit string) (benchmath.Summary, bool) {
	if b == nil || len(b.values[unit]) == 0 {
		return benchmath.Summary{}, false
	}
	sample := benchmath.NewSample(slices.Clone(b.values[unit]), &benchmath.DefaultThresholds)
	return benchmath.AssumeNothing.Summary(sample, 0.95), true
}

// median returns the median of a unit's values, and whether it can be drawn and
// divided by.
func (b *benchmark) median(unit string) (float64, bool) {
	s, ok := b.summary(unit)
	return s.Center, ok && s.Center > 0
}

func (b *benchmark) ours() bool  { return strings.HasPrefix(b.impl, "easyflake-") }
func (b *benchmark) floor() bool { return strings.HasPrefix(b.impl, "floor-") }
func (b *benchmark) peer() bool  { return !b.ours() && !b.floor() }

// where returns the benchmarks of a name that fit.
func (m *measurements) where(name string, fits func(*benchmark) bool) []*benchmark {
	return filter(m.list, func(b *benchmark) bool { return b.name == name && fits(b) })
}

// named returns the benchmarks of a name.
func (m *measurements) named(name string) []*benchmark {
	return filter(m.list, func(b *benchmark) bool { return b.name == name })
}

func filter(list []*benchmark, fits func(*benchmark) bool) []*benchmark {
	return slices.DeleteFunc(slices.Clone(list), func(b *benchmark) bool { return !fits(b) })
}

// compared returns the single IDs that may stand in one table: those of a layout,
// and those that have no sequence.
func (m *measurements) compared(layout string) []*benchmark {
	return m.where("Next", func(b *benchmark) bool { return b.layout == layout || b.layout == "none" })
}

// distinct returns the distinct numbers of some benchmarks, in order.
func distinct[T int | string](list []*benchmark, of func(*benchmark) T) []T {
	var all []T
	for _, b := range list {
		if v := of(b); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

func procsOf(list []*benchmark) []int {
	all := distinct(list, func(b *benchmark) int { return b.procs })
	slices.Sort(all)
	return all
}

func implsOf(list []*benchmark) []string {
	return distinct(list, func(b *benchmark) string { return b.impl })
}

// one returns the benchmark of an implementation on so many processors, or nil.
func one(list []*benchmark, impl string, procs int) *benchmark {
	for _, b := range list {
		if b.impl == impl && b.procs == procs {
			return b
		}
	}
	return nil
}

// fastest returns the benchmark that fits with the least time, or nil.
func fastest(list []*benchmark, fits func(*benchmark) bool) *benchmark {
	return least(list, "sec/op", fits)
}

// least returns the benchmark that fits with the least of a unit, or nil.
func least(list []*benchmark, unit string, fits func(*benchmark) bool) *benchmark {
	var best *benchmark
	so := 0.0
	for _, b := range list {
		if v, ok := b.median(unit); ok && fits(b) && (best == nil || v < so) {
			best, so = b, v
		}
	}
	return best
}
