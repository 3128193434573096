package property

import (
	"math"

	"github.com/leanovate/gopter"
)

// chance draws. What it gives depends on its seed and size alone, on every
// machine.
type chance struct{ p *gopter.GenParameters }

// size is how large a case should be, from 1 to [largest].
func (c chance) size() int { return c.p.MaxSize }

// below draws from 0 to n − 1.
func (c chance) below(n int64) int64 { return c.p.Rng.Int63n(n) }

// between draws from lo to hi, both included; the whole range of an int64 will do.
func (c chance) between(lo, hi int64) int64 {
	width := uint64(hi) - uint64(lo)
	if width == math.MaxUint64 {
		return int64(c.p.Rng.Uint64())
	}
	return int64(uint64(lo) + c.p.Rng.Uint64()%(width+1))
}

// oneIn is true once in n times.
func (c chance) oneIn(n int64) bool { return c.below(n) == 0 }

// edgy draws from 0 to most: as often a number at an edge, or of few bits, as one
// from anywhere.
func (c chance) edgy(most int64) int64 {
	switch c.below(6) {
	case 0:
		return most - min(most, c.below(4))
	case 1:
		return min(most, c.below(4))
	case 2:
		return min(most, int64(c.p.Rng.Uint64()>>1>>c.below(63)))
	case 3: // all ones, or one over
		return min(most, 1<<c.below(63)-c.below(2))
	}
	return c.between(0, most)
}

// pick draws one of several.
func pick[T any](c chance, of ...T) T { return of[c.below(int64(len(of)))] }

// smallerNumbers are numbers between 0 and n that n can shrink to.
func smallerNumbers(n int64) []int64 {
	switch {
	case n == 0:
		return nil
	case n < 0:
		if n == math.MinInt64 {
			return []int64{0, n / 2, n + 1}
		}
		return append([]int64{-n}, smallerNegative(n)...)
	}
	return distinct([]int64{0, 1, n / 2, n - n/4, n - 1}, func(v int64) bool { return v < n })
}

func smallerNegative(n int64) []int64 {
	return distinct([]int64{0, -1, n / 2, n + 1}, func(v int64) bool { return v > n })
}

// distinct keeps what is wanted, once.
func distinct[T comparable](all []T, wanted func(T) bool) []T {
	var kept []T
	seen := make(map[T]bool)
	for _, v := range all {
		if wanted(v) && !seen[v] {
			seen[v] = true
			kept = append(kept, v)
		}
	}
	return kept
}

// shorter are the slices that s can shrink to: without ever smaller runs of its
// elements, then with one element smaller.
func shorter[T any](s []T, smaller func(T) []T) [][]T {
	var all [][]T
	for n := len(s); n > 0; n /= 2 {
		for at := 0; at+n <= len(s); at += n {
			all = append(all, append(append([]T{}, s[:at]...), s[at+n:]...))
		}
	}
	if smaller == nil {
		return all
	}
	for i, v := range s {
		for _, v := range smaller(v) {
			one := append([]T{}, s...)
			one[i] = v
			all = append(all, one)
		}
	}
	return all
}
