package clock

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is a computer whose counter and clocks a test controls. Its read does
// what TSC.Now does, and checks every step of the calibration.
type machine struct {
	t   *testing.T
	rng *rand.Rand

	ghz     float64
	counter uint64  // whole cycles
	partial float64 // of a cycle
	elapsed time.Duration
	unix    int64 // as a Monotonic tells it: never back

	// noise is by how much a point may have read the time too early, against
	// its counter.
	noise time.Duration

	calibration calibration
	line        *line
	faults      int
	stepped     int64 // the latest time a step returned
	shown       int64 // the highest time that a reader was shown
}

const machineStart = 1_800_000_000_000_000_000

func newMachine(t *testing.T, ghz float64) *machine {
	t.Helper()
	return &machine{
		t: t, rng: rand.New(rand.NewPCG(1, 2)), ghz: ghz, counter: 1 << 40,
		elapsed: time.Second, unix: machineStart, line: new(line),
		stepped: math.MinInt64, shown: math.MinInt64,
	}
}

// count lets the counter run for d, and nothing else.
func (m *machine) count(d time.Duration) {
	whole, part := math.Modf(float64(d)*m.ghz + m.partial)
	m.counter += uint64(whole)
	m.partial = part
}

// pass lets d pass on all clocks.
func (m *machine) pass(d time.Duration) {
	m.count(d)
	m.elapsed += d
	m.unix += int64(d)
}

// read returns the time, as a CPU with such a skew reads it.
func (m *machine) read(skew int64) int64 {
	cycles := m.counter + uint64(skew)
	if m.line.covers(cycles) {
		m.show(m.line.at(cycles))
		return m.line.at(cycles)
	}
	off := time.Duration(m.rng.Int64N(int64(m.noise) + 1))
	return m.step(point{cycles: cycles, elapsed: m.elapsed - off, ns: m.unix - int64(off)})
}

func (l *line) covers(cycles uint64) bool { return cycles-l.base < l.span }

func (m *machine) show(ns int64) {
	m.t.Helper()
	m.shown = max(m.shown, ns)
	m.must(ns <= m.unix+int64(stretch), "ahead by more than a stretch")
}

// must is require.True for what is asked a million times.
func (m *machine) must(ok bool, rule string) {
	m.t.Helper()
	if !ok {
		require.Fail(m.t, rule, "at %v: %+v\nline %+v", m.elapsed, m.calibration, *m.line)
	}
}

// step feeds p to the calibration, and checks what holds whatever p is.
func (m *machine) step(p point) int64 {
	before := *m.line
	next, now, fault := m.calibration.step(p)
	m.must(now >= m.stepped, "a step went back")
	m.stepped = now
	m.show(now)
	if fault {
		m.faults++
		m.must(next != nil && next.span == 0, "a fault left the line in force")
	}
	if next == nil {
		return now
	}
	if before.span != 0 {
		// Readers that have not seen next yet are still being shown these.
		for _, cycles := range []uint64{0, before.span / 2, before.span - 1, m.rng.Uint64N(before.span)} {
			m.must(next.ns >= before.at(before.base+cycles), "a stretch began before the end of the one before")
		}
	}
	m.must(next.ns >= m.shown, "a stretch began before a time that was shown")
	m.must(next.span == 0 || next.rate >= m.calibration.rate/10*9, "a line further ahead than the tolerance was believed")
	m.must(m.calibration.last == *next, "readers follow another line than the calibration")
	m.line = next
	return now
}

// run reads once in every, at uneven moments, for d, and requires each reading
// to be within off of the time, and not before the one before.
func (m *machine) run(d, every, off time.Duration) {
	m.t.Helper()
	last := int64(math.MinInt64)
	for end := m.elapsed + d; m.elapsed < end; m.pass(every/2 + time.Duration(m.rng.Int64N(int64(every)))) {
		now := m.read(0)
		m.must(now >= last, "went back")
		m.must(time.Duration(now-m.unix).Abs() <= off, "too far from the time")
		last = now
	}
}

