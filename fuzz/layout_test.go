package fuzz

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// FuzzLayoutConfig looks for a configuration that New takes and then cannot be
// relied on: IDs that do not come apart as they were put together, a text that is
// another layout's, times that do not go back and forth.
func FuzzLayoutConfig(f *testing.F) {
	add := func(c layout.Config, tick, node, sequence int64) {
		f.Add(c.Epoch.Unix(), int64(c.Epoch.Nanosecond()), int64(c.Unit), c.TimeBits, c.NodeBits, c.SequenceBits, uint8(c.Order), tick, node, sequence)
	}
	add(layout.DefaultConfig(), 1, 2, 3)
	for _, p := range layout.Presets() {
		add(p.Layout.Config(), p.Layout.MaxTick(), p.Layout.MaxNode(), p.Layout.MaxSequence())
	}
	add(layout.Config{Epoch: time.Unix(0, 0), Unit: layout.MinUnit, TimeBits: 62, SequenceBits: 1}, 1<<62-1, 0, 1)
	add(layout.Config{Epoch: time.Unix(9214646399, 999999999), Unit: math.MaxInt64, NodeBits: 31, SequenceBits: 31, Order: layout.TimeSequenceNode}, 1, 1, 1)
	add(layout.Config{Epoch: time.Unix(-1, 0), Unit: -1, TimeBits: -1, NodeBits: math.MaxInt, SequenceBits: math.MinInt, Order: 7}, -1, -1, -1)
	add(layout.Config{Epoch: time.Unix(math.MaxInt64, 0), Unit: time.Hour, TimeBits: 63}, 0, 0, 0)
	f.Fuzz(func(t *testing.T, seconds, nanos, unit int64, timeBits, nodeBits, sequenceBits int, order uint8, tick, node, sequence int64) {
		l, err := layout.New(layout.Config{
			Epoch: time.Unix(seconds, nanos), Unit: time.Duration(unit),
			TimeBits: timeBits, NodeBits: nodeBits, SequenceBits: sequenceBits, Order: layout.Order(order),
		})
		if err != nil {
			refusedField(t, err)
			if !l.IsZero() {
				t.Fatalf("a layout, %v, came with %v", l, err)
			}
			return
		}
		soundLayout(t, l)
		composes(t, l, tick, node, sequence)
		composes(t, l, tick&l.MaxTick(), node&l.MaxNode(), sequence&l.MaxSequence())
	})
}

// FuzzEasyFlakeLayout does the same with the arguments of EasyFlake for Python.
func FuzzEasyFlakeLayout(f *testing.F) {
	f.Add(8, 8, 1675859040.0, 3)
	f.Add(1, 61, 0.0, 0)
	f.Add(31, 31, 9214646399.999999, 6)
	f.Add(0, -1, math.NaN(), 7)
	f.Add(math.MaxInt, math.MaxInt, math.Inf(1), 6)
	f.Add(10, 10, math.Copysign(0, -1), 5)
	f.Add(10, 10, math.SmallestNonzeroFloat64, 6)
	f.Fuzz(func(t *testing.T, nodeBits, sequenceBits int, epoch float64, scale int) {
		l, err := layout.EasyFlake(nodeBits, sequenceBits, epoch, scale)
		if err != nil {
			refusedField(t, err)
			return
		}
		soundLayout(t, l)
		if l.NodeBits() != nodeBits || l.SequenceBits() != sequenceBits || l.Epoch().Unix() > int64(epoch) {
			t.Fatalf("EasyFlake(%d, %d, %v, %d) is %v", nodeBits, sequenceBits, epoch, scale, l)
		}
	})
}

