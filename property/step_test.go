package property

import "fmt"

// act is what a step of a script does.
type act uint8

const (
	next    act = iota // make an ID
	dead               // the same, with a context that is done
	fill               // make n IDs at once
	advance            // let n quarters of a tick pass
	back               // set the clock back by n quarters
	years              // set the clock forward by n years
	still              // the next n waits find the clock where it was
	slip               // the wait after them finds it n quarters further back
	extend             // the window becomes n ticks longer
	replace            // another window: of node n, at ticks after the clock's
	seal               // the window ends
	reopen             // close the generator, and make another, of the n-th strategy
	procs              // have n Ps
)

// step is one thing that happens. Numbers are ticks, or what the act says.
type step struct {
	act
	n         int64
	at, ticks int64 // of a window
}

func (s step) String() string {
	switch s.act {
	case next:
		return "Next"
	case dead:
		return "NextContext(done)"
	case fill:
		return fmt.Sprintf("Fill(%d)", s.n)
	case advance:
		return fmt.Sprintf("clock +%g", float64(s.n)/4)
	case back:
		return fmt.Sprintf("clock −%g", float64(s.n)/4)
	case years:
		return fmt.Sprintf("clock +%d years", s.n)
	case still:
		return fmt.Sprintf("clock stands still for %d waits", s.n)
	case slip:
		return fmt.Sprintf("clock −%g in a wait", float64(s.n)/4)
	case extend:
		return fmt.Sprintf("window +%d", s.n)
	case replace:
		return fmt.Sprintf("window(node %d, clock%+d, %d ticks)", s.n, s.at, s.ticks)
	case seal:
		return "seal"
	case reopen:
		return fmt.Sprintf("reopen(%s)", strategies()[s.n])
	default:
		return fmt.Sprintf("GOMAXPROCS(%d)", s.n)
	}
}

func (s step) smaller() []step {
	var all []step
	for _, n := range smallerNumbers(s.n) {
		if n > 0 || s.act != procs {
			all = append(all, step{s.act, n, s.at, s.ticks})
		}
	}
	for _, at := range smallerNumbers(s.at) {
		all = append(all, step{s.act, s.n, at, s.ticks})
	}
	for _, ticks := range smallerNumbers(s.ticks) {
		if ticks > 0 {
			all = append(all, step{s.act, s.n, s.at, ticks})
		}
	}
	switch s.act {
	case dead, fill:
		all = append(all, step{act: next})
	case years:
		all = append(all, step{act: advance, n: 4})
	}
	return all
}

func drawStep(c chance) step {
	switch c.below(32) {
	case 0, 1:
		return step{act: fill, n: c.below(20)}
	case 2:
		return step{act: fill, n: c.below(200)}
	case 3, 4, 5, 6:
		return step{act: advance, n: c.below(12)}
	case 7:
		return step{act: advance, n: c.edgy(1 << 20)}
	case 8, 9:
		return step{act: back, n: c.below(12)}
	case 10:
		return step{act: back, n: c.edgy(1 << 20)}
	case 11:
		if c.oneIn(3) {
			return step{act: years, n: 1 + c.below(30)}
		}
	case 12:
		return step{act: still, n: 1 + c.below(4)}
	case 13:
		return step{act: slip, n: 1 + c.below(8)}
	case 14:
		return step{act: reopen, n: c.below(int64(len(strategies())))}
	case 15:
		return step{act: dead}
	case 16, 17, 18, 19, 20:
		return drawChange(c)
	}
	return step{act: next}
}

// drawChange draws what happens around a generator: to its window, or to the Ps.
func drawChange(c chance) step {
	switch c.below(8) {
	case 0, 1, 2:
		return step{act: extend, n: c.below(6)}
	case 3:
		return step{act: seal}
	case 4:
		return step{act: procs, n: 1 + c.below(16)}
	}
	return drawWindowStep(c)
}

func drawWindowStep(c chance) step {
	s := step{act: replace, at: c.between(-5, 5), ticks: 1 + c.below(12)}
	if c.oneIn(3) {
		s.ticks = 1 << c.below(40)
	}
	if c.oneIn(2) {
		s.n = c.below(16)
	}
	return s
}
