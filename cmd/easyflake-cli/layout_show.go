package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// layoutShowCmd shows one layout.
type layoutShowCmd struct {
	Layout layoutValue `arg:"" optional:"" default:"easyflake" help:"A name from 'layout list', or text such as node=10,sequence=12 (easyflake)."`
	JSON   bool        `name:"json" help:"Print JSON."`
}

// Help is printed below the usage.
func (*layoutShowCmd) Help() string {
	return `
Draws the bits of an ID, and says how many nodes there can be, how many IDs a second, until when the layout lasts, and whether its IDs are safe as numbers in JavaScript, which are exact up to 2^53 - 1.

Examples:

    easyflake-cli layout twitter
    easyflake-cli layout unit=10ms,node=16,sequence=8
    easyflake-cli layout --json js53
`
}

// layoutFacts is all that is said about a layout.
type layoutFacts struct {
	Name     string   `json:"name,omitempty"`
	Presets  []string `json:"presets"` // names of this very layout
	Layout   string   `json:"layout"`
	Epoch    string   `json:"epoch"`
	Unit     string   `json:"unit"`
	UnitNS   int64    `json:"unit_ns"`
	TimeBits int      `json:"time_bits"`
	NodeBits int      `json:"node_bits"`
	SeqBits  int      `json:"sequence_bits"`
	Order    string   `json:"order"`
	Nodes    int64    `json:"nodes"`
	PerTick  int64    `json:"ids_per_tick"`
	Rate     float64  `json:"ids_per_second"` // of one node
	MaxID    string   `json:"max_id"`
	End      string   `json:"end"`
	Life     string   `json:"life"` // ok, under-three-years, under-a-year, over or not-begun
	Warning  string   `json:"warning,omitempty"`
	JSSafe   bool     `json:"js_safe"`                 // for ever
	JSUntil  string   `json:"js_safe_until,omitempty"` // where not for ever

	layout  layout.Layout
	now     time.Time
	jsUntil time.Time
}

// maxSafeInteger is the largest number up to which JavaScript knows all whole
// numbers.
const maxSafeInteger = 1<<53 - 1

func factsOf(v layoutValue, now time.Time) layoutFacts {
	l := v.Layout
	f := layoutFacts{
		Presets:  presetNames(&l),
		Layout:   l.String(),
		Epoch:    formatTime(l.Epoch()),
		Unit:     unitOf(l),
		UnitNS:   int64(l.Unit()),
		TimeBits: l.TimeBits(),
		NodeBits: l.NodeBits(),
		SeqBits:  l.SequenceBits(),
		Order:    l.Order().String(),
		Nodes:    l.MaxNode() + 1,
		PerTick:  l.MaxSequence() + 1,
		Rate:     l.Rate(),
		MaxID:    l.MaxID().String(),
		End:      formatTime(l.End()),
		Life:     "ok",
		JSSafe:   l.MaxID() <= maxSafeInteger,
		layout:   l,
		now:      now,
	}
	if slices.Contains(f.Presets, v.given) {
		f.Name = v.given
	}
	if err := l.Check(now); err != nil {
		f.Warning = plain(err).Error()
		switch {
		case errors.Is(err, layout.ErrLifeOver):
			f.Life = "over"
		case errors.Is(err, layout.ErrLifeUnderYear):
			f.Life = "under-a-year"
		case errors.Is(err, layout.ErrLifeUnderThreeYears):
			f.Life = "under-three-years"
		default:
			f.Life = "not-begun"
		}
	}
	if !f.JSSafe {
		// The IDs of a tick are safe if the next tick starts at 2^53 or below.
		f.jsUntil = l.Time((maxSafeInteger + 1) >> l.TimeShift())
		f.JSUntil = formatTime(f.jsUntil)
	}
	return f
}

// unitOf returns the unit as it stands in the layout's text.
func unitOf(l layout.Layout) string {
	_, unit, _ := strings.Cut(l.String(), "unit=")
	unit, _, _ = strings.Cut(unit, ",")
	return unit
}

// Run shows the layout.
func (c *layoutShowCmd) Run(w *world) error {
	f := factsOf(c.Layout, time.Unix(0, w.clock.Now()))
	if c.JSON {
		return w.printJSON(f)
	}
	return w.print(f.text(c.columns(w), style(w.color)))
}

// columns is the width of the picture.
func (*layoutShowCmd) columns(w *world) int {
	const least, usual, most = 48, 78, 100
	if w.width == 0 {
		return usual
	}
	return max(least, min(w.width-1, most))
}

func (f *layoutFacts) text(columns int, s style) string {
	var b strings.Builder
	line := func(name, text string) {
		fmt.Fprintf(&b, "%s%s\n", s.paint(bold, fmt.Sprintf("%-13s", name)), text)
	}
	l := f.layout
	for _, p := range layout.Presets() {
		if p.Layout == l && (p.Name == f.Name || f.Name == "") {
			fmt.Fprintf(&b, "%s: %s\n", s.paint(bold, p.Name), p.Description)
		}
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", f.Layout, picture(l, columns, s))

	line("Epoch", fmt.Sprintf("%s, the start of tick 0", f.Epoch))
	line("Tick", fmt.Sprintf("%s; there are %s", f.Unit, group(l.MaxTick()+1)))
	if f.Nodes == 1 {
		line("Nodes", "1: there are no bits to tell nodes apart")
	} else {
		line("Nodes", fmt.Sprintf("%s: 0 to %d", group(f.Nodes), l.MaxNode()))
	}
	line("Sequence", fmt.Sprintf("%s per tick and node", count(f.PerTick, "ID")))
	per := rate(f.Rate) + " IDs per second and node"
	if f.Nodes > 1 {
		per += fmt.Sprintf(", %s from all", rate(f.Rate*float64(f.Nodes)))
	}
	line("Rate", per)
	line("End of life", f.life(s))
	line("JavaScript", f.javaScript(s))
	line("Largest ID", f.MaxID)
	return b.String()
}

func (f *layoutFacts) life(s style) string {
	end := f.layout.End()
	text := fmt.Sprintf("%s, %s", f.End, relative(end, f.now))
	switch f.Life {
	case "ok":
		return text
	case "over":
		return text + "\n" + s.paint(red, "             It is over: these IDs can be decoded, but no new ones made.")
	case "under-three-years":
		return text + "\n" + s.paint(yellow, "             Less than three years are left: plan its successor (layout check).")
	case "under-a-year":
		return text + "\n" + s.paint(red, "             Less than a year is left: choose its successor now (layout check).")
	}
	return text + "\n" + s.paint(yellow, "             It has not begun: no IDs can be made before the epoch.")
}

func (f *layoutFacts) javaScript(s style) string {
	const remedy = "hand them over as strings"
	switch {
	case f.JSSafe:
		return s.paint(green, "safe") + ": no ID is past 2^53 - 1"
	case !f.jsUntil.After(f.layout.Epoch()):
		return "not safe as numbers: IDs are past 2^53 - 1; " + remedy
	case f.jsUntil.After(f.now):
		return fmt.Sprintf("safe until %s, %s; then %s", formatTime(f.jsUntil), relative(f.jsUntil, f.now), remedy)
	}
	return fmt.Sprintf("not safe as numbers: IDs are past 2^53 - 1 since %s; %s", formatDate(f.jsUntil), remedy)
}
