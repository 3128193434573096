package pool

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// Records as they are in stores out there. NEVER CHANGE THESE LINES: a program that
// cannot read them, or takes them for something else, breaks the guarantee for
// everybody who updates. New versions get lines of their own.
var goldenNodes = []struct {
	record string
	node   Node
}{
	{
		`{"v":1,"token":"0102030405060708090a0b0c0d0e0f10","from":100,"until":200,"before":90,"highest":250,"window_ns":20000000000,"revision":3,"nonce":"ffeeddccbbaa99887766554433221100"}`,
		Node{
			Number: 7, Token: Token{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, From: 100, Until: 200, Before: 90, Highest: 250,
			Window: 20 * time.Second, Revision: 3, Nonce: Token{0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0},
		},
	},
	{
		`{"v":1,"from":0,"until":0,"before":0,"highest":0,"window_ns":0,"revision":0,"retired":true}`,
		Node{Number: 7, Retired: true},
	},
	{
		`{"v":1,"token":"0000000000000000000000000000000a","from":0,"until":140737488355328,"before":0,"highest":140737488355328,"window_ns":10000000000,"revision":0,"revoked":true}`,
		Node{Number: 7, Token: Token{15: 10}, Until: 1 << 47, Highest: 1 << 47, Window: 10 * time.Second, Revoked: true},
	},
	{
		`{"v":1,"from":500,"until":100,"before":100,"highest":900,"window_ns":10000000000,"revision":18446744073709551615}`,
		Node{Number: 7, From: 500, Until: 100, Before: 100, Highest: 900, Window: 10 * time.Second, Revision: math.MaxUint64},
	},
}

// NEVER CHANGE THESE LINES either.
var goldenNamespaces = []struct {
	record    string
	namespace Namespace
}{
	{
		`{"v":1,"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8","ranges":[{"first":0,"last":255,"use":"leased"}],"skew_ns":1000000000,"first_window_ns":10000000000,"window_ns":60000000000,"horizon_ns":120000000000,"floor":0}`,
		Namespace{
			Name: "n", Layout: layout.Default(), Ranges: []Range{{Last: 255}},
			Terms: Terms{Skew: time.Second, FirstWindow: 10 * time.Second, Window: time.Minute, Horizon: 2 * time.Minute},
		},
	},
	{
		`{"v":1,"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8","ranges":[{"first":10,"last":19,"use":"by-hand"},{"first":0,"last":9,"use":"leased","floor":77},{"first":20,"last":20,"use":"legacy"}],"skew_ns":0,"first_window_ns":3000000,"window_ns":3000000,"horizon_ns":3000000,"floor":123456789}`,
		Namespace{
			Name: "n", Layout: layout.Default(), Floor: 123456789,
			Ranges: []Range{{First: 10, Last: 19, Use: ByHand}, {First: 0, Last: 9, Floor: 77}, {First: 20, Last: 20, Use: Legacy}},
			Terms:  Terms{FirstWindow: 3 * time.Millisecond, Window: 3 * time.Millisecond, Horizon: 3 * time.Millisecond},
		},
	},
}

func TestGoldenRecords(t *testing.T) {
	ns := aNamespace(t)
	for _, g := range goldenNodes {
		n, err := decodeNode(ns, 7, []byte(g.record))
		require.NoError(t, err, g.record)
		assert.Equal(t, g.node, n)
		record, err := encodeNode(&g.node)
		require.NoError(t, err)
		assert.Equal(t, g.record, string(record))
	}
	for _, g := range goldenNamespaces {
		n, err := decodeNamespace("n", []byte(g.record))
		require.NoError(t, err, g.record)
		assert.Equal(t, g.namespace, *n)
		record, err := encodeNamespace(&g.namespace)
		require.NoError(t, err)
		assert.Equal(t, g.record, string(record))
	}
}

func TestNodeRecordsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	ns := aNamespace(t)
	end := ns.Layout.MaxTick() + 1
	for range 2000 {
		n := Node{Number: r.Int64N(256), Highest: r.Int64N(end + 1)}
		n.Until, n.Before = r.Int64N(n.Highest+1), r.Int64N(n.Highest+1)
		n.From = r.Int64N(end)
		n.Window, n.Revision = time.Duration(r.Int64()), r.Uint64()
		n.Revoked, n.Retired = r.IntN(2) == 0, r.IntN(2) == 0
		if n.From < n.Until {
			n.Token[r.IntN(16)] = byte(1 + r.IntN(255))
		}
		n.Nonce[r.IntN(16)] = byte(r.Uint32())
		record, err := encodeNode(&n)
		require.NoError(t, err)
		again, err := decodeNode(ns, n.Number, record)
		require.NoError(t, err, "%s", record)
		require.Equal(t, n, again)
	}
}

