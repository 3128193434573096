package pool

import "time"

// guard watches a wall clock that the pool goes by: a pure state machine. Safety
// does not depend on it, for windows never overlap whatever the time is taken to
// be; but a clock that jumped by years would put every node out of reach.
//
// The time is the wall clock's, or the highest time ever noted plus the time that
// passed since, whichever is later. Where the wall clock moves against the time
// that passes, by more than drift explains, it has jumped, and nobody is granted
// anything until it moves back or an operator accepts it. Being switched off is no
// jump: there is nothing to compare with.
type guard struct {
	begun   bool
	mark    int64         // the highest time noted
	marked  time.Duration // when, in time elapsed
	offset  int64         // wall clock less elapsed time, as last believed
	slack   int64         // how much ahead of that it may be: the reading had taken so long
	checked time.Duration
	jumped  bool
}

// How far a wall clock may move against elapsed time without having jumped: half
// a second at once, as clocks are set at start-up, and a thousandth of the time
// between two looks, twice what time daemons slew by.
const (
	jumpTolerance = 500 * time.Millisecond
	driftShare    = 1000
)

// reading is what the wall clock showed at some moment between asking and hearing.
type reading struct {
	wall         int64
	asked, heard time.Duration
}

// begin starts with a mark read from the store, 0 where there is none.
func (g *guard) begin(mark int64, r reading) {
	*g = guard{begun: true, mark: max(mark, r.wall), marked: r.heard, offset: r.wall - int64(r.heard), slack: int64(r.heard - r.asked), checked: r.heard}
}

// look compares the wall clock with the time elapsed, and returns the time to go by and
// whether the wall clock has jumped. Of the moments when it may have been read, that one
// is taken which speaks best for it, so that a slow answer is no jump: neither this one
// nor the one that the guard began with.
func (g *guard) look(r reading) (now int64, jumped bool) {
	wall, elapsed := r.wall, min(max(time.Duration(r.wall-g.offset), r.asked), r.heard)
	moved := wall - int64(elapsed) - g.offset
	allowed := int64(jumpTolerance + (elapsed-g.checked)/driftShare)
	if g.jumped = moved > allowed+g.slack || moved < -allowed; !g.jumped {
		g.offset += moved
		g.slack = max(0, min(g.slack-moved, int64(elapsed-r.asked)))
		g.checked = elapsed
		if wall > g.at(elapsed) {
			g.mark, g.marked = wall, elapsed
		}
	}
	return g.at(elapsed), g.jumped
}

// at returns the time without a look at the wall clock.
func (g *guard) at(elapsed time.Duration) int64 { return g.mark + int64(elapsed-g.marked) }

// accept takes the wall clock as it is, and the mark back to it.
func (g *guard) accept(r reading) { g.begin(0, r) }

// agree reports whether a clock that shows wall may have shown accepted at some moment
// of the time that has passed since.
func agree(accepted, wall int64, passed time.Duration) bool {
	ahead := wall - accepted
	return ahead >= -int64(jumpTolerance) && ahead <= int64(passed+jumpTolerance+passed/driftShare)
}
