package property

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// script is what happens to one generator after another, by one goroutine.
type script struct {
	stage    stage
	strategy strategy
	policy   policy
	static   bool // the source is a node by hand, else one whose windows the script grants
	steps    []step
}

func (s script) String() string {
	source := "leased"
	if s.static {
		source = "Static"
	}
	var steps []string
	for _, one := range s.steps {
		steps = append(steps, one.String())
	}
	return fmt.Sprintf("%v, %s, %v, %s: %s", s.stage, s.strategy, s.policy, source, strings.Join(steps, ", "))
}

func scripts(st strategy, of overflow) kind[script] {
	return kind[script]{
		draw: func(c chance) script {
			s := script{stage: stages.draw(c), strategy: st, policy: drawPolicy(c, of), static: c.oneIn(4)}
			if !s.static {
				s.steps = append(s.steps, drawWindowStep(c))
			}
			for range 1 + c.below(3+int64(c.size())) {
				s.steps = append(s.steps, drawStep(c))
			}
			return s
		},
		smaller: func(s script) []script {
			var all []script
			with := func(change func(s *script)) {
				one := s
				change(&one)
				all = append(all, one)
			}
			for _, steps := range shorter(s.steps, nil) {
				with(func(s *script) { s.steps = steps })
			}
			for _, st := range s.strategy.smaller() {
				with(func(s *script) { s.strategy = st })
			}
			for _, p := range s.policy.smaller() {
				with(func(s *script) { s.policy = p })
			}
			for _, st := range stages.smaller(s.stage) {
				with(func(s *script) { s.stage = st })
			}
			for i, one := range s.steps {
				for _, smaller := range one.smaller() {
					with(func(s *script) {
						s.steps = append([]step{}, s.steps...)
						s.steps[i] = smaller
					})
				}
			}
			return all
		},
	}
}

// play is a script under way.
type play struct {
	l       layout.Layout
	c       *stopwatch
	lessor  *lessor
	static  generator.Source // nil if the lessor is the source
	earlier int64            // the last tick of the generators before, where the source is static

	promise
	g       full
	m       model // of g, up to now; its clock is set before each call
	stepped bool  // the clock has gone back since g was made
	last    layout.ID
	issued  uint64

	seen map[layout.ID]bool // of all generators
}

// run plays a script, and says what went wrong.
func (s script) run() string {
	runtime.GOMAXPROCS(2) // whatever a script before did
	l := s.stage.shape.layout()
	p := &play{
		l: l, promise: promise{l, s.strategy, s.policy},
		c: &stopwatch{}, lessor: newLessor(l), seen: make(map[layout.ID]bool),
	}
	p.c.set(s.stage.start())
	if s.static {
		p.static = generator.Static(0)
	}
	if over, why := p.open(); over || why != "" {
		return why
	}
	for i, one := range s.steps {
		over, why := p.step(one)
		if why == "" && !over {
			why = p.figures()
		}
		if why != "" {
			return fmt.Sprintf("step %d, %v: %s", i+1, one, why)
		}
		if over {
			return ""
		}
	}
	if why := p.close(); why != "" {
		return "closing: " + why
	}
	for id := range p.seen {
		parts, err := p.l.Decompose(id)
		if err != nil {
			return err.Error()
		}
		if why := p.lessor.allowed(parts); why != "" && !s.static {
			return "afterwards: " + why
		}
	}
	return ""
}

// open makes the next generator. Where the layout's life is over, so is the play.
func (p *play) open() (over bool, why string) {
	var src generator.Source = p.lessor
	if p.static != nil {
		src = p.static
	}
	g, err := p.strategy.open(p.l, src, p.policy.options(p.l, p.c)...)
	now := tickOf(p.l, p.c.now)
	if now > p.l.MaxTick() {
		if !errors.Is(err, layout.ErrLifeOver) {
			return true, fmt.Sprintf("the layout's life is over, but opening says %v", err)
		}
		return true, ""
	}
	p.m = model{l: p.l, policy: p.policy}
	from := max(0, now) + p.ahead() + 1
	if p.static != nil {
		from = max(from, p.earlier+1)
		if from > min(p.l.MaxTick(), lastOfClocks(p.l)) {
			if err == nil {
				return true, fmt.Sprintf("there is no tick %d to begin with, but a generator", from)
			}
			return true, ""
		}
		p.m.window = layout.Window{From: from, Until: p.l.MaxTick() + 1}
	}
	switch {
	case err != nil:
		return true, fmt.Sprintf("opening says %v", err)
	case p.static == nil && p.lessor.start != from:
		return true, fmt.Sprintf("the source hears that ticks may begin with %d, not with %d", p.lessor.start, from)
	}
	p.g, p.last, p.issued, p.stepped = g, -1, 0, false
	p.c.waits, p.c.waited = 0, 0
	p.m.last = g.LastTick()
	p.m = p.m.usedUp()
	return false, ""
}

