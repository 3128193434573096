package clock

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoTSC is returned by [NewTSC] where the CPU's counter is not safe to keep
// time by. Use [NewMonotonic], or let [Default] choose.
var ErrNoTSC = errors.New("clock: no usable time stamp counter")

// TSC is a [Monotonic] read through the CPU's time stamp counter. A straight
// line through two readings of both tells the time between looks at the
// operating system's clock, a hundred times a second while the clock is read.
//
// Right after NewTSC, and after anything strange (the counter went back, or ran
// at another rate than before, as after a suspend or on another host), it is the
// Monotonic itself until it has watched the counter for 10 ms; where strange
// things keep happening, it stays that. A counter that runs away can put it
// ahead of the Monotonic by one stretch of the line, 10 ms, never more: then it
// stands still until the Monotonic has caught up. A counter that lags, jumps
// back or stops within a stretch holds it back for as long as it does not reach
// the stretch's end.
//
// A goroutine's readings do not go back. Those of two may be out of order by as
// long as an access to memory takes, some microseconds at worst: a CPU may read
// its counter before it has loaded what another one wrote. Where the counters of
// two CPUs differ, which the operating system rules out before it uses them, so
// do the readings.
type TSC struct {
	_    pad
	line atomic.Pointer[line] // read by everyone, written a hundred times a second
	_    pad

	slow   *Monotonic
	faults atomic.Uint64

	mu          sync.Mutex // owns calibration and the writing of line
	calibration calibration
}

// line gives the time for span cycles from base on:
//
//	ns + (cycles - base) × rate / 2^32
//
// It is immutable, and takes a cache line of its own. A line with no span sends
// everyone to the slow path.
type line struct {
	base     uint64
	span     uint64
	rate     uint64 // nanoseconds per cycle × 2^32
	ns       int64
	forsaken bool // no line will follow: ns, or the slow clock where it is past that
	_        [31]byte
}

// NewTSC returns a clock on the CPU's time stamp counter, or an error that wraps
// [ErrNoTSC] and says why this machine's must not be used.
func NewTSC() (*TSC, error) {
	if fault := counterFault(); fault != "" {
		return nil, fmt.Errorf("%w: %s", ErrNoTSC, fault)
	}
	c := &TSC{slow: NewMonotonic()}
	c.line.Store(new(line))
	return c, nil
}

// Now returns the Unix time in nanoseconds.
func (c *TSC) Now() int64 {
	l := c.line.Load()
	// Unsigned: a counter behind base is beyond any span.
	if cycles := rdtsc() - l.base; cycles < l.span {
		return l.ns + int64(cycles*l.rate>>32)
	}
	return c.resync(l)
}

// Wait implements [Clock].
func (c *TSC) Wait(ctx context.Context, until int64) error { return wait(ctx, c, until) }

// Offset is that of [Monotonic.Offset].
func (c *TSC) Offset() time.Duration { return c.slow.Offset() }

// BackwardSteps is that of [Monotonic.BackwardSteps].
func (c *TSC) BackwardSteps() uint64 { return c.slow.BackwardSteps() }

// Faults returns how often the counter was found to have done something
// strange.
func (c *TSC) Faults() uint64 { return c.faults.Load() }

