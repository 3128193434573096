package generator

// A word holds what a generator has reserved so far, and nothing else: the mark,
// the last tick and the last sequence number in it.
//
//	 63  62                                             0
//	┌───┬─────────────────────────────┬──────────────────┐
//	│ m │ tick                        │ sequence         │
//	└───┴─────────────────────────────┴──────────────────┘
//	      time bits                     sequence bits
//
// Both fields together have at most 63 bits, for a layout has no more. A word
// only ever grows; adding 1 to a full sequence carries into the tick. m is the
// mark: a marked word is no one's to stamp, so that whoever read the word before
// it was marked fails to swap it. The greatest word, marked, is all ones, and adding
// to it gives 0: whoever adds must look at the mark as well. All numbers of tick 0
// count as reserved, so that there is a word for "nothing yet" below any window.
const mark = 1 << 63

// verdict is what the rule says of an attempt to reserve.
type verdict struct {
	kind   kind
	ns     int64  // await: how long until it is worth trying again; behind: how far
	behind uint64 // the tick reached before that the clock stands behind, if it does
}

type kind uint8

const (
	granted     kind = iota
	reread           // the reading of the clock may be old; take another
	await            // the clock has to come to the next tick first
	tooFar           // the clock is behind by more than the limit
	exhausted        // the tick is used up and the policy is to fail
	sealed           // the word is marked: closed, or between two windows
	windowOver       // the tick lies outside of the window
	beforeEpoch      // the clock does
	pastEnd          // the tick is none of the layout's
)

// rule holds the constants of a generator that decide what may be stamped.
type rule struct {
	ticks
	sequenceBits uint8
	mask         uint64 // of the sequence, in a word
	maxTick      uint64
	lead         int64 // how far ahead of the clock a tick may be stamped, ns
	patience     int64 // the limit for a clock that is behind, ns
	fail         bool
}

// next is the rule by which all strategies stamp: given the word, the window and
// a reading of the clock, the first number that may be reserved and how many
// there are from it on in the same tick. It changes nothing. A reading that is
// not fresh, one that may have been taken long ago, is never the reason for
// anything but another reading.
func (r *rule) next(word uint64, s *snapshot, now int64, fresh bool) (first, room uint64, v verdict) {
	if word&mark != 0 {
		return 0, 0, verdict{kind: sealed}
	}
	if now < r.epoch {
		return 0, 0, verdict{kind: beforeEpoch}
	}
	tick := r.at(uint64(now - r.epoch))
	if tick > r.maxTick { // shifting it could lose bits
		return 0, 0, verdict{kind: pastEnd}
	}
	first = max(word+1, tick<<r.sequenceBits)
	stamp := first >> r.sequenceBits
	if stamp > tick {
		// A tick that a number was taken of has been reached before; the
		// first one of a window has not, whatever the word says.
		begun := first&r.mask != 0
		opening := stamp == s.from && !begun
		if v = r.reach(stamp, now, begun, opening, fresh); v.kind != granted {
			return 0, 0, v
		}
	}
	switch {
	case stamp > r.maxTick:
		return 0, 0, verdict{kind: pastEnd}
	case stamp-s.from >= s.ticks: // unsigned: before the window, too
		return 0, 0, verdict{kind: windowOver}
	}
	return first, (stamp+1)<<r.sequenceBits - first, v
}

// reach decides whether a tick ahead of the clock may be stamped all the same:
// within what may be borrowed, or because it was begun earlier, and the clock
// has since gone back by no more than the limit. opening says that it is the
// first tick of a window, which is waited for whatever the policy: its sequence
// is not used up.
func (r *rule) reach(tick uint64, now int64, begun, opening, fresh bool) verdict {
	missing := r.start(tick) - now
	if missing <= r.lead {
		return verdict{}
	}
	missing -= r.lead // not before: a clock past the start, and all that can be lent, would overflow
	if !fresh {
		return verdict{kind: reread}
	}
	v := verdict{ns: missing}
	if !opening && (begun || missing > r.unit) {
		v.behind = tick
	}
	switch {
	case missing > max(r.patience, r.unit), begun && missing > r.patience:
		v.kind = tooFar
	case begun:
		v.kind = granted
	case r.fail && !opening:
		v.kind = exhausted
	default:
		v.kind = await
	}
	return v
}
