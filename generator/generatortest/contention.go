package generatortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// Contention is a test of many goroutines on one generator.
type Contention struct {
	Goroutines int
	IDs        int // of all goroutines together
	Seed       uint64
	Layout     layout.Layout
	Policy     Policy
	// Forward keeps the clock from stepping back.
	Forward bool
}

// Contend makes IDs from many goroutines at once, by all the methods that there
// are, while the clock freezes, runs, jumps and, unless told otherwise, steps back
// by up to an hour. It checks every ID for being the only one of its kind, and
// the order that the factory promises: within a goroutine, and of calls of which
// one returned before the other began.
func Contend(t *testing.T, f Factory, c Contention) {
	t.Helper()
	k := newKit(t, f, testCase{
		rule:   "whatever many goroutines do at once and whatever the clock does, no number is issued twice, and the order that is promised holds for calls of which one returned before the other began",
		early:  true,
		policy: c.Policy,
		borrow: 10 * c.Layout.Unit(),
	}, shape{Config: c.Layout.Config(), at: 1000 * time.Hour, node: c.Layout.MaxNode()})
	k.make()
	k.clock.Advance(k.unit(20))

	x := &contest{kit: k, Contention: c}
	all := make([]layout.ID, c.IDs)
	done := make(chan struct{})
	var workers sync.WaitGroup
	for i := range c.Goroutines {
		mine := all[i*c.IDs/c.Goroutines : (i+1)*c.IDs/c.Goroutines]
		workers.Go(func() { x.work(rand.New(rand.NewPCG(c.Seed, uint64(i))), mine) })
	}
	go func() {
		defer close(done)
		workers.Wait()
	}()
	moves := x.drive(rand.New(rand.NewPCG(c.Seed, 1<<32)), done)
	if k.Failed() {
		return
	}
	k.Logf("seed %d: the clock was moved %d times, and %d calls gave up on it", c.Seed, moves, x.behind.Load())

	slices.Sort(all)
	for i, id := range all {
		if i > 0 && id == all[i-1] {
			k.fatalf("seed %d: %v was issued twice", c.Seed, k.describe(id))
		}
	}
	for _, id := range all {
		if p, err := k.Layout.Decompose(id); err != nil || p.Node != k.Node {
			k.fatalf("%v is not of the layout and the node: %v", k.describe(id), err)
		}
	}
	if g, ok := k.g.(counter); ok {
		if got := g.Stats().Issued; got != uint64(len(all)) {
			k.errorf("Stats.Issued is %d, want %d", got, len(all))
		}
	}
	if g, ok := k.g.(lastTicker); ok {
		if last, most := g.LastTick(), k.parts(all[len(all)-1]).Tick; last < most {
			k.errorf("LastTick is %d, and there is an ID of tick %d", last, most)
		}
	}
}

type contest struct {
	*kit
	Contention
	progress atomic.Int64 // grows with every call that returns
	highest  atomic.Int64 // of all IDs returned
	behind   atomic.Int64 // calls that ended because of the clock
	failed   atomic.Bool
}

// work makes IDs until mine is full.
func (x *contest) work(r *rand.Rand, mine []layout.ID) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for n := 0; n < len(mine) && !x.failed.Load(); {
		before := layout.ID(x.highest.Load())
		made, err := x.some(ctx, r, mine[n:])
		if x.progress.Add(1)%256 == 0 {
			runtime.Gosched() // give way to the clock's driver
		}
		var behind *generator.ClockBackwardError
		switch {
		case err == nil:
		case errors.As(err, &behind):
			x.behind.Add(1)
		case errors.Is(err, generator.ErrExhausted) && x.Contention.Policy == Fail:
			runtime.Gosched()
		default:
			x.fail("%v", err)
		}
		if made == 0 {
			continue
		}
		ids := mine[n : n+made]
		n += made
		x.order(before, ids)
		last := int64(slices.Max(ids))
		for was := x.highest.Load(); was < last && !x.highest.CompareAndSwap(was, last); was = x.highest.Load() {
		}
	}
}