func (p *play) close() string {
	p.earlier = max(p.earlier, p.g.LastTick())
	for range 2 {
		if err := p.g.Close(); err != nil {
			return err.Error()
		}
	}
	if id, err := p.g.Next(); !errors.Is(err, generator.ErrClosed) || id != 0 {
		return fmt.Sprintf("closed, it gives %d (%v)", id, err)
	}
	return p.lessor.wrong
}

// step takes a step, and says whether the play is over.
func (p *play) step(s step) (over bool, why string) {
	quarter := max(1, p.l.Unit()/4)
	switch s.act {
	case next:
		return false, p.make(1, func(dst []layout.ID) (int, error) {
			id, err := p.g.Next()
			if id != 0 || err == nil {
				dst[0] = id
				return 1, err
			}
			return 0, err
		})
	case dead:
		return false, p.makeNone()
	case fill:
		return false, p.make(int(s.n), p.g.Fill)
	case advance:
		p.c.set(later(p.c.now, times(s.n, quarter)))
	case back:
		p.stepped = true
		p.c.set(later(p.c.now, -times(s.n, quarter)))
	case years:
		p.c.set(later(p.c.now, times(s.n, year)))
	case still:
		p.c.still = s.n
	case slip:
		p.stepped = true
		p.c.slip = times(s.n, quarter)
	case procs:
		runtime.GOMAXPROCS(int(s.n))
	case reopen:
		if why := p.close(); why != "" {
			return false, why
		}
		p.strategy = strategies()[s.n]
		return p.open()
	default:
		if p.static == nil {
			return false, p.change(s)
		}
	}
	return false, ""
}

// change has the source do something about its window. Another one begins with a
// new tick: the one in use is passed over, or the one after it where that has no
// number left.
func (p *play) change(s step) string {
	moves := p.lessor.moves
	if err := p.lessor.change(s, p.c.now); err != nil {
		return fmt.Sprintf("the generator refuses %v: %v", p.lessor.current, err)
	}
	p.m.window = p.lessor.current
	p.m.window.From = max(1, p.m.window.From) // tick 0 is never stamped
	reached, least := p.g.LastTick(), p.m.last
	if p.lessor.moves == moves {
		if p.m.window.IsEmpty() {
			p.m.window = layout.Window{}
		}
		if reached != least {
			return fmt.Sprintf("the last tick went from %d to %d", least, reached)
		}
		return p.lessor.wrong
	}
	least = max(least, p.m.window.From-1)
	if reached < least || reached > least+1 {
		return fmt.Sprintf("the last tick went from %d to %d in %v", p.m.last, reached, p.m.window)
	}
	p.m.last = reached
	p.m = p.m.usedUp()
	return p.lessor.wrong
}

