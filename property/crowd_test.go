package property

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/easyflake/easyflake/layout"
)

// behaviour is what the clock does while goroutines read it. Whoever waits for it
// finds the time come.
type behaviour string

const (
	running  behaviour = "running"  // each reading is later
	frozen   behaviour = "frozen"   // it stands still but while it is waited for
	jumping  behaviour = "jumping"  // it runs, and is set ahead now and then, by ticks or by years
	stepping behaviour = "stepping" // it runs, is set back now and then, and some waits are in vain
)

// hands is a clock that many read.
type hands struct {
	does   behaviour
	unit   int64
	now    atomic.Int64
	latest atomic.Int64 // the greatest reading that anybody had
	reads  atomic.Int64
	waits  atomic.Int64
}

func newHands(s stage, does behaviour) *hands {
	c := &hands{does: does, unit: int64(s.shape.Unit)}
	c.now.Store(s.start())
	return c
}

func (c *hands) Now() int64 {
	n := c.reads.Add(1)
	step := max(1, c.unit/16)
	switch {
	case c.does == frozen:
		step = 0
	case c.does == jumping && n%1009 == 0:
		step = int64(year)
	case c.does == jumping && n%97 == 0:
		step = n / 97 % 50 * c.unit
	case c.does == stepping && n%37 == 0:
		step = -(n / 37 % 5) * c.unit
	}
	now := c.now.Load()
	for !c.now.CompareAndSwap(now, later(now, step)) {
		now = c.now.Load()
	}
	now = later(now, step)
	raise(&c.latest, now)
	return now
}

func (c *hands) Wait(ctx context.Context, until int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n := c.waits.Add(1); c.does != stepping || n%5 != 0 {
		raise(&c.now, until)
	}
	return nil
}

// raise makes a number at least n.
func raise(of *atomic.Int64, n int64) {
	for is := of.Load(); is < n && !of.CompareAndSwap(is, n); is = of.Load() {
	}
}

// crowd is a number of goroutines that share a generator, while its source
// changes the window under them, and Ps come and go.
type crowd struct {
	stage      stage
	strategy   strategy
	policy     policy
	clock      behaviour
	goroutines int64
	calls      int64 // of each
	changes    []step
}

func (v crowd) String() string {
	return fmt.Sprintf("%v, %s, %v, clock %s, %d goroutines × %d calls, meanwhile %v",
		v.stage, v.strategy, v.policy, v.clock, v.goroutines, v.calls, v.changes)
}

func crowds(st strategy, does behaviour) kind[crowd] {
	return kind[crowd]{
		draw: func(c chance) crowd {
			v := crowd{
				stage: stages.draw(c), strategy: st, policy: drawPolicy(c, pick(c, wait, borrow, fails)), clock: does,
				goroutines: 1 + c.below(16), calls: 1 + c.below(2+8*int64(c.size())),
				changes: []step{drawWindowStep(c)},
			}
			if c.oneIn(2) { // far from the end of a life
				v.stage.tick /= 2
			}
			for range c.below(1 + int64(c.size())/3) {
				v.changes = append(v.changes, drawChange(c))
			}
			for i, one := range v.changes {
				if one.act == replace && c.oneIn(2) { // for so many
					v.changes[i].ticks = 1 + c.below(100*v.goroutines)
				}
			}
			return v
		},
		smaller: func(v crowd) []crowd {
			var all []crowd
			with := func(change func(v *crowd)) {
				one := v
				change(&one)
				all = append(all, one)
			}
			for _, changes := range shorter(v.changes, nil) {
				with(func(v *crowd) { v.changes = changes })
			}
			for _, n := range smallerNumbers(v.goroutines) {
				if n > 0 {
					with(func(v *crowd) { v.goroutines = n })
				}
			}
			for _, n := range smallerNumbers(v.calls) {
				if n > 0 {
					with(func(v *crowd) { v.calls = n })
				}
			}
			for _, st := range v.strategy.smaller() {
				with(func(v *crowd) { v.strategy = st })
			}
			for _, p := range v.policy.smaller() {
				with(func(v *crowd) { v.policy = p })
			}
			for _, st := range stages.smaller(v.stage) {
				with(func(v *crowd) { v.stage = st })
			}
			for i, one := range v.changes {
				for _, smaller := range one.smaller() {
					with(func(v *crowd) {
						v.changes = append([]step{}, v.changes...)
						v.changes[i] = smaller
					})
				}
			}
			return all
		},
	}
}

// scene is a crowd at work.
type scene struct {
	crowd
	promise promise
	c       *hands
	lessor  *lessor
	g       full

	done atomic.Int64 // calls
	best atomic.Int64 // the greatest ID returned so far, or −1

	// change is odd while the window changes; at the even numbers, windows has
	// the one in force.
	change  atomic.Int64
	windows []layout.Window

	mu    sync.Mutex // owns all below
	ids   []layout.ID
	wrong string // what was found first
}