// some makes some IDs, by one of the methods that there are.
func (x *contest) some(ctx context.Context, r *rand.Rand, dst []layout.ID) (n int, err error) {
	switch r.IntN(64) {
	case 0:
		if g, ok := x.g.(filler); ok {
			return g.Fill(dst[:min(len(dst), 1+r.IntN(100))])
		}
	case 1:
		if g, ok := x.g.(contexter); ok {
			dst[0], err = g.NextContext(ctx)
			return made(dst[0], err)
		}
	}
	dst[0], err = x.g.Next()
	return made(dst[0], err)
}

func made(id layout.ID, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	if id < 0 {
		return 0, errors.New("a negative ID")
	}
	return 1, nil
}

// order checks IDs made by one call that began after the ID before was returned.
// The highest ID returned before says all: those of the same goroutine are not
// above it.
func (x *contest) order(before layout.ID, ids []layout.ID) {
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			x.fail("in one batch, %v came after %v", x.describe(ids[i]), x.describe(ids[i-1]))
		}
	}
	shift := x.Contention.Layout.TimeShift()
	switch {
	case x.f.Increasing && ids[0] <= before:
		x.fail("%v was made after %v had been returned", x.describe(ids[0]), x.describe(before))
	case x.f.TickOrder && x.Forward && x.Contention.Policy == Wait && ids[0]>>shift < before>>shift:
		x.fail("%v was made after %v had been returned", x.describe(ids[0]), x.describe(before))
	}
}

// fail ends the contest; unlike fatalf, it may be called from any goroutine.
func (x *contest) fail(format string, args ...any) {
	if x.failed.CompareAndSwap(false, true) {
		x.errorf("seed %d: %s", x.Seed, fmt.Sprintf(format, args...))
	}
}

// drive moves the clock until all is done. It moves on as soon as something has
// happened since its last move, or someone waits. It returns how often it moved
// the clock.
func (x *contest) drive(r *rand.Rand, done <-chan struct{}) (moves int) {
	c, unit := x.clock, x.Contention.Layout.Unit()
	upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }
	for ; ; moves++ {
		if !x.pace(int64(r.IntN(500)), done) {
			return moves
		}
		switch n := r.IntN(100); {
		case n < 60:
			c.Advance(upTo(3 * unit))
		case n < 80:
			c.Jump(upTo(100 * unit))
		case n < 82:
			c.Jump(upTo(time.Hour))
		case x.Forward:
		default:
			// Back by some ticks, by less than the limit, or far beyond it; after a
			// while the clock is set right.
			back := upTo([]time.Duration{5 * unit, x.Setup.BackwardLimit, time.Hour}[r.IntN(3)])
			c.StepBack(back)
			for range r.IntN(4) {
				if !x.pace(int64(r.IntN(50)), done) {
					return moves
				}
				c.Advance(upTo(x.Setup.BackwardLimit))
			}
			c.Jump(back)
		}
	}
}

// pace waits until so many calls have returned or someone waits for the clock. It
// returns false when the contest is over.
func (x *contest) pace(calls int64, done <-chan struct{}) bool {
	for since := x.progress.Load(); x.progress.Load()-since < calls && x.clock.Sleepers() == 0; {
		select {
		case <-done:
			return false
		default:
			runtime.Gosched()
		}
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func contentionCases() []testCase {
	var cases []testCase
	for _, c := range []struct {
		name, promised string
		policy         Policy
		sequenceBits   int
		forward        bool
	}{
		{"contention", "", Wait, 12, false},
		{"contention, short ticks", "", Wait, 3, false},
		{"contention, one number a tick", "", Wait, 0, false},
		{"contention, clock going forward", "", Wait, 6, true},
		{"contention, borrowing", "Borrow", Borrow, 6, false},
		{"contention, failing", "Fail", Fail, 6, false},
	} {
		cases = append(cases, testCase{
			name:     c.name,
			promised: c.promised,
			early:    true,
			run: func(k *kit) {
				config := usual().Config
				config.SequenceBits = c.sequenceBits
				l, err := layout.New(config)
				if err != nil {
					k.fatalf("generatortest: %v", err)
				}
				n := 40_000
				if raceEnabled || testing.Short() {
					n /= 10
				}
				Contend(k.T, k.f, Contention{Goroutines: 8, IDs: n, Seed: 7, Layout: l, Policy: c.policy, Forward: c.forward})
			},
		})
	}
	return cases
}
