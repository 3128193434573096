package layout_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// alphabets are written out here once more, from their sources, so that a slip in
// the package shows.
var alphabets = map[layout.Encoding]string{
	layout.Decimal: "0123456789",
	layout.Hex:     "0123456789abcdef",
	layout.Base32:  "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
	layout.Base36:  "0123456789abcdefghijklmnopqrstuvwxyz",
	layout.Base58:  "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
	layout.Base62:  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}

// TestEncodingGolden pins texts that users have stored. They must never change:
// if this test fails, the code is wrong, not the table.
func TestEncodingGolden(t *testing.T) {
	// Computed with Python's integers.
	for _, row := range []struct {
		id    layout.ID
		texts [6]string // in the order of Encodings
	}{
		{0, [6]string{"0", "0000000000000000", "0000000000000", "0000000000000", "11111111111", "00000000000"}},
		{1, [6]string{"1", "0000000000000001", "0000000000001", "0000000000001", "11111111112", "00000000001"}},
		{61, [6]string{"61", "000000000000003d", "000000000001X", "000000000001p", "11111111124", "0000000000z"}},
		{7840204980289793, [6]string{"7840204980289793", "001bda9ff8d10101", "006YTKZWD2081", "002574cg1658h", "124Dqtdb5Xv", "00ZuJCjGDc9"}},
		{9007199254740991, [6]string{"9007199254740991", "001fffffffffffff", "007ZZZZZZZZZZ", "002gosa7pa2gv", "12DLNrMSKug", "00fFgnDxSe7"}},
		{175928847299117063, [6]string{"175928847299117063", "0271065ac1020007", "04W86BB0G4007", "01c49kkphnxtz", "1QgmVVkniES", "0Czks0tP37X"}},
		{math.MaxInt64, [6]string{"9223372036854775807", "7fffffffffffffff", "7ZZZZZZZZZZZZ", "1y2p0ij32e8e7", "NQm6nKp8qFC", "AzL8n0Y58m7"}},
	} {
		for i, e := range layout.Encodings() {
			got, err := e.Encode(row.id)
			require.NoError(t, err)
			assert.Equal(t, row.texts[i], got, "%v of %d", e, row.id)
			id, err := e.Parse(row.texts[i])
			require.NoError(t, err)
			assert.Equal(t, row.id, id, "%v %s", e, row.texts[i])
		}
	}
}

func TestEncodingAgreesWithTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ids := edgeIDs()
	for range 5000 {
		ids = append(ids, randomID(r))
	}
	for _, e := range layout.Encodings() {
		for _, id := range ids {
			want := slowEncode(id, alphabets[e], max(e.Width(), 1))
			got, err := e.Encode(id)
			require.NoError(t, err)
			require.Equal(t, want, got, "%v of %d", e, id)
			back, err := e.Parse(got)
			require.NoError(t, err)
			require.Equal(t, id, back)
			if e != layout.Decimal {
				require.Len(t, got, e.Width())
			}
		}
	}
}

func TestEncodingSortsLikeNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	ids := edgeIDs()
	for range 5000 {
		ids = append(ids, randomID(r))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, e := range layout.Encodings()[1:] {
		last := ""
		for _, id := range ids {
			text, err := e.Encode(id)
			require.NoError(t, err)
			require.Less(t, last, text, "%v of %d", e, id)
			last = text
		}
	}
}

func TestEncodingAppend(t *testing.T) {
	for _, e := range layout.Encodings() {
		want, err := e.Encode(12345)
		require.NoError(t, err)
		got, err := e.Append([]byte("id="), 12345)
		require.NoError(t, err)
		assert.Equal(t, "id="+want, string(got))

		got, err = e.Append([]byte("id="), -1)
		assert.Equal(t, "id=", string(got), "%v must hand dst back", e)
		var field *layout.FieldError
		require.ErrorAs(t, err, &field)
		assert.Equal(t, "id", field.Field)
		assert.Equal(t, int64(-1), field.Value)
		_, err = e.Encode(math.MinInt64)
		require.Error(t, err)
	}
}

