package fuzz

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/easyflake/easyflake/layout"
)

// kept is what a reader finds in its receiver, and has to leave there if it fails.
const kept = layout.ID(123456789)

// FuzzIDText looks for text that any encoding reads as an ID though it is none, or
// as another one. What it is, is worked out with integers that have no limit.
func FuzzIDText(f *testing.F) {
	for _, e := range layout.Encodings() {
		for _, id := range []layout.ID{0, 1, 61, 7840204980289793, math.MaxInt64} {
			text, err := e.Encode(id)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(e), text)
			f.Add(uint8(e), "0"+text)
			f.Add(uint8(e), strings.ToUpper(text))
		}
	}
	f.Add(uint8(layout.Decimal), "9223372036854775808")
	f.Add(uint8(layout.Decimal), "18446744073709551616")
	f.Add(uint8(layout.Decimal), "-1")
	f.Add(uint8(layout.Hex), "8000000000000000")
	f.Add(uint8(layout.Base32), "8000000000000")
	f.Add(uint8(layout.Base32), "oOiIlL0000000")
	f.Add(uint8(layout.Base36), "1y2p0ij32e8e8")
	f.Add(uint8(layout.Base58), "NQm6nKp8qFD")
	f.Add(uint8(layout.Base62), "AzL8n0Y58m8")
	f.Add(uint8(layout.Base62), "zzzzzzzzzzz")
	f.Add(uint8(200), "1")
	f.Fuzz(func(t *testing.T, encoding uint8, text string) {
		known := layout.Encodings()
		e := known[int(encoding)%len(known)]
		if encoding >= 200 {
			if id, err := layout.Encoding(encoding).Parse(text); err == nil {
				t.Fatalf("an encoding that there is not reads %q as %d", text, id)
			}
		}
		id, err := e.Parse(text)
		want, ok := meant(e, text)
		if ok != (err == nil) || ok && id != want {
			t.Fatalf("%v: %q is %d (an ID: %v), but is read as %d (%v)", e, text, want, ok, id, err)
		}
		if err == nil {
			encodes(t, e, id)
		} else {
			var parse *layout.ParseError
			if !errors.As(err, &parse) || parse.Input != text || parse.Encoding != e || parse.Offset < 0 || parse.Offset > len(text) || id != 0 {
				t.Fatalf("%v: %q gives %d, %+v", e, text, id, err)
			}
		}
		if e == layout.Decimal {
			into := kept
			if unmarshal := into.UnmarshalText([]byte(text)); (unmarshal == nil) != ok || ok && into != want || !ok && into != kept {
				t.Fatalf("%q is unmarshalled as %d (%v)", text, into, unmarshal)
			}
		}
	})
}

// FuzzIDNumber looks for a number that any of the writers writes though it is no
// ID, or writes as something else than itself.
func FuzzIDNumber(f *testing.F) {
	for _, n := range []int64{0, 1, math.MaxInt64, math.MinInt64, -1, 1<<53 + 1, 7840204980289793} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		id := layout.ID(n)
		text, errText := id.MarshalText()
		eight, errBinary := id.MarshalBinary()
		quoted, errJSON := json.Marshal(id)
		value, errValue := id.Value()
		for _, e := range layout.Encodings() {
			written, err := e.Append([]byte("before"), id)
			switch rest, ok := bytes.CutPrefix(written, []byte("before")); {
			case !ok, (n < 0) != (err != nil), n < 0 && len(rest) > 0:
				t.Fatalf("%v of %d is %q (%v)", e, n, written, err)
			case n >= 0:
				encodes(t, e, id)
			}
		}
		if n < 0 {
			if errText == nil || errBinary == nil || errJSON == nil || errValue == nil {
				t.Fatalf("%d is written: %q, %x, %s, %v", n, text, eight, quoted, value)
			}
			return
		}
		for _, read := range []func(*layout.ID) error{
			func(id *layout.ID) error { return id.UnmarshalText(text) },
			func(id *layout.ID) error { return id.UnmarshalBinary(eight) },
			func(id *layout.ID) error { return json.Unmarshal(quoted, id) },
			func(id *layout.ID) error { return id.Scan(value) },
			func(id *layout.ID) error { return id.Scan(uint64(n)) },
			func(id *layout.ID) error { return id.Scan(text) },
			func(id *layout.ID) error { return id.Scan(string(text)) },
		} {
			back := ^id
			if err := read(&back); err != nil || back != id {
				t.Fatalf("%d is read back as %d (%v)", id, back, err)
			}
		}
		if !bytes.Equal(quoted, []byte(`"`+id.String()+`"`)) {
			t.Fatalf("%d is %s in JSON", id, quoted)
		}
	})
}

// FuzzIDBinary looks for bytes that are read as an ID in one of the two ways that
// bytes are: big-endian in eight, and, from a database, as text.
func FuzzIDBinary(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("12345678"))
	f.Add([]byte{0x7f, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("123456789"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id := kept
		err := id.UnmarshalBinary(data)
		ok := len(data) == 8 && data[0] < 0x80
		if ok != (err == nil) || ok && uint64(id) != binary.BigEndian.Uint64(data) || !ok && id != kept {
			t.Fatalf("%x is read as %d (%v)", data, id, err)
		}
		if err == nil {
			if back, err := id.MarshalBinary(); err != nil || !bytes.Equal(back, data) {
				t.Fatalf("%x is read as %d, and written as %x (%v)", data, id, back, err)
			}
		}
	})
}

