// Package generatortest tests generators of IDs: whether they keep the contract
// of package generator, whatever the clock does. It is for those who write a
// generator of their own, and needs nothing but a way to make one:
//
//	func TestContract(t *testing.T) {
//		generatortest.Run(t, generatortest.Factory{
//			New: func(s generatortest.Setup) (generator.Generator, error) {
//				return mine.New(s.Layout, s.Node, s.Clock, s.BackwardLimit)
//			},
//			BackwardLimit: true,
//			WholeTicks:    true,
//		})
//	}
//
// Methods beyond Next are tested where the generator has them: NextContext, Fill,
// Seq, Close, LastTick and Stats, with the signatures of package generator.
package generatortest

import (
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// Policy is what a generator does when the sequence of a tick is used up, as in
// [generator.Overflow].
type Policy int

// The policies of package generator.
const (
	Wait Policy = iota
	Borrow
	Fail
)

// Setup is what a generator under test is made of.
type Setup struct {
	Layout layout.Layout
	Node   int64
	// Clock is a fake. Generators must neither read nor wait for another.
	Clock clock.Clock
	// Policy is Wait, or one of those that the Factory says it has.
	Policy      Policy
	BorrowLimit time.Duration
	// BackwardLimit is as in [generator.WithBackwardLimit].
	BackwardLimit time.Duration
}

// Options returns the setup as options of package generator.
func (s Setup) Options() []generator.Option {
	overflow := generator.Wait()
	switch s.Policy {
	case Wait:
	case Borrow:
		overflow = generator.Borrow(s.BorrowLimit)
	case Fail:
		overflow = generator.Fail()
	}
	return []generator.Option{
		generator.WithClock(s.Clock),
		generator.WithOverflow(overflow),
		generator.WithBackwardLimit(s.BackwardLimit),
	}
}

// Factory makes generators of one kind, and says what that kind promises beyond
// unique IDs of the right node and tick. What is not promised is not tested.
type Factory struct {
	// New makes a generator. Its first IDs may be of a tick after the clock's, by
	// one and as much as it may borrow, for the sake of an earlier process; it may
	// wait for that tick.
	New func(Setup) (generator.Generator, error)

	// Increasing says that of two calls, if one returns before the other
	// begins, its ID is the smaller one, whatever the clock does.
	Increasing bool
	// TickOrder says that of two calls, if one returns before the other begins,
	// the tick of its ID is not the later one, as long as the policy is Wait
	// and the clock does not step back.
	TickOrder bool
	// WholeTicks says that one goroutine alone gets every number of a tick.
	WholeTicks bool
	// BackwardLimit says that the limit of the setup is kept; generators
	// without one are tested with clocks that step back by what they please,
	// but not for what they then do, as long as IDs are unique.
	BackwardLimit bool
	// Borrow and Fail say that there are these policies beside Wait.
	Borrow, Fail bool
}

// Run runs the suite, each case as a subtest. A case that fails explains the rule
// that was broken.
func Run(t *testing.T, f Factory) {
	t.Helper()
	for _, group := range [][]testCase{
		identityCases(), overflowCases(), backwardCases(), lifeCases(),
		closeCases(), contextCases(), batchCases(), statsCases(), contentionCases(),
	} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				if c.promised != "" && !f.promises(c.promised) {
					t.Skipf("the factory does not promise %s", c.promised)
				}
				for _, shape := range c.shapes() {
					if len(c.layouts) < 2 {
						c.run(newKit(t, f, c, shape))
						continue
					}
					t.Run(shape.name, func(t *testing.T) { c.run(newKit(t, f, c, shape)) })
				}
			})
		}
	}
}

func (f Factory) promises(what string) bool {
	switch what {
	case "WholeTicks":
		return f.WholeTicks
	case "BackwardLimit":
		return f.BackwardLimit
	case "Borrow":
		return f.Borrow
	case "Fail":
		return f.Fail
	}
	panic("generatortest: unknown promise " + what)
}

// testCase is one rule of the contract.
type testCase struct {
	name string
	// rule is printed when the case fails.
	rule string
	// promised names the field of Factory without which the case does not apply.
	promised string
	// layouts to run with; none means the usual one.
	layouts []shape
	// policy and the rest of the setup.
	policy  Policy
	borrow  time.Duration
	backOff time.Duration // the limit for clocks that step back; zero: a second, or three ticks
	// early makes the case begin before the clock has reached the first tick of a
	// new generator.
	early bool
	run   func(*kit)
}

// none is a limit of zero for clocks that step back.
const none = -1

// shape is a layout with a node for it, and a time to begin at.
type shape struct {
	name string
	layout.Config
	node int64
	at   time.Duration // since the epoch
}

func (c testCase) shapes() []shape {
	if len(c.layouts) == 0 {
		return []shape{usual()}
	}
	return c.layouts
}

// epoch is nothing special, and not a whole second.
func epoch() time.Time { return time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC) }

// usual is a layout whose ticks are used up soon.
func usual() shape {
	return shape{
		name:   "usual",
		Config: layout.Config{Epoch: epoch(), Unit: time.Millisecond, NodeBits: 8, SequenceBits: 4},
		node:   0xA5,
		at:     1000*time.Hour + 300*time.Microsecond,
	}
}

// shapes are layouts of all kinds.
func shapes() []shape {
	const long = 1000*time.Hour + 300
	of := func(name string, unit time.Duration, node, sequence int, number int64) shape {
		return shape{name, layout.Config{Epoch: epoch(), Unit: unit, NodeBits: node, SequenceBits: sequence}, number, long}
	}
	swapped := of("time-sequence-node", 10*time.Millisecond, 16, 8, 0x1234)
	swapped.Order = layout.TimeSequenceNode
	few := of("24 bits in all", time.Hour, 3, 5, 7)
	few.TimeBits = 16
	atEpoch := of("first ticks", time.Millisecond, 8, 4, 255)
	atEpoch.at = 300
	return []shape{
		usual(),
		of("63 bits, highest node", time.Millisecond, 8, 8, 255),
		of("node 0", time.Millisecond, 8, 6, 0),
		of("no node bits", time.Millisecond, 0, 8, 0),
		of("no sequence bits", time.Millisecond, 8, 0, 9),
		of("neither node nor sequence", time.Millisecond, 0, 0, 0),
		of("unit 1 µs", time.Microsecond, 6, 4, 33),
		of("unit 1234567 ns", 1234567, 6, 7, 33),
		of("unit 1 s", time.Second, 10, 7, 1023),
		of("unit 1 h", time.Hour, 10, 7, 1),
		swapped, few, atEpoch,
	}
}

// newClock returns the clock that a case begins with.
func (s shape) newClock() *clocktest.Clock { return clocktest.New(s.Epoch.Add(s.at)) }
