package layout

import "bytes"

// MarshalJSON returns the ID as a JSON string of decimal digits. A JSON number
// would be rounded by every reader that keeps numbers as float64, JavaScript
// first, from 2^53 on.
func (id ID) MarshalJSON() ([]byte, error) {
	dst := append(make([]byte, 0, len(`"9223372036854775807"`)), '"')
	dst, err := id.AppendText(dst)
	if err != nil {
		return nil, err
	}
	return append(dst, '"'), nil
}

// UnmarshalJSON reads a JSON string of decimal digits, or a JSON integer. It
// refuses a sign, a fraction, an exponent and an ID past 2^63 − 1 with a
// [*ParseError]: a number that has been through a float64 is not the ID any
// more. By encoding/json's convention null changes nothing.
func (id *ID) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	digits := data
	switch {
	case len(data) >= 2 && data[0] == '"' && data[len(data)-1] == '"':
		digits = data[1 : len(data)-1]
	case len(data) == 0 || data[0] != '-' && (data[0] < '0' || data[0] > '9'):
		return &ParseError{string(data), Decimal, 0, "is neither a JSON string nor an integer"}
	default:
		if i := bytes.IndexAny(data, ".eE"); i >= 0 {
			return &ParseError{string(data), Decimal, i, "must be an integer, without fraction or exponent"}
		}
	}
	return id.UnmarshalText(digits)
}
