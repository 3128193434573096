package generator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/generator/generatortest"
	"github.com/easyflake/easyflake/layout"
)

// TestChaos makes ten million IDs with each strategy, from eight goroutines, under
// a clock that freezes, steps back by up to an hour and jumps, and looks for two
// equal ones, and for a smaller one after a greater one where order is promised.
func TestChaos(t *testing.T) {
	n := 10_000_000
	if generator.RaceEnabled || testing.Short() {
		n = 400_000
	}
	config := layout.DefaultConfig()
	for _, c := range []struct {
		name         string
		sequenceBits int
		order        layout.Order
		share        int // of n
		forward      bool
	}{
		{"wide ticks", 16, layout.TimeNodeSequence, 1, false},
		{"sequence before node", 12, layout.TimeSequenceNode, 5, false},
		{"short ticks", 6, layout.TimeNodeSequence, 10, false},
		{"clock going forward", 10, layout.TimeNodeSequence, 5, true},
	} {
		config.SequenceBits, config.Order = c.sequenceBits, c.order
		l, err := layout.New(config)
		require.NoError(t, err)
		for _, s := range strategies() {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				generatortest.Contend(t, s.Factory, generatortest.Contention{
					Goroutines: 8, IDs: n / c.share, Seed: uint64(c.sequenceBits), Layout: l, Forward: c.forward,
				})
			})
		}
	}
}

// A generator that lives for long sees the clock step back many times. Here every
// reading is another surprise.
func TestEveryReadingIsASurprise(t *testing.T) {
	l := layout.Default()
	for _, f := range strategies() {
		t.Run(f.name, func(t *testing.T) {
			c := &surprising{now: l.Epoch().Add(time.Hour).UnixNano()}
			g, err := f.New(generatortest.Setup{Layout: l, Node: 3, Clock: c, BackwardLimit: time.Second})
			require.NoError(t, err)
			seen := make(map[layout.ID]bool)
			var before layout.ID
			for range 100_000 {
				id, err := g.Next()
				if err != nil {
					var behind *generator.ClockBackwardError
					require.ErrorAs(t, err, &behind)
					continue
				}
				require.False(t, seen[id], "%d was made twice", id)
				seen[id] = true
				if f.Increasing {
					require.Greater(t, id, before)
				}
				before = id
			}
			require.Greater(t, len(seen), 10_000)
		})
	}
}
