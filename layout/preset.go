package layout

import (
	"fmt"
	"time"
)

// Preset is the layout of a known system under its name.
type Preset struct {
	// Name is what [ByName] and [Parse] know the layout by.
	Name string
	// Layout decodes the system's IDs.
	Layout Layout
	// Description says in one line whose IDs these are.
	Description string
}

// UnknownPresetError reports a name that is no preset.
type UnknownPresetError struct {
	// Name is what was asked for.
	Name string
	// Nearest is the preset whose name is nearest.
	Nearest string
}

// Error returns a message that names the nearest preset.
func (e *UnknownPresetError) Error() string {
	return fmt.Sprintf("layout: no preset is named %s; the nearest is %q (easyflake-cli layout list shows all)", quote(e.Name), e.Nearest)
}

// ByName returns the preset of that name, or an [*UnknownPresetError].
func ByName(name string) (Layout, error) {
	presets := Presets()
	names := make([]string, 0, len(presets))
	for _, p := range presets {
		if p.Name == name {
			return p.Layout, nil
		}
		names = append(names, p.Name)
	}
	return Layout{}, &UnknownPresetError{Name: name, Nearest: nearest(name, names)}
}

// Presets returns the layouts of known systems, each as its code or its own
// documentation states it:
//
//   - easyflake: [Default]. EasyFlake for Python, with its default arguments.
//   - twitter: Snowflake and the IDs of Twitter and X since November 2010; the
//     node is the datacenter (5 bits) and the worker (5 bits)
//     (github.com/twitter-archive/snowflake, IdWorker.scala).
//   - discord: the node is the worker (5 bits) and the process (5 bits). Discord
//     reads IDs as unsigned, with 42 time bits; the 41 here last until 2084
//     (Discord's developer documentation, "Snowflakes").
//   - instagram: the node is the shard. The original fills 64 bits, 41 of them
//     time, of which the highest would be an int64's sign; the 40 here last until
//     2046 (Instagram's engineering blog, "Sharding & IDs at Instagram", 2012).
//   - sonyflake: version 1; the node is the machine (github.com/sony/sonyflake).
//   - sonyflake2: version 2, which differs in its default epoch
//     (github.com/sony/sonyflake/v2).
//   - mastodon: the sequence is the 16 bits that Mastodon makes of a hash and a
//     counter (github.com/mastodon/mastodon, lib/mastodon/snowflake.rb).
//   - baidu: UidGenerator, DefaultUidGenerator and CachedUidGenerator. Its epoch
//     "2016-05-20" is read in the server's time zone; this is the one that its
//     code names in milliseconds, midnight in China. With an epoch of your own,
//     change [Layout.Config] (github.com/baidu/uid-generator).
//   - leaf: Meituan Leaf in snowflake mode (github.com/Meituan-Dianping/Leaf,
//     SnowflakeIDGenImpl.java).
//   - cosid: CosId's MillisecondSnowflakeId; the node is the machine
//     (github.com/Ahoo-Wang/CosId).
//   - yitter: IdGenerator with its default lengths; the node is the worker
//     (github.com/yitter/IdGenerator).
//   - js53: our own, for IDs that must pass through JavaScript's numbers, which
//     are exact up to 2^53 − 1, and which EasyFlake's default outgrows in June
//     2027. Ticks of 10 ms make 38 bits last 87 years, until 2110; the other 15
//     bits keep EasyFlake's 256 nodes and give each 12,800 IDs a second, in bursts
//     of up to 128.
func Presets() []Preset {
	return []Preset{
		{"easyflake", Default(), "EasyFlake's default: 256 nodes, 256,000 IDs a second each"},
		{"twitter", millis(1288834974657, 41, 10, 12), "Twitter and X, Snowflake; node = datacenter and worker"},
		{"discord", millis(1420070400000, 41, 10, 12), "Discord; node = worker and process"},
		{"instagram", millis(1314220021721, 40, 13, 10), "Instagram; node = shard"},
		{"sonyflake", sonyflake(time.Date(2014, 9, 1, 0, 0, 0, 0, time.UTC)), "Sonyflake version 1; node = machine"},
		{"sonyflake2", sonyflake(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)), "Sonyflake version 2; node = machine"},
		{"mastodon", millis(0, 47, 0, 16), "Mastodon; sequence = its 16-bit tail"},
		{"baidu", ticks(1463673600000, time.Second, 28, 22, 13), "Baidu UidGenerator; node = worker"},
		{"leaf", millis(1288834974657, 41, 10, 12), "Meituan Leaf, snowflake mode; node = worker"},
		{"cosid", millis(1577203200000, 41, 10, 12), "CosId MillisecondSnowflakeId; node = machine"},
		{"yitter", millis(1582136402000, 51, 6, 6), "yitter IdGenerator; node = worker"},
		{"js53", ticks(1675859040000, 10*time.Millisecond, 38, 8, 7), "safe as a JavaScript number: 53 bits, 256 nodes, 12,800 IDs a second each"},
	}
}

// millis is ticks with a unit of 1 ms.
func millis(epoch int64, timeBits, nodeBits, sequenceBits uint8) Layout {
	return ticks(epoch, time.Millisecond, timeBits, nodeBits, sequenceBits)
}

// ticks builds a layout whose fields are known to be right; the epoch is in Unix
// milliseconds.
func ticks(epoch int64, unit time.Duration, timeBits, nodeBits, sequenceBits uint8) Layout {
	return Layout{
		epoch:        epoch * int64(time.Millisecond),
		unit:         unit,
		timeBits:     timeBits,
		nodeBits:     nodeBits,
		sequenceBits: sequenceBits,
	}
}

func sonyflake(epoch time.Time) Layout {
	l := ticks(epoch.UnixMilli(), 10*time.Millisecond, 39, 16, 8)
	l.order = TimeSequenceNode
	return l
}
