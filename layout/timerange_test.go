package layout_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// TestRangeBruteForce asks every ID of small layouts for its time, and holds the
// answers against Min, Max and Range for times on and off the ticks.
func TestRangeBruteForce(t *testing.T) {
	for _, text := range []string{
		"epoch=2023-02-08T12:24:00.000000001Z,unit=1us,time=3,node=1,sequence=1",
		"epoch=2023-02-08T12:24:00Z,unit=2us,time=3,sequence=2,node=1",
		"epoch=1970-01-01T00:00:00Z,unit=1us,time=3,node=0,sequence=0",
	} {
		l := mustParse(t, text)
		timeOf := make(map[layout.ID]time.Time)
		for id := layout.ID(0); id <= l.MaxID(); id++ {
			p, err := l.Decompose(id)
			require.NoError(t, err)
			timeOf[id] = p.Time
		}
		var times []time.Time
		for nanos := -1500 * time.Nanosecond; nanos < 20*time.Microsecond; nanos += 250 {
			times = append(times, l.Epoch().Add(nanos))
		}
		for _, from := range times {
			smallest, largest := layout.ID(-1), layout.ID(-1)
			for id := layout.ID(0); id <= l.MaxID(); id++ {
				if smallest < 0 && !timeOf[id].Before(from) {
					smallest = id
				}
				if !timeOf[id].After(from) {
					largest = id
				}
			}
			if got, err := l.Min(from); smallest < 0 {
				require.ErrorIs(t, err, layout.ErrPastEnd)
			} else {
				require.NoError(t, err)
				require.Equal(t, smallest, got, "Min(%v)", from)
			}
			if got, err := l.Max(from); largest < 0 {
				require.ErrorIs(t, err, layout.ErrBeforeEpoch)
			} else {
				require.NoError(t, err)
				require.Equal(t, largest, got, "Max(%v)", from)
			}

			for _, to := range times {
				lo, hi, err := l.Range(from, to)
				if from.After(to) {
					var field *layout.FieldError
					require.ErrorAs(t, err, &field)
					continue
				}
				require.NoError(t, err)
				require.LessOrEqual(t, lo, hi)
				for id := layout.ID(0); id <= l.MaxID(); id++ {
					inside := !timeOf[id].Before(from) && timeOf[id].Before(to)
					require.Equal(t, inside, lo <= id && id < hi, "id %d in [%v, %v) as [%d, %d)", id, from, to, lo, hi)
				}
			}
		}
	}
}

// TestRangeOfAnyLayout holds random IDs of random layouts against ranges that
// begin and end close to them.
func TestRangeOfAnyLayout(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 5000 {
		l := randomLayout(r)
		id := layout.ID(r.Int64N(int64(l.MaxID())))
		p, err := l.Decompose(id)
		require.NoError(t, err)
		near := func() time.Time {
			return p.Time.Add(time.Duration(r.Int64N(5)-2)*l.Unit() + time.Duration(r.Int64N(3)-1))
		}
		from, to := near(), near()
		if from.After(to) {
			from, to = to, from
		}
		lo, hi, err := l.Range(from, to)
		require.NoError(t, err)
		inside := !p.Time.Before(from) && p.Time.Before(to)
		require.Equal(t, inside, lo <= id && id < hi, "%v: id %d in [%v, %v)", l, id, from, to)
	}
}

func TestRangeAtTheEdges(t *testing.T) {
	l := layout.Default() // 63 bits
	past, far := time.Time{}, time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)

	lo, hi, err := l.Range(past, far)
	require.NoError(t, err)
	assert.Equal(t, layout.ID(0), lo)
	assert.Equal(t, layout.ID(math.MaxInt64), hi, "2^63 does not fit: the very last ID stays out")

	lo, hi, err = l.Range(l.End(), far)
	require.NoError(t, err)
	assert.Equal(t, lo, hi)

	lo, hi, err = l.Range(past, past)
	require.NoError(t, err)
	assert.Equal(t, [2]layout.ID{0, 0}, [2]layout.ID{lo, hi})

	js53 := mustParse(t, "js53")
	lo, hi, err = js53.Range(past, far)
	require.NoError(t, err)
	assert.Equal(t, [2]layout.ID{0, 1 << 53}, [2]layout.ID{lo, hi}, "one past the largest ID")

	largest, err := l.Max(far)
	require.NoError(t, err)
	assert.Equal(t, l.MaxID(), largest)
	smallest, err := l.Min(past)
	require.NoError(t, err)
	assert.Zero(t, smallest)
	_, err = l.Min(l.End().Add(-1))
	require.ErrorIs(t, err, layout.ErrPastEnd, "the last tick began before")
	_, err = l.Max(past)
	require.ErrorIs(t, err, layout.ErrBeforeEpoch)

	_, _, err = l.Range(at(t, "2026-01-02T00:00:00Z"), at(t, "2026-01-01T00:00:00Z"))
	require.EqualError(t, err, `layout: range "2026-01-02T00:00:00Z to 2026-01-01T00:00:00Z": must not end before it starts`)
}
