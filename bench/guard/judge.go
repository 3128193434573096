package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

var (
	errSlow    = errors.New("something takes far longer than it did, in multiples of its floor; profile it, or write the baseline anew with -update and say why")
	errAllocs  = errors.New("something that makes IDs allocates memory; it must not")
	errMissing = errors.New("something of the baseline was not measured")
	errNew     = errors.New("something was measured that the baseline does not have; write it anew with -update, and say why")
	errUnread  = errors.New("allocs/op and B/op were not both reported; call b.ReportAllocs")
	errNothing = errors.New("no benchmark with a floor in what was read: give it the output of the command in this program's comment")
)

// judge compares what was found with a baseline, and writes what it has seen.
func judge(w io.Writer, m *measured, baseline map[key]float64, margin float64) error {
	if len(m.multiples) == 0 {
		return errNothing
	}
	bad := []error{m.counts(baseline), m.unknown(baseline)}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "benchmark\tCPUs\t× floor\tbaseline\tat most\tallocs\t")
	for _, k := range sorted(baseline) {
		limit := baseline[k] * margin
		if k.procs != "1" {
			limit *= 2 // what is shared costs little where others have the other processors
		}
		found, ok := m.multiples[k]
		verdict := ""
		switch {
		case !ok && strings.Contains(k.name, "clock=tsc") && !m.hasTSC():
			verdict = "no such clock here"
		case !ok:
			verdict = "NOT MEASURED"
			bad = append(bad, fmt.Errorf("%s on %s: %w", k.name, k.procs, errMissing))
		case found > limit:
			verdict = "TOO LONG"
			bad = append(bad, fmt.Errorf("%s on %s, %.2f × its floor, was %.2f: %w", k.name, k.procs, found, baseline[k], errSlow))
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.0f\t%s\n", k.name, k.procs, found, baseline[k], limit, m.allocs[k], verdict)
	}
	_ = out.Flush()
	bad = append(bad, m.scaling(w))
	for _, k := range sorted(m.allocs) {
		if n := m.allocs[k]; n > 0 && !strings.HasPrefix(k.name, "Floor/") {
			bad = append(bad, fmt.Errorf("%s on %s, %.0f allocations or bytes an operation: %w", k.name, k.procs, n, errAllocs))
		}
	}
	return errors.Join(bad...)
}

// hasTSC says whether the clock was measured that not every machine has.
func (m *measured) hasTSC() bool {
	for k := range m.times {
		if strings.HasPrefix(k.name, "Floor/op=tsc") {
			return true
		}
	}
	return false
}

// counts returns an error for what is to be judged and has not said what it allocates:
// a number that is not there is not 0.
func (m *measured) counts(baseline map[key]float64) error {
	var bad []error
	for _, k := range sorted(baseline) {
		if _, ok := m.multiples[k]; ok && m.uncounted[k] {
			bad = append(bad, fmt.Errorf("%s on %s: %w", k.name, k.procs, errUnread))
		}
	}
	return errors.Join(bad...)
}

// unknown returns an error for what has a floor, and no multiple to be compared with.
func (m *measured) unknown(baseline map[key]float64) error {
	var bad []error
	for _, k := range sorted(m.multiples) {
		if _, ok := baseline[k]; !ok {
			bad = append(bad, fmt.Errorf("%s on %s: %w", k.name, k.procs, errNew))
		}
	}
	return errors.Join(bad...)
}

func sorted(of map[key]float64) []key {
	return slices.SortedFunc(maps.Keys(of), func(a, b key) int { return strings.Compare(a.String(), b.String()) })
}

// readBaseline reads lines of a benchmark, its processors and its multiple.
func readBaseline(file string) (map[key]float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	all := map[key]float64{}
	for i, line := range strings.Split(string(data), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s:%d: want a benchmark, its processors and its multiple, and not %q", file, i+1, line)
		}
		v, err := strconv.ParseFloat(fields[2], 64)
		if err != nil || !(v > 0) {
			return nil, fmt.Errorf("%s:%d: %q is no multiple", file, i+1, fields[2])
		}
		all[key{fields[0], fields[1]}] = v
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: nothing to compare with; write it with -update", file)
	}
	return all, nil
}

func writeBaseline(file string, m *measured) error {
	if len(m.multiples) == 0 {
		return errNothing
	}
	var b strings.Builder
	b.WriteString("# Times in multiples of the floors of the same run, by benchmark and processors.\n# Written by go run ./bench/guard -update.\n")
	for _, k := range sorted(m.multiples) {
		fmt.Fprintf(&b, "%s %s %.2f\n", k.name, k.procs, m.multiples[k])
	}
	//nolint:gosec // for everyone to read
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing the baseline: %w", err)
	}
	return nil
}