// settle reads for long enough to have a line in force.
func (m *machine) settle() {
	m.t.Helper()
	for range 2 {
		m.read(0)
		m.pass(stretch + m.noise)
	}
	m.read(0)
	require.NotZero(m.t, m.line.span, "no line after having watched for a stretch")
}

func TestCalibrationFollowsASteadyCounter(t *testing.T) {
	for _, ghz := range []float64{0.11, 1, 1.000000001, 2.1, 2.599999, 3.3, 5, 15} {
		m := newMachine(t, ghz)
		m.settle()
		// 50 ns are what the rounding of a slow counter's rate may cost.
		m.run(5*time.Second, 700*time.Microsecond, 50*time.Nanosecond)
		m.run(20*time.Second, 40*time.Millisecond, 50*time.Nanosecond)
		m.run(24*time.Hour, time.Hour, 50*time.Nanosecond)
		m.run(time.Second, time.Millisecond, 50*time.Nanosecond)
		assert.Zero(t, m.faults, "%v GHz", ghz)
	}
}

// The two clocks of a point are never read at quite the same moment.
func TestCalibrationForgivesNoisyReadings(t *testing.T) {
	const noise = 2 * time.Microsecond
	for seed := range uint64(20) {
		m := newMachine(t, 2.6)
		m.rng = rand.New(rand.NewPCG(seed, 5))
		m.noise = noise
		m.settle()
		// Noise moves the line, and its rate until the baseline is long.
		m.run(2*time.Second, time.Millisecond, 3*noise)
		m.run(5*time.Second, time.Millisecond, noise*11/10)
		assert.Zero(t, m.faults)
	}
}

func TestCalibrationWatchesBeforeTheFirstLine(t *testing.T) {
	m := newMachine(t, 3)
	for range 9 {
		assert.Equal(t, m.unix, m.read(0))
		assert.Zero(t, m.line.span)
		m.pass(stretch / 9)
	}
	m.pass(1000)
	assert.Equal(t, m.unix, m.read(0))
	assert.NotZero(t, m.line.span)
	assert.InDelta(t, uint64(3*stretch), m.line.span, 10)
}

// A CPU whose counter is behind reads points before, within and after the stretch
// that another one laid, and before the point from which the counter is watched.
func TestCalibrationForgivesSkewBetweenCPUs(t *testing.T) {
	for _, behind := range []int64{1, 30, 1000, 8000} {
		for _, gap := range []time.Duration{0, 1, 40, 30 * time.Microsecond, 3 * time.Millisecond} {
			m := newMachine(t, 1) // where a cycle of skew is the most time
			for m.elapsed < 5*time.Second {
				m.read(0)
				m.read(-behind)
				m.pass(gap)
				m.read(-behind)
				m.pass(311 * time.Microsecond)
				m.read(-m.rng.Int64N(behind + 1))
				m.must(time.Duration(m.read(0)-m.unix).Abs() <= 16*time.Microsecond, "too far from the time")
			}
			require.Zero(t, m.faults, "%d cycles behind, read %v later", behind, gap)
		}
	}
}

// The bug that this pins: a reader finds its counter outside the stretch, being
// behind the CPU that laid it, and until it has taken a point of its own the
// counter is inside. The next stretch would have to begin where this one ends,
// 10 ms ahead.
func TestCalibrationKeepsAStretchThatIsNotOver(t *testing.T) {
	m := newMachine(t, 2.6)
	m.settle()
	laid := *m.line
	for range 99 {
		m.pass(stretch / 100)
		now := m.step(point{cycles: m.counter, elapsed: m.elapsed, ns: m.unix})
		assert.InDelta(t, 0, now-m.unix, 50)
	}
	assert.Equal(t, laid, *m.line)
	assert.Zero(t, m.faults)
}

