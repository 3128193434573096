package layout_test

import (
	"encoding"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

var (
	_ encoding.TextAppender    = layout.Layout{}
	_ encoding.TextMarshaler   = layout.Layout{}
	_ encoding.TextUnmarshaler = (*layout.Layout)(nil)
)

// TestTextGolden pins texts that stand for layouts in users' stores. They must
// never change: if this test fails, the code is wrong, not the table.
func TestTextGolden(t *testing.T) {
	for text, config := range map[string]layout.Config{
		"epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8":             layout.DefaultConfig(),
		"epoch=2014-09-01T00:00:00Z,unit=10ms,time=39,sequence=8,node=16":           {Epoch: time.Date(2014, 9, 1, 0, 0, 0, 0, time.UTC), Unit: 10 * time.Millisecond, NodeBits: 16, SequenceBits: 8, Order: layout.TimeSequenceNode},
		"epoch=1970-01-01T00:00:00Z,unit=1ms,time=47,node=0,sequence=16":            {Epoch: time.Unix(0, 0), Unit: time.Millisecond, SequenceBits: 16, Order: layout.TimeSequenceNode},
		"epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12":       {Epoch: time.UnixMilli(1288834974657), Unit: time.Millisecond, NodeBits: 10, SequenceBits: 12},
		"epoch=2016-05-19T16:00:00Z,unit=1s,time=28,node=22,sequence=13":            {Epoch: time.Date(2016, 5, 20, 0, 0, 0, 0, time.FixedZone("", 8*60*60)), Unit: time.Second, NodeBits: 22, SequenceBits: 13},
		"epoch=2023-02-08T12:24:00.123456789Z,unit=100us,time=47,node=8,sequence=8": {Epoch: time.Unix(1675859040, 123456789), Unit: 100 * time.Microsecond, NodeBits: 8, SequenceBits: 8},
		"epoch=2023-02-08T12:24:00.1Z,unit=1us,time=62,node=0,sequence=0":           {Epoch: time.Unix(1675859040, 1e8), Unit: time.Microsecond},
		"epoch=2261-12-31T23:59:59Z,unit=1h,time=24,node=0,sequence=1":              {Epoch: time.Unix(9214646399, 0), Unit: time.Hour, TimeBits: 24, SequenceBits: 1},
		"epoch=1970-01-01T00:00:00Z,unit=90m,time=24,node=1,sequence=0":             {Epoch: time.Unix(0, 0), Unit: 90 * time.Minute, TimeBits: 24, NodeBits: 1},
		"epoch=1970-01-01T00:00:00Z,unit=1500ms,time=24,node=1,sequence=1":          {Epoch: time.Unix(0, 0), Unit: 1500 * time.Millisecond, TimeBits: 24, NodeBits: 1, SequenceBits: 1},
		"epoch=1970-01-01T00:00:00Z,unit=1001ns,time=24,node=1,sequence=1":          {Epoch: time.Unix(0, 0), Unit: 1001, TimeBits: 24, NodeBits: 1, SequenceBits: 1},
	} {
		l := mustNew(t, config)
		assert.Equal(t, text, l.String())
		assert.Equal(t, l, mustParse(t, text))
	}
}

func TestTextRoundTrips(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	byText := make(map[string]layout.Layout)
	for range 2000 {
		l := randomLayout(r)
		text, err := l.MarshalText()
		require.NoError(t, err)
		var back layout.Layout
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, l, back, "%s", text)
		require.Equal(t, string(text), l.String())
		if other, found := byText[string(text)]; found {
			require.Equal(t, other, l, "one text must be one layout")
		}
		byText[string(text)] = l
	}
}

// TestTextTellsEveryFieldApart changes one field at a time.
func TestTextTellsEveryFieldApart(t *testing.T) {
	base := mustParse(t, "time=20,node=8,sequence=8")
	texts := map[string]bool{base.String(): true}
	for _, change := range []func(*layout.Config){
		func(c *layout.Config) { c.Epoch = c.Epoch.Add(1) },
		func(c *layout.Config) { c.Unit++ },
		func(c *layout.Config) { c.TimeBits++ },
		func(c *layout.Config) { c.NodeBits++ },
		func(c *layout.Config) { c.SequenceBits++ },
		func(c *layout.Config) { c.Order = layout.TimeSequenceNode },
	} {
		c := base.Config()
		change(&c)
		text := mustNew(t, c).String()
		assert.False(t, texts[text], text)
		texts[text] = true
	}
}

func TestParse(t *testing.T) {
	for text, canonical := range map[string]string{
		"easyflake":         "epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8",
		"sonyflake2":        "epoch=2025-01-01T00:00:00Z,unit=10ms,time=39,sequence=8,node=16",
		"node=10":           "epoch=2023-02-08T12:24:00Z,unit=1ms,time=45,node=10,sequence=8",
		"sequence=10":       "epoch=2023-02-08T12:24:00Z,unit=1ms,time=45,node=8,sequence=10",
		"time=40":           "epoch=2023-02-08T12:24:00Z,unit=1ms,time=40,node=8,sequence=8",
		"time=0":            "epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8",
		"unit=1h0m0s":       "epoch=2023-02-08T12:24:00Z,unit=1h,time=41,node=8,sequence=8",
		"unit=0.1s":         "epoch=2023-02-08T12:24:00Z,unit=100ms,time=47,node=8,sequence=8",
		"unit=100µs":        "epoch=2023-02-08T12:24:00Z,unit=100us,time=47,node=8,sequence=8",
		"sequence=8,node=8": "epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,sequence=8,node=8",
		"sequence=5,unit=1s,node=6,epoch=2020-01-01T08:00:00+08:00,time=30": "epoch=2020-01-01T00:00:00Z,unit=1s,time=30,sequence=5,node=6",
		"sequence=16,node=0": "epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=0,sequence=16",
	} {
		assert.Equal(t, canonical, mustParse(t, text).String(), text)
	}
}

