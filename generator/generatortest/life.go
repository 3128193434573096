package generatortest

import (
	"errors"
	"math"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// atTheEnd are layouts that begin three ticks before their last one.
func atTheEnd() []shape {
	of := func(name string, unit time.Duration, time, node, sequence int) shape {
		s := shape{name: name, Config: layout.Config{Epoch: epoch(), Unit: unit, TimeBits: time, NodeBits: node, SequenceBits: sequence}}
		s.node = 1<<node - 1
		return s
	}
	// Numbers up to 2^63 - 1, and an end that nanoseconds since 1970 still reach.
	full := of("63 bits", time.Microsecond, 53, 6, 4)
	full.Epoch = time.Unix(0, 0)
	swapped := of("time-sequence-node", time.Millisecond, 8, 4, 4)
	swapped.Order = layout.TimeSequenceNode
	all := []shape{
		of("few bits", time.Millisecond, 6, 3, 4),
		of("no sequence bits", time.Second, 6, 3, 0),
		of("an hour", time.Hour, 4, 0, 3),
		full, swapped,
	}
	for i := range all {
		ticks := int64(1)<<all[i].TimeBits - 4
		all[i].at = time.Duration(ticks) * all[i].Unit
	}
	return all
}

func lifeCases() []testCase {
	return []testCase{
		{
			name:    "past the end",
			rule:    "after the layout's last tick there is ErrPastEnd and never an ID: ticks do not wrap, nor get into the sign",
			layouts: atTheEnd(),
			run: func(k *kit) {
				var all []layout.ID
				for k.now() < k.Layout.MaxTick() {
					id := k.next()
					k.inTick(k.now(), id)
					all = append(all, id)
					k.clock.Advance(k.unit(1))
				}
				ids, p := k.drain(k.perTick())
				k.inTick(k.Layout.MaxTick(), ids...)
				k.tickHas(len(ids), k.perTick())
				k.distinct(append(all, ids...))

				k.clock.Advance(k.unit(1))
				id, err := k.result(p)
				k.refused(id, err, layout.ErrPastEnd)
				for _, ticks := range []int{0, 1, 2, 3, 11, 16, 48, 64, 128, 256, 256 * 64} {
					k.clock.Advance(k.unit(ticks))
					id, err = k.try()
					k.refused(id, err, layout.ErrPastEnd)
					if g, ok := k.g.(filler); ok {
						dst := make([]layout.ID, 3)
						if n, err := g.Fill(dst); n != 0 || !errors.Is(err, layout.ErrPastEnd) {
							k.fatalf("Fill: %d, %v; want layout.ErrPastEnd", n, err)
						}
					}
				}
			},
		},
		{
			name:     "borrowing past the end",
			rule:     "the ticks after the layout's last one cannot be borrowed",
			promised: "Borrow",
			policy:   Borrow,
			borrow:   2 * time.Millisecond,
			early:    true,
			layouts:  atTheEnd()[:1],
			run: func(k *kit) {
				k.clock.StepBack(k.unit(20))
				k.make()
				k.clock.Jump(k.unit(22)) // one tick before the last
				all, p := k.drain(2 * k.perTick())
				for k.waits(p) {
					k.clock.Advance(k.unit(1))
				}
				k.refused(p.id, p.err, layout.ErrPastEnd)
				for _, id := range all {
					k.parts(id)
				}
				k.distinct(all)
			},
		},
		{
			name:    "life over",
			rule:    "a generator of a layout whose life is over cannot be made: the error is layout.ErrLifeOver",
			layouts: atTheEnd(),
			early:   true,
			run: func(k *kit) {
				k.clock.Advance(k.unit(4)) // the end
				for range 3 {
					if _, err := k.f.New(k.Setup); !errors.Is(err, layout.ErrLifeOver) {
						k.fatalf("got %v, want layout.ErrLifeOver", err)
					}
					k.clock.Advance(k.unit(100))
				}
			},
		},
		{
			name:    "before the epoch",
			rule:    "a clock that reads less than the layout's epoch gives layout.ErrBeforeEpoch and no ID, and does no lasting harm",
			layouts: shapes(),
			run: func(k *kit) {
				all := []layout.ID{k.next()}
				back := k.clock.Time().Sub(k.Layout.Epoch()) + 1
				k.clock.StepBack(back)
				for range 3 {
					id, err := k.try()
					k.refused(id, err, layout.ErrBeforeEpoch)
					k.clock.StepBack(k.unit(7))
					back += k.unit(7)
				}
				k.clock.Jump(back + k.unit(1))
				k.distinct(append(all, k.next()))
			},
		},
		{
			name: "long before the epoch",
			rule: "a clock that reads a time of centuries ago is before the epoch: the time since then must not overflow",
			run: func(k *kit) {
				k.next()
				k.clock.StepBack(time.Duration(k.clock.Now())) // 1970
				k.clock.StepBack(math.MaxInt64)                // 1677, as far as nanoseconds go
				id, err := k.try()
				k.refused(id, err, layout.ErrBeforeEpoch)
				k.clock.StepBack(1)
				id, err = k.try()
				k.refused(id, err, layout.ErrBeforeEpoch)
			},
		},
		{
			name:  "made long before the epoch",
			rule:  "a generator made while the clock reads a time of centuries ago works once the clock is right",
			early: true,
			run: func(k *kit) {
				now := k.clock.Now()
				k.clock.StepBack(time.Duration(now))
				k.clock.StepBack(math.MaxInt64)
				g, err := k.f.New(k.Setup)
				if errors.Is(err, layout.ErrBeforeEpoch) {
					return
				}
				if err != nil {
					k.fatalf("no generator: %v", err)
				}
				k.use(g)
				id, err := k.try()
				k.refused(id, err, layout.ErrBeforeEpoch)
				k.clock.Jump(math.MaxInt64)
				k.clock.Jump(time.Duration(now))
				k.inTick(k.now(), k.next())
			},
		},
		{
			name:  "made before the epoch",
			rule:  "a generator made while the clock reads less than the epoch makes no ID until the clock has reached it",
			early: true,
			run: func(k *kit) {
				k.clock.StepBack(k.clock.Time().Sub(k.Layout.Epoch()) + time.Hour)
				g, err := k.f.New(k.Setup)
				if errors.Is(err, layout.ErrBeforeEpoch) {
					return
				}
				if err != nil {
					k.fatalf("no generator: %v", err)
				}
				k.use(g)
				id, err := k.try()
				k.refused(id, err, layout.ErrBeforeEpoch)
				k.clock.Advance(time.Hour + k.unit(2))
				k.inTick(2, k.next())
			},
		},
	}
}
