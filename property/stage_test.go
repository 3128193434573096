package property

import (
	"fmt"
	"math"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// stage is where generators work: a layout, and the tick at which its clock
// starts.
type stage struct {
	shape shape
	tick  int64
}

func (s stage) String() string { return fmt.Sprintf("%v at tick %d", s.shape, s.tick) }

// stages have few sequence bits, mostly, so that they run out, and start often
// near the first or the last tick. Clocks of nanoseconds, which end in 2262, live
// to see many of their ticks.
var stages = kind[stage]{
	draw: func(c chance) stage {
		s := stage{shape: shape{layout.Config{
			Epoch: drawEpoch(c), Unit: min(drawUnit(c), time.Hour), Order: drawOrder(c),
			TimeBits: int(2 + c.below(40)), NodeBits: int(c.below(5)), SequenceBits: int(c.below(7)),
		}}}
		if c.oneIn(8) {
			s.shape.SequenceBits = int(c.below(23))
		}
		if s.shape.Epoch.Year() > 2200 {
			s.shape.Epoch = time.Unix(0, 0).UTC()
		}
		for !s.shape.valid() {
			s.shape.TimeBits--
		}
		switch last := s.last(); c.below(4) {
		case 0:
			s.tick = c.below(min(last, 3) + 1)
		case 1:
			s.tick = last - min(last, c.below(20))
		default:
			s.tick = c.edgy(last)
		}
		return s
	},
	smaller: func(s stage) []stage {
		var all []stage
		for _, smaller := range shapes.smaller(s.shape) {
			one := stage{smaller, s.tick}
			if smaller.Unit > time.Hour || smaller.Epoch.Year() > 2200 {
				continue
			}
			one.tick = min(one.tick, one.last())
			all = append(all, one)
		}
		for _, n := range smallerNumbers(s.tick) {
			all = append(all, stage{s.shape, n})
		}
		return all
	},
}

// last is the last tick that a stage starts at: the layout's, or one a little
// before the end of clocks.
func (s stage) last() int64 {
	l := s.shape.layout()
	return min(l.MaxTick(), max(0, lastOfClocks(l)-4))
}

// start is when the stage's clock starts: in the middle of its tick.
func (s stage) start() int64 {
	l := s.shape.layout()
	return beginOf(l, s.tick) + int64(l.Unit()/2)
}

// lastOfClocks is the last tick that a clock of nanoseconds reaches.
func lastOfClocks(l layout.Layout) int64 {
	return (math.MaxInt64 - l.Epoch().UnixNano()) / int64(l.Unit())
}

// beginOf is when a tick starts, or the end of clocks.
func beginOf(l layout.Layout, tick int64) int64 {
	if tick > lastOfClocks(l) {
		return math.MaxInt64
	}
	return l.Epoch().UnixNano() + tick*int64(l.Unit())
}

// tickOf is the tick of a reading; all before the epoch are −1.
func tickOf(l layout.Layout, ns int64) int64 {
	if ns < l.Epoch().UnixNano() {
		return -1
	}
	return (ns - l.Epoch().UnixNano()) / int64(l.Unit())
}

// earliest is what no clock here goes back past: before all epochs, and none is
// further from it than an int64 can tell.
const earliest = -1 << 60

// later is a reading d after another, within what clocks can show.
func later(now, d int64) int64 {
	switch to := now + d; {
	case d > 0 && to < now:
		return math.MaxInt64
	case d < 0 && (to > now || to < earliest):
		return earliest
	default:
		return to
	}
}

// times is n × d, or the largest number that a clock can move by.
func times(n int64, d time.Duration) int64 {
	if n > math.MaxInt64/int64(d) {
		return math.MaxInt64
	}
	return n * int64(d)
}

// year is a long time for any clock to be wrong by.
const year = 365 * 24 * time.Hour
