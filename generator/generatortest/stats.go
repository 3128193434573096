package generatortest

import (
	"context"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// wide has more sequence numbers than any case takes of one tick.
func wide() shape {
	s := usual()
	s.name = "wide"
	s.SequenceBits = 20
	return s
}

func statsCases() []testCase {
	return []testCase{
		{
			name:    "issued",
			rule:    "Stats.Issued is the number of IDs returned, exact when no call is under way",
			layouts: []shape{usual(), wide()},
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				var want int
				check := func(after string) {
					k.Helper()
					if got := g.Stats().Issued; got != uint64(want) {
						k.fatalf("Stats.Issued is %d after %s, want %d", got, after, want)
					}
				}
				check("nothing")
				for i := range 100 {
					k.next()
					want++
					check("Next")
					if i%3 == 0 {
						k.clock.Advance(k.unit(i % 7))
					}
					if g, ok := k.g.(filler); ok {
						k.clock.Advance(k.unit(1))
						dst := make([]layout.ID, 1+i%min(k.perTick(), 70))
						if !k.fills(g, dst) {
							k.fatalf("Fill waits in a tick that is new")
						}
						want += len(dst)
						check("Fill")
					}
					if g, ok := k.g.(contexter); ok {
						k.clock.Advance(k.unit(1))
						if _, err := k.result(k.begin(func() (layout.ID, error) { return g.NextContext(context.Background()) })); err != nil {
							k.fatalf("NextContext: %v", err)
						}
						want++
						check("NextContext")
						ctx, cancel := context.WithCancel(context.Background())
						cancel()
						if id, err := g.NextContext(ctx); err == nil {
							k.fatalf("NextContext made %d though its context was done", id)
						}
						check("NextContext with a context that is done")
					}
					k.clock.Advance(k.unit(1))
				}
				if g, ok := k.g.(closer); ok {
					if err := g.Close(); err != nil {
						k.fatalf("Close: %v", err)
					}
					check("Close")
				}
			},
		},
		{
			name:     "issued beside errors",
			rule:     "calls that fail are not counted in Stats.Issued",
			promised: "Fail",
			policy:   Fail,
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				var want int
				for range 3 {
					ids, _ := k.drain(k.perTick())
					want += len(ids)
					k.clock.Advance(k.unit(1))
				}
				if got := g.Stats().Issued; got != uint64(want) {
					k.errorf("Stats.Issued is %d, want %d", got, want)
				}
			},
		},
		{
			name: "waits",
			rule: "Stats.Waits counts the calls that waited for the clock, and WaitTime says how long they did, by that clock",
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				var waited time.Duration
				for i := range 5 {
					if s := g.Stats(); s.Waits != uint64(i) || s.WaitTime != waited {
						k.fatalf("Stats count %d waits of %v, want %d of %v", s.Waits, s.WaitTime, i, waited)
					}
					_, p := k.drain(k.perTick())
					k.mustWait(p)
					before := k.clock.Time()
					k.clock.Advance(k.unit(1))
					if _, err := k.result(p); err != nil {
						k.fatalf("Next: %v", err)
					}
					waited += k.clock.Time().Sub(before)
				}
			},
		},
		{
			name:     "backward steps",
			rule:     "Stats.BackwardSteps counts each step of the clock behind the IDs made, once, however many calls find it",
			promised: "BackwardLimit",
			layouts:  []shape{wide()},
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				on := k.unit(60) // so that the next step leads behind the last one, too
				if !k.f.WholeTicks {
					// There a P may be left with numbers from before the last
					// step: all that it finds is that the clock is behind those.
					on = k.unit(120)
				}
				for i := range 4 {
					k.next()
					if got := g.Stats().BackwardSteps; got != uint64(i) {
						k.fatalf("Stats count %d backward steps, want %d", got, i)
					}
					k.clock.StepBack(k.unit(50))
					for range 10 {
						k.next()
					}
					k.clock.Advance(k.unit(10))
					k.next()
					if got := g.Stats().BackwardSteps; got != uint64(i)+1 {
						k.fatalf("Stats count %d backward steps, want %d", got, i+1)
					}
					k.clock.Jump(on)
				}
			},
		},
		{
			name:     "borrowed ticks",
			rule:     "Stats.BorrowedTicks counts the ticks begun before the clock reached them",
			promised: "Borrow",
			policy:   Borrow,
			borrow:   5 * time.Millisecond,
			layouts:  []shape{without(usual())},
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				k.clock.Advance(k.unit(10))
				all, p := k.drain(6)
				k.mustWait(p)
				if got := g.Stats().BorrowedTicks; len(all) != 6 || got != 5 {
					k.errorf("%d IDs and %d borrowed ticks, want 6 and 5", len(all), got)
				}
			},
		},
		{
			name:   "no borrowed ticks",
			rule:   "without Borrow there are no borrowed ticks, also when the clock steps back",
			policy: Wait,
			run: func(k *kit) {
				g := optional[counter](k, "Stats")
				k.next()
				k.clock.StepBack(k.unit(3))
				_, p := k.drain(k.perTick())
				for k.waits(p) {
					k.clock.Advance(k.unit(1))
				}
				if got := g.Stats().BorrowedTicks; got != 0 {
					k.errorf("%d borrowed ticks", got)
				}
			},
		},
	}
}
