package generatortest

import (
	"context"
	"errors"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// fills reports whether Fill gives all of dst without waiting.
func (k *kit) fills(g filler, dst []layout.ID) bool {
	k.Helper()
	p, n := k.fill(g, dst)
	if k.waits(p) {
		return false
	}
	if p.err != nil || *n != len(dst) {
		k.fatalf("Fill of %d: %d, %v", len(dst), *n, p.err)
	}
	return true
}

// fill begins to fill dst; n is valid once the call has returned.
func (k *kit) fill(g filler, dst []layout.ID) (p *pending, n *int) {
	n = new(int)
	return k.begin(func() (_ layout.ID, err error) {
		*n, err = g.Fill(dst)
		return 0, err
	}), n
}

// ascending checks that IDs are in increasing order, as those of a batch are in
// every strategy.
func (k *kit) ascending(ids []layout.ID) {
	k.Helper()
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			k.fatalf("%v stands after %v", k.describe(ids[i]), k.describe(ids[i-1]))
		}
	}
}

func batchCases() []testCase {
	return []testCase{
		{
			name:    "fill",
			rule:    "Fill fills all of its slice, in increasing order, with IDs that no other call gets",
			layouts: shapes(),
			run: func(k *kit) {
				g := optional[filler](k, "Fill")
				var all []layout.ID
				for n := 1; n <= k.perTick() && n < 20; n++ {
					id := k.next()
					all = append(all, id)
					k.clock.Advance(k.unit(1))
					dst := make([]layout.ID, n)
					if !k.fills(g, dst) {
						k.fatalf("Fill of %d waits, in a tick of %d", n, k.perTick())
					}
					k.inTick(k.now(), dst...)
					k.ascending(dst)
					all = append(all, dst...)
					k.clock.Advance(k.unit(1))
				}
				k.distinct(all)
			},
		},
		{
			name:    "fill across ticks",
			rule:    "a slice longer than a tick is filled from as many ticks as it needs, still in increasing order",
			layouts: shapes(),
			run: func(k *kit) {
				g := optional[filler](k, "Fill")
				all := []layout.ID{k.next()}
				first := k.now()
				dst := make([]layout.ID, 3*k.perTick()+k.perTick()/2+1)
				p, n := k.fill(g, dst)
				for k.waits(p) {
					k.clock.Advance(k.unit(1))
				}
				if p.err != nil || *n != len(dst) {
					k.fatalf("Fill of %d: %d, %v", len(dst), *n, p.err)
				}
				k.ascending(dst)
				for _, id := range dst {
					if tick := k.parts(id).Tick; tick < first || tick > k.now() {
						k.fatalf("%v is not of the ticks from %d to %d", k.describe(id), first, k.now())
					}
				}
				k.distinct(append(all, dst...))
			},
		},
		{
			name:     "fill in part",
			rule:     "where Fill fails it says how many it wrote, leaves the rest of the slice alone, and what it wrote counts",
			promised: "Fail",
			policy:   Fail,
			run: func(k *kit) {
				g := optional[filler](k, "Fill")
				for range 2 {
					dst := make([]layout.ID, 2*k.perTick())
					p, n := k.fill(g, dst)
					_, err := k.result(p)
					if !errors.Is(err, generator.ErrExhausted) {
						k.fatalf("Fill of two ticks: %d, %v; want ErrExhausted", *n, err)
					}
					k.tickHas(*n, k.perTick())
					k.inTick(k.now(), dst[:*n]...)
					k.ascending(dst[:*n])
					for i, id := range dst[*n:] {
						if id != 0 {
							k.fatalf("Fill says %d, and wrote %v at %d", *n, k.describe(id), *n+i)
						}
					}
					k.clock.Advance(k.unit(1))
				}
			},
		},
		{
			name:     "fill beside a clock set back",
			rule:     "where the clock is set back while Fill waits, Fill keeps what it has and says why it ended",
			promised: "BackwardLimit",
			run: func(k *kit) {
				g := optional[filler](k, "Fill")
				dst := make([]layout.ID, 2*k.perTick())
				p, n := k.fill(g, dst)
				k.mustWait(p)
				k.clock.StepBack(10 * k.BackwardLimit)
				for k.waits(p) {
					k.clock.Advance(k.BackwardLimit)
				}
				_ = k.behind(p.id, p.err)
				k.tickHas(*n, k.perTick())
				k.ascending(dst[:*n])
				k.clock.Jump(11 * k.BackwardLimit)
				k.distinct(append(dst[:*n:*n], k.next()))
			},
		},
		{
			name: "fill nothing",
			rule: "filling nothing succeeds and uses nothing up",
			run: func(k *kit) {
				g := optional[filler](k, "Fill")
				for _, dst := range [][]layout.ID{nil, {}, make([]layout.ID, 0, 4)} {
					p, n := k.fill(g, dst)
					if _, err := k.result(p); err != nil || *n != 0 {
						k.errorf("Fill of nothing: %d, %v", *n, err)
					}
				}
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				k.tickHas(len(all), k.perTick())
			},
		},
		{
			name: "sequence",
			rule: "Seq yields the IDs that NextContext makes, for as long as they are asked for, and makes none in advance",
			run: func(k *kit) {
				g := optional[sequencer](k, "Seq")
				seq := g.Seq(context.Background())
				var all []layout.ID
				for range 3 { // it can be ranged over again
					for id, err := range seq {
						if err != nil {
							k.fatalf("Seq: %v", err)
						}
						k.inTick(k.now(), id)
						all = append(all, id)
						k.clock.Advance(k.unit(1))
						if len(all)%4 == 0 {
							break
						}
					}
					all = append(all, k.next())
					k.clock.Advance(k.unit(1))
				}
				k.distinct(all)
				if g, ok := k.g.(counter); ok && g.Stats().Issued != uint64(len(all)) {
					k.errorf("Stats say that %d IDs were issued, and %d were received", g.Stats().Issued, len(all))
				}
			},
		},
		{
			name: "sequence with an error",
			rule: "Seq ends after its first error, which comes without an ID",
			run: func(k *kit) {
				g := optional[sequencer](k, "Seq")
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var ids []layout.ID
				var failed int
				for id, err := range g.Seq(ctx) {
					if err != nil {
						k.refused(id, err, context.Canceled)
						failed++
						if failed > 1 {
							k.fatalf("Seq goes on after an error")
						}
						continue
					}
					if failed != 0 {
						k.fatalf("%v came after an error", k.describe(id))
					}
					ids = append(ids, id)
					if len(ids) == 5 {
						cancel()
					}
					k.clock.Advance(k.unit(1))
				}
				if len(ids) != 5 || failed != 1 {
					k.errorf("%d IDs and %d errors, want 5 and 1", len(ids), failed)
				}
				k.distinct(ids)
			},
		},
	}
}
