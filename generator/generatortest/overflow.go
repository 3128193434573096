package generatortest

import (
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// tickHas checks how many numbers a tick gave.
func (k *kit) tickHas(n, want int) {
	k.Helper()
	switch {
	case k.f.WholeTicks && n != want:
		k.fatalf("%d IDs, want exactly %d", n, want)
	case n == 0 || n > want:
		k.fatalf("%d IDs, want some, and at most %d", n, want)
	}
}

func overflowCases() []testCase {
	return []testCase{
		{
			name:    "wait",
			rule:    "a tick has 2^(sequence bits) numbers; when they are used up, Wait blocks until the clock shows the next tick, no earlier, and goes on there",
			layouts: shapes(),
			run: func(k *kit) {
				tick := k.now()
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				k.tickHas(len(all), k.perTick())
				k.inTick(tick, all...)

				// A nanosecond before its time the call still waits.
				k.clock.Advance(k.Layout.Time(tick+1).Sub(k.clock.Time()) - 1)
				k.mustWait(p)
				k.clock.Advance(1)
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				more, p := k.drain(k.perTick() - 1)
				k.mustWait(p)
				more = append([]layout.ID{id}, more...)
				k.tickHas(len(more), k.perTick())
				k.inTick(tick+1, more...)
				k.distinct(append(all, more...))
			},
		},
		{
			name: "wait ends in the tick that is",
			rule: "a call that waited stamps the tick that the clock then shows, not the one it waited for",
			run: func(k *kit) {
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				k.clock.Jump(k.unit(1000))
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.inTick(k.now(), id)
				k.distinct(append(all, id))
			},
		},
		{
			name:     "fail",
			rule:     "with Fail, a tick that is used up gives ErrExhausted at once; however often that happens, every number of the coming ticks is still there",
			promised: "Fail",
			policy:   Fail,
			layouts:  shapes(),
			run: func(k *kit) {
				var all []layout.ID
				for range 3 {
					ids, p := k.drain(k.perTick())
					for range 3*k.perTick() + 3 {
						id, err := k.result(p)
						if err == nil && !k.f.WholeTicks { // some were left with another P
							ids = append(ids, id)
						} else {
							k.refused(id, err, generator.ErrExhausted)
						}
						p = k.begin(k.g.Next)
					}
					if id, err := k.result(p); err == nil {
						ids = append(ids, id)
					}
					k.tickHas(len(ids), k.perTick())
					k.inTick(k.now(), ids...)
					all = append(all, ids...)
					k.clock.Advance(k.unit(1))
				}
				k.distinct(all)
			},
		},
		{
			name:     "borrow",
			rule:     "with Borrow, IDs come without waiting up to the limit ahead of the clock, rounded down to ticks, and no further",
			promised: "Borrow",
			policy:   Borrow,
			borrow:   3*time.Millisecond + 700*time.Microsecond,
			layouts:  []shape{usual(), without(usual())},
			run: func(k *kit) {
				const lead = 3
				// A new generator begins as far ahead as it may; let all of
				// that pass, so that what follows starts with the clock.
				k.clock.Advance(k.unit(10))
				tick := k.now()
				all, p := k.drain((lead + 1) * k.perTick())
				k.mustWait(p)
				k.tickHas(len(all), (lead+1)*k.perTick())
				for i, id := range all {
					got := k.parts(id).Tick
					if got < tick || got > tick+lead {
						k.fatalf("%v is not within %d ticks ahead of %d", k.describe(id), lead, tick)
					}
					if k.f.WholeTicks && got != tick+int64(i/k.perTick()) {
						k.fatalf("%v came as number %d after tick %d began", k.describe(id), i, tick)
					}
				}
				k.clock.Advance(k.Layout.Time(tick+1).Sub(k.clock.Time()) - 1)
				k.mustWait(p)
				k.clock.Advance(1)
				id, err := k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				if k.f.WholeTicks {
					k.inTick(tick+lead+1, id)
				}
				// Otherwise it may have woken on a P that was left with numbers
				// of a tick that was borrowed before. One more tick has come
				// within reach, and those after it have not.
				all = append(all, id)
				more, p := k.drain((lead+2)*k.perTick() - len(all))
				k.mustWait(p)
				var begun int
				for _, id := range append([]layout.ID{id}, more...) {
					got := k.parts(id).Tick
					if got <= tick || got > tick+lead+1 {
						k.fatalf("%v is not within %d ticks ahead of %d", k.describe(id), lead, tick+1)
					}
					if got == tick+lead+1 {
						begun++
					}
				}
				k.tickHas(begun, k.perTick())
				all = append(all, more...)

				// What was borrowed is not borrowed again.
				k.clock.Jump(k.unit(100))
				id, err = k.result(p)
				if err != nil {
					k.fatalf("Next: %v", err)
				}
				k.inTick(k.now(), id)
				k.distinct(append(all, id))
			},
		},
		{
			name:     "borrow less than a tick",
			rule:     "a limit of less than a tick borrows nothing",
			promised: "Borrow",
			policy:   Borrow,
			borrow:   time.Millisecond - 1,
			run: func(k *kit) {
				k.clock.Advance(k.unit(2))
				tick := k.now()
				all, p := k.drain(k.perTick())
				k.mustWait(p)
				k.inTick(tick, all...)
				k.clock.Advance(k.unit(1))
				if id, err := k.result(p); err != nil {
					k.fatalf("Next: %d, %v", id, err)
				}
			},
		},
	}
}

// without returns s without sequence bits: every ID takes a tick.
func without(s shape) shape {
	s.name += ", no sequence bits"
	s.SequenceBits = 0
	return s
}