func (v crowd) run() string {
	l := v.stage.shape.layout()
	s := &scene{
		crowd: v, promise: promise{l, v.strategy, v.policy}, c: newHands(v.stage, v.clock), lessor: newLessor(l),
		windows: make([]layout.Window, 2*len(v.changes)+1),
	}
	s.best.Store(-1)
	g, err := v.strategy.open(l, s.lessor, v.policy.options(l, s.c)...)
	if tickOf(l, s.c.latest.Load()) > l.MaxTick() { // over before it began
		return ""
	}
	if err != nil {
		return err.Error()
	}
	s.g = g
	var wg sync.WaitGroup
	for range v.goroutines {
		wg.Go(s.work)
	}
	s.manage()
	wg.Wait()
	s.afterwards()
	return s.wrong
}

// manage changes the window, at about even distances in the work that is done.
func (s *scene) manage() {
	ps := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(ps)
	total := s.goroutines * s.calls
	for i, one := range s.changes {
		for s.done.Load() < total*int64(i)/int64(len(s.changes)) {
			runtime.Gosched()
		}
		s.change.Add(1)
		if one.act == procs {
			runtime.GOMAXPROCS(int(one.n))
		}
		if err := s.lessor.change(one, s.c.now.Load()); err != nil {
			s.complain("the generator refuses %v: %v", s.lessor.current, err)
		}
		s.windows[s.change.Load()+1] = s.lessor.current
		s.change.Add(1)
	}
}

// work is what each goroutine does.
func (s *scene) work() {
	var mine []layout.ID
	var reached int64
	dst := make([]layout.ID, 9)
	for i := range s.calls {
		change, best := s.change.Load(), layout.ID(s.best.Load())
		stepped := s.clock == stepping
		var n int
		var err error
		if i%5 == 4 {
			n, err = s.g.Fill(dst[:1+i%9])
		} else if dst[0], err = s.g.Next(); err == nil {
			n = 1
		} else if dst[0] != 0 {
			s.complain("an ID, %d, and an error: %v", int64(dst[0]), err)
		}
		latest, was := s.c.latest.Load(), reached
		if reached = s.g.LastTick(); reached < was {
			s.complain("the last tick went from %d back to %d", was, reached)
		}
		for i, id := range dst[:n] {
			raise(&s.best, int64(id))
			if why := s.promise.broken(id, best, stepped, latest, reached); why != "" {
				s.complain("%s", why)
			}
			if i > 0 && id <= dst[i-1] {
				s.complain("ID %d comes after %d in one batch", int64(id), int64(dst[i-1]))
			}
		}
		if s.change.Load() == change && change%2 == 0 {
			s.within(s.windows[change], dst[:n])
		}
		if err != nil {
			if why := s.promise.refused(err); why != "" {
				s.complain("%s", why)
			}
			runtime.Gosched()
		}
		mine = append(mine, dst[:n]...)
		s.done.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, mine...)
}

// within checks IDs of a call during which one window was in force.
func (s *scene) within(w layout.Window, ids []layout.ID) {
	for _, id := range ids {
		if p, err := s.promise.l.Decompose(id); err != nil || p.Node != w.Node || !w.Contains(p.Tick) {
			s.complain("%+v lies outside of %v, in force from the call's begin to its end (%v)", p, w, err)
		}
	}
}

// afterwards checks all IDs together, and what the generator says of itself.
func (s *scene) afterwards() {
	if got := s.g.Stats().Issued; got != uint64(len(s.ids)) {
		s.complain("%d IDs were issued, but counted as %d", len(s.ids), got)
	}
	l, reached := s.promise.l, s.g.LastTick()
	// Each other window may cost a tick; nothing else passes over any.
	if most := max(tickOf(l, s.c.latest.Load())+s.policy.ahead(), s.lessor.highest) + s.lessor.moves; reached > most {
		s.complain("ticks up to %d are used, though the clock, the limit and the windows allow %d at most", reached, most)
	}
	if err := s.g.Close(); err != nil {
		s.complain("closing: %v", err)
	}
	if s.lessor.wrong != "" {
		s.complain("%s", s.lessor.wrong)
	}
	slices.Sort(s.ids)
	for i, id := range s.ids {
		p, err := l.Decompose(id)
		if err != nil {
			s.complain("%v", err)
		}
		if i > 0 && id == s.ids[i-1] {
			s.complain("%+v was made twice", p)
		}
		if why := s.lessor.allowed(p); why != "" {
			s.complain("%s", why)
		}
	}
}

// complain keeps what was found first.
func (s *scene) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong == "" {
		s.wrong = fmt.Sprintf(format, args...)
	}
}

// However many goroutines share a generator, whatever their clock does and
// whenever the window changes: no ID twice, each within a window, the one in force
// where it was clear which; none further ahead than the policy lets it; and those
// that follow each other in time in the order that the strategy promises.
func TestCrowds(t *testing.T) {
	// More Ps than CPUs, mostly, so that the system interrupts anything anywhere;
	// scripts have more of them later, for tables of Ps to grow.
	ps := runtime.GOMAXPROCS(4)
	t.Cleanup(func() { runtime.GOMAXPROCS(ps) })
	for _, st := range strategies() {
		for _, does := range []behaviour{running, frozen, jumping, stepping} {
			t.Run(fmt.Sprintf("%s/%s", st, does), func(t *testing.T) {
				forAll(t, effort{cost: 10, repeat: 50}, crowds(st, does), crowd.run)
			})
		}
	}
}
