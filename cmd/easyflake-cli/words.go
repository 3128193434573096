package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// group prints a number with commas between thousands.
func group(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}

// appendRight appends a number flush to the right of a column.
func appendRight(dst []byte, n int64, width int) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	for range width - len(text) {
		dst = append(dst, ' ')
	}
	return append(dst, text...)
}

// rate prints a number of IDs per second.
func rate(r float64) string {
	switch {
	case r >= 1e15:
		return strconv.FormatFloat(r, 'g', 3, 64)
	case r == math.Trunc(r) || r >= 1000:
		return group(int64(math.Round(r)))
	}
	return strconv.FormatFloat(r, 'g', 3, 64)
}

// count prints a number of things, of which one is called singular.
func count(n int64, singular string) string {
	if n == 1 {
		return "1 " + singular
	}
	return group(n) + " " + singular + "s"
}

// distance says how far apart two times are, in one unit. Unlike time.Sub it
// has no limit at 292 years.
func distance(from, to time.Time) string {
	seconds := to.Unix() - from.Unix()
	if seconds < 0 {
		seconds = -seconds
	}
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	const year = 31556952 // the Gregorian calendar's mean
	switch {
	case seconds < 2*minute:
		return count(seconds, "second")
	case seconds < 2*hour:
		return count(seconds/minute, "minute")
	case seconds < 2*day:
		return count(seconds/hour, "hour")
	case seconds < 100*day:
		return count(seconds/day, "day")
	case seconds < 2*year:
		return count(seconds*12/year, "month")
	}
	return count(seconds/year, "year")
}

// relative says when t is, as seen from now.
func relative(t, now time.Time) string {
	if t.After(now) {
		return "in " + distance(now, t)
	}
	return distance(t, now) + " ago"
}

// style paints text for a terminal, or leaves it as it is.
type style bool

const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (on style) paint(code, text string) string {
	if !on || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", code, text)
}
