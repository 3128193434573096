package layout

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ParseError reports text that is no ID.
type ParseError struct {
	// Input is the whole text.
	Input string
	// Encoding is the encoding that the text was read as.
	Encoding Encoding
	// Offset is the byte at which reading failed: the character that is no digit;
	// for a number past 2^63 − 1, the digit that took it there; for text of the
	// wrong width, its end or its first character too many.
	Offset int
	// Reason says what is wrong there.
	Reason string
}

// Error returns `layout: ENCODING ID "INPUT": at offset N: REASON`. It shortens a
// long input.
func (e *ParseError) Error() string {
	return fmt.Sprintf("layout: %v ID %s: at offset %d: %s", e.Encoding, quote(e.Input), e.Offset, e.Reason)
}

// quote returns s in quotes and without control characters, cut when it is long:
// an error message is no place for a whole file.
func quote(s string) string {
	const most = 64
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:most]) + "…"
}

// parse reads both kinds of text without a conversion, which would allocate.
func parse[T string | []byte](e Encoding, s T) (ID, error) {
	if e >= numEncodings {
		return 0, e.unknown()
	}
	set := &digitSets[e]
	if len(s) != int(set.width) && set.width != 0 || len(s) == 0 {
		return 0, widthError(e, string(s))
	}
	base, limit, values := uint64(set.base), set.limit, set.values
	var v uint64
	for i := range len(s) {
		d := uint64(values[s[i]])
		if d == 0 {
			return 0, digitError(e, string(s), i)
		}
		if v > limit {
			return 0, overflowError(e, string(s), i)
		}
		// limit × base + base is less than 2^64, so this cannot wrap.
		if v = v*base + d - 1; v > math.MaxInt64 {
			return 0, overflowError(e, string(s), i)
		}
	}
	return ID(v), nil
}

func widthError(e Encoding, s string) error {
	if s == "" {
		return &ParseError{s, e, 0, "is empty"}
	}
	width := e.Width()
	return &ParseError{s, e, min(len(s), width), fmt.Sprintf("must be %d characters wide, not %d", width, len(s))}
}

func digitError(e Encoding, s string, i int) error {
	if e == Decimal && i == 0 && s[0] == '-' {
		return &ParseError{s, e, i, "negative IDs are invalid"}
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && size <= 1 {
		return &ParseError{s, e, i, fmt.Sprintf("byte 0x%02x is no %v digit", s[i], e)}
	}
	return &ParseError{s, e, i, fmt.Sprintf("%q is no %v digit", r, e)}
}

func overflowError(e Encoding, s string, i int) error {
	return &ParseError{s, e, i, "the number is past the largest ID, 9223372036854775807"}
}
