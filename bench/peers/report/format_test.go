package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0 ns", 4e-10: "0.40 ns", 1.234e-9: "1.23 ns", 9.996e-9: "10.0 ns", 99.96e-9: "100 ns", 9.994e-7: "999 ns",
		9.996e-7: "1.00 µs", 3.906e-6: "3.91 µs", 0.0123: "12.3 ms", 2.5: "2.50 s", 1234: "1230 s",
	} {
		require.Equal(t, want, seconds(s), s)
	}
}

func TestRate(t *testing.T) {
	for r, want := range map[float64]string{1: "1.00", 999.6: "1.00 k", 256_000: "256 k", 8.39e7: "83.9 M", 4.2e9: "4.20 G"} {
		require.Equal(t, want, rate(r), r)
	}
}

func TestTimes(t *testing.T) {
	for v, want := range map[float64]string{0.0123: "0.012", 0.09999: "0.10", 0.998: "1.0", 9.97: "10", 0.4567: "0.46", 1.26: "1.3", 41.7: "42"} {
		require.Equal(t, want, times(v), v)
	}
}
