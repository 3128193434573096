package generatortest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/generator/generatortest"
	"github.com/easyflake/easyflake/layout"
)

// plain is somebody else's generator: a lock, and nothing but Next. It knows none
// of the policies and no limit for clocks that step back.
type plain struct {
	generatortest.Setup
	mu             sync.Mutex
	tick, sequence int64
}

func (g *plain) Next() (layout.ID, error) {
	for {
		tick, err := g.Layout.Tick(time.Unix(0, g.Clock.Now()))
		if err != nil {
			return 0, err
		}
		id, next, ok := g.number(tick)
		if ok {
			return id, nil
		}
		if err := g.Clock.Wait(context.Background(), g.Layout.Time(next).UnixNano()); err != nil {
			return 0, err
		}
	}
}

// number returns the next number, or the tick to wait for.
func (g *plain) number(tick int64) (id layout.ID, next int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case tick > g.tick:
		g.tick, g.sequence = tick, -1
	case g.sequence == g.Layout.MaxSequence():
		return 0, g.tick + 1, false
	}
	g.sequence++
	id, err := g.Layout.Compose(g.tick, g.Node, g.sequence)
	return id, 0, err == nil
}

// The suite asks nothing that its factory does not promise.
func TestRunWithAGeneratorOfAnotherKind(t *testing.T) {
	generatortest.Run(t, generatortest.Factory{
		New: func(s generatortest.Setup) (generator.Generator, error) {
			if err := s.Layout.Check(time.Unix(0, s.Clock.Now())); errors.Is(err, layout.ErrLifeOver) {
				return nil, err
			}
			return &plain{Setup: s, tick: -1}, nil
		},
		Increasing: true, TickOrder: true, WholeTicks: true,
	})
}
