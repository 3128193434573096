package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// layoutListCmd lists the presets.
type layoutListCmd struct {
	JSON bool `name:"json" help:"Print JSON, one object per line."`
}

// namedFacts is a line of JSON: what 'layout NAME --json' prints, and whose the
// layout is.
type namedFacts struct {
	layoutFacts

	Description string `json:"description"`
}

// Run lists the layouts.
func (c *layoutListCmd) Run(w *world) error {
	now := time.Unix(0, w.clock.Now())
	if c.JSON {
		var out strings.Builder
		for _, p := range layout.Presets() {
			line, err := marshal(namedFacts{factsOf(layoutValue{p.Layout, p.Name}, now), p.Description})
			if err != nil {
				return err
			}
			out.WriteString(line)
		}
		return w.print(out.String())
	}
	rows := [][]string{{"NAME", "EPOCH", "UNIT", "BITS", "IDS/S PER NODE", "END", "DESCRIPTION"}}
	for _, p := range layout.Presets() {
		l := p.Layout
		rows = append(rows, []string{
			p.Name, formatDate(l.Epoch()), unitOf(l), bitsOf(l), rate(l.Rate()), formatDate(l.End()), p.Description,
		})
	}
	return w.print(c.table(rows, now, w.width, style(w.color)))
}

// bitsOf writes the widths in the order of the fields: t41 n10 s12.
func bitsOf(l layout.Layout) string {
	if l.Order() == layout.TimeSequenceNode {
		return fmt.Sprintf("t%d s%d n%d", l.TimeBits(), l.SequenceBits(), l.NodeBits())
	}
	return fmt.Sprintf("t%d n%d s%d", l.TimeBits(), l.NodeBits(), l.SequenceBits())
}

func (*layoutListCmd) table(rows [][]string, now time.Time, columns int, s style) string {
	const rateColumn, endColumn = 4, 5
	widths := make([]int, len(rows[0])-1)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	today := formatDate(now)
	var out strings.Builder
	for i, row := range rows {
		used := 0
		for j, width := range widths {
			cell := fmt.Sprintf("%-*s", width, row[j])
			if j == rateColumn {
				cell = fmt.Sprintf("%*s", width, row[j])
			}
			used += width + 2
			switch {
			case i == 0, j == 0:
				cell = s.paint(bold, cell)
			case j == endColumn && row[j] <= today && row[j][0] != '+':
				cell = s.paint(red, cell)
			}
			out.WriteString(cell + "  ")
		}
		last := row[len(widths)]
		if room := columns - used; columns > 0 && len(last) > room {
			last = last[:max(0, room-1)] + "…"
		}
		if i == 0 {
			last = s.paint(bold, last)
		}
		out.WriteString(last + "\n")
	}
	return out.String()
}
