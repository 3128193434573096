package fuzz

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// saysWhatItIs reads a layout's text a second time, as its documentation has it, and
// compares field by field: what was accepted must have been meant.
func saysWhatItIs(t *testing.T, text string, l layout.Layout) {
	t.Helper()
	fail := func(why string) {
		t.Helper()
		t.Fatalf("%q is parsed as %v: %s", text, l, why)
	}
	if strings.ContainsAny(text, " \t\r\n") {
		fail("it has spaces in it")
	}
	given := make(map[string]string)
	var keys []string
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := given[key]; !ok || twice {
			fail("a pair is none, or is given twice")
		}
		given[key] = value
		keys = append(keys, key)
	}
	order := layout.TimeNodeSequence
	for i, key := range keys {
		switch value := given[key]; key {
		case "epoch":
			if at, err := time.Parse(time.RFC3339, value); err != nil || !at.Equal(l.Epoch()) {
				fail("its epoch is " + value)
			}
		case "unit":
			if d, err := time.ParseDuration(value); err != nil || d != l.Unit() {
				fail("its unit is " + value)
			}
		case "time":
			if n := digits(value); n != l.TimeBits() && n != 0 {
				fail("its time bits are " + value)
			}
		case "node":
			if digits(value) != l.NodeBits() {
				fail("its node bits are " + value)
			}
			if l.NodeBits() != 0 && l.SequenceBits() != 0 && strings.Contains(","+strings.Join(keys[:i], ","), ",sequence") {
				order = layout.TimeSequenceNode
			}
		case "sequence":
			if digits(value) != l.SequenceBits() {
				fail("its sequence bits are " + value)
			}
		default:
			fail("there is no " + key)
		}
	}
	c := layout.DefaultConfig()
	for key, other := range map[string]bool{
		"epoch":    !l.Epoch().Equal(c.Epoch),
		"unit":     l.Unit() != c.Unit,
		"node":     l.NodeBits() != c.NodeBits,
		"sequence": l.SequenceBits() != c.SequenceBits,
	} {
		if _, ok := given[key]; !ok && other {
			fail("it does not say " + key + ", which should be the default's")
		}
	}
	if l.Order() != order {
		fail("its order is " + order.String())
	}
}

// digits reads decimal digits, and nothing else: −1.
func digits(s string) int {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return -1
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
