package layout

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// ID is a 64-bit ID, valid when it is not negative. It does not carry its
// layout: taking it apart is [Layout.Decompose].
//
// As text and in JSON an ID is written in decimal; [Encoding] has shorter forms.
// Every method that writes an ID, except String, refuses a negative one with a
// [*FieldError], and every method that reads one leaves its receiver as it was
// when it fails.
type ID int64

// String returns the ID in decimal. It prints any value, a negative one too,
// which the encoders and marshallers refuse.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// ParseID reads an ID in decimal: [Decimal.Parse]. What is no ID gets a
// [*ParseError].
func ParseID(s string) (ID, error) { return parse(Decimal, s) }

// AppendText appends the ID in decimal to dst. It does not allocate if dst has
// room.
func (id ID) AppendText(dst []byte) ([]byte, error) { return Decimal.Append(dst, id) }

// MarshalText returns the ID in decimal, as it also stands in the keys of JSON
// maps.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads an ID in decimal, or returns a [*ParseError].
func (id *ID) UnmarshalText(text []byte) error {
	return id.set(parse(Decimal, text))
}

func (id *ID) set(v ID, err error) error {
	if err == nil {
		*id = v
	}
	return err
}

// binarySize is the length of an ID's binary form in bytes.
const binarySize = 8

// AppendBinary appends the ID as eight bytes, the most significant first, which
// sort like the numbers. It does not allocate if dst has room.
func (id ID) AppendBinary(dst []byte) ([]byte, error) {
	if id < 0 {
		return dst, errNegative(id)
	}
	return binary.BigEndian.AppendUint64(dst, uint64(id)), nil
}

// MarshalBinary returns the ID as eight bytes, the most significant first.
func (id ID) MarshalBinary() ([]byte, error) { return id.AppendBinary(nil) }

// UnmarshalBinary reads eight bytes, the most significant first.
func (id *ID) UnmarshalBinary(data []byte) error {
	if len(data) != binarySize {
		return &FieldError{"binary id of length", len(data), fmt.Sprintf("must be %d bytes", binarySize)}
	}
	v := ID(binary.BigEndian.Uint64(data))
	if v < 0 {
		return errNegative(v)
	}
	*id = v
	return nil
}

// errNegative keeps the building of the error out of the callers' fast paths.
func errNegative(id ID) error {
	return &FieldError{"id", int64(id), "must not be negative"}
}
