package layout_test

import (
	"bytes"
	"database/sql"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

var (
	_ fmt.Stringer               = layout.ID(0)
	_ encoding.TextAppender      = layout.ID(0)
	_ encoding.TextMarshaler     = layout.ID(0)
	_ encoding.TextUnmarshaler   = (*layout.ID)(nil)
	_ encoding.BinaryAppender    = layout.ID(0)
	_ encoding.BinaryMarshaler   = layout.ID(0)
	_ encoding.BinaryUnmarshaler = (*layout.ID)(nil)
	_ json.Marshaler             = layout.ID(0)
	_ json.Unmarshaler           = (*layout.ID)(nil)
	_ sql.Scanner                = (*layout.ID)(nil)
)

func TestIDString(t *testing.T) {
	assert.Equal(t, "0", layout.ID(0).String())
	assert.Equal(t, "9223372036854775807", layout.ID(math.MaxInt64).String())
	assert.Equal(t, "-9223372036854775808", layout.ID(math.MinInt64).String(), "String prints any value")
}

func TestParseID(t *testing.T) {
	id, err := layout.ParseID("175928847299117063")
	require.NoError(t, err)
	assert.Equal(t, layout.ID(175928847299117063), id)
	_, err = layout.ParseID("-5")
	require.EqualError(t, err, `layout: decimal ID "-5": at offset 0: negative IDs are invalid`)
}

// TestNegativeIDIsRefused goes through every method that writes an ID but String.
func TestNegativeIDIsRefused(t *testing.T) {
	for _, id := range []layout.ID{-1, math.MinInt64} {
		for name, write := range map[string]func() error{
			"AppendText":    func() error { _, err := id.AppendText(nil); return err },
			"MarshalText":   func() error { _, err := id.MarshalText(); return err },
			"AppendBinary":  func() error { _, err := id.AppendBinary(nil); return err },
			"MarshalBinary": func() error { _, err := id.MarshalBinary(); return err },
			"MarshalJSON":   func() error { _, err := id.MarshalJSON(); return err },
			"Value":         func() error { _, err := id.Value(); return err },
			"json.Marshal":  func() error { _, err := json.Marshal(id); return err },
		} {
			var field *layout.FieldError
			require.ErrorAs(t, write(), &field, name)
			assert.Equal(t, layout.FieldError{Field: "id", Value: int64(id), Reason: "must not be negative"}, *field, name)
		}
		_, err := json.Marshal(map[layout.ID]bool{id: true})
		require.ErrorContains(t, err, "must not be negative", "as the key of a map")
	}
}

func TestIDRoundTrips(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	ids := edgeIDs()
	for range 1000 {
		ids = append(ids, randomID(r))
	}
	for _, id := range ids {
		var text, bin, js, gobbed, scanned layout.ID

		b, err := id.MarshalText()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(int64(id)), string(b))
		require.NoError(t, text.UnmarshalText(b))
		require.Equal(t, id, text)

		b, err = id.MarshalBinary()
		require.NoError(t, err)
		require.Len(t, b, 8)
		require.NoError(t, bin.UnmarshalBinary(b))
		require.Equal(t, id, bin)

		b, err = json.Marshal(id)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(`"%d"`, int64(id)), string(b))
		require.NoError(t, json.Unmarshal(b, &js))
		require.Equal(t, id, js)

		var buf bytes.Buffer
		require.NoError(t, gob.NewEncoder(&buf).Encode(id))
		require.NoError(t, gob.NewDecoder(&buf).Decode(&gobbed))
		require.Equal(t, id, gobbed)

		v, err := id.Value()
		require.NoError(t, err)
		require.Equal(t, int64(id), v)
		require.NoError(t, scanned.Scan(v))
		require.Equal(t, id, scanned)
	}
}

func TestIDBinary(t *testing.T) {
	b, err := layout.ID(0x0271065ac1020007).AppendBinary([]byte{0xee})
	require.NoError(t, err)
	assert.Equal(t, []byte{0xee, 0x02, 0x71, 0x06, 0x5a, 0xc1, 0x02, 0x00, 0x07}, b)

	id := layout.ID(42)
	require.EqualError(t, id.UnmarshalBinary([]byte{1, 2, 3}), "layout: binary id of length 3: must be 8 bytes")
	require.EqualError(t, id.UnmarshalBinary(nil), "layout: binary id of length 0: must be 8 bytes")
	require.EqualError(t, id.UnmarshalBinary(make([]byte, 9)), "layout: binary id of length 9: must be 8 bytes")
	require.EqualError(t, id.UnmarshalBinary(bytes.Repeat([]byte{0xff}, 8)), "layout: id -1: must not be negative")
	assert.Equal(t, layout.ID(42), id, "a failure must change nothing")
}

