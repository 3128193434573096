package generatortest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// The methods that a generator may have beside Next.
type (
	contexter interface {
		NextContext(ctx context.Context) (layout.ID, error)
	}
	filler interface {
		Fill(dst []layout.ID) (n int, err error)
	}
	sequencer interface {
		Seq(ctx context.Context) iter.Seq2[layout.ID, error]
	}
	closer     interface{ Close() error }
	lastTicker interface{ LastTick() int64 }
	counter    interface{ Stats() generator.Stats }
)

// kit is what a case works with: a generator, its clock, and ways to tell what
// went wrong.
type kit struct {
	*testing.T
	Setup
	f     Factory
	c     testCase
	clock *clocktest.Clock
	g     generator.Generator
}

// newKit makes a generator for a case, and lets the clock come to the first tick
// that it may stamp.
func newKit(t *testing.T, f Factory, c testCase, s shape) *kit {
	t.Helper()
	l, err := layout.New(s.Config)
	if err != nil {
		t.Fatalf("generatortest: %v", err)
	}
	k := &kit{T: t, f: f, c: c, clock: s.newClock()}
	// Calls that still wait come to an end with the case.
	t.Cleanup(func() { k.clock.Run(s.Unit) })
	k.Setup = Setup{
		Layout: l, Node: s.node, Clock: k.clock,
		Policy: c.policy, BorrowLimit: c.borrow, BackwardLimit: c.backOff,
	}
	switch c.backOff {
	case 0:
		k.BackwardLimit = max(time.Second, 3*s.Unit)
	case none:
		k.BackwardLimit = 0
	}
	if c.early {
		return k
	}
	k.make()
	k.clock.Advance(s.Unit + c.borrow)
	return k
}

// make makes the generator.
func (k *kit) make() {
	k.Helper()
	g, err := k.f.New(k.Setup)
	if err != nil {
		k.fatalf("no generator: %v", err)
	}
	k.use(g)
}

// use makes g the generator of the case, to be closed at its end.
func (k *kit) use(g generator.Generator) {
	k.g = g
	if c, ok := g.(closer); ok {
		k.Cleanup(func() {
			if err := c.Close(); err != nil {
				k.errorf("Close: %v", err)
			}
		})
	}
}

// errorf says what went wrong, and which rule that breaks.
func (k *kit) errorf(format string, args ...any) {
	k.Helper()
	k.Errorf("%s\nThe rule: %s", fmt.Sprintf(format, args...), k.c.rule)
}

// fatalf is errorf for what makes going on senseless.
func (k *kit) fatalf(format string, args ...any) {
	k.Helper()
	k.errorf(format, args...)
	k.FailNow()
}

// unit returns the length of n ticks.
func (k *kit) unit(n int) time.Duration { return time.Duration(n) * k.Layout.Unit() }

// perTick returns how many numbers a tick has.
func (k *kit) perTick() int { return int(k.Layout.MaxSequence()) + 1 }

// now returns the tick that the clock shows.
func (k *kit) now() int64 {
	k.Helper()
	tick, err := k.Layout.Tick(k.clock.Time())
	if err != nil {
		k.fatalf("generatortest: %v", err)
	}
	return tick
}

// standStill lets time pass while the clock shows the same.
func (k *kit) standStill(d time.Duration) {
	k.clock.StepBack(d) // wakes no one
	k.clock.Advance(d)
}

// pending is a call under way.
type pending struct {
	done chan struct{}
	id   layout.ID // valid once done is closed
	err  error
}

func (k *kit) begin(call func() (layout.ID, error)) *pending {
	p := &pending{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.id, p.err = call()
	}()
	return p
}

// waits reports whether a call waits for the clock; if not, it has returned.
func (k *kit) waits(p *pending) bool {
	return k.sleeping(p.done)
}

// sleeping returns true when someone waits for the clock, false when done is
// closed first.
func (k *kit) sleeping(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return k.clock.BlockUntil(ctx, 1) == nil
}

// result returns what a call returns that has no reason to wait (any more).
func (k *kit) result(p *pending) (layout.ID, error) {
	k.Helper()
	if k.waits(p) {
		k.fatalf("the call waits for the clock, which shows tick %d, where it should return", k.now())
	}
	return p.id, p.err
}

// try calls Next, which must not wait.
func (k *kit) try() (layout.ID, error) {
	k.Helper()
	return k.result(k.begin(k.g.Next))
}

// next returns an ID that is to be had without waiting.
func (k *kit) next() layout.ID {
	k.Helper()
	id, err := k.try()
	if err != nil {
		k.fatalf("Next: %v, at tick %d", err, k.now())
	}
	return id
}