func TestCalibrationGoesForwardWithTheWallClock(t *testing.T) {
	m := newMachine(t, 2.6)
	m.read(0)
	m.pass(stretch / 2)
	m.unix += int64(time.Hour) // while watching
	m.read(0)
	m.pass(stretch)
	m.settle()
	m.run(time.Second, time.Millisecond, time.Microsecond)
	for _, by := range []time.Duration{time.Microsecond, 900 * time.Microsecond, 5 * time.Millisecond, time.Second, 10 * 365 * 24 * time.Hour} {
		m.unix += int64(by)
		m.pass(stretch) // the stretch in force knows nothing of it
		m.run(3*time.Second, time.Millisecond, time.Microsecond)
	}
	assert.Zero(t, m.faults)
}

func TestCalibrationBefore1970(t *testing.T) {
	m := newMachine(t, 2.6)
	m.unix = -int64(time.Hour)
	m.settle()
	m.run(3*time.Second, time.Millisecond, time.Microsecond)
	m.counter /= 2
	m.read(0)
	assert.Equal(t, 1, m.faults)
	m.pass(stretch)
	m.settle()
	m.run(3*time.Second, time.Millisecond, time.Microsecond)
	assert.NotZero(t, m.line.span)
}

// What goes wrong once is noticed once, and after a while the line is as good as
// ever. That it is never more than a stretch ahead, and never goes back from one
// stretch to the next, every step of the machine checks.
func TestCalibrationSurvives(t *testing.T) {
	cycles := func(m *machine, d time.Duration) uint64 { return uint64(float64(d) * m.ghz) }
	for _, test := range []struct {
		name   string
		harm   func(m *machine)
		faults int
	}{
		{"counter back by a second", func(m *machine) { m.counter -= cycles(m, time.Second) }, 1},
		{"counter back to zero", func(m *machine) { m.counter = 0 }, 1},
		{"counter back by just more than skew", func(m *machine) { m.pass(stretch); m.read(0); m.counter -= skew; m.read(0) }, 1},
		{"counter back within the stretch", func(m *machine) { m.pass(stretch / 2); m.counter -= cycles(m, stretch/4) }, 1},
		{"counter ahead by a century", func(m *machine) { m.counter += cycles(m, 100*365*24*time.Hour) }, 1},
		{"counter ahead by a second", func(m *machine) { m.counter += cycles(m, time.Second) }, 1},
		{"counter ahead within the stretch", func(m *machine) { m.counter += cycles(m, stretch/2) }, 1},
		{"counter ahead to the last cycle of the stretch", func(m *machine) {
			m.pass(stretch)
			m.read(0)
			m.counter = m.line.base + m.line.span - 1
		}, 1},
		{"counter past 2^64", func(m *machine) { m.counter = math.MaxUint64 }, 1},
		{"twice the rate", func(m *machine) { m.ghz *= 2 }, 1},
		{"half the rate", func(m *machine) { m.ghz /= 2 }, 1},
		{"a rate no counter has", func(m *machine) { m.ghz = 20; m.run(30*time.Millisecond, time.Millisecond, stretch); m.ghz = 2.6 }, 4}, // once for each stretch
		{"stopped for three seconds", func(m *machine) { m.elapsed += 3 * time.Second; m.unix += 3e9 }, 1},
		{"suspended, the counter running", func(m *machine) { m.count(time.Hour); m.unix += int64(time.Hour) }, 1},
		{"suspended, the counter reset", func(m *machine) { m.counter = 5; m.unix += int64(time.Hour) }, 1},
		{"suspended, the counter stopped", func(m *machine) { m.unix += int64(time.Hour) }, 0},
		// After a long baseline the rate alone would not tell.
		{"counter ahead within the stretch, after an hour", func(m *machine) {
			m.pass(time.Hour)
			m.read(0)
			m.counter += cycles(m, stretch/2)
		}, 1},
		{"nobody reads for a year", func(m *machine) { m.pass(365 * 24 * time.Hour) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, warm := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second} {
				m := newMachine(t, 2.6)
				m.settle()
				m.run(warm, time.Millisecond, time.Microsecond)
				test.harm(m)
				for range 200 { // the stretch in force is believed to its end
					m.pass(time.Millisecond)
					m.read(0)
				}
				m.run(5*time.Second, time.Millisecond, time.Microsecond)
				assert.NotZero(t, m.line.span)
				assert.Equal(t, test.faults, m.faults, "after %v", warm)
			}
		})
	}
}