// TestNoByteOfARecordIsSpare damages records at every byte: each damage is noticed,
// or gives a record that says what it says in no other way.
func TestNoByteOfARecordIsSpare(t *testing.T) {
	ns := aNamespace(t)
	check := func(record []byte, original string) {
		n, err := decodeNode(ns, 7, record)
		if err != nil {
			var e *RecordError
			require.ErrorAs(t, err, &e)
			assert.Contains(t, e.Error(), `node 7 of namespace "n"`)
			require.Zero(t, n)
			return
		}
		again, err := encodeNode(&n)
		require.NoError(t, err)
		require.Equal(t, string(record), string(again), "from %s", original)
	}
	for _, g := range goldenNodes {
		for i := range len(g.record) {
			_, err := decodeNode(ns, 7, []byte(g.record[:i]))
			require.Error(t, err, "cut after %d bytes: a record half written", i)
			for _, b := range []byte{0, ' ', '"', ',', '0', '9', '}', 'A', g.record[i] ^ 0x20, 0xff} {
				damaged := []byte(g.record)
				damaged[i] = b
				check(damaged, g.record)
			}
			check([]byte(g.record[:i]+g.record[i+1:]), g.record)
			check([]byte(g.record[:i]+g.record[i:i+1]+g.record[i:]), g.record)
		}
	}
}

func TestForeignNodeRecords(t *testing.T) {
	ns := aNamespace(t)
	good := goldenNodes[0].record
	change := func(from, to string) string {
		require.Contains(t, good, from)
		return strings.Replace(good, from, to, 1)
	}
	for name, c := range map[string]struct{ record, reason string }{
		"nothing":                    {"", "not a record of ours"},
		"an empty object":            {"{}", "not a record as this program writes it"},
		"a version alone":            {`{"v":1}`, "not a record as this program writes it"},
		"null":                       {"null", "not a record as this program writes it"},
		"a list":                     {"[]", "not a record of ours"},
		"a number":                   {"5", "not a record of ours"},
		"binary":                     {"\x00\x01\x02", "not a record of ours"},
		"two records":                {good + good, "not a record as this program writes it"},
		"something after it":         {good + "x", "not a record as this program writes it"},
		"a space after it":           {good + " ", "not a record as this program writes it"},
		"a newer version":            {change(`"v":1`, `"v":2`), "its version is 2, this program knows 1; use a newer one"},
		"a newer version's fields":   {change(`"v":1`, `"v":2,"fence":5`), "its version is 2"},
		"an older version":           {change(`"v":1`, `"v":0`), "not a record as this program writes it"},
		"no version":                 {change(`"v":1,`, ""), "not a record as this program writes it"},
		"an unknown field":           {change(`"v":1`, `"v":1,"fence":5`), "unknown field"},
		"a field twice":              {change(`"until":200`, `"until":200,"until":150`), "not a record as this program writes it"},
		"a field in capitals":        {change(`"until"`, `"UNTIL"`), "not a record as this program writes it"},
		"no until":                   {change(`"until":200,`, ""), "a lease without ticks"},
		"no until and no holder":     {`{"v":1,"from":100,"before":90,"highest":250,"window_ns":2,"revision":3}`, "not a record as this program writes it"},
		"no before":                  {change(`"before":90,`, ""), "not a record as this program writes it"},
		"no highest":                 {change(`"highest":250,`, ""), "ticks out of order"},
		"no revision":                {change(`"revision":3,`, ""), "not a record as this program writes it"},
		"a short token":              {change("0102", "01"), "a token has 32 hex digits"},
		"a token of other letters":   {change("0102", "01xx"), "not a record of ours"},
		"a token in capitals":        {change("0a0b", "0A0B"), "not a record as this program writes it"},
		"a token of zeros":           {change("0102030405060708090a0b0c0d0e0f10", strings.Repeat("0", 32)), "not a record as this program writes it"},
		"a negative until":           {change(`"until":200`, `"until":-200`), "negative"},
		"a negative from":            {change(`"from":100`, `"from":-1`), "negative"},
		"a negative before":          {change(`"before":90`, `"before":-1`), "negative"},
		"a negative window":          {change(`"window_ns":2`, `"window_ns":-2`), "negative"},
		"a negative revision":        {change(`"revision":3`, `"revision":-3`), "not a record of ours"},
		"a fraction":                 {change(`"until":200`, `"until":200.5`), "not a record of ours"},
		"an exponent":                {change(`"until":200`, `"until":2e2`), "not a record of ours"},
		"too large a number":         {change(`"until":200`, `"until":9223372036854775808`), "not a record of ours"},
		"a window that is empty":     {change(`"from":100`, `"from":200`), "a lease without ticks"},
		"until above the highest":    {change(`"until":200`, `"until":251`), "ticks out of order"},
		"before above the highest":   {change(`"before":90`, `"before":251`), "ticks out of order"},
		"ticks after the layout's":   {change(`"highest":250`, `"highest":140737488355329`), "ticks out of order"},
		"highest of all numbers":     {change(`"highest":250`, `"highest":9223372036854775807`), "ticks out of order"},
		"a record of another thing":  {goldenNamespaces[0].record, "unknown field"},
		"a mark":                     {"1773500966535897932", "not a record of ours"},
		"a field given as null":      {change(`"until":200`, `"until":null`), "a lease without ticks"},
		"a flag that says false":     {change(`"revision":3`, `"revision":3,"revoked":false`), "not a record as this program writes it"},
		"fields in another order":    {change(`"from":100,"until":200`, `"until":200,"from":100`), "not a record as this program writes it"},
		"a number with leading zero": {change(`"until":200`, `"until":0200`), "not a record of ours"},
	} {
		n, err := decodeNode(ns, 7, []byte(c.record))
		var e *RecordError
		if assert.ErrorAs(t, err, &e, "%s: %s", name, c.record) {
			assert.Contains(t, e.Reason, c.reason, name)
			assert.Contains(t, e.Error(), `node 7 of namespace "n"`)
		}
		assert.Zero(t, n, name)
	}
}

