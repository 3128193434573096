package layout

import (
	"fmt"
	"strconv"
	"strings"
)

// Encoding is a way to write IDs as text. Except for [Decimal], every encoding
// has one fixed width, padded with its digit for zero, and so its texts sort
// bytewise like the numbers.
type Encoding uint8

const (
	// Decimal is without padding, at most 19 characters. It is the one encoding
	// whose texts do not sort like the numbers. It reads leading zeros, as
	// columns declared ZEROFILL have them.
	Decimal Encoding = iota
	// Hex is 16 characters of 0-9a-f. It reads upper case too.
	Hex
	// Base32 is Crockford's, 13 characters: 0-9 and A-Z without I, L, O and U. It
	// reads lower case too, I and L as 1 and O as 0, as they are misread by
	// people. See https://www.crockford.com/base32.html.
	Base32
	// Base36 is 13 characters of 0-9a-z. It reads upper case too.
	Base36
	// Base58 is 11 characters of Bitcoin's alphabet: 1-9, A-Z and a-z without I,
	// O and l. Case matters.
	Base58
	// Base62 is 11 characters of 0-9A-Za-z. Case matters.
	Base62

	numEncodings
)

// Encodings returns all encodings.
func Encodings() []Encoding {
	return []Encoding{Decimal, Hex, Base32, Base36, Base58, Base62}
}

// ParseEncoding returns the encoding of that name, such as "base58", or a
// [*FieldError].
func ParseEncoding(name string) (Encoding, error) {
	for e := range numEncodings {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, &FieldError{"encoding", name, "must be one of " + encodingNames()}
}

func encodingNames() string {
	var names []string
	for e := range numEncodings {
		names = append(names, e.String())
	}
	return strings.Join(names, ", ")
}

// String returns the encoding's name, the one that [ParseEncoding] reads.
func (e Encoding) String() string {
	if e < numEncodings {
		return digitSets[e].name
	}
	return "Encoding(" + strconv.Itoa(int(e)) + ")"
}

// MarshalText returns the encoding's name.
func (e Encoding) MarshalText() ([]byte, error) {
	if e >= numEncodings {
		return nil, e.unknown()
	}
	return []byte(e.String()), nil
}

// UnmarshalText reads an encoding's name: [ParseEncoding].
func (e *Encoding) UnmarshalText(text []byte) error {
	v, err := ParseEncoding(string(text))
	if err == nil {
		*e = v
	}
	return err
}

// Width returns how many characters every ID takes; 0 for [Decimal], which has
// no fixed width.
func (e Encoding) Width() int {
	if e < numEncodings {
		return int(digitSets[e].width)
	}
	return 0
}

// Append appends the encoded ID to dst. It does not allocate if dst has room. A
// negative ID gets a [*FieldError], and dst comes back as it was.
func (e Encoding) Append(dst []byte, id ID) ([]byte, error) {
	if id < 0 {
		return dst, errNegative(id)
	}
	switch v := uint64(id); e {
	case Decimal:
		return strconv.AppendUint(dst, v, 10), nil
	case Hex:
		return appendHex(dst, v), nil
	case Base32:
		return appendBase32(dst, v), nil
	case Base36:
		return appendBase36(dst, v), nil
	case Base58:
		return appendBase58(dst, v), nil
	case Base62:
		return appendBase62(dst, v), nil
	}
	return dst, e.unknown()
}

// Encode returns the encoded ID. A negative ID gets a [*FieldError].
func (e Encoding) Encode(id ID) (string, error) {
	b, err := e.Append(make([]byte, 0, 20), id)
	return string(b), err
}

// Parse reads an encoded ID. Text of the wrong width, with a character that is
// no digit of the encoding, or of a number past 2^63 − 1 gets a [*ParseError].
func (e Encoding) Parse(s string) (ID, error) { return parse(e, s) }

func (e Encoding) unknown() error {
	return &FieldError{"encoding", e, fmt.Sprintf("must be one of %s", encodingNames())}
}
