package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestLayoutDefault(t *testing.T) {
	const want = `easyflake: EasyFlake's default: 256 nodes, 256,000 IDs a second each
epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8

  63   62                                            16   15    8   7      0
┌────┬──────────────────────────────────────────────────┬─────────┬──────────┐
│ 0  │                       time                       │  node   │ sequence │
│    │                     47 bits                      │ 8 bits  │  8 bits  │
└────┴──────────────────────────────────────────────────┴─────────┴──────────┘

Epoch        2023-02-08T12:24:00Z, the start of tick 0
Tick         1ms; there are 140,737,488,355,328
Nodes        256: 0 to 255
Sequence     256 IDs per tick and node
Rate         256,000 IDs per second and node, 65,536,000 from all
End of life  6482-11-24T15:09:55.328Z, in 4,456 years
JavaScript   safe until 2027-06-18T05:53:13.472Z, in 13 months; then hand them over as strings
Largest ID   9223372036854775807
`
	for _, args := range []string{"layout", "layout show", "layout easyflake", "layout show easyflake", "layout epoch=2023-02-08T12:24:00Z,unit=1ms,node=8,sequence=8"} {
		assert.Equal(t, want, output(t, strings.Fields(args)...), args)
	}
}

func TestLayoutWithAllPeculiarities(t *testing.T) {
	assert.Contains(t, output(t, "layout", "sonyflake"), `
  63   62                                    24   23    16   15            0
┌────┬──────────────────────────────────────────┬──────────┬─────────────────┐
│ 0  │                   time                   │ sequence │      node       │
│    │                 39 bits                  │  8 bits  │     16 bits     │
└────┴──────────────────────────────────────────┴──────────┴─────────────────┘
`)
	js53 := output(t, "layout", "js53")
	assert.Contains(t, js53, "  63      53   52 ")
	assert.Contains(t, js53, "JavaScript   safe: no ID is past 2^53 - 1\n")
	mastodon := output(t, "layout", "mastodon")
	assert.Contains(t, mastodon, "Nodes        1: there are no bits to tell nodes apart\n")
	assert.NotContains(t, mastodon, "node  ")
	baidu := output(t, "layout", "baidu")
	assert.Contains(t, baidu, "2024-11-20T13:24:16Z, 17 months ago\n             It is over: ")
	assert.Contains(t, baidu, "IDs are past 2^53 - 1 since 2016-05-22")
	assert.Contains(t, output(t, "layout", "time=37"), "Less than three years are left")
	assert.Contains(t, output(t, "layout", "time=37,epoch=2022-06-01T00:00:00Z"), "Less than a year is left")
	assert.Contains(t, output(t, "layout", "epoch=2099-01-01T00:00:00Z"), "It has not begun")
	assert.Contains(t, output(t, "layout", "unit=24h,time=9,node=27,sequence=27"), "not safe as numbers: IDs are past 2^53 - 1;")
	assert.Contains(t, output(t, "layout", "unit=1h,sequence=0"), "Rate         0.000278 IDs per second and node, 0.0711 from all\n")
	twins := output(t, "layout", layoutText(t, "leaf"))
	assert.Contains(t, twins, "twitter: ")
	assert.Contains(t, twins, "leaf: ")
	assert.NotContains(t, output(t, "layout", "leaf"), "twitter: ")
}

func layoutText(t *testing.T, name string) string {
	t.Helper()
	l, err := layout.ByName(name)
	require.NoError(t, err)
	return l.String()
}

// TestPicturesAreRectangles: all lines of the box are as wide as asked for.
func TestPicturesAreRectangles(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		c := layout.DefaultConfig()
		c.NodeBits = random.IntN(62)
		c.SequenceBits = random.IntN(62 - c.NodeBits)
		c.TimeBits = random.IntN(63 - c.NodeBits - c.SequenceBits)
		c.Order = layout.Order(random.IntN(2))
		l, err := layout.New(c)
		require.NoError(t, err)
		columns := 48 + random.IntN(60)
		text := picture(l, columns, false)
		for i, line := range lines(text) {
			if i > 0 {
				require.Equal(t, columns, utf8.RuneCountInString(line), "%v\n%s", l, text)
			} else {
				require.Less(t, len(line), columns, "%v\n%s", l, text)
				require.True(t, strings.HasPrefix(line, "  63"), "%v\n%s", l, text)
			}
		}
		for _, f := range fieldsOf(l) {
			require.Contains(t, text, f.name)
		}
	}
}

func TestLayoutJSON(t *testing.T) {
	assert.JSONEq(t, `{
		"name": "js53", "presets": ["js53"],
		"layout": "epoch=2023-02-08T12:24:00Z,unit=10ms,time=38,node=8,sequence=7",
		"epoch": "2023-02-08T12:24:00Z", "unit": "10ms", "unit_ns": 10000000,
		"time_bits": 38, "node_bits": 8, "sequence_bits": 7, "order": "time-node-sequence",
		"nodes": 256, "ids_per_tick": 128, "ids_per_second": 12800,
		"max_id": "9007199254740991", "end": "2110-03-19T02:08:29.44Z", "life": "ok", "js_safe": true
	}`, output(t, "layout", "js53", "--json"))
	baidu := objects(t, output(t, "layout", "baidu", "--json"))[0]
	assert.Equal(t, "over", baidu["life"])
	assert.Contains(t, baidu["warning"], "life is over")
	assert.Equal(t, "2016-05-22T16:49:04Z", baidu["js_safe_until"])
	assert.Equal(t, []any{"twitter", "leaf"}, objects(t, output(t, "layout", layoutText(t, "leaf"), "--json"))[0]["presets"])
	for text, life := range map[string]string{
		"time=37":                            "under-three-years",
		"time=37,epoch=2022-06-01T00:00:00Z": "under-a-year",
		"epoch=2099-01-01T00:00:00Z":         "not-begun",
	} {
		assert.Equal(t, life, objects(t, output(t, "layout", text, "--json"))[0]["life"])
	}
}

