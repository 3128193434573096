package generatortest

import (
	"context"
	"errors"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

func closeCases() []testCase {
	return []testCase{
		{
			name: "closed",
			rule: "after Close, every call returns ErrClosed and no ID; closing again does nothing",
			run: func(k *kit) {
				g := optional[closer](k, "Close")
				k.next()
				for range 3 {
					if err := g.Close(); err != nil {
						k.fatalf("Close: %v", err)
					}
					id, err := k.try()
					k.refused(id, err, generator.ErrClosed)
					if g, ok := k.g.(contexter); ok {
						id, err := k.result(k.begin(func() (layout.ID, error) { return g.NextContext(context.Background()) }))
						k.refused(id, err, generator.ErrClosed)
					}
					if g, ok := k.g.(filler); ok {
						dst := make([]layout.ID, 3)
						if n, err := g.Fill(dst); n != 0 || !errors.Is(err, generator.ErrClosed) {
							k.errorf("Fill: %d, %v; want ErrClosed", n, err)
						}
					}
					if g, ok := k.g.(sequencer); ok {
						yielded := 0
						for id, err := range g.Seq(context.Background()) {
							k.refused(id, err, generator.ErrClosed)
							yielded++
							if yielded > 1 {
								k.fatalf("Seq goes on after an error")
							}
						}
					}
					k.clock.Advance(k.unit(1))
				}
			},
		},
		{
			name: "closed while calls wait",
			rule: "Close ends the calls that wait, with ErrClosed, without the clock having to move",
			run: func(k *kit) {
				g := optional[closer](k, "Close")
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				calls := []*pending{p}
				for range 3 {
					calls = append(calls, k.begin(k.g.Next))
					if g, ok := k.g.(contexter); ok {
						calls = append(calls, k.begin(func() (layout.ID, error) { return g.NextContext(context.Background()) }))
					}
				}
				if err := g.Close(); err != nil {
					k.errorf("Close: %v", err)
				}
				for _, p := range calls {
					<-p.done
					if p.err == nil && !k.f.WholeTicks { // another P had some left
						k.inTick(k.now(), p.id)
						all = append(all, p.id)
						continue
					}
					k.refused(p.id, p.err, generator.ErrClosed)
				}
				k.distinct(all)
			},
		},
		{
			name: "last tick after closing",
			rule: "LastTick still says after Close what a successor has to stay above",
			run: func(k *kit) {
				g := optional[closer](k, "Close")
				last := optional[lastTicker](k, "LastTick")
				tick := k.parts(k.next()).Tick
				if err := g.Close(); err != nil {
					k.errorf("Close: %v", err)
				}
				if got := last.LastTick(); got < tick {
					k.errorf("LastTick is %d, and there is an ID of tick %d", got, tick)
				}
			},
		},
	}
}

func contextCases() []testCase {
	withContext := func(k *kit, ctx context.Context) func() (layout.ID, error) {
		g := optional[contexter](k, "NextContext")
		return func() (layout.ID, error) { return g.NextContext(ctx) }
	}
	return []testCase{
		{
			name:    "with a context",
			rule:    "NextContext makes the IDs that Next would",
			layouts: shapes(),
			run: func(k *kit) {
				next := withContext(k, context.Background())
				var all []layout.ID
				for range 20 {
					id, err := k.result(k.begin(next))
					if err != nil {
						k.fatalf("NextContext: %v", err)
					}
					k.inTick(k.now(), id)
					all = append(all, id)
					k.clock.Advance(k.unit(1))
					id = k.next()
					k.inTick(k.now(), id)
					all = append(all, id)
					k.clock.Advance(k.unit(1))
				}
				k.distinct(all)
			},
		},
		{
			name: "context done before",
			rule: "NextContext makes no ID when its context is done, and returns the context's error",
			run: func(k *kit) {
				ctx, cancel := context.WithCancel(context.Background())
				next := withContext(k, ctx)
				cancel()
				id, err := k.result(k.begin(next))
				k.refused(id, err, context.Canceled)
				if g, ok := k.g.(counter); ok && g.Stats().Issued != 0 {
					k.errorf("Stats say that %d IDs were issued, want none", g.Stats().Issued)
				}
			},
		},
		{
			name: "context done while waiting",
			rule: "NextContext stops waiting for the clock when its context is done, and uses nothing up",
			run: func(k *kit) {
				ctx, cancel := context.WithCancel(context.Background())
				next := withContext(k, ctx)
				tick := k.now()
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				q := k.begin(next)
				cancel()
				<-q.done // whatever the other one waits for
				if q.err == nil && !k.f.WholeTicks {
					all = append(all, q.id)
				} else {
					k.refused(q.id, q.err, context.Canceled)
				}
				k.clock.Advance(k.unit(1))
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				more, p := k.drain(k.perTick() - 1)
				k.mustWait(p)
				k.tickHas(len(more)+1, k.perTick())
				k.inTick(tick+1, more...)
				k.distinct(append(append(all, id), more...))
			},
		},
		{
			name: "one gives up, the others go on",
			rule: "a caller that gives up waiting does not take the others with it, whoever came first",
			run: func(k *kit) {
				ctx, cancel := context.WithCancel(context.Background())
				next := withContext(k, ctx)
				all, p := k.drain(k.perTick())
				k.mustWait(p)

				// The first to wait here is p; then one that will give up comes
				// among others that will not.
				quitters := []*pending{k.begin(next), k.begin(next)}
				others := []*pending{p, k.begin(k.g.Next), k.begin(k.g.Next), k.begin(k.g.Next)}
				cancel()
				for _, q := range quitters {
					<-q.done
					if q.err == nil && !k.f.WholeTicks {
						all = append(all, q.id)
					} else {
						k.refused(q.id, q.err, context.Canceled)
					}
				}
				for _, q := range others {
					for k.waits(q) {
						k.clock.Advance(k.unit(1))
					}
					if q.err != nil {
						k.fatalf("Next: %v", q.err)
					}
					all = append(all, q.id)
				}
				// Concurrent calls have no order.
				k.unique(all)
			},
		},
		{
			name: "the first gives up, the others go on",
			rule: "if the caller that waits for all gives up, another one takes over",
			run: func(k *kit) {
				ctx, cancel := context.WithCancel(context.Background())
				next := withContext(k, ctx)
				g := optional[filler](k, "Fill")
				tick := make([]layout.ID, k.perTick())
				if !k.fills(g, tick) {
					k.Skip("Fill does not give all the numbers of a tick")
				}
				all := tick[:k.perTick():k.perTick()]
				first := k.begin(next)
				k.mustWait(first)
				others := []*pending{k.begin(k.g.Next), k.begin(k.g.Next), k.begin(k.g.Next)}
				cancel()
				<-first.done
				k.refused(first.id, first.err, context.Canceled)
				for _, q := range others {
					for k.waits(q) {
						k.clock.Advance(k.unit(1))
					}
					if q.err != nil {
						k.fatalf("Next: %v", q.err)
					}
					all = append(all, q.id)
				}
				k.unique(all)
			},
		},
	}
}
