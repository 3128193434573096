package property

import (
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// full is what all strategies have.
type full interface {
	generator.Generator
	Fill(dst []layout.ID) (int, error)
	Close() error
	LastTick() int64
	Stats() generator.Stats
}

// strategy is one of the three generators, by name.
type strategy string

const (
	mutex   strategy = "Mutex"
	atomics strategy = "Atomic"
	sharded strategy = "Sharded"
)

func strategies() []strategy { return []strategy{mutex, atomics, sharded} }

// smaller is the plainest one.
func (s strategy) smaller() []strategy {
	if s == mutex {
		return nil
	}
	return []strategy{mutex}
}

// strict strategies promise that each ID is greater than those before it.
func (s strategy) strict() bool { return s != sharded }

func (s strategy) open(l layout.Layout, src generator.Source, opts ...generator.Option) (g full, err error) {
	switch s {
	case mutex:
		g, err = generator.NewMutex(l, src, opts...)
	case atomics:
		g, err = generator.NewAtomic(l, src, opts...)
	default:
		g, err = generator.NewSharded(l, src, opts...)
	}
	if err != nil {
		return nil, err // and no interface that holds a nil pointer
	}
	return g, nil
}

// overflow is a policy's name.
type overflow string

const (
	wait   overflow = "Wait"
	borrow overflow = "Borrow"
	fails  overflow = "Fail"
)

// policy is what a generator does when a tick is used up, and how much it bears
// of a clock that is behind. Lead, for borrow, and back are in half ticks.
type policy struct {
	overflow
	lead, back int64
}

func (p policy) String() string {
	of := string(p.overflow)
	if p.overflow == borrow {
		of = fmt.Sprintf("Borrow(%g ticks)", float64(p.lead)/2)
	}
	return fmt.Sprintf("%s, backward limit %g ticks", of, float64(p.back)/2)
}

func drawPolicy(c chance, of overflow) policy {
	p := policy{overflow: of, back: pick[int64](c, 0, 1, 2, 6, 100)}
	if of == borrow {
		p.lead = c.below(13)
	}
	return p
}

// smaller policies are of the same name.
func (p policy) smaller() []policy {
	var all []policy
	for _, n := range smallerNumbers(p.lead) {
		all = append(all, policy{p.overflow, n, p.back})
	}
	for _, n := range smallerNumbers(p.back) {
		all = append(all, policy{p.overflow, p.lead, n})
	}
	return all
}

// ahead is by how many ticks IDs may be ahead of the clock.
func (p policy) ahead() int64 { return p.lead / 2 }

func (p policy) options(l layout.Layout, c clock.Clock) []generator.Option {
	of := generator.Wait()
	switch p.overflow {
	case borrow:
		of = generator.Borrow(halves(l, p.lead))
	case fails:
		of = generator.Fail()
	}
	return []generator.Option{generator.WithClock(c), generator.WithOverflow(of), generator.WithBackwardLimit(halves(l, p.back))}
}

// halves are half ticks of a layout.
func halves(l layout.Layout, n int64) time.Duration {
	return time.Duration(n/2)*l.Unit() + time.Duration(n%2)*(l.Unit()/2)
}

// promise is what IDs of one generator are held to, whoever asks for them.
type promise struct {
	l layout.Layout
	strategy
	policy
}

// broken says in which way an ID breaks it. Before is the greatest ID that had
// been returned when the ID was asked for, or −1; stepped, whether the clock has
// ever gone back; latest, the greatest reading that it has shown; reached, what
// LastTick has returned since.
func (p promise) broken(id, before layout.ID, stepped bool, latest, reached int64) string {
	parts, err := p.l.Decompose(id)
	switch {
	case err != nil:
		return err.Error()
	case parts.Tick < 1:
		return fmt.Sprintf("%+v is of tick 0, which is never stamped", parts)
	case parts.Tick > tickOf(p.l, latest)+p.ahead():
		return fmt.Sprintf("%+v is more than %d ticks ahead of a clock that has never shown more than tick %d", parts, p.ahead(), tickOf(p.l, latest))
	case parts.Tick > reached:
		return fmt.Sprintf("%+v is past LastTick, %d", parts, reached)
	case p.strict() && id <= before:
		return fmt.Sprintf("%+v (ID %d) is not greater than ID %d, which had been returned before", parts, int64(id), int64(before))
	case before >= 0 && p.overflow == wait && !stepped && parts.Tick < int64(before>>p.l.TimeShift()):
		return fmt.Sprintf("%+v is of an earlier tick than ID %d, tick %d, which had been returned before", parts, int64(before), int64(before>>p.l.TimeShift()))
	}
	return ""
}

// refused says why making IDs may not end with an error, if it may not: anything
// but what is documented, and ErrExhausted from a policy that waits.
func (p promise) refused(err error) string {
	switch refusalOf(err) {
	case "":
		return fmt.Sprintf("an error of no documented kind: %v", err)
	case exhausted:
		if p.overflow != fails {
			return fmt.Sprintf("the policy is to wait: %v", err)
		}
	}
	return ""
}

// refusal is the kind of an error of making IDs.
type refusal string

const (
	noLease     refusal = "ErrNoLease"
	exhausted   refusal = "ErrExhausted"
	beforeEpoch refusal = "ErrBeforeEpoch"
	pastEnd     refusal = "ErrPastEnd"
	behind      refusal = "ClockBackwardError"
)

// refusalOf is the kind of an error, or none.
func refusalOf(err error) refusal {
	var back *generator.ClockBackwardError
	switch {
	case errors.Is(err, generator.ErrNoLease):
		return noLease
	case errors.Is(err, generator.ErrExhausted):
		return exhausted
	case errors.Is(err, layout.ErrBeforeEpoch):
		return beforeEpoch
	case errors.Is(err, layout.ErrPastEnd):
		return pastEnd
	case errors.As(err, &back):
		return behind
	}
	return ""
}
