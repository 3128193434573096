package config

import "slices"

// nearest returns the name that takes the fewest insertions, deletions and
// replacements to turn a wrong one into (Levenshtein's distance); the first of
// several.
func nearest(wrong string, names []string) string {
	wrong = shorten(wrong) // bounds the work for what is no key at all
	return slices.MinFunc(names, func(a, b string) int { return distance(wrong, a) - distance(wrong, b) })
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
