package property

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/easyflake/easyflake/layout"
)

// twin is an encoding written down a second time, from the documentation, to be
// read rather than to be fast.
type twin struct {
	encoding layout.Encoding
	name     string
	width    int               // 0: any
	digits   string            // by value
	also     map[string]string // what else is read as a digit
}

func twins() []twin {
	const lower, upper = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	crockford := map[string]string{"I": "1", "i": "1", "L": "1", "l": "1", "O": "0", "o": "0"}
	for _, r := range "ABCDEFGHJKMNPQRSTVWXYZ" {
		crockford[strings.ToLower(string(r))] = string(r)
	}
	capitals := map[string]string{}
	for _, r := range lower {
		capitals[strings.ToUpper(string(r))] = string(r)
	}
	return []twin{
		{layout.Decimal, "decimal", 0, "0123456789", nil},
		{layout.Hex, "hex", 16, "0123456789abcdef", capitals},
		{layout.Base32, "base32", 13, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", crockford},
		{layout.Base36, "base36", 13, "0123456789" + lower, capitals},
		{layout.Base58, "base58", 11, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", nil},
		{layout.Base62, "base62", 11, "0123456789" + upper + lower, nil},
	}
}

func (w twin) base() *big.Int { return big.NewInt(int64(len(w.digits))) }

// encode writes a number of any size, as wide as it takes, at least the width.
func (w twin) encode(n *big.Int) string {
	text := ""
	for n := new(big.Int).Set(n); n.Sign() > 0 || text == "" || len(text) < w.width; {
		digit := new(big.Int)
		n.DivMod(n, w.base(), digit)
		text = string(w.digits[digit.Int64()]) + text
	}
	return text
}

// parse returns the number and −1, or at which byte the text stops being one.
func (w twin) parse(s string) (id int64, wrongAt int) {
	if s == "" || w.width != 0 && len(s) != w.width {
		return 0, min(len(s), w.width)
	}
	n := new(big.Int)
	for i := range len(s) {
		digit := s[i : i+1]
		if meant, ok := w.also[digit]; ok && !strings.Contains(w.digits, digit) {
			digit = meant
		}
		value := strings.Index(w.digits, digit)
		if value < 0 {
			return 0, i
		}
		n.Add(n.Mul(n, w.base()), big.NewInt(int64(value)))
		if !n.IsInt64() {
			return 0, i
		}
	}
	return n.Int64(), -1
}

type twoIDs struct{ a, b layout.ID }

var idPairs = kind[twoIDs]{
	draw: func(c chance) twoIDs {
		p := twoIDs{a: layout.ID(c.edgy(math.MaxInt64)), b: layout.ID(c.edgy(math.MaxInt64))}
		if c.oneIn(3) {
			p.b = max(p.a, 1) - 1
		}
		return p
	},
	smaller: func(p twoIDs) []twoIDs {
		var all []twoIDs
		for _, n := range smallerNumbers(int64(p.a)) {
			all = append(all, twoIDs{layout.ID(n), p.b})
		}
		for _, n := range smallerNumbers(int64(p.b)) {
			all = append(all, twoIDs{p.a, layout.ID(n)})
		}
		return all
	},
}

// Each encoding writes what its twin writes, in its width, sorting like the
// numbers, and reads it back.
func TestEncodings(t *testing.T) {
	for _, w := range twins() {
		t.Run(w.name, func(t *testing.T) {
			if w.encoding.String() != w.name || w.encoding.Width() != w.width {
				t.Fatalf("is named %v, and %d wide", w.encoding, w.encoding.Width())
			}
			forAll(t, cheap, idPairs, func(p twoIDs) string {
				var texts [2]string
				for i, id := range []layout.ID{p.a, p.b} {
					text, err := w.encoding.Encode(id)
					if want := w.encode(big.NewInt(int64(id))); err != nil || text != want {
						return fmt.Sprintf("%d is written %q, not %q (%v)", id, text, want, err)
					}
					back, err := w.encoding.Parse(text)
					if err != nil || back != id {
						return fmt.Sprintf("%d is written %q, and that read as %d (%v)", id, text, back, err)
					}
					texts[i] = text
				}
				if w.encoding != layout.Decimal && strings.Compare(texts[0], texts[1]) != cmp.Compare(p.a, p.b) {
					return fmt.Sprintf("%q and %q sort unlike the numbers", texts[0], texts[1])
				}
				return ""
			})
		})
	}
}

// texts are nearly what an encoding writes: numbers too large, too few or too
// many characters, and wrong ones.
func texts(w twin) kind[string] {
	return kind[string]{
		draw: func(c chance) string {
			n := big.NewInt(c.edgy(math.MaxInt64))
			switch c.below(4) {
			case 0: // just past the largest
				n.Add(big.NewInt(math.MaxInt64), big.NewInt(1+c.below(100)))
			case 1: // anything, mostly far past it
				n.SetUint64(c.p.Rng.Uint64())
				n.Mul(n, big.NewInt(1+c.below(60)))
			}
			text := []byte(w.encode(n))
			for range c.below(3) {
				at := int(c.below(int64(len(text) + 1)))
				other := string(pick(c, w.digits[c.below(int64(len(w.digits)))], byte(c.below(256)), byte('A'+c.below(58)), '-', '+', ' ', '_', '.'))
				rest := min(len(text), at+1)
				switch c.below(6) {
				case 0:
					text = []byte(string(text[:at]) + other + string(text[at:]))
				case 1:
					text = []byte(string(text[:at]) + string(text[rest:]))
				case 2:
					text = []byte(strings.ToUpper(string(text)))
				case 3:
					text = []byte(strings.ToLower(string(text)))
				default:
					text = []byte(string(text[:at]) + other + string(text[rest:]))
				}
			}
			return string(text)
		},
		smaller: func(s string) []string {
			zero := w.digits[0]
			var all []string
			for _, b := range shorter([]byte(s), func(b byte) []byte {
				if b == zero {
					return nil
				}
				return []byte{zero}
			}) {
				all = append(all, string(b))
			}
			return all
		},
	}
}

// A parser reads exactly what its twin reads, and otherwise says where the text
// stops being a number.
func TestParsersRefuseWhatIsNoID(t *testing.T) {
	for _, w := range twins() {
		t.Run(w.name, func(t *testing.T) {
			forAll(t, cheap, texts(w), func(s string) string {
				want, wrongAt := w.parse(s)
				id, err := w.encoding.Parse(s)
				if wrongAt < 0 {
					if err != nil || id != layout.ID(want) {
						return fmt.Sprintf("%q is %d, but read as %d (%v)", s, want, id, err)
					}
					return ""
				}
				var p *layout.ParseError
				if !errors.As(err, &p) || id != 0 {
					return fmt.Sprintf("%q is no ID, but read as %d (%v)", s, id, err)
				}
				if p.Input != s || p.Encoding != w.encoding || p.Offset != wrongAt || p.Reason == "" {
					return fmt.Sprintf("%q is wrong at %d, but the error is %+v", s, wrongAt, *p)
				}
				if message := err.Error(); !utf8.ValidString(message) || len(message) > 400 {
					return fmt.Sprintf("%q: the message is %q", s, message)
				}
				return ""
			})
		})
	}
}
