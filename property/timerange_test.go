package property

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// span is a stretch of time, and IDs that may lie in it or not.
type span struct {
	shape    shape
	from, to time.Time
	ids      []layout.ID
}

func (s span) String() string {
	return fmt.Sprintf("%v, from %s to %s, IDs %d", s.shape, s.from.Format(time.RFC3339Nano), s.to.Format(time.RFC3339Nano), s.ids)
}

// spans begin and end near the starts of ticks, mostly.
var spans = kind[span]{
	draw: func(c chance) span {
		s := shapes.draw(c)
		if c.oneIn(3) { // few enough IDs to look at them all
			s.TimeBits, s.NodeBits, s.SequenceBits = 1+int(c.below(4)), int(c.below(3)), int(c.below(3))
		}
		l := s.layout()
		v := span{shape: s, from: drawTime(c, l), to: drawTime(c, l)}
		if v.to.Before(v.from) && c.oneIn(2) {
			v.from, v.to = v.to, v.from
		}
		for range c.below(4) {
			v.ids = append(v.ids, layout.ID(c.edgy(int64(l.MaxID()))))
		}
		return v
	},
	smaller: func(v span) []span {
		var all []span
		for _, s := range shapes.smaller(v.shape) {
			all = append(all, span{s, v.from, v.to, v.ids})
		}
		for _, t := range smallerTimes(v.from) {
			all = append(all, span{v.shape, t, v.to, v.ids})
		}
		for _, t := range smallerTimes(v.to) {
			all = append(all, span{v.shape, v.from, t, v.ids})
		}
		for _, ids := range shorter(v.ids, nil) {
			all = append(all, span{v.shape, v.from, v.to, ids})
		}
		return all
	},
}

func drawTime(c chance, l layout.Layout) time.Time {
	switch c.below(8) {
	case 0:
		return time.Unix(c.between(-1<<54, 1<<54), c.below(1e9)).UTC()
	case 1:
		return time.Unix(0, c.between(math.MinInt64, math.MaxInt64)).UTC()
	}
	t := l.Time(c.edgy(l.MaxTick()))
	switch c.below(4) {
	case 0:
		return t.Add(-1)
	case 1:
		return t.Add(l.Unit() - 1)
	case 2:
		return t.Add(time.Duration(c.edgy(int64(l.Unit()))))
	}
	return t
}

func smallerTimes(t time.Time) []time.Time {
	var all []time.Time
	for _, s := range smallerNumbers(t.Unix()) {
		all = append(all, time.Unix(s, 0).UTC())
	}
	for _, ns := range smallerNumbers(int64(t.Nanosecond())) {
		all = append(all, time.Unix(t.Unix(), ns).UTC())
	}
	return all
}

// bigNanos are nanoseconds since 1970 that no time overflows.
func bigNanos(t time.Time) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

// startOf is when a tick begins, by the arithmetic of schools.
func startOf(l layout.Layout, tick int64) *big.Int {
	n := new(big.Int).Mul(big.NewInt(tick), big.NewInt(int64(l.Unit())))
	return n.Add(n, bigNanos(l.Epoch()))
}

// interesting are the IDs to look at: all of a small layout, else those at the
// edges given and those drawn.
func (s span) interesting(l layout.Layout, edges ...layout.ID) []layout.ID {
	var all []layout.ID
	if l.MaxID() < 256 {
		for id := range l.MaxID() + 1 {
			all = append(all, id)
		}
		return all
	}
	for _, id := range append(edges, 0, l.MaxID()) {
		all = append(all, id-1, id, id+1)
	}
	return distinct(append(all, s.ids...), func(id layout.ID) bool { return l.CheckID(id) == nil })
}

// A tick holds the times from its start to the next one's.
func TestTicksOfTimes(t *testing.T) {
	forAll(t, cheap, spans, func(s span) string {
		l := s.shape.layout()
		for _, at := range []time.Time{s.from, s.to} {
			// Div rounds down, as units are positive.
			want := new(big.Int).Sub(bigNanos(at), bigNanos(l.Epoch()))
			want.Div(want, big.NewInt(int64(l.Unit())))
			tick, err := l.Tick(at)
			switch {
			case want.Sign() < 0:
				if !errors.Is(err, layout.ErrBeforeEpoch) {
					return fmt.Sprintf("%v is before the epoch, but in tick %d (%v)", at, tick, err)
				}
			case want.Cmp(big.NewInt(l.MaxTick())) > 0:
				if !errors.Is(err, layout.ErrPastEnd) {
					return fmt.Sprintf("%v is past the end, but in tick %d (%v)", at, tick, err)
				}
			case err != nil || want.Cmp(big.NewInt(tick)) != 0:
				return fmt.Sprintf("%v is in tick %v, not %d (%v)", at, want, tick, err)
			case startOf(l, tick).Cmp(bigNanos(l.Time(tick))) != 0:
				return fmt.Sprintf("tick %d starts at %v, not at %v", tick, startOf(l, tick), l.Time(tick))
			}
		}
		if end := startOf(l, l.MaxTick()+1); end.Cmp(bigNanos(l.End())) != 0 {
			return fmt.Sprintf("ends at %v, not at %v", end, l.End())
		}
		return ""
	})
}

// All IDs of a time or later are Min or greater, all of it or earlier are Max or
// smaller, and exactly those of a range are within what Range gives.
func TestTimeRanges(t *testing.T) {
	forAll(t, cheap, spans, func(s span) string {
		l := s.shape.layout()
		first, noFirst := l.Min(s.from)
		last, noLast := l.Max(s.to)
		lo, hi, backwards := l.Range(s.from, s.to)
		if (backwards != nil) != s.from.After(s.to) {
			return fmt.Sprintf("Range says %v", backwards)
		}
		if noFirst != nil && !errors.Is(noFirst, layout.ErrPastEnd) || noLast != nil && !errors.Is(noLast, layout.ErrBeforeEpoch) {
			return fmt.Sprintf("Min says %v, Max says %v", noFirst, noLast)
		}
		from, to := bigNanos(s.from), bigNanos(s.to)
		for _, id := range s.interesting(l, first, last, lo, hi) {
			at := startOf(l, int64(id)>>(l.NodeBits()+l.SequenceBits()))
			notBefore, notAfter, before := at.Cmp(from) >= 0, at.Cmp(to) <= 0, at.Cmp(to) < 0
			switch {
			case notBefore != (noFirst == nil && id >= first):
				return fmt.Sprintf("ID %d has a time at or after from: %v; but Min is %d (%v)", id, notBefore, first, noFirst)
			case notAfter != (noLast == nil && id <= last):
				return fmt.Sprintf("ID %d has a time at or before to: %v; but Max is %d (%v)", id, notAfter, last, noLast)
			case backwards != nil:
			case id == math.MaxInt64 && hi == math.MaxInt64: // as documented: one past it is no int64
			case (notBefore && before) != (lo <= id && id < hi):
				return fmt.Sprintf("ID %d lies in the range: %v; but Range is [%d, %d)", id, notBefore && before, lo, hi)
			}
		}
		return ""
	})
}
