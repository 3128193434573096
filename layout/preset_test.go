package layout_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// TestPresetsGolden pins the presets: IDs in users' tables depend on them. If
// this test fails, the code is wrong, not the table.
func TestPresetsGolden(t *testing.T) {
	want := map[string]string{
		"easyflake":  "epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8",
		"twitter":    "epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12",
		"discord":    "epoch=2015-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12",
		"instagram":  "epoch=2011-08-24T21:07:01.721Z,unit=1ms,time=40,node=13,sequence=10",
		"sonyflake":  "epoch=2014-09-01T00:00:00Z,unit=10ms,time=39,sequence=8,node=16",
		"sonyflake2": "epoch=2025-01-01T00:00:00Z,unit=10ms,time=39,sequence=8,node=16",
		"mastodon":   "epoch=1970-01-01T00:00:00Z,unit=1ms,time=47,node=0,sequence=16",
		"baidu":      "epoch=2016-05-19T16:00:00Z,unit=1s,time=28,node=22,sequence=13",
		"leaf":       "epoch=2010-11-04T01:42:54.657Z,unit=1ms,time=41,node=10,sequence=12",
		"cosid":      "epoch=2019-12-24T16:00:00Z,unit=1ms,time=41,node=10,sequence=12",
		"yitter":     "epoch=2020-02-19T18:20:02Z,unit=1ms,time=51,node=6,sequence=6",
		"js53":       "epoch=2023-02-08T12:24:00Z,unit=10ms,time=38,node=8,sequence=7",
	}
	got := make(map[string]string)
	for _, p := range layout.Presets() {
		got[p.Name] = p.Layout.String()
	}
	assert.Equal(t, want, got)
}

func TestPresets(t *testing.T) {
	for _, p := range layout.Presets() {
		t.Run(p.Name, func(t *testing.T) {
			// Presets are literals: New must agree that they are layouts.
			assert.Equal(t, p.Layout, mustNew(t, p.Layout.Config()))
			assert.NotEmpty(t, p.Description)
			assert.NotContains(t, p.Description, "\n")

			byName, err := layout.ByName(p.Name)
			require.NoError(t, err)
			assert.Equal(t, p.Layout, byName)
			assert.Equal(t, p.Layout, mustParse(t, p.Name))
			assert.Equal(t, p.Layout, mustParse(t, p.Layout.String()))

			largest, err := p.Layout.Decompose(p.Layout.MaxID())
			require.NoError(t, err)
			assert.Equal(t, p.Layout.End(), largest.Time.Add(p.Layout.Unit()))
			assert.NotEmpty(t, largest.Time.Format(time.RFC3339Nano))
			back, err := p.Layout.Compose(largest.Tick, largest.Node, largest.Sequence)
			require.NoError(t, err)
			assert.Equal(t, p.Layout.MaxID(), back)
			if p.Name != "js53" {
				assert.Equal(t, layout.ID(math.MaxInt64), back, "foreign IDs have 63 bits")
			}
		})
	}
}

func TestPresetsAreFresh(t *testing.T) {
	layout.Presets()[0] = layout.Preset{}
	assert.Equal(t, "easyflake", layout.Presets()[0].Name)
}