func TestEncodingAliases(t *testing.T) {
	for _, c := range []struct {
		encoding layout.Encoding
		text     string
		want     layout.ID
	}{
		{layout.Hex, "001BDA9FF8D10101", 7840204980289793},
		{layout.Base32, "006ytkzwd2081", 7840204980289793},
		{layout.Base32, "OOOOOOOOOOOO1", 1},
		{layout.Base32, "oooooooooooo1", 1},
		{layout.Base32, "00000000000IL", 33},
		{layout.Base32, "00000000000il", 33},
		{layout.Base36, "002574CG1658H", 7840204980289793},
		{layout.Decimal, "007", 7},
		{layout.Decimal, "00000000000000000000009223372036854775807", math.MaxInt64},
	} {
		got, err := c.encoding.Parse(c.text)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, got, c.text)
	}
}

func TestEncodingParseErrors(t *testing.T) {
	const overflow = "the number is past the largest ID, 9223372036854775807"
	for _, c := range []struct {
		encoding layout.Encoding
		text     string
		offset   int
		reason   string
	}{
		{layout.Decimal, "", 0, "is empty"},
		{layout.Decimal, "-1", 0, "negative IDs are invalid"},
		{layout.Decimal, "+1", 0, "'+' is no decimal digit"},
		{layout.Decimal, "1-1", 1, "'-' is no decimal digit"},
		{layout.Decimal, "12.5", 2, "'.' is no decimal digit"},
		{layout.Decimal, "1e3", 1, "'e' is no decimal digit"},
		{layout.Decimal, " 1", 0, "' ' is no decimal digit"},
		{layout.Decimal, "1_000", 1, "'_' is no decimal digit"},
		{layout.Decimal, "12\x00", 2, `'\x00' is no decimal digit`},
		{layout.Decimal, "12é", 2, "'é' is no decimal digit"},
		{layout.Decimal, "12\xff", 2, "byte 0xff is no decimal digit"},
		{layout.Decimal, "9223372036854775808", 18, overflow},
		{layout.Decimal, "92233720368547758070", 19, overflow},
		{layout.Decimal, "18446744073709551616", 19, overflow},
		{layout.Decimal, "18446744073709551616000", 19, overflow},
		{layout.Decimal, "99999999999999999999999999", 18, overflow},
		{layout.Hex, "", 0, "is empty"},
		{layout.Hex, "7fffffffffffffff0", 16, "must be 16 characters wide, not 17"},
		{layout.Hex, "1", 1, "must be 16 characters wide, not 1"},
		{layout.Hex, "8000000000000000", 15, overflow},
		{layout.Hex, "ffffffffffffffff", 15, overflow},
		{layout.Hex, "000000000000000g", 15, "'g' is no hex digit"},
		{layout.Hex, "0x00000000000001", 1, "'x' is no hex digit"},
		{layout.Base32, "8000000000000", 12, overflow},
		{layout.Base32, "ZZZZZZZZZZZZZ", 12, overflow},
		{layout.Base32, "00000U0000000", 5, "'U' is no base32 digit"},
		{layout.Base32, "00000u0000000", 5, "'u' is no base32 digit"},
		{layout.Base36, "1y2p0ij32e8e8", 12, overflow},
		{layout.Base36, "zzzzzzzzzzzzz", 12, overflow},
		{layout.Base36, "000000-000000", 6, "'-' is no base36 digit"},
		{layout.Base58, "NQm6nKp8qFD", 10, overflow},
		{layout.Base58, "zzzzzzzzzzz", 10, overflow},
		{layout.Base58, "1111111111O", 10, "'O' is no base58 digit"},
		{layout.Base58, "1111111111I", 10, "'I' is no base58 digit"},
		{layout.Base58, "1111111111l", 10, "'l' is no base58 digit"},
		{layout.Base58, "01111111111", 0, "'0' is no base58 digit"},
		{layout.Base62, "AzL8n0Y58m8", 10, overflow},
		{layout.Base62, "zzzzzzzzzzz", 10, overflow},
		{layout.Base62, "0000000000_", 10, "'_' is no base62 digit"},
		{layout.Base62, "000000000000", 11, "must be 11 characters wide, not 12"},
	} {
		id, err := c.encoding.Parse(c.text)
		var parse *layout.ParseError
		require.ErrorAs(t, err, &parse, "%v %q", c.encoding, c.text)
		assert.Zero(t, id)
		assert.Equal(t, layout.ParseError{Input: c.text, Encoding: c.encoding, Offset: c.offset, Reason: c.reason}, *parse)
	}
}

