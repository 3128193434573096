package generatortest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

func backwardCases() []testCase {
	return []testCase{
		{
			name:     "step back below the limit",
			rule:     "a clock that steps back by less than the limit does not stop a generator: it uses up the tick that it has begun, then waits until the clock has passed it",
			promised: "BackwardLimit",
			layouts:  []shape{usual(), without(usual())},
			run: func(k *kit) {
				tick := k.now()
				all := []layout.ID{k.next()}
				k.clock.StepBack(k.BackwardLimit / 2)
				rest, p := k.drain(k.perTick() - 1)
				k.mustWait(p)
				all = append(all, rest...)
				k.inTick(tick, all...)
				if k.f.WholeTicks && len(all) != k.perTick() {
					k.fatalf("%d IDs of the tick that was begun, want %d", len(all), k.perTick())
				}
				k.clock.Advance(k.BackwardLimit / 4)
				k.mustWait(p)
				k.clock.Jump(k.BackwardLimit/4 + k.unit(1))
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.inTick(tick+1, id)
				k.distinct(append(all, id))
			},
		},
		{
			name:     "step back beyond the limit",
			rule:     "a clock that steps back by more than the limit is waited for as long as the limit; then the call fails with a *ClockBackwardError that says by how much, and nothing was issued",
			promised: "BackwardLimit",
			layouts:  []shape{usual(), without(usual())},
			run: func(k *kit) {
				all := []layout.ID{k.next()}
				const step = time.Hour
				k.clock.StepBack(step)
				for range 3 { // each call waits anew
					p := k.waiting()
					k.clock.Advance(k.BackwardLimit - 1)
					k.mustWait(p)
					k.clock.Advance(1)
					by := k.behind(k.result(p))
					if by <= k.BackwardLimit || by > step+k.unit(1) {
						k.errorf("the error says the clock is behind by %v, and it was set back by %v", by, step)
					}
					k.clock.StepBack(k.BackwardLimit)
				}
				p := k.waiting()
				k.clock.Advance(k.BackwardLimit)
				// By is what is missing.
				k.clock.Jump(k.behind(k.result(p)))
				id := k.next()
				k.distinct(append(all, id))
				if k.parts(id).Tick < k.parts(all[0]).Tick {
					k.errorf("%v came after %v", k.describe(id), k.describe(all[0]))
				}
			},
		},
		{
			name:     "heals during the wait",
			rule:     "a clock that comes back while a call waits for it ends the wait, and the call goes on",
			promised: "BackwardLimit",
			run: func(k *kit) {
				tick := k.now()
				all := []layout.ID{k.next()}
				k.clock.StepBack(time.Hour)
				p := k.waiting()
				k.clock.Advance(k.BackwardLimit / 2)
				k.mustWait(p)
				k.clock.Jump(time.Hour - k.BackwardLimit/2)
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.inTick(tick, id)
				k.distinct(append(all, id))
			},
		},
		{
			name:     "limit zero",
			rule:     "zero is a limit too: a clock that steps back gives a *ClockBackwardError at once",
			promised: "BackwardLimit",
			backOff:  none,
			run: func(k *kit) {
				all := []layout.ID{k.next()}
				k.clock.StepBack(k.unit(2))
				_ = k.behind(k.try())
				k.clock.Jump(k.unit(2))
				k.distinct(append(all, k.next()))
			},
		},
		{
			name:     "limit zero still waits for the next tick",
			rule:     "waiting for the next tick of a clock that runs is no matter of the limit",
			promised: "BackwardLimit",
			backOff:  none,
			run: func(k *kit) {
				tick := k.now()
				_, p := k.drain(k.perTick())
				k.mustWait(p)
				k.clock.Advance(k.unit(1))
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.inTick(tick+1, id)
			},
		},
		{
			name:     "limit without end",
			rule:     "a limit as long as a Duration can be is a limit too: the call waits until the clock is back",
			promised: "BackwardLimit",
			backOff:  1<<63 - 1,
			run: func(k *kit) {
				tick := k.now()
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				mustWaitOn := func() {
					k.Helper()
					for k.leftover(p, tick, &all) {
						p = k.begin(k.g.Next)
					}
					k.mustWait(p)
				}
				for range 10 { // time passes, the clock stands still
					k.standStill(k.unit(1))
					mustWaitOn()
				}
				k.clock.StepBack(24 * time.Hour)
				k.clock.Advance(time.Hour)
				mustWaitOn()
				k.clock.Jump(24 * time.Hour)
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.distinct(append(all, id))
			},
		},
		{
			name:     "standing still",
			rule:     "a clock that stands still while time passes is given up like one that was set back, not waited for for ever",
			promised: "BackwardLimit",
			backOff:  10 * time.Millisecond,
			run: func(k *kit) {
				tick := k.now()
				all, p := k.drain(k.perTick())
				for passed := 0; ; passed++ {
					for k.leftover(p, tick, &all) {
						p, passed = k.begin(k.g.Next), 0
					}
					if !k.waits(p) {
						break
					}
					if passed > 30 {
						k.fatalf("still waiting after %d ticks in which the clock did not move; the limit is %v", passed, k.BackwardLimit)
					}
					k.standStill(k.unit(1))
				}
				_ = k.behind(p.id, p.err)
				k.clock.Advance(k.unit(1))
				k.distinct(append(all, k.next()))
			},
		},
		{
			name:    "back and forth",
			rule:    "no clock makes a generator issue a number twice: stepping back must not restart the sequence of a tick",
			layouts: shapes(),
			run: func(k *kit) {
				r := rand.New(rand.NewPCG(3, 4))
				span := func(ticks int) time.Duration { return time.Duration(r.Int64N(int64(k.unit(ticks)))) }
				k.clock.Advance(k.unit(1000)) // room to step back into
				var ids []layout.ID
				for range 400 {
					switch r.IntN(3) {
					case 0:
						k.clock.Advance(span(2))
					case 1:
						k.clock.Jump(span(3))
					case 2:
						k.clock.StepBack(span(3))
					}
					for range 3 {
						p := k.begin(k.g.Next)
						for k.waits(p) {
							k.clock.Advance(k.unit(1))
						}
						var behind *generator.ClockBackwardError
						switch {
						case p.err == nil:
							k.parts(p.id)
							ids = append(ids, p.id)
						case !errors.As(p.err, &behind):
							k.fatalf("Next: %v", p.err)
						}
					}
				}
				k.distinct(ids)
			},
		},
		{
			name: "years forward and back again",
			rule: "after a clock that was years ahead has been set right, no number is issued twice: the generator refuses to go on until the clock is back where it was",
			run: func(k *kit) {
				all := k.take(1)
				const years = 20 * 365 * 24 * time.Hour
				k.clock.Jump(years)
				all = append(all, k.next())
				k.clock.StepBack(years)
				p := k.begin(k.g.Next)
				for k.waits(p) {
					k.clock.Advance(k.BackwardLimit)
				}
				if p.err == nil {
					all = append(all, p.id)
				}
				k.clock.Jump(years)
				all = append(all, k.next())
				k.distinct(all)
			},
		},
	}
}
