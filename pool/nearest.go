package pool

// nearest returns the name most like a wrong one, "" if there is none: the one
// that most letters' pairs are shared with (Dice's coefficient), so that names
// need not have the same length.
func nearest(wrong string, names []string) string {
	best, most := "", 0.0
	for _, name := range names {
		if like := dice(wrong, name); like > most {
			best, most = name, like
		}
	}
	return best
}

func dice(a, b string) float64 {
	pairs := make(map[string]int)
	for i := range len(a) - 1 {
		pairs[a[i:i+2]]++
	}
	shared := 0
	for i := range len(b) - 1 {
		if p := b[i : i+2]; pairs[p] > 0 {
			pairs[p]--
			shared++
		}
	}
	return float64(2*shared) / float64(max(1, len(a)+len(b)-2))
}