// Just before the stretch's start, where a counter is taken for another CPU's, it
// must not hold the time either.
func TestCalibrationNoticesACounterThatStoppedBehindTheStretch(t *testing.T) {
	m := newMachine(t, 2.6)
	m.settle()
	m.counter = m.line.base - 100
	m.ghz = 0
	for range 1000 {
		m.pass(time.Millisecond)
		m.must(m.read(0) >= m.unix-int64(2*stretch), "the time stands still")
	}
	m.requireForsaken()
}

// A counter that the operating system's clock is slewed against by some percent,
// or that is off by so little that it is no fault, must not carry the time away.
func TestCalibrationErrorIsBoundedWhileTheRateDrifts(t *testing.T) {
	for _, percent := range []float64{-5, -1, -0.05, 0.05, 1, 5} {
		m := newMachine(t, 2.6)
		m.settle()
		m.run(5*time.Second, time.Millisecond, time.Microsecond)
		m.ghz *= 1 + percent/100
		// A stretch is followed blindly; what it is ahead then, the next one
		// makes good, or it is a fault.
		m.run(10*time.Second, time.Millisecond, stretch/10)
		m.run(time.Second, time.Millisecond, 10*time.Microsecond)
	}
}

func TestCalibrationLeavesAStrangeCounterAlone(t *testing.T) {
	t.Run("one that keeps jumping", func(t *testing.T) {
		m := newMachine(t, 2.6)
		for m.elapsed < time.Minute {
			m.settleOrNot()
			m.counter += uint64(time.Second)
		}
		m.requireForsaken()
	})
	t.Run("one that does not count", func(t *testing.T) {
		m := newMachine(t, 0)
		m.run(faultLimit*2*stretch, stretch/8, 0)
		m.requireForsaken()
	})
	t.Run("one that runs backwards", func(t *testing.T) {
		m := newMachine(t, 2.6)
		for range 1000 {
			now := m.counter
			m.pass(time.Millisecond)
			m.counter = now - 1_000_000
			require.Equal(t, m.unix, m.read(0))
		}
		m.requireForsaken()
	})
	t.Run("one that is strange once in a while is forgiven", func(t *testing.T) {
		m := newMachine(t, 2.6)
		for range 5 * faultLimit {
			m.settle()
			m.counter += uint64(time.Second)
			m.read(0)
			m.pass(forgiven)
		}
		m.settle()
		assert.Equal(t, 5*faultLimit, m.faults)
	})
	t.Run("unless just before", func(t *testing.T) {
		m := newMachine(t, 2.6)
		for range faultLimit {
			m.settle()
			m.counter += uint64(time.Second)
			m.read(0)
			m.pass(forgiven - 5*stretch)
		}
		m.requireForsaken()
	})
}

// settleOrNot is settle for a counter that may be forsaken by now.
func (m *machine) settleOrNot() {
	for range 3 {
		m.read(0)
		m.pass(stretch)
	}
	m.read(0)
}

func (m *machine) requireForsaken() {
	m.t.Helper()
	assert.Equal(m.t, faultLimit, m.faults)
	assert.True(m.t, m.line.forsaken)
	m.pass(2 * stretch) // what it was ahead is over
	for range 1000 {
		m.pass(time.Millisecond)
		require.Equal(m.t, m.unix, m.read(0))
	}
	assert.True(m.t, m.line.forsaken, "forsaken for good")
}

