package layout_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// TestComposeGolden pins IDs that users have stored. They must never change: if
// this test fails, the code is wrong, not the table.
func TestComposeGolden(t *testing.T) {
	for _, c := range []struct {
		layout               string
		tick, node, sequence int64
		want                 layout.ID
	}{
		{"easyflake", 0, 0, 0, 0},
		{"easyflake", 119632028000, 1, 1, 7840204587008257},
		{"easyflake", 1<<47 - 1, 255, 255, math.MaxInt64},
		{"easyflake", 1, 2, 3, 1<<16 | 2<<8 | 3},
		{"twitter", 367597485448, 378, 0, 1541815603606036480},
		{"sonyflake", 38591751069, 4660, 4, 647462143503110708},
		{"sonyflake", 1, 2, 3, 1<<24 | 3<<16 | 2},
		{"node=0,sequence=16", 1, 0, 7, 1<<16 | 7},
		{"node=16,sequence=0", 1, 7, 0, 1<<16 | 7},
		{"node=3,sequence=4,time=5", 31, 7, 15, 1<<12 - 1},
	} {
		l := mustParse(t, c.layout)
		id, err := l.Compose(c.tick, c.node, c.sequence)
		require.NoError(t, err)
		assert.Equal(t, c.want, id, "%+v", c)
		parts, err := l.Decompose(id)
		require.NoError(t, err)
		assert.Equal(t, layout.Parts{Time: slowTime(l, c.tick), Tick: c.tick, Node: c.node, Sequence: c.sequence}, parts)
	}
}

func TestComposeAgreesWithTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 5000 {
		l := randomLayout(r)
		tick, node, sequence := r.Int64N(l.MaxTick()+1), r.Int64N(l.MaxNode()+1), r.Int64N(l.MaxSequence()+1)

		// Multiplication in place of shifts.
		want := tick*(l.MaxNode()+1)*(l.MaxSequence()+1) + node*(l.MaxSequence()+1) + sequence
		if l.Order() == layout.TimeSequenceNode {
			want = tick*(l.MaxNode()+1)*(l.MaxSequence()+1) + sequence*(l.MaxNode()+1) + node
		}
		id, err := l.Compose(tick, node, sequence)
		require.NoError(t, err)
		require.Equal(t, layout.ID(want), id, "%v", l)
		require.LessOrEqual(t, id, l.MaxID())

		parts, err := l.Decompose(id)
		require.NoError(t, err)
		require.Equal(t, layout.Parts{Time: slowTime(l, tick), Tick: tick, Node: node, Sequence: sequence}, parts)
	}
}

func TestComposeErrors(t *testing.T) {
	l := mustParse(t, "time=10,node=3,sequence=4")
	for _, c := range []struct {
		tick, node, sequence int64
		message              string
	}{
		{-1, 0, 0, "layout: tick -1: must be between 0 and 1023 (10 tick bits)"},
		{1024, 0, 0, "layout: tick 1024: must be between 0 and 1023 (10 tick bits)"},
		{math.MaxInt64, 9, 99, "layout: tick 9223372036854775807: must be between 0 and 1023 (10 tick bits)"},
		{0, -1, 0, "layout: node -1: must be between 0 and 7 (3 node bits)"},
		{0, 8, 0, "layout: node 8: must be between 0 and 7 (3 node bits)"},
		{0, 0, -1, "layout: sequence -1: must be between 0 and 15 (4 sequence bits)"},
		{0, 0, 16, "layout: sequence 16: must be between 0 and 15 (4 sequence bits)"},
	} {
		id, err := l.Compose(c.tick, c.node, c.sequence)
		assert.Zero(t, id)
		require.EqualError(t, err, c.message)
	}
}

func TestDecomposeErrors(t *testing.T) {
	_, err := layout.Default().Decompose(-1)
	require.EqualError(t, err, "layout: id -1: must not be negative")
	js53 := mustParse(t, "js53")
	_, err = js53.Decompose(1 << 53)
	require.EqualError(t, err, "layout: id 9007199254740992: must be at most 9007199254740991 (the layout has 53 bits)")
	_, err = js53.Decompose(1<<53 - 1)
	require.NoError(t, err)
	_, err = layout.Layout{}.Decompose(1)
	require.Error(t, err)
}

