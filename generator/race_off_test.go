//go:build !race

package generator

// raceEnabled makes the largest tests smaller: the detector costs tenfold.
const raceEnabled = false
