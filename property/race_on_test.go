//go:build race

package property

// The race detector makes everything some ten times as slow.
const defaultCases = 50
