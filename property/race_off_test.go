//go:build !race

package property

const defaultCases = 1000
