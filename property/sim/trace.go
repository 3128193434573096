package sim

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// trace is what happened: its hash, the last lines, and all of them where somebody
// reads along.
type trace struct {
	hash  uint64
	start int64
	out   io.Writer
	last  []line
	next  int
}

type line struct {
	at     int64
	who    string
	format string
	args   [4]int64
	n      int
}

const lastLines = 120

// say notes an event. Formats take integers.
func (w *world) say(who, format string, args ...int64) {
	t := &w.trace
	l := line{at: w.now, who: who, format: format, n: len(args)}
	copy(l.args[:], args)
	t.mix(uint64(w.now))
	for _, s := range [2]string{who, format} {
		for i := range len(s) {
			t.hash = (t.hash ^ uint64(s[i])) * 0x100000001b3
		}
	}
	for _, a := range args {
		t.mix(uint64(a))
	}
	if len(t.last) < lastLines {
		t.last = append(t.last, l)
	} else {
		t.last[t.next] = l
		t.next = (t.next + 1) % lastLines
	}
	if t.out != nil {
		_, _ = fmt.Fprintln(t.out, l.text(t.start)) // a person reads along
	}
}

func (t *trace) mix(x uint64) {
	t.hash = (t.hash ^ x) * 0x9e3779b97f4a7c15
	t.hash ^= t.hash >> 29
}

// made takes note of IDs that follow each other: other ones are another hash.
func (t *trace) made(first layout.ID, n int) {
	t.mix(uint64(first))
	t.mix(uint64(n))
}

func (l line) text(start int64) string {
	args := make([]any, l.n)
	for i := range args {
		args[i] = l.args[i]
	}
	return fmt.Sprintf("%14s  %-9s %s", time.Duration(l.at-start).Round(time.Microsecond), l.who, fmt.Sprintf(l.format, args...))
}

// tail returns the last lines.
func (t *trace) tail() string {
	var b strings.Builder
	for i := range t.last {
		fmt.Fprintln(&b, t.last[(t.next+i)%len(t.last)].text(t.start))
	}
	return b.String()
}
