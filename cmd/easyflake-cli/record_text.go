package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// blockRecord prints one ID over several lines.
type blockRecord struct {
	layout layout.Layout
	now    time.Time
	style  style
}

func (r *blockRecord) append(dst []byte, id layout.ID) ([]byte, error) {
	p, err := r.layout.Decompose(id)
	if err != nil {
		return dst, err
	}
	at := string(timeFormatOf(r.layout).append(nil, p.Time))
	for _, line := range [][2]string{
		{"ID", id.String()},
		{"Time", r.style.paint(cyan, at) + "  (" + relative(p.Time, r.now) + ")"},
		{"Tick", fmt.Sprintf("%d  (%v each, from %s on)", p.Tick, r.layout.Unit(), formatTime(r.layout.Epoch()))},
		{"Node", r.style.paint(yellow, number(p.Node)) + fmt.Sprintf("  (of 0 to %d)", r.layout.MaxNode())},
		{"Sequence", r.style.paint(green, number(p.Sequence)) + fmt.Sprintf("  (of 0 to %d)", r.layout.MaxSequence())},
	} {
		dst = fmt.Appendf(dst, "%s%s\n", r.style.paint(bold, fmt.Sprintf("%-10s", line[0])), line[1])
	}
	return dst, nil
}

// tableRecord prints each ID as a row of a table, below one line of headings.
type tableRecord struct {
	layout layout.Layout
	style  style
	times  tickTimes
	head   string
	widths [5]int
}

func newTableRecord(l layout.Layout, s style) *tableRecord {
	r := &tableRecord{layout: l, style: s, times: newTickTimes(l)}
	longest := [...]string{
		l.MaxID().String(), string(r.times.format.append(nil, l.Epoch())),
		number(l.MaxTick()), number(l.MaxNode()), number(l.MaxSequence()),
	}
	for i, name := range [...]string{"ID", "TIME", "TICK", "NODE", "SEQUENCE"} {
		r.widths[i] = max(len(name), len(longest[i]))
		if i == 1 {
			r.head += "  " + name + strings.Repeat(" ", r.widths[i]-len(name))
		} else {
			r.head += "  " + strings.Repeat(" ", r.widths[i]-len(name)) + name
		}
	}
	r.head = s.paint(bold, r.head[2:]) + "\n"
	return r
}

func (r *tableRecord) append(dst []byte, id layout.ID) ([]byte, error) {
	p, err := r.layout.Decompose(id)
	if err != nil {
		return dst, err
	}
	dst = append(dst, r.head...)
	r.head = ""
	dst = appendRight(dst, int64(id), r.widths[0])
	dst = append(dst, "  "...)
	before := len(dst)
	dst = r.times.append(dst, p)
	for range r.widths[1] - (len(dst) - before) {
		dst = append(dst, ' ')
	}
	for i, n := range [...]int64{p.Tick, p.Node, p.Sequence} {
		dst = append(dst, "  "...)
		dst = appendRight(dst, n, r.widths[2+i])
	}
	return append(dst, '\n'), nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
