package property

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// change is a change of layout, small enough to list every ID of both.
type change struct {
	older, newer shape
	at           time.Time
}

func (c change) String() string {
	return fmt.Sprintf("%v, then %v, at %s", c.older, c.newer, c.at.Format(time.RFC3339Nano))
}

func halfMillis(n int64) time.Time { return time.Unix(100, n*int64(time.Millisecond)/2).UTC() }

var changes = kind[change]{
	draw: func(c chance) change {
		tiny := func() shape {
			return shape{layout.Config{
				Epoch: halfMillis(c.below(20)), Unit: pick(c, time.Millisecond, 2*time.Millisecond, 1500*time.Microsecond, 5*time.Millisecond),
				TimeBits: int(1 + c.below(5)), NodeBits: int(c.below(4)), SequenceBits: int(c.below(3)), Order: drawOrder(c),
			}}
		}
		v := change{older: tiny(), newer: tiny()}
		v.at = halfMillis(c.between(-2, 60)).Add(pick[time.Duration](c, -1, 0, 0, 1, 250*time.Microsecond))
		return v
	},
	smaller: func(v change) []change {
		var all []change
		for _, s := range shapes.smaller(v.older) {
			all = append(all, change{s, v.newer, v.at})
		}
		for _, s := range shapes.smaller(v.newer) {
			all = append(all, change{v.older, s, v.at})
		}
		for _, at := range smallerTimes(v.at) {
			all = append(all, change{v.older, v.newer, at})
		}
		kept := all[:0]
		for _, c := range all { // small enough still
			if c.older.TimeBits > 0 && c.newer.TimeBits > 0 {
				kept = append(kept, c)
			}
		}
		return kept
	},
}

// stampable lists the IDs of a layout whose ticks satisfy a condition on their
// start and their end, in nanoseconds.
func stampable(l layout.Layout, may func(start, end int64) bool) []bool {
	ids := make([]bool, l.MaxID()+1)
	for i := range ids {
		tick := int64(i) >> (l.NodeBits() + l.SequenceBits())
		start := l.Epoch().UnixNano() + tick*int64(l.Unit())
		ids[i] = may(start, start+int64(l.Unit()))
	}
	return ids
}

// before lists what a layout can have given before a time, after what it can
// give from a time on.
func before(l layout.Layout, at int64) []bool {
	return stampable(l, func(start, _ int64) bool { return start < at })
}

func after(l layout.Layout, at int64) []bool {
	return stampable(l, func(_, end int64) bool { return end > at })
}

func first(ids []bool) int {
	for i, there := range ids {
		if there {
			return i
		}
	}
	return -1
}

func last(ids []bool) int {
	for i, id := range slices.Backward(ids) {
		if id {
			return i
		}
	}
	return -1
}

// disjointIsWrong compares Disjoint with two lists of IDs.
func disjointIsWrong(older, newer layout.Layout, at time.Time) string {
	was, will := before(older, at.UnixNano()), after(newer, at.UnixNano())
	oldMax, newMin := last(was), first(will)
	collides := false
	for i := range min(len(was), len(will)) {
		collides = collides || was[i] && will[i]
	}
	outOfOrder := oldMax >= 0 && newMin >= 0 && newMin < oldMax

	err := layout.Disjoint(older, newer, at)
	if (err != nil) != (collides || outOfOrder) {
		return fmt.Sprintf("Disjoint says %v, but IDs collide: %v, sort before: %v; the largest old one is %d, the smallest new one %d",
			err, collides, outOfOrder, oldMax, newMin)
	}
	if outOfOrder && !collides {
		return "new IDs sort before old ones, and none collides: that both are one, as is documented, is wrong"
	}
	if err == nil {
		return ""
	}
	var overlap *layout.OverlapError
	if !errors.As(err, &overlap) {
		return fmt.Sprintf("not an OverlapError: %v", err)
	}
	if overlap.OldMax != layout.ID(oldMax) || overlap.NewMin != layout.ID(newMin) || !overlap.At.Equal(at) || overlap.Old != older || overlap.New != newer {
		return fmt.Sprintf("the largest old ID is %d, the smallest new one %d, but: %+v", oldMax, newMin, overlap)
	}
	if overlap.SafeFrom.IsZero() {
		if start := newer.MaxTick() << newer.TimeShift(); start > int64(oldMax) {
			return "there is no time from which on it is safe, it says, but the last tick is"
		}
		return ""
	}
	safe := overlap.SafeFrom.UnixNano()
	if from := first(after(newer, safe)); from >= 0 && from <= oldMax {
		return fmt.Sprintf("at %v, from when on it is safe, it says, the new layout gives %d", overlap.SafeFrom, from)
	}
	if from := first(after(newer, safe-1)); from > oldMax {
		return fmt.Sprintf("is safe even before %v", overlap.SafeFrom)
	}
	return ""
}

func TestDisjoint(t *testing.T) {
	forAll(t, cheap, changes, func(v change) string {
		return disjointIsWrong(v.older.layout(), v.newer.layout(), v.at)
	})
}

// Every pair of the smallest layouts, at every half tick around their lives.
func TestDisjointOfAllSmallLayouts(t *testing.T) {
	var all []layout.Layout
	for bits := range 1 << 4 {
		for _, order := range []layout.Order{layout.TimeNodeSequence, layout.TimeSequenceNode} {
			for _, unit := range []time.Duration{time.Millisecond, 3 * time.Millisecond} {
				s := shape{layout.Config{
					Epoch: halfMillis(0), Unit: unit, Order: order,
					TimeBits: 1 + bits&1 + bits>>1&1, NodeBits: bits >> 2 & 1, SequenceBits: bits >> 3,
				}}
				all = append(all, s.layout())
			}
		}
	}
	all = distinct(all, func(layout.Layout) bool { return true })
	for _, older := range all {
		for _, l := range all {
			for apart := int64(-3); apart <= 3; apart++ {
				c := l.Config()
				c.Epoch = halfMillis(apart)
				newer := shape{c}.layout()
				for n := int64(-4); n <= 16; n++ {
					if why := disjointIsWrong(older, newer, halfMillis(n)); why != "" {
						t.Fatalf("%s\n  case: %v, then %v, at %v", why, older, newer, halfMillis(n))
					}
				}
			}
		}
	}
}
