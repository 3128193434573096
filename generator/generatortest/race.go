//go:build race

package generatortest

const raceEnabled = true