// FuzzIDScan looks for a value of a database that is taken for an ID and is none.
func FuzzIDScan(f *testing.F) {
	f.Add(uint8(0), int64(1), "")
	f.Add(uint8(0), int64(-1), "")
	f.Add(uint8(1), int64(-1), "")
	f.Add(uint8(2), int64(0), "9223372036854775807")
	f.Add(uint8(2), int64(0), "12.0")
	f.Add(uint8(3), int64(0), "007")
	f.Add(uint8(3), int64(0), "12345678")
	f.Add(uint8(4), int64(0), "1")
	f.Add(uint8(5), int64(0), "1")
	f.Fuzz(func(t *testing.T, kind uint8, n int64, text string) {
		var src any
		want, ok := meant(layout.Decimal, text)
		switch kind % 7 {
		case 0:
			src, want, ok = n, layout.ID(n), n >= 0
		case 1:
			src, want, ok = uint64(n), layout.ID(n), n >= 0
		case 2:
			src = text
		case 3:
			src = []byte(text)
		case 4:
			src, ok = float64(n), false
		case 5:
			src, ok = []byte(nil), false
		case 6:
			src, ok = nil, false
		}
		id := kept
		err := id.Scan(src)
		if ok != (err == nil) || ok && id != want || !ok && id != kept {
			t.Fatalf("%T %#v is scanned as %d (%v)", src, src, id, err)
		}
	})
}

// FuzzIDJSON looks for JSON that is read as an ID and is neither a string of
// digits nor an integer: a number that has been, or could have been, a float.
func FuzzIDJSON(f *testing.F) {
	for _, text := range []string{
		`"0"`, `0`, `"9223372036854775807"`, `9223372036854775807`, `9223372036854775808`, `"9223372036854775808"`, `1.0`, `1e3`, `1E3`, `"1e3"`, `"1.0"`,
		`-1`, `"-1"`, `-0`, `"-0"`, `null`, `"null"`, `""`, `"`, `[1]`, `{}`, `true`, ` 1`, `" 1"`, "\"1\x00\"", `"\u0031"`, `1e400`, `123456789012345678901234567890`, `"007"`, `007`, `+1`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		direct := kept
		_ = direct.UnmarshalJSON(data) // anything may come from other decoders: never a panic
		if direct < 0 {
			t.Fatalf("%q is read as %d", data, direct)
		}
		var raw json.RawMessage
		if json.Unmarshal(data, &raw) != nil {
			return
		}
		text := strings.Trim(string(raw), " \t\r\n")
		want, ok := kept, text == "null"
		if !ok {
			digits := text
			if inner, quoted := strings.CutPrefix(text, `"`); quoted {
				digits = strings.TrimSuffix(inner, `"`)
			}
			want, ok = meant(layout.Decimal, digits)
		}
		id := kept
		err := json.Unmarshal(data, &id)
		if ok != (err == nil) || ok && id != want || !ok && id != kept {
			t.Fatalf("%q is %d (an ID: %v), but is read as %d (%v)", data, want, ok, id, err)
		}
		into := map[layout.ID]layout.ID{}
		if err := json.Unmarshal([]byte(`{"5":`+text+`}`), &into); (err == nil) != ok || ok && text != "null" && into[5] != want {
			t.Fatalf("in a map, %q is read as %v (%v)", text, into, err)
		}
	})
}

// alphabets are the digits of each encoding, by value, and what is read as one of
// them: written down here once more, from the documentation.
func alphabet(e layout.Encoding) (digits string, also func(r byte) byte, width int) {
	same := func(c byte) byte { return c }
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	switch e {
	case layout.Hex:
		return "0123456789abcdef", lower, 16
	case layout.Base32:
		return "0123456789abcdefghjkmnpqrstvwxyz", func(c byte) byte {
			switch c = lower(c); c {
			case 'i', 'l':
				return '1'
			case 'o':
				return '0'
			}
			return c
		}, 13
	case layout.Base36:
		return "0123456789abcdefghijklmnopqrstuvwxyz", lower, 13
	case layout.Base58:
		return "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", same, 11
	case layout.Base62:
		return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", same, 11
	}
	return "0123456789", same, 0
}

// meant returns which ID text is in an encoding, if it is one.
func meant(e layout.Encoding, text string) (layout.ID, bool) {
	digits, also, width := alphabet(e)
	if text == "" || width != 0 && len(text) != width {
		return 0, false
	}
	n, base := new(big.Int), big.NewInt(int64(len(digits)))
	for i := range len(text) {
		value := strings.IndexByte(digits, also(text[i]))
		if value < 0 {
			return 0, false
		}
		// Past the limit it never comes back, and need not grow further.
		if n.IsInt64() {
			n.Add(n.Mul(n, base), big.NewInt(int64(value)))
		}
	}
	if !n.IsInt64() {
		return 0, false
	}
	return layout.ID(n.Int64()), true
}

// encodes makes sure that an ID is written in its width, sorts after the one before
// it, and is read back.
func encodes(t *testing.T, e layout.Encoding, id layout.ID) {
	t.Helper()
	text, err := e.Encode(id)
	if err != nil {
		t.Fatalf("%v of %d: %v", e, id, err)
	}
	back, err := e.Parse(text)
	if err != nil || back != id {
		t.Fatalf("%v: %d is written %q, and that is read as %d (%v)", e, id, text, back, err)
	}
	if e == layout.Decimal {
		return
	}
	if len(text) != e.Width() {
		t.Fatalf("%v: %d is written %q, which is not %d wide", e, id, text, e.Width())
	}
	if id > 0 {
		if before, err := e.Encode(id - 1); err != nil || before >= text {
			t.Fatalf("%v: %q does not sort after %q (%v)", e, text, before, err)
		}
	}
}
