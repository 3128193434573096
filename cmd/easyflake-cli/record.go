package main

import (
	"strconv"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// recorder prints an ID with what it says.
type recorder interface {
	append(dst []byte, id layout.ID) ([]byte, error)
}

// jsonRecord prints an ID as an object on a line of its own:
//
//	{"id":"175928847299117063","time":"2016-04-30T11:18:25.796Z","unix_ms":1462015105796,
//	"tick":41944705796,"node":32,"sequence":7,"layout":"epoch=…"}
//
// The ID is a string, in decimal, since JSON numbers lose digits in JavaScript;
// the layout is its canonical text.
type jsonRecord struct {
	layout layout.Layout
	times  tickTimes
	tail   string
}

func newJSONRecord(l layout.Layout) *jsonRecord {
	// The canonical text has no character that JSON would escape.
	return &jsonRecord{layout: l, times: newTickTimes(l), tail: `,"layout":"` + l.String() + "\"}\n"}
}

func (r *jsonRecord) append(dst []byte, id layout.ID) ([]byte, error) {
	p, err := r.layout.Decompose(id)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"id":"`...)
	dst = strconv.AppendInt(dst, int64(id), 10)
	dst = append(dst, `","time":"`...)
	dst = r.times.append(dst, p)
	dst = append(dst, `","unix_ms":`...)
	dst = strconv.AppendInt(dst, p.Time.UnixMilli(), 10)
	dst = append(dst, `,"tick":`...)
	dst = strconv.AppendInt(dst, p.Tick, 10)
	dst = append(dst, `,"node":`...)
	dst = strconv.AppendInt(dst, p.Node, 10)
	dst = append(dst, `,"sequence":`...)
	dst = strconv.AppendInt(dst, p.Sequence, 10)
	return append(dst, r.tail...), nil
}

// tickTimes prints the times of ticks, remembering the last: IDs that come
// together often share theirs.
type tickTimes struct {
	format timeFormat
	tick   int64
	text   []byte
}

func newTickTimes(l layout.Layout) tickTimes {
	return tickTimes{format: timeFormatOf(l), tick: -1}
}

func (t *tickTimes) append(dst []byte, p layout.Parts) []byte {
	if p.Tick != t.tick {
		t.tick = p.Tick
		t.text = t.format.append(t.text[:0], p.Time)
	}
	return append(dst, t.text...)
}

// timeFormat is RFC 3339 in UTC with one precision, that of the layout's ticks,
// but at least milliseconds. Years past 9999, where RFC 3339 ends, are written
// as in ISO 8601's expanded form, with a plus sign and at least six digits, as
// JavaScript reads them: +012345-06-07T08:09:10.000Z.
type timeFormat string

func timeFormatOf(l layout.Layout) timeFormat {
	epoch, unit := time.Duration(l.Epoch().Nanosecond()), l.Unit()
	switch {
	case epoch%time.Millisecond == 0 && unit%time.Millisecond == 0:
		return "-01-02T15:04:05.000Z"
	case epoch%time.Microsecond == 0 && unit%time.Microsecond == 0:
		return "-01-02T15:04:05.000000Z"
	}
	return "-01-02T15:04:05.000000000Z"
}

func (f timeFormat) append(dst []byte, t time.Time) []byte {
	t = t.UTC()
	dst = appendYear(dst, t.Year())
	return t.AppendFormat(dst, string(f))
}

// formatTime prints a time as timeFormat does, with as many digits as it takes.
func formatTime(t time.Time) string {
	t = t.UTC()
	return string(t.AppendFormat(appendYear(nil, t.Year()), "-01-02T15:04:05.999999999Z"))
}

// formatDate prints the date only.
func formatDate(t time.Time) string {
	t = t.UTC()
	return string(t.AppendFormat(appendYear(nil, t.Year()), "-01-02"))
}

func appendYear(dst []byte, year int) []byte {
	width := 4
	if year > 9999 {
		dst = append(dst, '+')
		width = 6
	}
	digits := strconv.Itoa(year)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
