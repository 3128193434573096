package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/easyflake/easyflake/layout"
)

// field is a run of bits in the picture of a layout.
type field struct {
	name      string
	high, low int // positions of its outermost bits
	color     string
	width     int // columns between its walls
}

func (f *field) bits() int { return f.high - f.low + 1 }

func (f *field) size() string {
	if f.bits() == 1 {
		return "1 bit"
	}
	return strconv.Itoa(f.bits()) + " bits"
}

// positions are the outermost bits, as written above the box.
func (f *field) positions() (high, low string) {
	if f.bits() == 1 {
		return strconv.Itoa(f.high), ""
	}
	return strconv.Itoa(f.high), strconv.Itoa(f.low)
}

// fieldsOf returns the fields of an ID from the highest bit down, without those
// that have no bits.
func fieldsOf(l layout.Layout) []*field {
	fields := []*field{
		{name: "0", high: 63, low: l.Bits(), color: faint},
		{name: "time", high: l.Bits() - 1, low: l.TimeShift(), color: cyan},
		{name: "node", high: l.NodeShift() + l.NodeBits() - 1, low: l.NodeShift(), color: yellow},
		{name: "sequence", high: l.SequenceShift() + l.SequenceBits() - 1, low: l.SequenceShift(), color: green},
	}
	fields = slices.DeleteFunc(fields, func(f *field) bool { return f.bits() == 0 })
	slices.SortFunc(fields, func(a, b *field) int { return b.high - a.high })
	return fields
}

// picture draws the bits of an ID, the widths of the fields in proportion to
// their bits as far as their names leave room:
//
//	 63  62                     16  15       8  7         0
//	┌───┬─────────────────────────┬───────────┬────────────┐
//	│ 0 │          time           │   node    │  sequence  │
//	│   │         47 bits         │  8 bits   │   8 bits   │
//	└───┴─────────────────────────┴───────────┴────────────┘
func picture(l layout.Layout, columns int, s style) string {
	fields := fieldsOf(l)
	share(fields, columns-len(fields)-1)
	var scale, top, names, sizes, bottom strings.Builder
	for i, f := range fields {
		wall := func(first, other string) string {
			if i == 0 {
				return first
			}
			return other
		}
		high, low := f.positions()
		gap := strings.Repeat(" ", f.width-2-len(high)-len(low))
		scale.WriteString("  " + high + gap + low + " ")
		top.WriteString(wall("┌", "┬") + strings.Repeat("─", f.width))
		names.WriteString("│" + s.paint(f.color, center(f.name, f.width)))
		size := f.size()
		if f.name == "0" { // too narrow, and of no interest
			size = ""
		}
		sizes.WriteString("│" + center(size, f.width))
		bottom.WriteString(wall("└", "┴") + strings.Repeat("─", f.width))
	}
	return fmt.Sprintf("%s\n%s┐\n%s│\n%s│\n%s┘\n", s.paint(faint, strings.TrimRight(scale.String(), " ")), &top, &names, &sizes, &bottom)
}

// share gives each field the columns that its texts need, and what is left to
// those that are narrowest for their bits.
func share(fields []*field, columns int) {
	for _, f := range fields {
		high, low := f.positions()
		f.width = 2 + max(len(f.name), len(high)+len(low)+min(len(low), 1))
		if f.name != "0" {
			f.width = max(f.width, 2+len(f.size()))
		}
		columns -= f.width
	}
	for ; columns > 0; columns-- {
		slices.MinFunc(fields, func(a, b *field) int { return a.width*b.bits() - b.width*a.bits() }).width++
	}
}

func center(text string, width int) string {
	space := width - utf8.RuneCountInString(text)
	return strings.Repeat(" ", space/2) + text + strings.Repeat(" ", space-space/2)
}