// TestEveryIDDecodes goes through all IDs of small layouts: each decodes, and
// composes back.
func TestEveryIDDecodes(t *testing.T) {
	for _, text := range []string{
		"time=5,node=3,sequence=4", "time=5,sequence=3,node=4", "time=8,node=0,sequence=0",
		"time=6,node=6,sequence=0", "time=6,node=0,sequence=6",
	} {
		l := mustParse(t, text)
		seen := make(map[layout.Parts]bool)
		for id := layout.ID(0); id <= l.MaxID(); id++ {
			p, err := l.Decompose(id)
			require.NoError(t, err)
			require.False(t, seen[p], "%v", p)
			seen[p] = true
			back, err := l.Compose(p.Tick, p.Node, p.Sequence)
			require.NoError(t, err)
			require.Equal(t, id, back)
		}
		require.Len(t, seen, 1<<l.Bits())
	}
}

func TestTickAndTimeAgreeWithTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 5000 {
		l := randomLayout(r)
		tick := r.Int64N(l.MaxTick() + 1)
		start := l.Time(tick)
		require.Equal(t, slowTime(l, tick), start, "%v tick %d", l, tick)

		for _, when := range []time.Time{
			start, start.Add(-1), start.Add(1), start.Add(l.Unit() - 1), start.Add(l.Unit()),
			time.Unix(r.Int64N(1<<40)-1<<30, r.Int64N(1e9)),
			time.Unix(r.Int64(), r.Int64N(1e9)),
			wrapping(l, -1), wrapping(l, 0), wrapping(l, 1),
		} {
			got, err := l.Tick(when)
			switch want := slowTick(l, when); {
			case want.Sign() < 0:
				require.ErrorIs(t, err, layout.ErrBeforeEpoch)
			case !want.IsInt64() || want.Int64() > l.MaxTick():
				require.ErrorIs(t, err, layout.ErrPastEnd)
			default:
				require.NoError(t, err)
				require.Equal(t, want.Int64(), got, "%v at %v", l, when)
			}
		}
	}
}

// wrapping returns a time at which the quotient of nanoseconds and unit comes to
// 2^64, give or take some seconds.
func wrapping(l layout.Layout, seconds int64) time.Time {
	n := new(big.Int).Lsh(big.NewInt(int64(l.Unit())), 64)
	n.Add(n, bigNanos(l.Epoch()))
	return time.Unix(n.Div(n, big.NewInt(1e9)).Int64()+seconds, 0)
}

func TestTimeClamps(t *testing.T) {
	l := layout.Default()
	assert.Equal(t, l.Epoch(), l.Time(0))
	assert.Equal(t, l.Epoch(), l.Time(-1))
	assert.Equal(t, l.Epoch(), l.Time(math.MinInt64))
	assert.Equal(t, l.End(), l.Time(l.MaxTick()+1))
	assert.Equal(t, l.End(), l.Time(l.MaxTick()+2))
	assert.Equal(t, l.End(), l.Time(math.MaxInt64))
}

func TestTickAtTheEdges(t *testing.T) {
	l := mustParse(t, "epoch=2023-02-08T12:24:00.123456789Z,unit=1s,time=4,node=4,sequence=4")
	epoch := l.Epoch()
	for _, c := range []struct {
		when time.Time
		tick int64
		err  error
	}{
		{epoch, 0, nil},
		{epoch.Add(-1), 0, layout.ErrBeforeEpoch},
		{epoch.Add(time.Second - 1), 0, nil},
		{epoch.Add(time.Second), 1, nil},
		{epoch.Add(16*time.Second - 1), 15, nil},
		{epoch.Add(16 * time.Second), 0, layout.ErrPastEnd},
		{epoch.In(time.FixedZone("UTC+8", 8*60*60)), 0, nil},
		{time.Time{}, 0, layout.ErrBeforeEpoch},
		{time.Unix(math.MinInt64, 0), 0, layout.ErrBeforeEpoch},
		{time.Unix(math.MaxInt64, 0), 0, layout.ErrPastEnd},
	} {
		tick, err := l.Tick(c.when)
		assert.Equal(t, c.tick, tick, "%v", c.when)
		require.ErrorIs(t, err, c.err, "%v", c.when)
	}
	_, err := l.Tick(epoch.Add(-1))
	require.EqualError(t, err, "layout: 2023-02-08T12:24:00.123456788Z is before the layout's epoch, 2023-02-08T12:24:00.123456789Z")
	_, err = l.Tick(l.End())
	require.EqualError(t, err, "layout: 2023-02-08T12:24:16.123456789Z is past the layout's last tick, 2023-02-08T12:24:15.123456789Z")
}

