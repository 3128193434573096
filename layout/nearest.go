package layout

import "strings"

// nearest returns the name that takes the fewest edits to turn s into,
// regardless of case; the first of several.
func nearest(s string, names []string) string {
	const most = 64 // bounds the work for what is no name at all
	s = strings.ToLower(s[:min(len(s), most)])

	var best string
	fewest := -1
	for _, name := range names {
		if d := edits(s, name); fewest < 0 || d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// edits returns the Damerau-Levenshtein distance of a and b, in its restricted
// form (optimal string alignment): how many insertions, deletions, replacements
// and swaps of neighbours lead from one to the other.
func edits(a, b string) int {
	// Rows of the table of distances between prefixes: of i−2, i−1 and i bytes of a.
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