// FuzzLayoutText looks for text that is read as a layout and does not become the
// canonical text of that layout and no other, or is another spelling of one than
// the documentation allows.
func FuzzLayoutText(f *testing.F) {
	for _, p := range layout.Presets() {
		f.Add(p.Name)
		f.Add(p.Layout.String())
	}
	for _, text := range []string{
		"", "node=10", "sequence=0", "sequence=8,node=8", "time=0,unit=1h2m3.5s,node=1", "unit=100µs", "unit=100us,time=62,node=0,sequence=1",
		"epoch=2023-02-08T12:24:00.123456789+02:00,unit=1ms,time=47,node=8,sequence=8", "node=8,node=8", "nodes=8", "node=08", "node=+8", "node=8,",
		"epoch=9999-12-31T23:59:59Z", "unit=-1ms", "unit=9223372036854775807ns", "unit=1ms,time=63", "epoch=1970-01-01T00:00:00Z,unit=2562047h,time=13,node=0,sequence=0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := layout.Parse(text)
		before := layout.Default()
		into := before
		if unmarshal := into.UnmarshalText([]byte(text)); (unmarshal == nil) != (err == nil) || err != nil && into != before || err == nil && into != l {
			t.Fatalf("%q is parsed as %v (%v), and unmarshalled as %v (%v)", text, l, err, into, unmarshal)
		}
		if err != nil {
			if _, unknown := errors.AsType[*layout.UnknownPresetError](err); !unknown {
				refusedField(t, err)
			}
			if !l.IsZero() {
				t.Fatalf("a layout, %v, came with %v", l, err)
			}
			return
		}
		soundLayout(t, l)
		if preset, err := layout.ByName(text); err == nil {
			if preset != l {
				t.Fatalf("%q is parsed as %v", text, l)
			}
			return
		}
		saysWhatItIs(t, text, l)
	})
}

// refusedField makes sure that an error of package layout says what is wrong.
func refusedField(t *testing.T, err error) {
	t.Helper()
	var field *layout.FieldError
	if !errors.As(err, &field) || field.Field == "" || field.Reason == "" {
		t.Fatalf("not an error that names a field: %v", err)
	}
}

// soundLayout checks what is true of every layout.
func soundLayout(t *testing.T, l layout.Layout) {
	t.Helper()
	if l.IsZero() || l.TimeBits() < 1 || l.Bits() > layout.MaxBits || l.MaxID() < 0 || l.MaxTick() < 1 {
		t.Fatalf("%v has %d bits, %d of them for the time", l, l.Bits(), l.TimeBits())
	}
	again, err := layout.New(l.Config())
	if err != nil || again != l {
		t.Fatalf("%v, made from its own configuration, is %v (%v)", l, again, err)
	}
	text := l.String()
	parsed, err := layout.Parse(text)
	if err != nil || parsed != l || parsed.String() != text {
		t.Fatalf("%s is parsed as %v (%v)", text, parsed, err)
	}
	end := l.End()
	if !end.After(l.Epoch()) || end.Unix() > 1<<53 {
		t.Fatalf("%v lives from %v to %v", l, l.Epoch(), end)
	}
	if _, err := l.Tick(end); !errors.Is(err, layout.ErrPastEnd) {
		t.Fatalf("%v: its end, %v, lies in a tick: %v", l, end, err)
	}
	if err := l.Check(end); !errors.Is(err, layout.ErrLifeOver) {
		t.Fatalf("%v: at its end, Check says %v", l, err)
	}
	for _, tick := range []int64{0, 1, l.MaxTick() / 2, l.MaxTick()} {
		composes(t, l, tick, l.MaxNode(), l.MaxSequence())
		composes(t, l, tick, 0, 0)
	}
}

// composes puts an ID together and takes it apart, if it may be one.
func composes(t *testing.T, l layout.Layout, tick, node, sequence int64) {
	t.Helper()
	valid := tick >= 0 && tick <= l.MaxTick() && node >= 0 && node <= l.MaxNode() && sequence >= 0 && sequence <= l.MaxSequence()
	id, err := l.Compose(tick, node, sequence)
	if !valid || err != nil {
		if valid || err == nil {
			t.Fatalf("%v: Compose(%d, %d, %d) is %d, %v", l, tick, node, sequence, id, err)
		}
		refusedField(t, err)
		return
	}
	parts, err := l.Decompose(id)
	if err != nil || id < 0 || id > l.MaxID() || parts.Tick != tick || parts.Node != node || parts.Sequence != sequence {
		t.Fatalf("%v: (%d, %d, %d) is composed to %d, and that decomposed to %+v (%v)", l, tick, node, sequence, id, parts, err)
	}
	if back, err := l.Tick(parts.Time); err != nil || back != tick || !parts.Time.Equal(l.Time(tick)) {
		t.Fatalf("%v: tick %d begins at %v, and that lies in tick %d (%v)", l, tick, parts.Time, back, err)
	}
	least, err := l.Min(parts.Time)
	if err != nil || least > id {
		t.Fatalf("%v: the least ID of %v is %d (%v), and yet there is %d", l, parts.Time, least, err, id)
	}
	if most, err := l.Max(parts.Time); err != nil || most < id {
		t.Fatalf("%v: the largest ID of %v is %d (%v), and yet there is %d", l, parts.Time, most, err, id)
	}
}