// TestFarFuture has layouts that outlive int64 nanoseconds (2262) and RFC 3339
// (9999).
func TestFarFuture(t *testing.T) {
	for _, c := range []struct {
		layout string
		end    string
	}{
		{"easyflake", "6482-11-24T15:09:55.328Z"},
		{"yitter", "73376-10-30T14:34:47.248Z"},
		{"unit=1us,node=0,sequence=1", "148161-08-14T02:24:27.387904Z"},
		{"unit=1us,node=0,sequence=13", "2058-10-13T18:22:26.842624Z"},
		{"epoch=1970-01-01T00:00:00Z,unit=1s,node=0,sequence=0", "285428751-11-12T07:36:32Z"},
		{"epoch=1970-01-01T00:00:00Z,unit=1h,time=40", "125433661-03-31T16:00:00Z"},
		{"epoch=2261-12-31T23:59:59.999999999Z", "6721-10-18T02:45:55.327999999Z"},
	} {
		t.Run(c.layout, func(t *testing.T) {
			l := mustParse(t, c.layout)
			assert.Equal(t, c.end, l.End().Format(time.RFC3339Nano))
			assert.Equal(t, slowTime(l, l.MaxTick()+1), l.End())

			parts, err := l.Decompose(l.MaxID())
			require.NoError(t, err)
			assert.Equal(t, l.MaxTick(), parts.Tick)
			assert.Equal(t, l.End().Add(-l.Unit()), parts.Time)
			tick, err := l.Tick(l.End().Add(-1))
			require.NoError(t, err)
			assert.Equal(t, l.MaxTick(), tick)
			_, err = l.Tick(l.End())
			require.ErrorIs(t, err, layout.ErrPastEnd)
			id, err := l.Compose(parts.Tick, parts.Node, parts.Sequence)
			require.NoError(t, err)
			assert.Equal(t, l.MaxID(), id)
			// Unix milliseconds, which JSON output has, must not overflow either.
			assert.Equal(t, l.End().Unix(), l.End().UnixMilli()/1000)
		})
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]float64{
		"easyflake":          256_000,
		"twitter":            4_096_000,
		"sonyflake":          25_600,
		"baidu":              8192,
		"js53":               12_800,
		"node=8,sequence=0":  1000,
		"unit=1h,sequence=0": 1. / 3600,
	} {
		assert.InEpsilon(t, want, mustParse(t, text).Rate(), 1e-12, text)
	}
}

func TestCheckNode(t *testing.T) {
	l := layout.Default()
	require.NoError(t, l.CheckNode(0))
	require.NoError(t, l.CheckNode(255))
	require.EqualError(t, l.CheckNode(256), "layout: node 256: must be between 0 and 255 (8 node bits)")
	require.EqualError(t, mustParse(t, "node=0").CheckNode(1), "layout: node 1: must be between 0 and 0 (0 node bits)")
}

func TestWindow(t *testing.T) {
	w := layout.Window{Node: 3, From: 10, Until: 20}
	for tick, want := range map[int64]bool{9: false, 10: true, 19: true, 20: false} {
		assert.Equal(t, want, w.Contains(tick), "tick %d", tick)
	}
	assert.False(t, w.IsEmpty())
	assert.True(t, layout.Window{From: 10, Until: 10}.IsEmpty())
	assert.True(t, layout.Window{From: 11, Until: 10}.IsEmpty())
	assert.Equal(t, "node 3, ticks [10, 20)", w.String())

	l := mustParse(t, "time=10,node=3,sequence=4")
	require.NoError(t, l.CheckWindow(w))
	require.NoError(t, l.CheckWindow(layout.Window{Node: 7, From: 0, Until: 1024}))
	require.ErrorContains(t, l.CheckWindow(layout.Window{Node: 8, Until: 1}), "node 8")
	require.ErrorContains(t, l.CheckWindow(layout.Window{From: -1, Until: 1}), "must not start before tick 0")
	require.ErrorContains(t, l.CheckWindow(layout.Window{Until: 1025}), "must not reach past the layout's last tick, 1023")
}

func TestLayoutIsSmallAndComparable(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(layout.Layout{}), uintptr(24))
	seen := map[layout.Layout]bool{layout.Default(): true}
	assert.True(t, seen[mustNew(t, layout.DefaultConfig())])
}

func TestLayoutDoesNotAllocate(t *testing.T) {
	l, now := layout.Default(), time.Unix(1795446000, 0)
	buf := make([]byte, 0, 128)
	for name, f := range map[string]func(){
		"Compose":    func() { _, _ = l.Compose(1, 2, 3) },
		"Decompose":  func() { _, _ = l.Decompose(1 << 40) },
		"Tick":       func() { _, _ = l.Tick(now) },
		"Time":       func() { _ = l.Time(1 << 40) },
		"Check":      func() { _ = l.Check(now) },
		"Min":        func() { _, _ = l.Min(now) },
		"Range":      func() { _, _, _ = l.Range(now, now) },
		"AppendText": func() { buf, _ = l.AppendText(buf[:0]) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}