// resync lays the next stretch of the line.
func (c *TSC) resync(seen *line) int64 {
	if seen.forsaken { // without the lock, at about the slow clock's own price
		return max(seen.ns, c.slow.Now())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.line.Load(); l != seen {
		if cycles := rdtsc() - l.base; cycles < l.span {
			return l.ns + int64(cycles*l.rate>>32)
		}
		if l.forsaken {
			return max(l.ns, c.slow.Now())
		}
	}
	next, now, fault := c.calibration.step(readPoint(c.slow))
	if fault {
		c.faults.Add(1)
	}
	if next != nil {
		c.line.Store(next)
	}
	return now
}

// point is one moment on all clocks.
type point struct {
	cycles  uint64        // the counter
	elapsed time.Duration // the monotonic clock, by which rates are measured
	ns      int64         // Unix time, which may step forward
}

// readPoint reads both clocks at once, as nearly as it can: of three tries the
// one in which the counter saw the least time pass.
func readPoint(slow *Monotonic) point {
	var best point
	least := ^uint64(0)
	for range 3 {
		before := rdtsc()
		elapsed, ns := slow.read()
		took := rdtsc() - before
		if took < least {
			least, best = took, point{before + took/2, elapsed, ns}
		}
	}
	return best
}

// Limits of a calibration.
const (
	// stretch is how long a line is followed without looking at the operating
	// system's clock, and how long the counter is watched before the first.
	stretch = 10 * time.Millisecond
	// baseline bounds the time over which the rate is measured: long enough
	// that the readings' own error vanishes, short enough to follow the
	// operating system as it corrects its rate.
	baseline = time.Second
	// tolerance is the error of a line, and of the rate relative to the last
	// one (in 2^-10), above which the counter is not believed.
	tolerance     = time.Millisecond
	rateTolerance = 10 // bits
	// skew, in cycles, is how far a counter may be behind the stretch's start
	// and not be said to have gone back: the counters of two CPUs differ a
	// little, and so do two readings of both clocks.
	skew = 1 << 16
	// faultLimit is how many faults there may be, each within forgiven of the
	// one before, until the counter is left alone for good. Suspending a laptop
	// is one fault; a year of them must not cost its clock.
	faultLimit = 8
	forgiven   = time.Minute
)

// calibration finds the line's next stretch: a pure state machine over points,
// so that tests can feed it any counter.
//
// No time that it returns is before one that it returned earlier, and no stretch
// starts before the end of the one that it replaces.
type calibration struct {
	last    line          // the stretch in force; no span while watching
	laid    time.Duration // when, on the monotonic clock
	rate    uint64        // as measured; the line's own may be slower
	floor   int64         // the clock has shown up to this much
	old     point         // the baseline's start: one or two baselines ago
	mid     point         // between old and now
	faults  int
	faulted time.Duration // when last, on the monotonic clock
}

// step takes a point, most often beyond the last stretch, and returns the next
// one, nil to leave things as they are, and the time now.
func (k *calibration) step(p point) (next *line, now int64, fault bool) {
	if k.old == (point{}) {
		k.floor = p.ns // which may be before 1970
		k.watch(p)
		return nil, k.floor, false
	}
	// The stretch in force may hold p after all: its reader was on a CPU whose
	// counter is behind the one it was laid by, or loaded the line only after
	// reading the counter, as CPUs do. Not if it should long be over, though.
	inForce := k.last.span != 0 && p.elapsed-k.laid < 2*stretch
	latest := max(k.last.base, k.old.cycles)
	switch {
	case k.last.forsaken:
		return nil, k.reach(p.ns), false
	case p.cycles < latest && latest-p.cycles >= skew:
		return k.distrust(p)
	case inForce && p.cycles < k.last.base:
		return nil, k.reach(k.last.ns), false
	case inForce && p.cycles-k.last.base < k.last.span:
		return nil, k.reach(k.last.at(p.cycles)), false
	case p.elapsed-k.old.elapsed < stretch:
		return nil, k.reach(p.ns), false
	}
	rate := slope(k.old, p)
	if rate == 0 || k.last.span != 0 && differ(rate, k.rate) {
		return k.distrust(p)
	}
	ns := max(p.ns, k.floor, k.last.end())
	ahead := ns - p.ns
	if ahead > int64(tolerance) { // never after watching: a stretch has passed since
		return k.distrust(p)
	}
	if p.elapsed-k.mid.elapsed >= baseline {
		k.old, k.mid = k.mid, p
	}
	k.rate, k.floor, k.laid = rate, ns, p.elapsed
	k.last = line{
		base: p.cycles,
		span: uint64(stretch) << 32 / rate,
		ns:   ns,
		// Where it is ahead of the operating system's clock it goes slower,
		// to meet it at the end of the stretch. No less than nine tenths of
		// the rate is left: tolerance is a tenth of stretch.
		rate: rate - rate*uint64(ahead)/uint64(stretch),
	}
	l := k.last
	return &l, ns, false
}

// at returns the time at a counter within the stretch. The product is below
// stretch × 2^32, far from an overflow.
func (l *line) at(cycles uint64) int64 { return l.ns + int64((cycles-l.base)*l.rate>>32) }

// end returns the time at the end of the stretch: nobody was shown a later one.
func (l *line) end() int64 { return l.at(l.base + l.span) }

// watch begins to observe the counter from p on.
func (k *calibration) watch(p point) {
	k.last = line{ns: k.floor}
	k.old, k.mid = p, p
}

// distrust drops the line: the clock is the operating system's until the counter
// has been watched anew.
func (k *calibration) distrust(p point) (*line, int64, bool) {
	if p.elapsed-k.faulted >= forgiven {
		k.faults = 0
	}
	k.faults++
	k.faulted = p.elapsed
	k.floor = max(k.floor, k.last.end(), p.ns)
	k.watch(p)
	k.last.forsaken = k.faults >= faultLimit
	l := k.last
	return &l, k.floor, true
}

// reach returns ns, or the floor where that is higher.
func (k *calibration) reach(ns int64) int64 {
	k.floor = max(k.floor, ns)
	return k.floor
}

// slope returns the rate between two points, in nanoseconds per cycle × 2^32, or
// 0 where that is no rate of a counter (below 100 MHz or above 16 GHz).
func slope(from, to point) uint64 {
	cycles, ns := to.cycles-from.cycles, uint64(to.elapsed-from.elapsed)
	hi, lo := bits.Mul64(ns, 1<<32)
	if hi >= cycles {
		return 0
	}
	rate, _ := bits.Div64(hi, lo, cycles)
	if rate < 1<<28 || rate > 10<<32 {
		return 0
	}
	return rate
}

func differ(a, b uint64) bool { return max(a, b)-min(a, b) > b>>rateTolerance }
