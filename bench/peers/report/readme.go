package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
)

// What stands between these lines of a README is written by this program.
const (
	figuresBegin = "<!-- figures: written by bench/peers/report -->\n"
	figuresEnd   = "<!-- /figures -->\n"
)

var errNoFigures = errors.New("it has no lines <!-- figures: written by bench/peers/report --> and <!-- /figures --> in this order; put them where the figures are to stand")

// writeReadme puts the figures into a README that has a place for them.
func (m *measurements) writeReadme(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the README: %w", err)
	}
	before, rest, begins := bytes.Cut(data, []byte(figuresBegin))
	_, after, ends := bytes.Cut(rest, []byte(figuresEnd))
	if !begins || !ends {
		return fmt.Errorf("%s: %w", name, errNoFigures)
	}
	text := string(before) + figuresBegin + m.figures() + figuresEnd + string(after)
	//nolint:gosec // a page for everyone to read
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the README: %w", err)
	}
	return nil
}

// figures are those of the README: this project's strategies and the peers that most
// people know, beside the fastest of those with a sequence.
func (m *measurements) figures() string {
	list := m.compared("wide")
	procs := procsOf(list)
	var w strings.Builder
	t := table{}
	head := []string{"one ID, sequence wide open"}
	for _, p := range procs {
		head = append(head, cpus(p))
	}
	for _, p := range procs {
		head = append(head, "× bwmarrin, "+cpus(p))
	}
	t.add(head...)
	runs := 0
	for _, row := range []struct{ name, impl, from, unit string }{
		{"`Sharded.Next`, cycle counter", "easyflake-sharded-tsc", "Next", "sec/op"},
		{"`Sharded.Next`, coarse clock (1 ms)", "easyflake-sharded-coarse", "Next", "sec/op"},
		{"`Atomic.Next`, cycle counter", "easyflake-atomic-tsc", "Next", "sec/op"},
		{"`Sharded.Fill` of 256, an ID", "easyflake-sharded-tsc", "Fill", "sec/id"},
		{"bwmarrin/snowflake", "bwmarrin", "Next", "sec/op"},
		{"sony/sonyflake v2", "sonyflake2", "Next", "sec/op"},
	} {
		from := list
		if row.from == "Fill" {
			from = m.named("Fill")
		}
		cells, multiples := []string{row.name}, []string(nil)
		measured := false
		for _, p := range procs {
			b := one(from, row.impl, p)
			v, ok := b.median(row.unit)
			base, has := one(list, "bwmarrin", p).median("sec/op")
			cell, multiple := missing, missing
			if ok {
				cell, measured = seconds(v), true
				if n := len(b.values[row.unit]); runs == 0 || n < runs {
					runs = n
				}
				if has {
					multiple = times(v / base)
				}
			}
			cells, multiples = append(cells, cell), append(multiples, multiple)
		}
		if measured {
			t.add(append(cells, multiples...)...)
		}
	}
	t.write(&w)
	fmt.Fprintf(&w, "Medians of %d runs on %s CPUs, %s, %s.\n", runs, cmp.Or(m.config["cpus"], "?"), cmp.Or(m.config["cpu"], "an unknown processor"), cmp.Or(m.config["go"], "an unknown Go"))
	return w.String()
}