// take returns n IDs that are to be had without waiting.
func (k *kit) take(n int) []layout.ID {
	k.Helper()
	ids := make([]layout.ID, n)
	for i := range ids {
		ids[i] = k.next()
	}
	return ids
}

// waiting begins a call of Next that has to wait.
func (k *kit) waiting() *pending {
	k.Helper()
	p := k.begin(k.g.Next)
	k.mustWait(p)
	return p
}

func (k *kit) mustWait(p *pending) {
	k.Helper()
	if !k.waits(p) {
		k.fatalf("the call does not wait for the clock, which shows tick %d, but returns %d, %v", k.now(), p.id, p.err)
	}
}

// leftover reports whether a call that the clock woke too early returned a number
// of its tick all the same, and adds that to the tick's. Where ticks are not whole, it
// may have woken on a P that was left with some; another call has to wait then.
func (k *kit) leftover(p *pending, tick int64, ids *[]layout.ID) bool {
	k.Helper()
	if k.f.WholeTicks || k.waits(p) || p.err != nil {
		return false
	}
	k.inTick(tick, p.id)
	*ids = append(*ids, p.id)
	k.tickHas(len(*ids), k.perTick())
	return true
}

// drain takes IDs until there are no more, and returns the call that got none:
// it failed, or it waits.
func (k *kit) drain(most int) ([]layout.ID, *pending) {
	k.Helper()
	var ids []layout.ID
	for {
		p := k.begin(k.g.Next)
		if k.waits(p) || p.err != nil {
			return ids, p
		}
		ids = append(ids, p.id)
		if len(ids) > most {
			k.fatalf("%d IDs, where %d are possible; the last is %v", len(ids), most, k.describe(p.id))
		}
	}
}

// parts takes an ID apart that must be one of the layout and the node.
func (k *kit) parts(id layout.ID) layout.Parts {
	k.Helper()
	p, err := k.Layout.Decompose(id)
	if err != nil {
		k.fatalf("%d is no ID of the layout: %v", int64(id), err)
	}
	if p.Node != k.Node {
		k.fatalf("%v has node %d, want %d", k.describe(id), p.Node, k.Node)
	}
	return p
}

// inTick checks that IDs belong to a tick.
func (k *kit) inTick(tick int64, ids ...layout.ID) {
	k.Helper()
	for _, id := range ids {
		if p := k.parts(id); p.Tick != tick {
			k.fatalf("%v has tick %d, want %d", k.describe(id), p.Tick, tick)
		}
	}
}

// unique checks that all IDs are different.
func (k *kit) unique(ids []layout.ID) {
	k.Helper()
	seen := make(map[layout.ID]int, len(ids))
	for i, id := range ids {
		if before, ok := seen[id]; ok {
			k.fatalf("%v was issued twice, as number %d and %d", k.describe(id), before, i)
		}
		seen[id] = i
	}
}

// distinct checks that the IDs of calls made one after the other are different,
// and in the order that is promised.
func (k *kit) distinct(ids []layout.ID) {
	k.Helper()
	k.unique(ids)
	for i := 1; i < len(ids); i++ {
		if k.f.Increasing && ids[i] <= ids[i-1] {
			k.fatalf("%v came after %v", k.describe(ids[i]), k.describe(ids[i-1]))
		}
	}
}

func (k *kit) describe(id layout.ID) string {
	p, err := k.Layout.Decompose(id)
	if err != nil {
		return fmt.Sprintf("%d (%v)", int64(id), err)
	}
	return fmt.Sprintf("%d (tick %d, node %d, sequence %d)", int64(id), p.Tick, p.Node, p.Sequence)
}

// refused checks that a call ended with an error, and without an ID.
func (k *kit) refused(id layout.ID, err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.fatalf("got %d, %v; want the error %q", id, err, want)
	}
	if id != 0 {
		k.errorf("an ID came with the error %q: %v", err, k.describe(id))
	}
}

// behind checks that a call ended because of the clock, and returns by how much.
func (k *kit) behind(id layout.ID, err error) (by time.Duration) {
	k.Helper()
	var e *generator.ClockBackwardError
	if !errors.As(err, &e) {
		k.fatalf("got %d, %v; want a *ClockBackwardError", id, err)
	}
	if id != 0 {
		k.errorf("an ID came with the error %q: %v", err, k.describe(id))
	}
	if e.Limit != k.BackwardLimit {
		k.errorf("the error's Limit is %v, want %v", e.Limit, k.BackwardLimit)
	}
	if e.By <= 0 {
		k.errorf("the error says that the clock is behind by %v", e.By)
	}
	return e.By
}

// optional returns the generator as one with further methods, or skips the case.
func optional[T any](k *kit, method string) T {
	k.Helper()
	g, ok := k.g.(T)
	if !ok {
		k.Skipf("the generator has no method %s", method)
	}
	return g
}
