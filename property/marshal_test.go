package property

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// forms are the ways in which an ID leaves the program, and comes back.
type form struct {
	name  string
	write func(id layout.ID) ([]byte, error)
	read  func(id *layout.ID, data []byte) error
}

func forms() []form {
	return []form{
		{"text", layout.ID.MarshalText, (*layout.ID).UnmarshalText},
		{"appended text", func(id layout.ID) ([]byte, error) { return id.AppendText(nil) }, (*layout.ID).UnmarshalText},
		{"binary", layout.ID.MarshalBinary, (*layout.ID).UnmarshalBinary},
		{"appended binary", func(id layout.ID) ([]byte, error) { return id.AppendBinary(nil) }, (*layout.ID).UnmarshalBinary},
		{"JSON", func(id layout.ID) ([]byte, error) { return json.Marshal(id) }, func(id *layout.ID, data []byte) error { return json.Unmarshal(data, id) }},
		{
			"key in JSON",
			func(id layout.ID) ([]byte, error) { return json.Marshal(map[layout.ID]bool{id: true}) },
			func(id *layout.ID, data []byte) error {
				var m map[layout.ID]bool
				err := json.Unmarshal(data, &m)
				for k := range m {
					*id = k
				}
				return err
			},
		},
		{
			"integer in a database",
			func(id layout.ID) ([]byte, error) {
				v, err := id.Value()
				if err != nil {
					return nil, err
				}
				return fmt.Appendf(nil, "%d", v), nil
			},
			func(id *layout.ID, data []byte) error {
				n, ok := new(big.Int).SetString(string(data), 10)
				if !ok {
					return errors.New("not what was written")
				}
				return id.Scan(n.Int64())
			},
		},
		{"text in a database", layout.ID.MarshalText, func(id *layout.ID, data []byte) error { return id.Scan(string(data)) }},
		{"bytes in a database", layout.ID.MarshalText, func(id *layout.ID, data []byte) error { return id.Scan(data) }},
		{"nullable in a database", layout.ID.MarshalText, func(id *layout.ID, data []byte) error {
			var n sql.Null[layout.ID]
			err := n.Scan(data)
			*id = n.V
			return err
		}},
	}
}

// What is written is read back; what is negative is not written.
func TestMarshallers(t *testing.T) {
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			forAll(t, cheap, idPairs, func(p twoIDs) string {
				for _, id := range []layout.ID{p.a, p.b} {
					data, err := f.write(id)
					if err != nil {
						return err.Error()
					}
					back := ^id
					if err := f.read(&back, data); err != nil || back != id {
						return fmt.Sprintf("%d is written %q, and that read as %d (%v)", id, data, back, err)
					}
					if data, err := f.write(^id); err == nil {
						return fmt.Sprintf("%d is written %q", ^id, data)
					}
				}
				return ""
			})
		})
	}
}

// JSON has IDs as strings of digits, for readers with floats; the binary form is
// what big-endian says, and so sorts like the numbers.
func TestWrittenForms(t *testing.T) {
	forAll(t, cheap, idPairs, func(p twoIDs) string {
		text, err := json.Marshal([]layout.ID{p.a, p.b})
		if want := fmt.Sprintf(`["%d","%d"]`, int64(p.a), int64(p.b)); err != nil || string(text) != want {
			return fmt.Sprintf("as JSON: %s, not %s (%v)", text, want, err)
		}
		a, err := p.a.MarshalBinary()
		if err != nil || !bytes.Equal(a, binary.BigEndian.AppendUint64(nil, uint64(p.a))) {
			return fmt.Sprintf("%d as binary: %x (%v)", p.a, a, err)
		}
		b, err := p.b.MarshalBinary()
		if err != nil || bytes.Compare(a, b) != cmp.Compare(p.a, p.b) {
			return fmt.Sprintf("%x and %x sort unlike %d and %d (%v)", a, b, p.a, p.b, err)
		}
		return ""
	})
}

// kept is what a reader finds in its receiver, and has to leave there if it fails.
const kept = layout.ID(123456789)

// jsonTexts are JSON values that look like IDs.
var jsonTexts = kind[string]{
	draw: func(c chance) string {
		digits := texts(twins()[layout.Decimal]).draw(c)
		switch c.below(8) {
		case 0:
			return digits + ".0"
		case 1:
			return digits + "." + digits
		case 2:
			return digits + pick(c, "e0", "E0", "e1", "e+1", "e-1", ".0e0")
		case 3:
			return "-" + digits
		case 4:
			return pick(c, "null", "true", "[]", "{}", `""`, "[1]", `"null"`, "-0", `"-0"`, "0.0")
		case 5:
			return digits
		case 6:
			return `"` + digits + pick(c, ".0", "e0", " ", ".") + `"`
		}
		return `"` + digits + `"`
	},
	smaller: func(s string) []string {
		var all []string
		for _, b := range shorter([]byte(s), func(b byte) []byte {
			if b >= '2' && b <= '9' {
				return []byte("01")
			}
			return nil
		}) {
			all = append(all, string(b))
		}
		return all
	},
}

