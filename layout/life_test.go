package layout_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestCheck(t *testing.T) {
	const day = 24 * time.Hour
	verdicts := []error{layout.ErrLifeOver, layout.ErrLifeUnderYear, layout.ErrLifeUnderThreeYears, layout.ErrBeforeEpoch}
	l := mustParse(t, "twitter")
	end := l.End()
	for _, c := range []struct {
		name    string
		now     time.Time
		verdict error
	}{
		{"long before the epoch", time.Time{}, layout.ErrBeforeEpoch},
		{"just before the epoch", l.Epoch().Add(-1), layout.ErrBeforeEpoch},
		{"at the epoch", l.Epoch(), nil},
		{"today", at(t, "2026-11-23T00:00:00Z"), nil},
		{"three years left", end.Add(-3 * 365 * day), nil},
		{"less than three years left", end.Add(-3*365*day + 1), layout.ErrLifeUnderThreeYears},
		{"a year left", end.Add(-365 * day), layout.ErrLifeUnderThreeYears},
		{"less than a year left", end.Add(-365*day + 1), layout.ErrLifeUnderYear},
		{"a nanosecond left", end.Add(-1), layout.ErrLifeUnderYear},
		{"over", end, layout.ErrLifeOver},
		{"long over", time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), layout.ErrLifeOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := l.Check(c.now)
			for _, verdict := range verdicts {
				assert.Equal(t, c.verdict == verdict, errors.Is(err, verdict), "%v", verdict) //nolint:errorlint // the table's own values
			}
			var life *layout.LifeError
			if !errors.As(err, &life) {
				return
			}
			assert.Equal(t, c.now, life.Now)
			assert.Equal(t, end, life.End)
			assert.Equal(t, end.Sub(c.now), life.Left)
			assert.Equal(t, errors.Is(err, layout.ErrLifeUnderThreeYears), life.Warning())
		})
	}
}

func TestCheckLongLives(t *testing.T) {
	now := at(t, "2026-11-23T00:00:00Z")
	for _, name := range []string{"easyflake", "yitter", "node=0,sequence=0"} {
		require.NoError(t, mustParse(t, name).Check(now), "a life of more than 292 years must not overflow")
	}
	require.ErrorIs(t, mustParse(t, "baidu").Check(now), layout.ErrLifeOver)
	var field *layout.FieldError
	require.ErrorAs(t, layout.Layout{}.Check(now), &field)
}

func TestLifeErrorMessages(t *testing.T) {
	const remedy = "; take a later epoch, a coarser unit, or fewer node and sequence bits, and try it with easyflake-cli layout"
	l := mustParse(t, "baidu")
	require.EqualError(t, l.Check(at(t, "2026-11-23T00:00:00Z")), "layout: the layout's life is over since 2024-11-20T13:24:16Z"+remedy)
	require.EqualError(t, l.Check(at(t, "2024-11-10T00:00:00Z")), "layout: less than a year of the layout's life is left: it ends in 10 days, at 2024-11-20T13:24:16Z"+remedy)
	require.EqualError(t, l.Check(at(t, "2022-11-20T00:00:00Z")), "layout: less than three years of the layout's life are left: it ends in 731 days, at 2024-11-20T13:24:16Z"+remedy)
	require.EqualError(t, l.Check(at(t, "2000-01-01T00:00:00Z")), "layout: 2000-01-01T00:00:00Z is before the layout's epoch, 2016-05-19T16:00:00Z")
}