// TestPresetsDecodeRealIDs takes IDs that the systems' own documentation, or
// others' records of them, show together with their parts.
func TestPresetsDecodeRealIDs(t *testing.T) {
	for _, c := range []struct {
		preset         string
		id             layout.ID
		time           string
		node, sequence int64
		source         string
	}{
		{
			"twitter", 1541815603606036480, "2022-06-28T16:07:40.105Z", 378, 0,
			"Wikipedia, Snowflake ID: tick 367597485448, machine 378, sequence 0",
		},
		{
			"discord", 175928847299117063, "2016-04-30T11:18:25.796Z", 1 << 5, 7,
			"Discord's developer documentation: worker 1, process 0, increment 7",
		},
		{
			"instagram", 2384288897814875714, "2020-08-26T13:43:27.313Z", 2675, 578,
			"Stack Overflow question 63683015, to the second",
		},
		{
			"instagram", 2383568809444681765, "2020-08-25T13:52:46.09Z", 2474, 37,
			"Stack Overflow question 63683015, to the second",
		},
		{
			"mastodon", 103270115826048975, "2019-12-08T03:48:33.849Z", 0, 40911,
			"Mastodon's documentation of Status, where created_at is 52 ms later",
		},
		{
			"sonyflake", 647462143503110708, "2026-11-23T15:18:30.69Z", 4660, 4,
			"made with github.com/sony/sonyflake v1.3.0 for this test",
		},
		{
			"sonyflake2", 57716822086455860, "2026-02-03T04:05:06.78Z", 4660, 7,
			"composed by github.com/sony/sonyflake/v2 v2.2.0",
		},
		{
			"yitter", 873720662810949, "2026-11-23T15:18:30.694Z", 5, 5,
			"made with github.com/yitter/idgenerator-go v1.3.3, whose sequence starts at 5",
		},
		{
			"baidu", 180363646902239241, "2016-07-19T10:07:53Z", 4, 9,
			"UidGenerator's README: worker 4, sequence 9 (its time is of another epoch)",
		},
	} {
		t.Run(c.preset, func(t *testing.T) {
			p, err := mustParse(t, c.preset).Decompose(c.id)
			require.NoError(t, err)
			assert.Equal(t, c.time, p.Time.Format(time.RFC3339Nano), c.source)
			assert.Equal(t, c.node, p.Node, c.source)
			assert.Equal(t, c.sequence, p.Sequence, c.source)
		})
	}
}

// TestPresetEnds compares ends of life with those that the systems state.
func TestPresetEnds(t *testing.T) {
	// "until to 2024-11-20 21:24:16" in China, says DefaultUidGenerator.
	china := time.FixedZone("UTC+8", 8*60*60)
	assert.Equal(t, time.Date(2024, 11, 20, 21, 24, 16, 0, china).UTC(), mustParse(t, "baidu").End())
	// "The lifetime (174 years)", says Sonyflake's README.
	assert.Equal(t, 2014+174, mustParse(t, "sonyflake").End().Year())
	assert.Equal(t, 2084, mustParse(t, "discord").End().Year())
	assert.Equal(t, 2046, mustParse(t, "instagram").End().Year())
}

func TestJS53(t *testing.T) {
	l := mustParse(t, "js53")
	const maxSafeInteger = 1<<53 - 1
	assert.Equal(t, layout.ID(maxSafeInteger), l.MaxID())
	assert.Equal(t, l.MaxID(), layout.ID(float64(l.MaxID())), "a float64 must hold it")
	assert.Equal(t, layout.Default().MaxNode(), l.MaxNode())
	assert.Equal(t, 2110, l.End().Year())

	unsafe, err := layout.Default().Decompose(maxSafeInteger + 1)
	require.NoError(t, err)
	assert.Equal(t, "2027-06", unsafe.Time.Format("2006-01"), "as the documentation says")
}

func TestUnknownPreset(t *testing.T) {
	for name, nearest := range map[string]string{
		"twiter":     "twitter",
		"tiwtter":    "twitter",
		"fiwtter":    "twitter",
		"osnflake":   "sonyflake",
		"Twitter":    "twitter",
		"DISCORD":    "discord",
		"sonyflake1": "sonyflake",
		"sonyflake3": "sonyflake",
		"easy-flake": "easyflake",
		"maston":     "mastodon",
		"instagramm": "instagram",
		"js-53":      "js53",
		"lea":        "leaf",
		"cosdi":      "cosid",
		"bytter":     "yitter",
	} {
		_, err := layout.ByName(name)
		var unknown *layout.UnknownPresetError
		require.ErrorAs(t, err, &unknown, name)
		assert.Equal(t, name, unknown.Name)
		assert.Equal(t, nearest, unknown.Nearest, name)
		_, err = layout.Parse(name)
		require.ErrorAs(t, err, &unknown, name)
	}
	for _, name := range []string{"", "\xff\xfe\xfd", strings.Repeat("twitter", 1<<20)} {
		_, err := layout.ByName(name)
		var unknown *layout.UnknownPresetError
		require.ErrorAs(t, err, &unknown)
		assert.NotEmpty(t, unknown.Nearest)
		assert.Less(t, len(err.Error()), 500)
	}
	_, err := layout.ByName("twiter")
	require.EqualError(t, err, `layout: no preset is named "twiter"; the nearest is "twitter" (easyflake-cli layout list shows all)`)
}
