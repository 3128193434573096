package generator

import "sync/atomic"

// pad keeps what every CPU reads away from what some CPU writes: two cache
// lines, for CPUs fetch them in pairs.
type pad [128]byte

// atomicWord is the word of the strategies without a lock. Its reservations
// swap it, so that marking it stops every reservation begun before.
type atomicWord struct {
	_     pad
	value atomic.Uint64
	// done counts the numbers reserved in ticks before the word's; see issued.
	done atomic.Int64
	_    pad
}

// noneDone is done for the word 0, which claims a number that nobody has.
const noneDone = -1

// used returns how many numbers of its tick a word has reserved.
func (r *rule) used(word uint64) int64 { return int64(word&r.mask) + 1 }

// reserve takes up to want numbers of one tick, but no more than a share of what
// the tick has left (and one at least). The order of loads matters: first the
// word, then the window. A window is replaced only while the word is marked, and
// the word has grown when the mark goes; so if the swap succeeds, the window
// loaded was in force all the time.
func (w *atomicWord) reserve(c *core, now int64, fresh bool, want, shares uint64) (first, n uint64, s *snapshot, v verdict) {
	for {
		word := w.value.Load()
		s = c.window.Load()
		var room uint64
		first, room, v = c.next(word, s, now, fresh)
		if v.kind != granted {
			return 0, 0, nil, v
		}
		n = min(want, max(1, room/shares))
		if w.value.CompareAndSwap(word, first+n-1) {
			if first&c.mask == 0 {
				w.done.Add(c.used(word))
				c.countBorrowed(word, first, now)
			}
			return first, n, s, v
		}
	}
}

func (w *atomicWord) load() uint64 { return w.value.Load() &^ mark }

func (w *atomicWord) seal() uint64 { return w.value.Or(mark) &^ mark }

func (w *atomicWord) move(c *core, to uint64) {
	w.done.Add(c.used(w.load()) - c.used(to))
	w.value.Store(to)
}

// issued is what is done and what the word's own tick has used. Moving the word
// over numbers that nobody gets changes done to make up for them, below zero at
// first.
func (w *atomicWord) issued(c *core) int64 { return w.done.Load() + c.used(w.load()) }
