package property

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// wild configurations are as often invalid as valid, by a little.
var wild = kind[shape]{
	draw: func(c chance) shape {
		s := shapes.draw(c)
		for range c.below(3) {
			switch c.below(6) {
			case 0:
				s.TimeBits = int(c.between(-2, 65))
			case 1:
				s.NodeBits = int(c.between(-2, 65))
			case 2:
				s.SequenceBits = int(c.between(-2, 65))
			case 3:
				s.Order = layout.Order(c.below(4))
			case 4:
				s.Unit = pick(c, 0, -1, -time.Second, layout.MinUnit-1, layout.MinUnit, math.MaxInt64, math.MinInt64)
			case 5:
				s.Epoch = pick(c, time.Unix(-1, 999999999), time.Unix(0, 0), time.Time{}, time.Unix(9214646400, 0),
					time.Unix(9214646399, 999999999), time.Unix(1<<40, 0), time.Unix(1<<62, 0))
			}
		}
		return s
	},
	smaller: smallerShapes,
}

// wrongWith says which field of a configuration is out of range, if one is. It
// goes by the documentation, and has no bits to run out of.
func wrongWith(c layout.Config) []string {
	var wrong []string
	if y := c.Epoch.UTC().Year(); y < 1970 || y > 2261 {
		wrong = append(wrong, "epoch")
	}
	if c.Unit < time.Microsecond {
		wrong = append(wrong, "unit")
	}
	if c.NodeBits < 0 || c.NodeBits > 62 {
		wrong = append(wrong, "node bits")
	}
	if c.SequenceBits < 0 || c.SequenceBits > 62 || c.NodeBits+c.SequenceBits > 62 {
		wrong = append(wrong, "sequence bits")
	}
	switch {
	case c.TimeBits < 0, c.TimeBits > 62, c.TimeBits > 0 && c.TimeBits+c.NodeBits+c.SequenceBits > 63,
		c.TimeBits > 0 && endsTooLate(c, c.TimeBits):
		wrong = append(wrong, "time bits")
	}
	if c.Order != layout.TimeNodeSequence && c.Order != layout.TimeSequenceNode {
		wrong = append(wrong, "order")
	}
	return wrong
}

// endsTooLate reports whether so many ticks end past 2^53 Unix seconds.
func endsTooLate(c layout.Config, timeBits int) bool {
	end := new(big.Int).Lsh(big.NewInt(int64(c.Unit)), uint(timeBits))
	end.Add(end, new(big.Int).Mul(big.NewInt(c.Epoch.Unix()), big.NewInt(1e9)))
	end.Add(end, big.NewInt(int64(c.Epoch.Nanosecond())))
	return end.Div(end, big.NewInt(1e9)).Cmp(big.NewInt(1<<53)) > 0
}

// New accepts exactly the configurations that the documentation calls valid, and
// names a field that is wrong.
func TestNewAcceptsExactlyWhatIsValid(t *testing.T) {
	forAll(t, cheap, wild, func(s shape) string {
		l, err := layout.New(s.Config)
		wrong := wrongWith(s.Config)
		if len(wrong) > 0 {
			var field *layout.FieldError
			switch {
			case err == nil:
				return fmt.Sprintf("New accepts it, though it is wrong in %q", wrong)
			case !errors.As(err, &field) || !slices.Contains(wrong, field.Field):
				return fmt.Sprintf("wrong in %q, but New says: %v", wrong, err)
			case !l.IsZero():
				return "a layout came with an error"
			}
			return ""
		}
		if err != nil {
			return fmt.Sprintf("valid, but New says: %v", err)
		}
		if again, err := layout.New(l.Config()); err != nil || again != l {
			return fmt.Sprintf("%v is, made of its own configuration, %v (%v)", l, again, err)
		}
		return unlike(l, s.Config)
	})
}

// unlike says in what a layout differs from a valid configuration.
func unlike(l layout.Layout, c layout.Config) string {
	order := c.Order
	if c.NodeBits == 0 || c.SequenceBits == 0 {
		order = layout.TimeNodeSequence
	}
	most := min(62, 63-c.NodeBits-c.SequenceBits)
	bits := l.TimeBits()
	switch {
	case !l.Epoch().Equal(c.Epoch), l.Unit() != c.Unit, l.NodeBits() != c.NodeBits, l.SequenceBits() != c.SequenceBits, l.Order() != order:
		return fmt.Sprintf("became %v", l)
	case c.TimeBits != 0 && bits != c.TimeBits:
		return fmt.Sprintf("became %v, with other time bits", l)
	case bits < 1 || bits > most || endsTooLate(c, bits):
		return fmt.Sprintf("has %d time bits, more than it may", bits)
	case c.TimeBits == 0 && bits < most && !endsTooLate(c, bits+1):
		return fmt.Sprintf("has %d time bits, though one more would do", bits)
	case l.Bits() != bits+c.NodeBits+c.SequenceBits,
		l.MaxTick() != 1<<bits-1, l.MaxNode() != 1<<c.NodeBits-1, l.MaxSequence() != 1<<c.SequenceBits-1,
		uint64(l.MaxID()) != 1<<l.Bits()-1:
		return fmt.Sprintf("%v has other limits than its bits", l)
	}
	return ""
}

