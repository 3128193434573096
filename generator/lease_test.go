package generator

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
)

// lease is a Source whose windows a test grants and seals.
type lease struct {
	of      layout.Layout   // zero: any
	opening []layout.Window // granted while attaching

	grant func(layout.Window) error
	seal  func() int64
	start int64
	over  chan struct{} // closed by end

	mu       sync.Mutex
	attached bool
	detached []int64
	err      error
}

func newLease(opening ...layout.Window) *lease {
	return &lease{opening: opening, over: make(chan struct{})}
}

func (s *lease) Layout() layout.Layout { return s.of }

func (s *lease) Attach(start int64, grant func(layout.Window) error, seal func() int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return false, nil
	}
	for _, w := range s.opening {
		if err := grant(w); err != nil {
			return false, err
		}
	}
	s.attached, s.start, s.grant, s.seal = true, start, grant, seal
	return true, nil
}

func (s *lease) Detach(last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = false
	s.detached = append(s.detached, last)
}

func (s *lease) Done() <-chan struct{} { return s.over }

func (s *lease) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end ends the lease for good.
func (s *lease) end(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	close(s.over)
}

// full is what all strategies have.
type full interface {
	Generator
	NextContext(ctx context.Context) (layout.ID, error)
	Fill(dst []layout.ID) (int, error)
	Close() error
	LastTick() int64
	Stats() Stats
	base() *core
}

func (c *core) base() *core { return c }

// kinds are the strategies, by name.
var kinds = []struct {
	name string
	open func(l layout.Layout, src Source, opts ...Option) (full, error)
}{
	{"Mutex", func(l layout.Layout, src Source, opts ...Option) (full, error) { return NewMutex(l, src, opts...) }},
	{"Atomic", func(l layout.Layout, src Source, opts ...Option) (full, error) { return NewAtomic(l, src, opts...) }},
	{"Sharded", func(l layout.Layout, src Source, opts ...Option) (full, error) { return NewSharded(l, src, opts...) }},
}

// opener makes a generator that is closed at the test's end.
type opener = func(t *testing.T, l layout.Layout, src Source, opts ...Option) full

// each runs a test for every strategy.
func each(t *testing.T, test func(t *testing.T, open opener)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			test(t, func(t *testing.T, l layout.Layout, src Source, opts ...Option) full {
				t.Helper()
				g, err := k.open(l, src, opts...)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, g.Close()) })
				return g
			})
		})
	}
}

// small has ticks of 1 ms from 1970 on, and as many bits as given.
func small(t *testing.T, timeBits, nodeBits, sequenceBits int) layout.Layout {
	t.Helper()
	l, err := layout.New(layout.Config{
		Epoch: time.Unix(0, 0), Unit: time.Millisecond,
		TimeBits: timeBits, NodeBits: nodeBits, SequenceBits: sequenceBits,
	})
	require.NoError(t, err)
	return l
}

// clockAt returns a clock in the middle of a tick of 1 ms since 1970.
func clockAt(tick int64) *clocktest.Clock {
	return clocktest.New(time.UnixMilli(tick).Add(time.Millisecond / 2))
}

// newCore returns a core of a layout, for tests of its arithmetic.
func newCore(t *testing.T, l layout.Layout) *core {
	t.Helper()
	g, err := NewMutex(l, newLease(), WithClock(clocktest.New(l.Epoch())))
	require.NoError(t, err)
	return &g.core
}

// mustNext returns an ID, taken apart.
func mustNext(t *testing.T, l layout.Layout, g Generator) layout.Parts {
	t.Helper()
	id, err := g.Next()
	require.NoError(t, err)
	p, err := l.Decompose(id)
	require.NoError(t, err)
	return p
}