func TestIDJSON(t *testing.T) {
	for _, c := range []struct {
		json string
		want layout.ID
	}{
		{`"123"`, 123},
		{`123`, 123},
		{`0`, 0},
		{`"0"`, 0},
		{`null`, 42},
		{`9223372036854775807`, math.MaxInt64},
		{`"9223372036854775807"`, math.MaxInt64},
		{" \"5\" ", 5},
	} {
		id := layout.ID(42)
		require.NoError(t, json.Unmarshal([]byte(c.json), &id), c.json)
		assert.Equal(t, c.want, id, c.json)
	}

	for _, c := range []struct {
		json   string
		reason string
	}{
		{`1.0`, "must be an integer, without fraction or exponent"},
		{`1e3`, "must be an integer, without fraction or exponent"},
		{`1E3`, "must be an integer, without fraction or exponent"},
		{`1.7592884729911706e17`, "must be an integer, without fraction or exponent"},
		{`-1`, "negative IDs are invalid"},
		{`-0`, "negative IDs are invalid"},
		{`"-1"`, "negative IDs are invalid"},
		{`"+1"`, "'+' is no decimal digit"},
		{`"1.0"`, "'.' is no decimal digit"},
		{`"1e3"`, "'e' is no decimal digit"},
		{`" 1"`, "' ' is no decimal digit"},
		{`""`, "is empty"},
		{`"\u0031"`, `'\\' is no decimal digit`},
		{`9223372036854775808`, "the number is past the largest ID, 9223372036854775807"},
		{`"9223372036854775808"`, "the number is past the largest ID, 9223372036854775807"},
		{`18446744073709551617`, "the number is past the largest ID, 9223372036854775807"},
		{`true`, "is neither a JSON string nor an integer"},
		{`false`, "is neither a JSON string nor an integer"},
		{`[1]`, "is neither a JSON string nor an integer"},
		{`{"id":1}`, "is neither a JSON string nor an integer"},
	} {
		id := layout.ID(42)
		err := json.Unmarshal([]byte(c.json), &id)
		var parse *layout.ParseError
		require.ErrorAs(t, err, &parse, c.json)
		assert.Equal(t, c.reason, parse.Reason, c.json)
		assert.Equal(t, layout.ID(42), id, "%s: a failure must change nothing", c.json)
	}

	// Called directly, the method sees what encoding/json would never pass.
	for _, broken := range []string{"", `"`, `"1`, `1"`, "nul"} {
		id := layout.ID(42)
		require.Error(t, id.UnmarshalJSON([]byte(broken)), broken)
		assert.Equal(t, layout.ID(42), id)
	}
}

func TestIDInsideJSON(t *testing.T) {
	type record struct {
		ID      layout.ID             `json:"id"`
		Parent  *layout.ID            `json:"parent"`
		None    *layout.ID            `json:"none"`
		Zero    layout.ID             `json:"zero,omitzero"`
		List    []layout.ID           `json:"list"`
		Names   map[layout.ID]string  `json:"names"`
		Friends map[string]*layout.ID `json:"friends"`
	}
	parent := layout.ID(math.MaxInt64)
	in := record{
		ID:      1,
		Parent:  &parent,
		List:    []layout.ID{2, 3},
		Names:   map[layout.ID]string{4: "four", 1 << 60: "big"},
		Friends: map[string]*layout.ID{"p": &parent},
	}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"1","parent":"9223372036854775807","none":null,"list":["2","3"],
		"names":{"4":"four","1152921504606846976":"big"},"friends":{"p":"9223372036854775807"}}`, string(b))
	var out record
	require.NoError(t, json.Unmarshal(b, &out))
	assert.Equal(t, in, out)

	require.Error(t, json.Unmarshal([]byte(`{"names":{"x":""}}`), &out))
}

func TestIDScan(t *testing.T) {
	for _, c := range []struct {
		src  any
		want layout.ID
	}{
		{int64(0), 0},
		{int64(math.MaxInt64), math.MaxInt64},
		{uint64(math.MaxInt64), math.MaxInt64},
		{"175928847299117063", 175928847299117063},
		{[]byte("175928847299117063"), 175928847299117063},
		{[]byte("12345678"), 12345678}, // eight bytes, and text all the same
		{"00000000000000000123", 123},  // MySQL's ZEROFILL
	} {
		var id layout.ID
		require.NoError(t, id.Scan(c.src), "%T %v", c.src, c.src)
		assert.Equal(t, c.want, id)
	}

	for _, c := range []struct {
		src     any
		message string
	}{
		{nil, "sql.Null[layout.ID]"},
		{[]byte(nil), "sql.Null[layout.ID]"},
		{int64(-1), "must not be negative"},
		{uint64(math.MaxInt64 + 1), "must be at most 9223372036854775807"},
		{1.0, "cannot scan a float64 into an ID"},
		{true, "cannot scan a bool into an ID"},
		{int32(1), "cannot scan a int32 into an ID"},
		{time.Unix(0, 0), "cannot scan a time.Time into an ID"},
		{"", "is empty"},
		{[]byte{}, "is empty"},
		{"1.5", "'.' is no decimal digit"},
		{"-1", "negative IDs are invalid"},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 1}, `'\x00' is no decimal digit`},
		{strings.Repeat("9", 20), "past the largest ID"},
	} {
		id := layout.ID(42)
		require.ErrorContains(t, id.Scan(c.src), c.message, "%T %v", c.src, c.src)
		assert.Equal(t, layout.ID(42), id, "a failure must change nothing")
	}
}

func TestIDScanNull(t *testing.T) {
	var null sql.Null[layout.ID]
	require.NoError(t, null.Scan(nil))
	assert.False(t, null.Valid)
	require.NoError(t, null.Scan([]byte("7")))
	assert.Equal(t, sql.Null[layout.ID]{V: 7, Valid: true}, null)
}

func TestIDDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 32)
	id, text, bin := layout.ID(math.MaxInt64), []byte("9223372036854775807"), []byte{1, 2, 3, 4, 5, 6, 7, 8}
	js, row := []byte(`"9223372036854775807"`), any("9223372036854775807")
	for name, f := range map[string]func(){
		"AppendText":      func() { buf, _ = id.AppendText(buf[:0]) },
		"AppendBinary":    func() { buf, _ = id.AppendBinary(buf[:0]) },
		"UnmarshalText":   func() { _ = id.UnmarshalText(text) },
		"UnmarshalBinary": func() { _ = id.UnmarshalBinary(bin) },
		"UnmarshalJSON":   func() { _ = id.UnmarshalJSON(js) },
		"Scan":            func() { _ = id.Scan(row) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { js, _ = id.MarshalJSON() }), 1.0)
}
