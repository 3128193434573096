package generatortest

import (
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/layout"
)

func identityCases() []testCase {
	return []testCase{
		{
			name:    "fields",
			rule:    "an ID is never negative, and decomposes to the node of the setup and to the tick that the clock shows",
			layouts: shapes(),
			run: func(k *kit) {
				r := rand.New(rand.NewPCG(1, 2))
				var ids []layout.ID
				for range 50 {
					id := k.next()
					k.inTick(k.now(), id)
					ids = append(ids, id)
					k.clock.Advance(k.unit(1) + time.Duration(r.Int64N(int64(k.unit(20)))))
				}
				k.distinct(ids)
			},
		},
		{
			name:    "jumps of years",
			rule:    "a clock that jumps far forward is followed at once: there is nothing to wait for",
			layouts: []shape{usual()},
			run: func(k *kit) {
				var ids []layout.ID
				for range 10 {
					id := k.next()
					k.inTick(k.now(), id)
					ids = append(ids, id)
					k.clock.Jump(10 * 365 * 24 * time.Hour)
				}
				k.distinct(ids)
			},
		},
		{
			name:    "unique in a tick",
			rule:    "no number is issued twice, and where strict order is promised, each ID is greater than the one before",
			layouts: shapes(),
			run: func(k *kit) {
				var ids []layout.ID
				for range 4 {
					some, p := k.drain(k.perTick())
					k.distinct(some)
					ids = append(ids, some...)
					k.clock.Advance(k.unit(1))
					id, err := k.result(p)
					if err != nil {
						k.fatalf("Next: %v", err)
					}
					ids = append(ids, id)
				}
				k.distinct(ids)
			},
		},
		{
			name: "last tick",
			rule: "LastTick is at least the tick of every ID made; before the first, it lies before that one's",
			run: func(k *kit) {
				g := optional[lastTicker](k, "LastTick")
				before := g.LastTick()
				first := k.now()
				if before >= first {
					k.errorf("LastTick is %d before the first ID, whose tick is %d", before, first)
				}
				for range 20 {
					tick := k.parts(k.next()).Tick
					if last := g.LastTick(); last < tick {
						k.fatalf("LastTick is %d after an ID of tick %d", last, tick)
					} else if last > k.now() {
						k.fatalf("LastTick is %d, and the clock shows only %d", last, k.now())
					}
					k.clock.Advance(k.unit(3))
				}
			},
		},
	}
}
