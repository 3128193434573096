package generator

import (
	"context"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// What every CPU reads must not share a cache line with what some CPU writes; and
// CPUs fetch lines in pairs of 64 bytes.
const apart = 128

// offsets returns where the fields of a struct lie, in bytes: [from, to), embedded
// structs taken apart.
func offsets(of reflect.Type, base uintptr, into map[string][2]uintptr) map[string][2]uintptr {
	for f := range of.Fields() {
		into[f.Name] = [2]uintptr{base + f.Offset, base + f.Offset + f.Type.Size()}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			offsets(f.Type, base+f.Offset, into)
		}
	}
	return into
}

func TestNoFalseSharing(t *testing.T) {
	for _, c := range []struct {
		name          string
		of            reflect.Type
		read, written []string
	}{
		{
			"Mutex", reflect.TypeFor[Mutex](),
			[]string{"rule", "clock", "tsc", "high", "low", "step", "window", "strategy", "single", "layout", "source", "ctx"},
			[]string{"gate", "control", "closed", "changed", "counters", "mu", "word", "done"},
		},
		{
			"Atomic", reflect.TypeFor[Atomic](),
			[]string{"rule", "clock", "tsc", "high", "low", "step", "window", "strategy", "single", "layout", "source", "ctx"},
			[]string{"gate", "control", "closed", "changed", "counters", "value", "done"},
		},
		{
			"Sharded", reflect.TypeFor[Sharded](),
			[]string{"rule", "clock", "tsc", "high", "low", "step", "window", "strategy", "single", "layout", "source", "ctx", "shards"},
			[]string{"gate", "control", "closed", "changed", "counters", "value", "done"},
		},
	} {
		fields := offsets(c.of, 0, map[string][2]uintptr{})
		if word, ok := c.of.FieldByName("word"); ok && word.Type.Kind() == reflect.Struct {
			offsets(word.Type, word.Offset, fields)
		}
		for _, r := range c.read {
			require.Contains(t, fields, r, c.name)
			assert.GreaterOrEqual(t, fields[r][0], uintptr(apart), "%s.%s has what lies before in memory too near", c.name, r)
			assert.GreaterOrEqual(t, c.of.Size()-fields[r][1], uintptr(apart), "%s.%s has what lies after in memory too near", c.name, r)
			for _, w := range c.written {
				require.Contains(t, fields, w, c.name)
				near := fields[w][0] < fields[r][1]+apart && fields[r][0] < fields[w][1]+apart
				assert.False(t, near, "%s: %s at %v is read by all, and too near to %s at %v, which is written", c.name, r, fields[r], w, fields[w])
			}
		}
	}

	// The window is read with every ID, and other memory lies around it.
	assert.Zero(t, unsafe.Sizeof(snapshot{})%64, "a snapshot of %d bytes shares a cache line", unsafe.Sizeof(snapshot{}))
}

// No two shards of a table have their fields in one pair of cache lines.
func TestShardsLieApart(t *testing.T) {
	table := newShards(8, nil)
	for i := 1; i < len(table.of); i++ {
		last, first := &table.of[i-1].discarded, &table.of[i].window
		end := uintptr(unsafe.Pointer(last)) + unsafe.Sizeof(*last)
		assert.GreaterOrEqual(t, uintptr(unsafe.Pointer(first))-end, uintptr(apart), "shard %d", i)
	}
}

func TestNoAllocations(t *testing.T) {
	each(t, func(t *testing.T, open opener) {
		t.Helper()
		for name, l := range map[string]layout.Layout{"wide": small(t, 43, 0, 20), "default": layout.Default(), "one a tick": small(t, 40, 8, 0)} {
			fake := clocktest.New(l.Epoch().Add(time.Hour))
			fake.Run(time.Microsecond) // and waiting takes no time
			for which, c := range map[string]clock.Clock{"fake": fake, "Monotonic": clock.NewMonotonic(), "default": clock.Default()} {
				if l.SequenceBits() < 20 && which != "fake" {
					continue // would wait for real
				}
				g := open(t, l, newLease(layout.Window{Node: 0, From: 1, Until: l.MaxTick() + 1}), WithClock(c))
				dst := make([]layout.ID, 64)
				ctx := context.Background()
				for call, f := range map[string]func() error{
					"Next":        func() error { _, err := g.Next(); return err },
					"Fill":        func() error { _, err := g.Fill(dst); return err },
					"NextContext": func() error { _, err := g.NextContext(ctx); return err },
					"LastTick":    func() error { _ = g.LastTick(); return nil },
					"Stats":       func() error { _ = g.Stats(); return nil },
				} {
					for range 100 {
						require.NoError(t, f()) // the first ones may
					}
					allocs := testing.AllocsPerRun(1000, func() {
						if err := f(); err != nil {
							t.Error(err)
						}
					})
					assert.Zero(t, allocs, "%s, layout %s, clock %s", call, name, which)
				}
			}
		}
	})
}

// What the fast paths are made of has to be inlined into them.
func TestInlining(t *testing.T) {
	if raceEnabled || runtime.GOARCH == "386" {
		t.Skip("a test of the usual build")
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-m", "github.com/easyflake/easyflake/generator").CombinedOutput()
	require.NoError(t, err, "%s", out)
	var can []string
	for _, m := range regexp.MustCompile(`can inline (\S+)`).FindAllStringSubmatch(string(out), -1) {
		can = append(can, strings.TrimSuffix(m[1], ":"))
	}
	for _, want := range []string{
		"(*ticks).at", "(*ticks).start", "(*core).compose", "(*rule).used",
		"(*shards).pin", "(*shards).unpin", "(*snapshot).empty", "(*shard).take",
	} {
		assert.Contains(t, can, want)
	}
}