func TestParseErrors(t *testing.T) {
	for text, message := range map[string]string{
		"":                           `layout: layout "": is empty; give a preset's name, or text such as epoch=2023-02-08T12:24:00Z,unit=1ms,node=8,sequence=8`,
		" easyflake":                 `layout: layout " easyflake": must not contain spaces`,
		"node=8, sequence=8":         `layout: layout "node=8, sequence=8": must not contain spaces`,
		"node=8\n":                   `layout: layout "node=8\n": must not contain spaces`,
		"nod=8":                      `layout: layout key "nod": is unknown; the nearest is "node"`,
		"seqeunce=8":                 `layout: layout key "seqeunce": is unknown; the nearest is "sequence"`,
		"Node=8":                     `layout: layout key "Node": is unknown; the nearest is "node"`,
		"=8":                         `layout: layout key "": is unknown; the nearest is "unit"`,
		"node=8,":                    `layout: layout "": must be a key, an equals sign and a value, as in node=8`,
		"node=8,sequence":            `layout: layout "sequence": must be a key, an equals sign and a value, as in node=8`,
		"node=8,node=8":              `layout: layout key "node": is given twice`,
		"unit=1ms,unit=1s":           `layout: layout key "unit": is given twice`,
		"node=":                      `layout: node bits "": must be a number of bits between 0 and 63`,
		"node=x":                     `layout: node bits "x": must be a number of bits between 0 and 63`,
		"node=+8":                    `layout: node bits "+8": must be a number of bits between 0 and 63`,
		"node=-8":                    `layout: node bits "-8": must be a number of bits between 0 and 63`,
		"node=8.0":                   `layout: node bits "8.0": must be a number of bits between 0 and 63`,
		"sequence=0x8":               `layout: sequence bits "0x8": must be a number of bits between 0 and 63`,
		"time=99999999999":           `layout: time bits "99999999999": must be a number of bits between 0 and 63`,
		"node=8=8":                   `layout: node bits "8=8": must be a number of bits between 0 and 63`,
		"node=63":                    `layout: node bits 63: must be between 0 and 62`,
		"time=48":                    `layout: time bits 48: must be between 1 and 47 (of 63 bits, 8 are node and 8 sequence), or 0 for what is left`,
		"unit=":                      `layout: unit "": must be a duration, such as 1ms, 100us or 1s`,
		"unit=5":                     `layout: unit "5": must be a duration, such as 1ms, 100us or 1s`,
		"unit=1ns":                   `layout: unit 1ns: must be at least 1µs`,
		"unit=-1s":                   `layout: unit -1s: must be at least 1µs`,
		"epoch=":                     `layout: epoch "": must be a time as in RFC 3339, such as 2023-02-08T12:24:00Z`,
		"epoch=2023-02-08":           `layout: epoch "2023-02-08": must be a time as in RFC 3339, such as 2023-02-08T12:24:00Z`,
		"epoch=1675859040":           `layout: epoch "1675859040": must be a time as in RFC 3339, such as 2023-02-08T12:24:00Z`,
		"epoch=1969-12-31T23:59:59Z": `layout: epoch "1969-12-31T23:59:59Z": must lie between 1970-01-01 and 2261-12-31`,
	} {
		l := layout.Default()
		err := l.UnmarshalText([]byte(text))
		var field *layout.FieldError
		require.ErrorAs(t, err, &field, text)
		require.EqualError(t, err, message)
		assert.Equal(t, layout.Default(), l, "a failure must change nothing")
	}
}

func TestZeroLayoutHasNoText(t *testing.T) {
	var l layout.Layout
	assert.Equal(t, "no layout", l.String())
	dst, err := l.AppendText([]byte("x"))
	assert.Equal(t, "x", string(dst))
	var field *layout.FieldError
	require.ErrorAs(t, err, &field)
	_, err = l.MarshalText()
	require.ErrorAs(t, err, &field)
	_, err = layout.Parse(l.String())
	require.Error(t, err, "it must not come back as a layout")
}

func TestLayoutInConfiguration(t *testing.T) {
	type config struct {
		Layout layout.Layout
	}
	var c config
	require.NoError(t, json.Unmarshal([]byte(`{"Layout":"twitter"}`), &c))
	b, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Layout":"epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12"}`, string(b))

	var l layout.Layout
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.TextVar(&l, "layout", layout.Default(), "")
	require.NoError(t, flags.Parse([]string{"-layout", "node=10"}))
	assert.Equal(t, mustParse(t, "node=10"), l)
}