// twoShapes are layouts that may be the same one, or differ in one field only.
type twoShapes struct{ a, b shape }

func (p twoShapes) String() string { return fmt.Sprintf("%v and %v", p.a, p.b) }

var pairs = kind[twoShapes]{
	draw: func(c chance) twoShapes {
		p := twoShapes{a: shapes.draw(c)}
		p.b = p.a
		other := shapes.draw(c)
		switch c.below(7) {
		case 0:
			p.b.Epoch = other.Epoch
		case 1:
			p.b.Epoch = p.b.Epoch.Add(1)
		case 2:
			p.b.Unit = other.Unit
		case 3:
			p.b.NodeBits, p.b.SequenceBits = p.b.SequenceBits, p.b.NodeBits
		case 4:
			p.b.Order = other.Order
		case 5:
			p.b.TimeBits = other.TimeBits
		default:
			p.b = other
		}
		if !p.b.valid() {
			p.b = other
		}
		return p
	},
	smaller: func(p twoShapes) []twoShapes {
		var all []twoShapes
		for _, a := range shapes.smaller(p.a) {
			all = append(all, twoShapes{a, p.b})
		}
		for _, b := range shapes.smaller(p.b) {
			all = append(all, twoShapes{p.a, b})
		}
		return all
	},
}

// The canonical text is read back as the same layout, and stands for one layout
// only.
func TestTextStandsForItsLayout(t *testing.T) {
	forAll(t, cheap, pairs, func(p twoShapes) string {
		a, b := p.a.layout(), p.b.layout()
		text, err := a.MarshalText()
		if err != nil {
			return err.Error()
		}
		var back layout.Layout
		if err := back.UnmarshalText(text); err != nil || back != a {
			return fmt.Sprintf("%s reads as %v (%v)", text, back, err)
		}
		if got, err := layout.Parse(a.String()); err != nil || got != a || a.String() != string(text) {
			return fmt.Sprintf("%s, or %v, parses as %v (%v)", text, a, got, err)
		}
		if (a == b) != (a.String() == b.String()) {
			return fmt.Sprintf("equal: %v, but their texts are %v and %v", a == b, a, b)
		}
		return ""
	})
}

// rewriting is a layout, and which changes to make to its text.
type rewriting struct {
	shape shape
	order []int // of its five pairs
	twice int64 // repeat this pair at the end; none from 5 on
}

func (r rewriting) String() string {
	return fmt.Sprintf("%v with pairs in the order %d, twice: %d", r.shape, r.order, r.twice)
}

var rewritings = kind[rewriting]{
	draw: func(c chance) rewriting {
		r := rewriting{shape: shapes.draw(c), order: []int{0, 1, 2, 3, 4}, twice: c.below(15)}
		for i := range r.order {
			j := i + int(c.below(int64(len(r.order)-i)))
			r.order[i], r.order[j] = r.order[j], r.order[i]
		}
		return r
	},
	smaller: func(r rewriting) []rewriting {
		var all []rewriting
		for _, s := range shapes.smaller(r.shape) {
			all = append(all, rewriting{s, r.order, r.twice})
		}
		if !slices.IsSorted(r.order) {
			all = append(all, rewriting{r.shape, []int{0, 1, 2, 3, 4}, r.twice})
		}
		return all
	},
}

// Keys may stand in any order, of which only that of node and sequence means
// something; none may stand twice, and none be unknown.
func TestTextInAnyOrder(t *testing.T) {
	forAll(t, cheap, rewritings, func(r rewriting) string {
		l := r.shape.layout()
		pairs := strings.Split(l.String(), ",")
		var some []string
		for _, i := range r.order {
			some = append(some, pairs[i])
		}
		config := l.Config()
		place := func(key string) int {
			return slices.IndexFunc(some, func(p string) bool { return strings.HasPrefix(p, key) })
		}
		config.Order = layout.TimeNodeSequence
		if place("sequence=") < place("node=") {
			config.Order = layout.TimeSequenceNode
		}
		want, err := layout.New(config)
		if err != nil {
			return err.Error()
		}
		text := strings.Join(some, ",")
		if got, err := layout.Parse(text); err != nil || got != want {
			return fmt.Sprintf("%s parses as %v (%v)", text, got, err)
		}
		var field *layout.FieldError
		for _, bad := range []string{text + ",", text + "," + pairs[r.twice%5], text + ",nodes=1", " " + text} {
			got, err := layout.Parse(bad)
			if err == nil || !got.IsZero() || !errors.As(err, &field) {
				return fmt.Sprintf("%q parses as %v (%v)", bad, got, err)
			}
		}
		return ""
	})
}
