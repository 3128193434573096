package property

import (
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// shape is a layout's configuration, drawn and shrunk as a whole: a case that
// fails comes down to the fewest bits, the year 1970 and ticks of a millisecond
// that still fail.
type shape struct{ layout.Config }

func (s shape) String() string {
	return fmt.Sprintf("{epoch=%s unit=%v time=%d node=%d sequence=%d %v}",
		s.Epoch.UTC().Format(time.RFC3339Nano), s.Unit, s.TimeBits, s.NodeBits, s.SequenceBits, s.Order)
}

// layout returns the layout of a shape that is known to be valid.
func (s shape) layout() layout.Layout {
	l, err := layout.New(s.Config)
	if err != nil {
		panic(fmt.Sprintf("%v: %v", s, err))
	}
	return l
}

func (s shape) valid() bool {
	_, err := layout.New(s.Config)
	return err == nil
}

// shapes are the valid ones.
var shapes = kind[shape]{
	draw: func(c chance) shape {
		rest := c.below(63)
		if c.oneIn(2) {
			rest = c.below(min(63, 2+int64(c.size())))
		}
		node := c.below(rest + 1)
		s := shape{layout.Config{
			Epoch: drawEpoch(c), Unit: drawUnit(c),
			NodeBits: int(node), SequenceBits: int(rest - node), Order: drawOrder(c),
		}}
		if c.oneIn(2) {
			return s
		}
		s.TimeBits = int(1 + c.below(min(62, 63-rest)))
		for !s.valid() {
			s.TimeBits--
		}
		return s
	},
	smaller: func(s shape) []shape {
		var all []shape
		for _, s := range smallerShapes(s) {
			if s.valid() {
				all = append(all, s)
			}
		}
		return all
	},
}

func drawEpoch(c chance) time.Time {
	var end int64 = 9214646400 // 2262-01-01
	switch c.below(5) {
	case 0:
		return time.Unix(0, 0).UTC()
	case 1:
		return layout.DefaultConfig().Epoch
	case 2:
		return time.Unix(c.edgy(end-1), 0).UTC()
	}
	return time.Unix(c.below(end), c.below(int64(time.Second))).UTC()
}

func drawUnit(c chance) time.Duration {
	if c.oneIn(4) {
		return layout.MinUnit + time.Duration(c.edgy(1<<62))
	}
	return pick(c, time.Microsecond, 7*time.Microsecond, 100*time.Microsecond, 1234567*time.Nanosecond,
		time.Millisecond, time.Millisecond, 4*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond, time.Second, time.Minute, time.Hour)
}

func drawOrder(c chance) layout.Order {
	return pick(c, layout.TimeNodeSequence, layout.TimeSequenceNode)
}

// smallerShapes changes one field at a time. They need not be valid.
func smallerShapes(s shape) []shape {
	var all []shape
	with := func(change func(c *layout.Config)) {
		one := s
		change(&one.Config)
		all = append(all, one)
	}
	for _, n := range smallerNumbers(int64(s.NodeBits)) {
		with(func(c *layout.Config) { c.NodeBits = int(n) })
	}
	for _, n := range smallerNumbers(int64(s.SequenceBits)) {
		with(func(c *layout.Config) { c.SequenceBits = int(n) })
	}
	if s.TimeBits == 0 { // what is left, which is much: few bits of its own are smaller
		for _, n := range []int{4, 16} {
			with(func(c *layout.Config) { c.TimeBits = n })
		}
	}
	for _, n := range smallerNumbers(int64(s.TimeBits)) {
		if n != 0 {
			with(func(c *layout.Config) { c.TimeBits = int(n) })
		}
	}
	if s.Order != layout.TimeNodeSequence {
		with(func(c *layout.Config) { c.Order = layout.TimeNodeSequence })
	}
	for _, e := range smallerEpochs(s.Epoch) {
		with(func(c *layout.Config) { c.Epoch = e })
	}
	for _, u := range smallerUnits(s.Unit) {
		with(func(c *layout.Config) { c.Unit = u })
	}
	return all
}

func smallerEpochs(e time.Time) []time.Time {
	var all []time.Time
	for _, s := range smallerNumbers(e.Unix()) {
		all = append(all, time.Unix(s, 0).UTC())
	}
	if e.Nanosecond() != 0 {
		all = append(all, e.Truncate(time.Second), e.Truncate(time.Millisecond), e.Truncate(time.Microsecond))
	}
	kept := all[:0]
	for _, one := range all {
		if !one.Equal(e) {
			kept = append(kept, one)
		}
	}
	return kept
}

// smallerUnits lead to a millisecond, the plainest unit, and from anywhere else
// to fewer digits.
func smallerUnits(u time.Duration) []time.Duration {
	if u == time.Millisecond {
		return nil
	}
	all := []time.Duration{time.Millisecond}
	for _, plain := range []time.Duration{time.Hour, time.Second, 4 * time.Millisecond, time.Microsecond} {
		if u == plain {
			return all
		}
		all = append(all, plain)
	}
	for _, digits := range []time.Duration{time.Hour, time.Second, time.Millisecond, time.Microsecond} {
		if t := u.Truncate(digits); t > 0 && t < u {
			all = append(all, t)
		}
	}
	if u > 2*layout.MinUnit {
		all = append(all, u/2, u-1)
	}
	return all
}