func TestForeignNamespaceRecords(t *testing.T) {
	good := goldenNamespaces[1].record
	for name, c := range map[string]struct{ from, to, reason string }{
		"cut":                     {`,"floor":123456789}`, "", "not a record of ours"},
		"a newer version":         {`"v":1`, `"v":7`, "its version is 7"},
		"an unknown field":        {`"v":1`, `"v":1,"quota":1`, "unknown field"},
		"an unknown use":          {`"by-hand"`, `"byhand"`, "unknown use"},
		"no floor":                {`,"floor":123456789`, "", "not a record as this program writes it"},
		"a negative floor":        {`"floor":123456789`, `"floor":-1`, "a negative floor"},
		"a range's floor below 0": {`"floor":77`, `"floor":-77`, "a negative floor"},
		"no layout":               {`"layout":"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8",`, "", "layout"},
		"another form of it":      {`sequence=8"`, `sequence=8 "`, ""},
		"no ranges":               {`"first":10,`, "", "overlap"},
		"ranges that overlap":     {`"first":10`, `"first":9`, "overlap"},
		"windows without length":  {`"first_window_ns":3000000`, `"first_window_ns":0`, "first window"},
		"a horizon too near":      {`"horizon_ns":3000000`, `"horizon_ns":2000000`, "horizon"},
		"a field twice":           {`"skew_ns":0`, `"skew_ns":0,"skew_ns":0`, "not a record as this program writes it"},
		"something after it":      {`"floor":123456789}`, `"floor":123456789}{}`, "not a record as this program writes it"},
	} {
		require.Contains(t, good, c.from, name)
		_, err := decodeNamespace("n", []byte(strings.Replace(good, c.from, c.to, 1)))
		var e *RecordError
		if assert.ErrorAs(t, err, &e, name) {
			assert.Contains(t, e.Reason, c.reason, name)
			assert.Contains(t, e.Error(), `namespace "n"`)
		}
	}
	_, err := decodeNamespace("n", []byte(goldenNodes[0].record))
	assert.Error(t, err)
}

// FuzzNodeRecord looks for a record that is accepted and reads as another one would.
func FuzzNodeRecord(f *testing.F) {
	for _, g := range goldenNodes {
		f.Add([]byte(g.record))
	}
	ns := NewNamespace("n", layout.Default())
	f.Fuzz(func(t *testing.T, record []byte) {
		n, err := decodeNode(&ns, 7, record)
		if err != nil {
			return
		}
		again, err := encodeNode(&n)
		if err != nil || !bytes.Equal(again, record) {
			t.Errorf("%s is read as %s, %v", record, again, err)
		}
	})
}