// Whatever the counter does: the checks are the machine's.
func TestCalibrationNeverGoesBack(t *testing.T) {
	const seeds = 200
	lines := 0
	for seed := range uint64(seeds) {
		m := newMachine(t, 2.6)
		m.rng = rand.New(rand.NewPCG(seed, 42))
		upTo := func(most uint64) uint64 { // evenly on a logarithmic scale
			return m.rng.Uint64N(max(most>>m.rng.IntN(64), 1))
		}
		rarely := m.rng.IntN(4) == 0
		m.noise = time.Duration(upTo(uint64(10 * time.Microsecond)))
		for range 2000 {
			what := m.rng.IntN(40)
			if rarely && m.rng.IntN(20) != 0 {
				what = -1
			}
			switch what {
			case 0:
				m.counter += upTo(math.MaxUint64)
			case 1:
				m.counter -= upTo(math.MaxUint64)
			case 2:
				m.counter = m.line.base + upTo(4*m.line.span)
			case 3:
				m.counter = m.line.base - upTo(2*skew)
			case 4:
				m.ghz = math.Exp2(m.rng.Float64()*10 - 5)
			case 5:
				m.ghz = 2.6
			case 6:
				m.ghz = 0
			case 7:
				m.unix += int64(upTo(uint64(24 * time.Hour)))
			case 8:
				m.count(time.Duration(upTo(uint64(time.Hour))))
			case 9:
				m.elapsed += time.Duration(upTo(uint64(10 * time.Second)))
			case 10:
				m.pass(forgiven)
			default:
				m.pass(time.Duration(upTo(uint64(time.Second) / 8)))
			}
			m.read(0)
			m.read(-int64(upTo(2 * skew)))
			m.read(int64(upTo(2 * skew)))
			if m.line.span != 0 {
				lines++
			}
		}
	}
	assert.Greater(t, lines, 1000*seeds/4, "too few lines: nothing was tested")
}

// The arithmetic of a line, against numbers without a limit.
func TestLineArithmetic(t *testing.T) {
	exact := func(l line, cycles uint64) int64 {
		product := new(big.Int).Mul(new(big.Int).SetUint64(cycles), new(big.Int).SetUint64(l.rate))
		return new(big.Int).Add(product.Rsh(product, 32), big.NewInt(l.ns)).Int64()
	}
	for _, rate := range []uint64{1 << 28, 1<<28 + 1, 1 << 30, 1 << 32, 1<<32 + 1, 10<<32 - 1, 10 << 32} {
		for _, base := range []uint64{0, 1 << 50, math.MaxUint64 - 5} {
			l := line{base: base, span: uint64(stretch) << 32 / rate, rate: rate, ns: machineStart}
			for _, cycles := range []uint64{0, 1, l.span / 2, l.span - 1, l.span} {
				assert.Equal(t, exact(l, cycles), l.at(base+cycles))
			}
			assert.InDelta(t, int64(stretch), l.end()-l.ns, 11)
		}
	}
}

func TestSlope(t *testing.T) {
	from := point{cycles: 1000, elapsed: time.Second}
	for _, test := range []struct {
		name   string
		cycles uint64
		ns     time.Duration
		want   uint64
	}{
		{"1 GHz", 1000, 1000, 1 << 32},
		{"4 GHz", 4000, 1000, 1 << 30},
		{"16 GHz, the fastest", 16000, 1000, 1 << 28},
		{"faster than the fastest", 16001, 1000, 0},
		{"100 MHz, the slowest", 100, 1000, 10 << 32},
		{"slower than the slowest", 100, 1001, 0},
		{"no cycles", 0, 1000, 0},
		{"no time", 1000, 0, 0},
		{"neither", 0, 0, 0},
		{"one cycle in a century", 1, 100 * 365 * 24 * time.Hour, 0},
		{"a century at 3 GHz", 3 * 100 * 365 * 24 * 3600 * 1e9, 100 * 365 * 24 * time.Hour, 1 << 32 / 3},
		{"as far as both go", math.MaxUint64, math.MaxInt64, 1<<31 - 1},
		{"counter gone back", math.MaxUint64, 1000, 0},
		{"quotient that would not fit", 1 << 31, math.MaxInt64, 0},
	} {
		to := point{cycles: from.cycles + test.cycles, elapsed: from.elapsed + test.ns}
		if test.ns == math.MaxInt64 {
			to.elapsed, from.elapsed = math.MaxInt64, 0
		}
		assert.Equal(t, test.want, slope(from, to), test.name)
		from.elapsed = time.Second
	}
}