// Of JSON, strings of digits and integers are read, up to 2^63 − 1; never a
// number that has been, or could have been, a float.
func TestJSONIsReadAsItStands(t *testing.T) {
	decimal := twins()[layout.Decimal]
	forAll(t, cheap, jsonTexts, func(s string) string {
		var raw json.RawMessage
		want, ok := int64(kept), false
		if json.Unmarshal([]byte(s), &raw) == nil {
			value := string(raw) // without the space around it
			digits := value
			if strings.HasPrefix(value, `"`) {
				digits = value[1 : len(value)-1]
			}
			n, wrongAt := decimal.parse(digits)
			switch {
			case value == "null":
				ok = true
			case wrongAt < 0:
				want, ok = n, true
			}
		}
		id := kept
		err := json.Unmarshal([]byte(s), &id)
		if (err == nil) != ok || int64(id) != want {
			return fmt.Sprintf("%q should be read: %v, as %d; it is read as %d (%v)", s, ok, want, id, err)
		}
		return ""
	})
}

// Eight bytes that are not negative are an ID, nothing else is.
func TestBinaryIsReadAsItStands(t *testing.T) {
	all := kind[[]byte]{
		draw: func(c chance) []byte {
			b := binary.BigEndian.AppendUint64(nil, c.p.Rng.Uint64())
			switch c.below(4) {
			case 0:
				return b[:c.below(8)]
			case 1:
				return append(b, make([]byte, c.below(9))...)
			}
			return b
		},
		smaller: func(b []byte) [][]byte {
			return shorter(b, func(b byte) []byte {
				if b == 0 {
					return nil
				}
				return []byte{0, b / 2}
			})
		},
	}
	forAll(t, cheap, all, func(b []byte) string {
		id := kept
		err := id.UnmarshalBinary(b)
		n := new(big.Int).SetBytes(b)
		switch ok := len(b) == 8 && n.IsInt64(); {
		case ok && (err != nil || int64(id) != n.Int64()):
			return fmt.Sprintf("%x is %v, but read as %d (%v)", b, n, id, err)
		case !ok && (err == nil || id != kept):
			return fmt.Sprintf("%x is no ID, but read as %d (%v)", b, id, err)
		}
		return ""
	})
}

// delivered is what a driver can deliver.
type delivered struct{ value any }

func (d delivered) String() string { return fmt.Sprintf("%T %#v", d.value, d.value) }

// A database's integers and decimal text are read, bytes as text, and nothing that
// is something else.
func TestScanReadsIntegersAndText(t *testing.T) {
	decimal := twins()[layout.Decimal]
	words := texts(decimal)
	all := kind[delivered]{
		draw: func(c chance) delivered {
			switch c.below(7) {
			case 0:
				return delivered{c.between(math.MinInt64, math.MaxInt64)}
			case 1:
				return delivered{c.p.Rng.Uint64() >> c.below(3)}
			case 2:
				return delivered{pick[any](c, nil, []byte(nil), true, time.Unix(1, 0), []any{})}
			case 3:
				return delivered{float64(c.edgy(math.MaxInt64))}
			case 4:
				return delivered{binary.BigEndian.AppendUint64(nil, uint64(c.edgy(math.MaxInt64)))}
			case 5:
				return delivered{[]byte(words.draw(c))}
			}
			return delivered{words.draw(c)}
		},
		smaller: func(d delivered) []delivered {
			var all []delivered
			switch v := d.value.(type) {
			case int64:
				for _, n := range smallerNumbers(v) {
					all = append(all, delivered{n})
				}
			case uint64:
				if v > 0 {
					all = append(all, delivered{v / 2}, delivered{v - 1})
				}
			case float64:
				if v >= 1 {
					all = append(all, delivered{math.Floor(v / 2)})
				}
			case string:
				for _, s := range words.smaller(v) {
					all = append(all, delivered{s})
				}
			case []byte:
				for _, s := range words.smaller(string(v)) {
					all = append(all, delivered{[]byte(s)})
				}
			}
			return all
		},
	}
	forAll(t, cheap, all, func(d delivered) string {
		want, ok := int64(kept), false
		read := func(s string) {
			if n, wrongAt := decimal.parse(s); wrongAt < 0 {
				want, ok = n, true
			}
		}
		switch v := d.value.(type) {
		case int64:
			read(fmt.Sprint(v))
		case uint64:
			read(fmt.Sprint(v))
		case string:
			read(v)
		case []byte:
			read(string(v))
		}
		id := kept
		err := id.Scan(d.value)
		if (err == nil) != ok || int64(id) != want {
			return fmt.Sprintf("should be read: %v, as %d; it is read as %d (%v)", ok, want, id, err)
		}
		return ""
	})
}