// TestEncodingRejectsEveryOtherByte goes through all 256 values at a place where
// none overflows.
func TestEncodingRejectsEveryOtherByte(t *testing.T) {
	aliases := map[layout.Encoding]string{
		layout.Hex:    "ABCDEF",
		layout.Base32: "abcdefghjkmnpqrstvwxyzILOilo",
		layout.Base36: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	}
	for _, e := range layout.Encodings() {
		text := []byte(slowEncode(0, alphabets[e], max(e.Width(), 2)))
		for b := range 256 {
			text[len(text)-1] = byte(b)
			_, err := e.Parse(string(text))
			isDigit := strings.IndexByte(alphabets[e]+aliases[e], byte(b)) >= 0
			assert.Equal(t, isDigit, err == nil, "%v: byte %q", e, b)
		}
	}
}

func TestParseErrorMessage(t *testing.T) {
	_, err := layout.Base58.Parse("1111111111l")
	require.EqualError(t, err, `layout: base58 ID "1111111111l": at offset 10: 'l' is no base58 digit`)

	_, err = layout.ParseID("x\n" + strings.Repeat("0", 1000))
	require.EqualError(t, err, `layout: decimal ID "x\n`+strings.Repeat("0", 62)+`"…: at offset 0: 'x' is no decimal digit`)
}

func TestEncodingNames(t *testing.T) {
	names := []string{"decimal", "hex", "base32", "base36", "base58", "base62"}
	widths := []int{0, 16, 13, 13, 11, 11}
	encodings := layout.Encodings()
	require.Len(t, encodings, len(names))
	for i, e := range encodings {
		assert.Equal(t, names[i], e.String())
		assert.Equal(t, widths[i], e.Width())
		got, err := layout.ParseEncoding(names[i])
		require.NoError(t, err)
		assert.Equal(t, e, got)

		text, err := e.MarshalText()
		require.NoError(t, err)
		var back layout.Encoding
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, e, back)
	}

	for _, name := range []string{"", "Hex", "base64", "hex "} {
		e := layout.Base62
		err := e.UnmarshalText([]byte(name))
		var field *layout.FieldError
		require.ErrorAs(t, err, &field, name)
		assert.Equal(t, "encoding", field.Field)
		assert.Contains(t, field.Reason, "decimal, hex, base32, base36, base58, base62")
		assert.Equal(t, layout.Base62, e, "a failure must change nothing")
	}
}

func TestUnknownEncoding(t *testing.T) {
	for _, e := range []layout.Encoding{layout.Base62 + 1, 255} {
		assert.Zero(t, e.Width())
		var field *layout.FieldError
		_, err := e.Encode(1)
		require.ErrorAs(t, err, &field)
		_, err = e.Parse("1")
		require.ErrorAs(t, err, &field)
		_, err = e.MarshalText()
		require.ErrorAs(t, err, &field)
	}
	assert.Equal(t, "Encoding(255)", layout.Encoding(255).String())
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 32)
	for _, e := range layout.Encodings() {
		text, err := e.Encode(math.MaxInt64)
		require.NoError(t, err)
		assert.Zero(t, testing.AllocsPerRun(100, func() { buf, _ = e.Append(buf[:0], math.MaxInt64) }), "%v.Append", e)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = e.Parse(text) }), "%v.Parse", e)
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { text, _ = e.Encode(math.MaxInt64) }), 1.0, "%v.Encode", e)
	}
}