// TestJavaScriptSafety checks js_safe_until with the IDs on both sides of it.
func TestJavaScriptSafety(t *testing.T) {
	for _, p := range layout.Presets() {
		f := factsOf(layoutValue{p.Layout, p.Name}, testNow)
		if f.JSSafe {
			assert.LessOrEqual(t, p.Layout.MaxID(), layout.ID(maxSafeInteger))
			continue
		}
		before, err := p.Layout.Max(f.jsUntil.Add(-1))
		require.NoError(t, err)
		assert.LessOrEqual(t, before, layout.ID(maxSafeInteger), p.Name)
		after, err := p.Layout.Max(f.jsUntil)
		require.NoError(t, err)
		assert.Greater(t, after, layout.ID(maxSafeInteger), p.Name)
	}
}

func TestLayoutList(t *testing.T) {
	text := output(t, "layout", "list")
	table := lines(text)
	presets := layout.Presets()
	require.Len(t, table, len(presets)+1)
	for i, p := range presets {
		assert.True(t, strings.HasPrefix(table[i+1], p.Name+" "))
		assert.True(t, strings.HasSuffix(table[i+1], "  "+p.Description))
	}
	assert.Contains(t, text, "sonyflake   2014-09-01  10ms  t39 s8 n16           25,600  2188-11-16     Sonyflake version 1")

	list := objects(t, output(t, "layout", "list", "--json"))
	require.Len(t, list, len(presets))
	for i, p := range presets {
		assert.Equal(t, p.Name, list[i]["name"])
		assert.Equal(t, p.Layout.String(), list[i]["layout"])
		assert.Equal(t, p.Description, list[i]["description"])
	}

	r := newTrial(t, "layout", "list")
	r.stdoutTerminal, r.width = true, 100
	r.env["NO_COLOR"] = "1"
	require.Equal(t, statusOK, r.run())
	for _, line := range lines(r.out.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 100)
	}
}

func TestLayoutCheck(t *testing.T) {
	assert.Equal(t, `Disjoint: from 2030-01-01T00:00:00Z on, IDs of the new layout neither collide with older ones nor sort before them.

Old  epoch=2015-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12
     largest ID before that time: 1985523115622399999
New  epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12
     smallest ID from then on: 2535964385080246272
`, output(t, "layout", "check", "discord", "twitter", "--at", "2030-01-01"))

	r := newTrial(t, "layout", "check", "twitter", "discord")
	assert.Equal(t, statusFailed, r.run())
	assert.Empty(t, r.err.String())
	assert.Equal(t, `Not disjoint: from 2026-05-04T03:02:02Z on, IDs of the new layout could be equal to older ones, or sort before them.

Old  epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12
     largest ID before that time: 2051135231095734271
New  epoch=2015-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12
     smallest ID from then on: 1500693961637888000

Stop the old one at 2026-05-04T03:02:02Z, start the new one at 2030-07-01T01:19:07.343Z or later: then they are.
`, r.out.String())

	r = newTrial(t, "layout", "check", "easyflake", "js53")
	assert.Equal(t, statusFailed, r.run())
	assert.Contains(t, r.out.String(), "Stop the old one at")

	r = newTrial(t, "layout", "check", "mastodon", "js53")
	assert.Equal(t, statusFailed, r.run())
	assert.Contains(t, r.out.String(), "Waiting does not help")

	over := output(t, "layout", "check", "baidu", "baidu", "--at", "2030-01-01T00:00:00+01:00")
	assert.Contains(t, over, "has no ID from then on")
	assert.Contains(t, over, "Warning: at that time, of the new one: the layout's life is over")
	assert.Contains(t, output(t, "layout", "check", "epoch=2099-01-01T00:00:00Z", "easyflake"), "has no ID before that time")
}

func TestLayoutCheckJSON(t *testing.T) {
	assert.JSONEq(t, `{
		"disjoint": true, "at": "2030-01-01T00:00:00Z",
		"old": "epoch=2015-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12", "old_max": "1985523115622399999",
		"new": "epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12", "new_min": "2535964385080246272",
		"safe_from": "2030-01-01T00:00:00Z"
	}`, output(t, "layout", "check", "discord", "twitter", "--at", "2030-01-01", "--json"))
	r := newTrial(t, "layout", "check", "mastodon", "js53", "--json")
	assert.Equal(t, statusFailed, r.run())
	answer := objects(t, r.out.String())[0]
	assert.Equal(t, false, answer["disjoint"])
	assert.Contains(t, answer, "safe_from")
	assert.Nil(t, answer["safe_from"])
}

// TestHandoverNamesTheIDsThatDisjointCompares: what is printed is what decided.
func TestHandoverNamesTheIDsThatDisjointCompares(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	presets := layout.Presets()
	for range 5000 {
		old, next := presets[random.IntN(len(presets))].Layout, presets[random.IntN(len(presets))].Layout
		at := time.Unix(random.Int64N(5e9), random.Int64N(1e9))
		if random.IntN(2) == 0 {
			at = at.Truncate(time.Second)
		}
		oldMax, hasOld := lastBefore(old, at)
		newMin, hasNew := firstFrom(next, at)
		err := layout.Disjoint(old, next, at)
		require.Equal(t, !hasOld || !hasNew || newMin > oldMax, err == nil)
		if overlap, ok := errors.AsType[*layout.OverlapError](err); ok {
			require.Equal(t, overlap.OldMax, oldMax)
			require.Equal(t, overlap.NewMin, newMin)
		}
	}
}
