package sim

import "math/bits"

// idSet holds exactly which IDs there are: for each 64 numbers that follow each
// other a word of bits, found by open addressing. An ID's number has the node on
// top, then tick and sequence, whatever the order of the layout's fields is.
type idSet struct {
	slots []slot
	used  int
	size  uint64 // of IDs
	shift uint8
}

type slot struct {
	key  uint64 // the number without its last 6 bits, and 1 more: 0 is none
	bits uint64
}

func newIDSet() *idSet { return &idSet{slots: make([]slot, 1<<14), shift: 64 - 14} }

// clear empties the set, and keeps its memory.
func (s *idSet) clear() {
	clear(s.slots)
	s.used, s.size = 0, 0
}

// add adds n numbers from first on, and returns how many of them were there before,
// and one of these.
func (s *idSet) add(first, n uint64) (double, which uint64) {
	s.size += n
	for n > 0 {
		at := first & 63
		run := min(n, 64-at)
		mask := (^uint64(0) >> (64 - run)) << at
		x := s.slot(first>>6 + 1)
		if again := x.bits & mask; again != 0 {
			double += uint64(bits.OnesCount64(again))
			which = first&^63 + uint64(bits.TrailingZeros64(again))
		}
		x.bits |= mask
		first += run
		n -= run
	}
	return double, which
}

func (s *idSet) slot(key uint64) *slot {
	mask := uint64(len(s.slots) - 1)
	for i := key * 0x9e3779b97f4a7c15 >> (s.shift & 63); ; i = (i + 1) & mask {
		switch x := &s.slots[i]; x.key {
		case key:
			return x
		case 0:
			s.used++
			if s.used*2 > len(s.slots) {
				s.grow()
				return s.slot(key)
			}
			x.key = key
			return x
		}
	}
}

func (s *idSet) grow() {
	old := s.slots
	s.slots = make([]slot, 2*len(old))
	s.shift--
	s.used = 0
	for _, x := range old {
		if x.key != 0 {
			*s.slot(x.key) = x
		}
	}
}