// makeNone asks for an ID with a context that is done.
func (p *play) makeNone() string {
	g, ok := p.g.(interface {
		NextContext(ctx context.Context) (layout.ID, error)
	})
	if !ok {
		return "has no NextContext"
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if id, err := g.NextContext(ctx); id != 0 || !errors.Is(err, context.Canceled) || p.g.LastTick() != p.m.last {
		return fmt.Sprintf("gives %d (%v), and ticks up to %d are used, instead of %d", id, err, p.g.LastTick(), p.m.last)
	}
	return ""
}

// make makes up to n IDs, and checks all that is promised of them.
func (p *play) make(n int, with func(dst []layout.ID) (int, error)) string {
	dst := make([]layout.ID, n)
	p.m.c = *p.c
	before := p.m
	got, err := with(dst)
	if got < 0 || got > n || got < n && err == nil || got == n && n > 0 && err != nil {
		return fmt.Sprintf("%d of %d IDs came with the error %v", got, n, err)
	}
	for i, id := range dst[:got] {
		if why := p.check(id); why != "" {
			return fmt.Sprintf("ID %d of %d: %s", i+1, n, why)
		}
		if i > 0 && id <= dst[i-1] {
			return fmt.Sprintf("ID %d of %d is not greater than the one before", i+1, n)
		}
	}
	if err != nil {
		if why := p.refused(err); why != "" {
			return why
		}
	}
	if p.strict() {
		return p.exactly(dst[:got], n, err)
	}
	return p.roughly(before, dst[:got], err)
}

// check says which promise a new ID breaks.
func (p *play) check(id layout.ID) string {
	if p.seen[id] {
		return fmt.Sprintf("%d was made before", int64(id))
	}
	if why := p.promise.broken(id, p.last, p.stepped, p.c.latest, p.g.LastTick()); why != "" {
		return why
	}
	parts, err := p.l.Decompose(id)
	switch w := p.m.window; {
	case err != nil:
		return err.Error()
	case parts.Node != w.Node || !w.Contains(parts.Tick):
		return fmt.Sprintf("%+v lies outside of %v", parts, w)
	}
	p.seen[id] = true
	p.last = max(p.last, id)
	p.issued++
	return ""
}

// exactly compares a call with the model: the IDs, why there are no more, and
// how long it waited.
func (p *play) exactly(ids []layout.ID, n int, err error) string {
	var why refusal
	for i := range n {
		var parts layout.Parts
		if parts, why = p.m.next(); why != "" {
			n = i
			break
		}
		if i >= len(ids) {
			return fmt.Sprintf("%v, though tick %d, sequence %d could be had as ID %d", err, parts.Tick, parts.Sequence, i+1)
		}
		id, err := p.l.Compose(parts.Tick, parts.Node, parts.Sequence)
		if err != nil || id != ids[i] {
			is, _ := p.l.Decompose(ids[i])
			return fmt.Sprintf("ID %d is of tick %d, sequence %d; it should be of tick %d, sequence %d (%v)", i+1, is.Tick, is.Sequence, parts.Tick, parts.Sequence, err)
		}
	}
	switch is := refusalOf(err); {
	case n != len(ids):
		return fmt.Sprintf("%d IDs, though after %d there should be %s", len(ids), n, why)
	case is != why:
		return fmt.Sprintf("%v, instead of %q", err, why)
	case p.m.c != *p.c:
		return fmt.Sprintf("%d waits until %d, instead of %d until %d", p.c.waits, p.c.now, p.m.c.waits, p.m.c.now)
	case p.g.LastTick() != p.m.last:
		return fmt.Sprintf("ticks up to %d are used, instead of %d", p.g.LastTick(), p.m.last)
	}
	return ""
}

// roughly does so for Sharded, whose blocks are nobody's business: a tick that
// the clock has reached, after all in use, is begun as by any other. Elsewhere it
// may refuse what one may that has used up its tick, or hardly used it.
func (p *play) roughly(before model, ids []layout.ID, err error) string {
	reached := p.g.LastTick()
	p.m.last = reached
	p.m = p.m.usedUp()
	switch {
	case len(ids) == 0 && reached != before.last:
		return fmt.Sprintf("no ID, but ticks up to %d are used, which were up to %d", reached, before.last)
	case reached < before.last:
		return fmt.Sprintf("the last tick went from %d back to %d", before.last, reached)
	case reached > max(before.last, tickOf(p.l, p.c.latest)+p.ahead()):
		return fmt.Sprintf("ticks up to %d are used, which were up to %d; the clock has shown %d at most", reached, before.last, tickOf(p.l, p.c.latest))
	case len(ids) == 0 && err == nil: // asked for none
		return ""
	}
	if clock := tickOf(p.l, before.c.now); clock > before.last && before.window.Contains(clock) {
		if len(ids) == 0 {
			return fmt.Sprintf("tick %d could be had: %v", clock, err)
		}
		if first, _ := p.l.Decompose(ids[0]); first.Tick != clock || first.Sequence != 0 {
			return fmt.Sprintf("the first ID is of tick %d, sequence %d, and not the first one of tick %d", first.Tick, first.Sequence, clock)
		}
		return ""
	}
	if len(ids) > 0 {
		return ""
	}
	one, other := before.usedUp(), before.hardlyUsed()
	_, a := one.next()
	_, b := other.next()
	if is := refusalOf(err); is != a && is != b {
		return fmt.Sprintf("%v, instead of %q or %q", err, a, b)
	}
	return ""
}

// figures compares the statistics with what is known.
func (p *play) figures() string {
	s := p.g.Stats()
	switch {
	case s.Issued != p.issued:
		return fmt.Sprintf("%d IDs were issued, but counted as %d", p.issued, s.Issued)
	case s.Waits != p.c.waits || s.WaitTime != time.Duration(p.c.waited):
		return fmt.Sprintf("%d waits of %v are counted as %d of %v", p.c.waits, time.Duration(p.c.waited), s.Waits, s.WaitTime)
	case p.strict() && (s.BorrowedTicks != p.m.borrowed || s.Discarded != 0):
		return fmt.Sprintf("%d ticks were borrowed, but counted as %d, with %d numbers discarded", p.m.borrowed, s.BorrowedTicks, s.Discarded)
	}
	return ""
}

// Whatever the clock, the source and the callers do: no ID twice, none outside of
// the window in force, none further ahead of the clock than the policy lets it,
// each after those before as far as the strategy promises it, and none refused
// that could be had.
func TestScripts(t *testing.T) {
	for _, st := range strategies() {
		for _, of := range []overflow{wait, borrow, fails} {
			t.Run(fmt.Sprintf("%s/%s", st, of), func(t *testing.T) {
				ps := runtime.GOMAXPROCS(0)
				t.Cleanup(func() { runtime.GOMAXPROCS(ps) })
				forAll(t, effort{cost: 2, repeat: 1}, scripts(st, of), script.run)
			})
		}
	}
}
