package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// seconds writes a time with three digits that count.
func seconds(s float64) string { return scaled(s, [...]string{"ns", "µs", "ms", "s"}, 1e-9) }

// rate writes a number of IDs a second with three digits that count.
func rate(r float64) string { return scaled(r, [...]string{"", "k", "M", "G"}, 1) }

// scaled writes v in the largest unit that leaves at least 1 before the point;
// first is the size of the first unit, and each is 1000 of the one before.
func scaled(v float64, units [4]string, first float64) string {
	v /= first
	i := 0
	for i < len(units)-1 && significant(v) >= 1000 {
		v /= 1000
		i++
	}
	return strings.TrimSpace(digits(significant(v)) + " " + units[i])
}

// significant rounds to three digits.
func significant(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}

// digits writes a number below 1000 that has three digits.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// times writes a ratio.
func times(v float64) string {
	switch {
	case v < 0.0995: // and not what is rounded to 0.100
		return fmt.Sprintf("%.3f", v)
	case v < 0.995:
		return fmt.Sprintf("%.2f", v)
	case v < 9.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", v) }

func cpus(n int) string {
	if n == 1 {
		return "1 CPU"
	}
	return strconv.Itoa(n) + " CPUs"
}

// table is a table of Markdown, with text to the left and numbers to the right.
type table struct {
	left int        // how many columns are text, at least the first
	rows [][]string // the first is the head
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w *strings.Builder) {
	for i, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			left := max(t.left, 1)
			fmt.Fprintf(w, "%s%s|\n", strings.Repeat("|---", left), strings.Repeat("|---:", len(row)-left))
		}
	}
	w.WriteByte('\n')
}
