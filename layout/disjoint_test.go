package layout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// grid is the step in which the brute force below looks at time. All epochs and
// units of its layouts are multiples of it.
const grid = 500 * time.Nanosecond

// idsOf returns which integers a layout can have given as IDs at clock readings
// from ≤ now < to, by asking each ID for its tick.
func idsOf(t *testing.T, l layout.Layout, from, to time.Time) map[layout.ID]bool {
	t.Helper()
	ids := make(map[layout.ID]bool)
	for id := layout.ID(0); id <= l.MaxID(); id++ {
		p, err := l.Decompose(id)
		require.NoError(t, err)
		if p.Time.Before(to) && p.Time.Add(l.Unit()).After(from) {
			ids[id] = true
		}
	}
	return ids
}

func extremes(ids map[layout.ID]bool) (smallest, largest layout.ID) {
	smallest, largest = 1<<62, -1
	for id := range ids {
		smallest, largest = min(smallest, id), max(largest, id)
	}
	return smallest, largest
}

func TestDisjointBruteForce(t *testing.T) {
	var layouts []layout.Layout
	for _, epoch := range []string{"00Z", "00.0000015Z", "00.000007Z", "00.00003Z"} {
		for _, rest := range []string{
			"unit=1us,time=3,node=1,sequence=1", "unit=1us,time=4,node=0,sequence=0", "unit=2us,time=3,sequence=2,node=1",
			"unit=3us,time=2,node=1,sequence=0", "unit=1500ns,time=3,node=1,sequence=1",
		} {
			layouts = append(layouts, mustParse(t, "epoch=2023-02-08T12:24:"+epoch+","+rest))
		}
	}
	beginning := at(t, "2023-02-08T12:23:59.999998Z")
	end := at(t, "2023-02-08T12:24:00.00006Z")
	verdicts := make(map[bool]int)
	for _, older := range layouts {
		for _, newer := range layouts {
			for now := beginning; now.Before(end); now = now.Add(3 * grid) {
				written, coming := idsOf(t, older, time.Time{}, now), idsOf(t, newer, now, end)
				_, oldMax := extremes(written)
				newMin, _ := extremes(coming)

				collides := false
				for id := range coming {
					collides = collides || written[id]
				}
				missorts := len(written) > 0 && len(coming) > 0 && newMin <= oldMax
				require.Equal(t, missorts, collides, "the two must come to the same")

				err := layout.Disjoint(older, newer, now)
				verdicts[err == nil]++
				if !missorts {
					require.NoError(t, err, "%v\n%v\n%v", older, newer, now)
					continue
				}
				var overlap *layout.OverlapError
				require.ErrorAs(t, err, &overlap, "%v\n%v\n%v", older, newer, now)

				// The earliest later start, if there is one at which IDs are left.
				var safe time.Time
				for later := now; later.Before(newer.End()); later = later.Add(grid) {
					if start, _ := extremes(idsOf(t, newer, later, end)); start > oldMax {
						safe = later
						break
					}
				}
				require.Equal(t, layout.OverlapError{
					Old: older, New: newer, At: now, OldMax: oldMax, NewMin: newMin, SafeFrom: safe,
				}, *overlap)
			}
		}
	}
	assert.Greater(t, verdicts[true], 1000, "both verdicts must be common enough to mean something")
	assert.Greater(t, verdicts[false], 1000)
}

func TestDisjoint(t *testing.T) {
	now := at(t, "2026-11-23T00:00:00Z")
	later := now.Add(time.Millisecond / 2)
	def := layout.Default()

	require.NoError(t, layout.Disjoint(def, def, now), "the start of a tick parts them")
	err := layout.Disjoint(def, def, later)
	var overlap *layout.OverlapError
	require.ErrorAs(t, err, &overlap, "both may stamp the tick that the change falls into")
	assert.Equal(t, now.Add(time.Millisecond), overlap.SafeFrom)

	// More time passes per tick: IDs fall back.
	coarse := mustParse(t, "unit=10ms")
	err = layout.Disjoint(def, coarse, now)
	require.ErrorAs(t, err, &overlap)
	require.NoError(t, layout.Disjoint(def, coarse, def.Epoch()), "nothing was written before the epoch")
	// A finer unit, or an earlier epoch: IDs jump ahead.
	require.NoError(t, layout.Disjoint(coarse, def, now))
	require.NoError(t, layout.Disjoint(def, mustParse(t, "epoch=2020-01-01T00:00:00Z"), now))
	// A new epoch of now starts at 0 again; the safe time is as far off as the old
	// epoch is back.
	fresh := mustParse(t, "epoch=2026-11-23T00:00:00Z")
	err = layout.Disjoint(def, fresh, now)
	require.ErrorAs(t, err, &overlap)
	assert.Equal(t, now.Add(now.Sub(def.Epoch())), overlap.SafeFrom)
	require.EqualError(t, err, "layout: IDs from 2026-11-23T00:00:00Z on could collide with, or sort before, older ones: "+
		"the old layout reaches up to 7833712066559999, the new one starts at 0; the new one is safe from 2030-09-06T11:36:00Z on")
	// 53 bits never get past what 63 have written.
	err = layout.Disjoint(mustParse(t, "twitter"), mustParse(t, "js53"), now)
	require.ErrorAs(t, err, &overlap)
	assert.True(t, overlap.SafeFrom.IsZero())
	require.ErrorContains(t, err, "no later time changes that")

	var field *layout.FieldError
	require.ErrorAs(t, layout.Disjoint(layout.Layout{}, def, now), &field)
	require.ErrorAs(t, layout.Disjoint(def, layout.Layout{}, now), &field)
}
