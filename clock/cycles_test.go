package clock

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onLine returns a clock that follows l, whether this machine has a counter or not.
func onLine(l line) *TSC {
	c := new(TSC)
	c.line.Store(&l)
	return c
}

// Exactly the readings of the interval, and no others of the line, give times of
// the interval: one cycle more would stamp a tick that is not the clock's.
func TestIntervalAgreesWithNow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		rate := uint64(1)<<28 + rng.Uint64N(10<<32-1<<28)
		l := line{base: rng.Uint64(), span: uint64(stretch) << 32 / rate, rate: rate, ns: machineStart + rng.Int64N(1<<40)}
		l.rate -= l.rate / 10 * uint64(rng.IntN(2)) // slowed down
		at := func(cycles uint64) int64 { return l.at(l.base + cycles) }
		around := func(ns int64) int64 { return ns + rng.Int64N(5) - 2 }
		from := around(at(rng.Uint64N(l.span + 1)))
		until := around(at(rng.Uint64N(l.span + 1)))
		switch rng.IntN(4) {
		case 0:
			until = from + rng.Int64N(100)
		case 1:
			until = around(l.end())
		case 2:
			from = around(l.ns)
		}

		start, length := onLine(l).Interval(from, until)
		if length == 0 {
			// No reading lies within: there is one before from, followed by one
			// from until on.
			n := l.cycles(from - l.ns)
			ok := from >= until || until <= l.ns || n == l.span || at(n) >= until
			require.True(t, ok, "%+v: nothing of [%d, %d)", l, from, until)
			continue
		}
		first, end := start-l.base, start-l.base+length
		ok := end <= l.span && at(first) >= from && at(end-1) < until &&
			(first == 0 || at(first-1) < from) && (end == l.span || at(end) >= until)
		require.True(t, ok, "%+v: [%d, %d) is not %d readings from %d", l, from, until, length, first)
	}
}

func TestIntervalIsEmpty(t *testing.T) {
	l := line{base: math.MaxUint64 - 5, span: 1000, rate: 1 << 32, ns: machineStart}
	for _, test := range []struct {
		name        string
		line        line
		from, until int64
	}{
		{"watching", line{ns: machineStart}, machineStart, machineStart + 10},
		{"forsaken", line{ns: machineStart, forsaken: true}, machineStart, machineStart + 10},
		{"before the line", l, machineStart - 10, machineStart},
		{"after the line", l, machineStart + 1000, machineStart + 2000},
		{"no time", l, machineStart + 10, machineStart + 10},
		{"from after until", l, machineStart + 10, machineStart + 5},
		{"nothing that lives", l, math.MinInt64, math.MinInt64},
	} {
		_, length := onLine(test.line).Interval(test.from, test.until)
		assert.Zero(t, length, test.name)
	}

	start, length := onLine(l).Interval(machineStart-1, math.MaxInt64)
	assert.Equal(t, l.base, start)
	assert.Equal(t, l.span, length, "no more than is known")
	_, length = onLine(l).Interval(math.MinInt64, math.MaxInt64)
	assert.LessOrEqual(t, length, l.span)
}

func TestIntervalOfThisMachine(t *testing.T) {
	c, err := NewTSC()
	if err != nil {
		t.Log("this machine has no counter:", err)
		return
	}
	require.NoError(t, c.Wait(t.Context(), c.Now()+int64(2*stretch)))
	checked := 0
	for range 100_000 {
		from := c.Now() - 1000
		until := from + 100_000
		start, length := c.Interval(from, until)
		before := Cycles()
		now := c.Now()
		if after := Cycles(); before-start >= length || after-start >= length {
			continue
		}
		checked++
		require.GreaterOrEqual(t, now, from)
		require.Less(t, now, until)
	}
	t.Log("faults:", c.Faults())
	if c.Faults() == 0 {
		assert.NotZero(t, checked)
	}
}
