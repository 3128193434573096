package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

func TestTimesHaveThePrecisionOfTheTicks(t *testing.T) {
	for text, want := range map[string]string{
		"easyflake":  "2023-02-08T12:24:00.001Z",
		"unit=1s":    "2023-02-08T12:24:01.000Z",
		"unit=100us": "2023-02-08T12:24:00.000100Z",
		"unit=1us":   "2023-02-08T12:24:00.000001Z",
		"unit=1.5us": "2023-02-08T12:24:00.000001500Z",
		"epoch=2023-02-08T12:24:00.0000001Z,unit=1ms": "2023-02-08T12:24:00.001000100Z",
	} {
		l, err := layout.Parse(text)
		require.NoError(t, err)
		assert.Equal(t, want, string(timeFormatOf(l).append(nil, l.Time(1))), text)
	}
}

func TestYearsPast9999(t *testing.T) {
	for year, want := range map[int]string{
		1970:    "1970-01-02T00:00:00Z",
		9999:    "9999-01-02T00:00:00Z",
		10000:   "+010000-01-02T00:00:00Z",
		123456:  "+123456-01-02T00:00:00Z",
		9876543: "+9876543-01-02T00:00:00Z",
	} {
		assert.Equal(t, want, formatTime(time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC)))
	}
}

func TestGroup(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 123456: "123,456", -1: "-1", -123: "-123", -1234: "-1,234",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		assert.Equal(t, want, group(n))
	}
}

func TestRate(t *testing.T) {
	for r, want := range map[float64]string{
		256000: "256,000", 0.25: "0.25", 1.0 / 3600: "0.000278", 12.5: "12.5", 1: "1", 1234.5: "1,235", 4e18: "4e+18",
	} {
		assert.Equal(t, want, rate(r))
	}
}

func TestDistance(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0 seconds", 1: "1 second", 119: "119 seconds", 120: "2 minutes", 7200: "2 hours", 172800: "2 days",
		100 * 86400: "3 months", 366 * 86400: "12 months", 63113904: "2 years", 1 << 53: "285,426,781 years",
	} {
		then := testNow.Add(0)
		assert.Equal(t, want, distance(then, time.Unix(then.Unix()+seconds, 0)))
		assert.Equal(t, want, distance(time.Unix(then.Unix()+seconds, 0), then))
	}
	assert.Equal(t, "in 2 hours", relative(testNow.Add(2*time.Hour), testNow))
	assert.Equal(t, "2 hours ago", relative(testNow.Add(-2*time.Hour), testNow))
}
