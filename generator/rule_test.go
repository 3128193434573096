package generator

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// slowNext is the readable twin of rule.next: what docs/design.md says of the
// next word, in its order, with ticks and sequence numbers kept apart.
func slowNext(r *rule, word uint64, w layout.Window, now int64, fresh bool) (first, room uint64, v verdict) {
	if word >= 1<<63 {
		return 0, 0, verdict{kind: sealed}
	}
	if now < r.epoch {
		return 0, 0, verdict{kind: beforeEpoch}
	}
	shown := (now - r.epoch) / r.unit
	if shown > int64(r.maxTick) {
		return 0, 0, verdict{kind: pastEnd}
	}

	// Never backwards: the number after the last one, or where the clock is
	// further on, the first one of its tick.
	perTick := r.mask + 1
	tick, sequence := int64(word/perTick), word%perTick+1
	if sequence == perTick {
		tick, sequence = tick+1, 0
	}
	if tick < shown {
		tick, sequence = shown, 0
	}

	if tick > shown {
		begun := sequence > 0
		opening := sequence == 0 && tick == w.From
		if v = slowReach(r, tick, now, begun, opening, fresh); v.kind != granted {
			return 0, 0, v
		}
	}
	if tick > int64(r.maxTick) {
		return 0, 0, verdict{kind: pastEnd}
	}
	if tick < w.From || tick >= w.Until {
		return 0, 0, verdict{kind: windowOver}
	}
	return uint64(tick)*perTick + sequence, perTick - sequence, v
}

// slowReach is the twin of rule.reach.
func slowReach(r *rule, tick, now int64, begun, opening, fresh bool) verdict {
	starts := int64(math.MaxInt64)
	if tick <= (math.MaxInt64-r.epoch)/r.unit {
		starts = r.epoch + tick*r.unit
	}
	if starts <= now || starts-now <= r.lead {
		return verdict{} // the clock is there, or it may be borrowed
	}
	if !fresh {
		return verdict{kind: reread}
	}
	missing := starts - now - r.lead

	v := verdict{ns: missing}
	wentBack := begun || missing > r.unit // the next tick is at most a tick away
	if wentBack && !opening {
		v.behind = uint64(tick)
	}
	withinLimit := missing <= r.patience
	switch {
	case begun && withinLimit:
		v.kind = granted
	case begun:
		v.kind = tooFar
	case !withinLimit && missing > r.unit:
		v.kind = tooFar
	case opening: // its sequence is not used up: the policy has no say
		v.kind = await
	case r.fail:
		v.kind = exhausted
	default:
		v.kind = await
	}
	return v
}

// randomRule returns a rule of any layout, and the layout.
func randomRule(r *rand.Rand) (*rule, layout.Layout) {
	for {
		c := layout.Config{
			Epoch:        time.Unix(0, r.Int64N(1<<61)),
			Unit:         time.Duration(1000 + r.Int64N(1<<uint(10+r.IntN(40)))),
			TimeBits:     r.IntN(63),
			NodeBits:     r.IntN(20),
			SequenceBits: r.IntN(24),
		}
		if r.IntN(4) == 0 {
			c.TimeBits = 1 + r.IntN(8)
		}
		l, err := layout.New(c)
		if err != nil {
			continue
		}
		p := &rule{
			ticks:        newTicks(l),
			sequenceBits: uint8(l.SequenceBits()),
			mask:         uint64(l.MaxSequence()),
			maxTick:      uint64(l.MaxTick()),
			patience:     [...]int64{0, 1, 1e9, int64(l.Unit()), 3 * int64(l.Unit()), r.Int64N(1 << 40), math.MaxInt64}[r.IntN(7)],
			fail:         r.IntN(3) == 0,
		}
		if !p.fail && r.IntN(2) == 0 {
			borrow := [...]int64{int64(l.Unit()), 5 * int64(l.Unit()), r.Int64N(1 << 50), math.MaxInt64}[r.IntN(4)]
			p.lead = borrow / p.unit * p.unit
		}
		return p, l
	}
}

// situation is the rest of what rule.next sees.
type situation struct {
	word   uint64
	window layout.Window
	now    int64
	fresh  bool
}

// randomSituation favours the edges: of ticks, of the word, of the window, of the
// layout's life and of int64.
func randomSituation(r *rand.Rand, p *rule) situation {
	near := func(x int64, by int64) int64 { return x + r.Int64N(2*by+1) - by }
	var s situation
	horizon := min(int64(p.maxTick), p.last) // the last tick that a clock can show
	shown := [...]int64{0, 1, horizon, r.Int64N(horizon + 1), r.Int64N(horizon + 1), r.Int64N(horizon + 1)}[r.IntN(6)]
	s.now = p.start(uint64(shown))
	switch r.IntN(4) {
	case 0:
	case 1:
		s.now += p.unit - 1
	case 2:
		s.now += r.Int64N(p.unit)
	case 3:
		s.now = near(s.now, 2)
	}
	if s.now < 0 { // past the largest int64
		s.now = math.MaxInt64
	}
	if r.IntN(50) == 0 {
		s.now = [...]int64{math.MinInt64, -1, 0, p.epoch - 1, p.epoch, math.MaxInt64}[r.IntN(6)]
	}

	tick := max(0, min(int64(p.maxTick), [...]int64{shown, near(shown, 3), near(shown, 1000), 0, int64(p.maxTick), r.Int64N(int64(p.maxTick) + 1)}[r.IntN(6)]))
	sequence := min(p.mask, [...]uint64{0, 1, p.mask - min(1, p.mask), p.mask, p.mask, r.Uint64N(p.mask + 1)}[r.IntN(6)])
	s.word = uint64(tick)<<p.sequenceBits | sequence
	if r.IntN(50) == 0 {
		s.word |= mark
	}

	s.window.From = max(0, min(int64(p.maxTick), [...]int64{0, near(shown, 3), near(tick, 3), tick, tick + 1, r.Int64N(int64(p.maxTick) + 1)}[r.IntN(6)]))
	s.window.Until = min(int64(p.maxTick)+1, s.window.From+[...]int64{0, 1, 2, 5, 1 << 40, math.MaxInt64 - s.window.From}[r.IntN(6)])
	s.fresh = r.IntN(4) > 0
	return s
}

func TestNextAgreesWithTwin(t *testing.T) {
	seed := uint64(21)
	r := rand.New(rand.NewPCG(seed, 22))
	n := 3000
	if raceEnabled || testing.Short() {
		n /= 10
	}
	var seen [pastEnd + 1]int
	for range n {
		p, l := randomRule(r)
		for range 1000 {
			s := randomSituation(r, p)
			snap := &snapshot{from: uint64(s.window.From), until: uint64(s.window.Until), ticks: uint64(s.window.Until - s.window.From)}
			first, room, v := p.next(s.word, snap, s.now, s.fresh)
			wantFirst, wantRoom, want := slowNext(p, s.word, s.window, s.now, s.fresh)
			seen[want.kind]++
			if first != wantFirst || room != wantRoom || v != want {
				require.Equal(t, []any{wantFirst, wantRoom, want}, []any{first, room, v}, "seed %d, %v, rule %+v, situation %+v", seed, l, *p, s)
			}
			if v.kind != granted {
				continue
			}
			// What a grant means, said without the rule.
			tick := int64(first >> p.sequenceBits)
			if !(first > s.word && first < mark && s.window.Contains(tick) && tick <= l.MaxTick() &&
				tick >= (s.now-p.epoch)/p.unit && room >= 1 && (first+room-1)>>p.sequenceBits == uint64(tick) && (first+room)&p.mask == 0) {
				t.Fatalf("seed %d: first %d, room %d: %v, rule %+v, situation %+v", seed, first, room, l, *p, s)
			}
		}
	}
	for k, count := range seen {
		assert.Greater(t, count, 1000*n/5000, "the random situations hardly ever lead to verdict %d", k)
	}
}

// Shards ask about a tick that the clock may have come to.
func TestReachAgreesWithTwin(t *testing.T) {
	seed := uint64(23)
	r := rand.New(rand.NewPCG(seed, 24))
	for range 2000 {
		p, l := randomRule(r)
		for range 100 {
			s := randomSituation(r, p)
			if s.now < p.epoch {
				continue
			}
			shown := (s.now - p.epoch) / p.unit
			tick := max(shown, int64(s.word&^mark>>p.sequenceBits)) // never of the past
			begun, opening := r.IntN(2) == 0, r.IntN(2) == 0
			got := p.reach(uint64(tick), s.now, begun, opening, s.fresh)
			want := slowReach(p, tick, s.now, begun, opening, s.fresh)
			require.Equal(t, want, got, "seed %d, %v, rule %+v, situation %+v, tick %d, begun %v, opening %v", seed, l, *p, s, tick, begun, opening)
		}
	}
}

// TestNextTable spells out the cases that matter most.
func TestNextTable(t *testing.T) {
	// Ticks of 1000 ns from 0 on, four numbers each; up to 10 ticks of patience.
	l, err := layout.New(layout.Config{Epoch: time.Unix(0, 0), Unit: 1000, TimeBits: 10, NodeBits: 4, SequenceBits: 2})
	require.NoError(t, err)
	plain := rule{ticks: newTicks(l), sequenceBits: 2, mask: 3, maxTick: 1023, patience: 10_000}
	failing, borrowing := plain, plain
	failing.fail = true
	borrowing.lead = 2000
	word := func(tick, sequence uint64) uint64 { return tick<<2 | sequence }
	all := layout.Window{From: 1, Until: 1024}
	const yes = granted
	for _, c := range []struct {
		name        string
		rule        *rule
		word        uint64
		window      layout.Window
		now         int64
		first, room uint64
		v           verdict
	}{
		{"the next number", &plain, word(50, 1), all, 50_000, word(50, 2), 2, verdict{}},
		{"a new tick", &plain, word(50, 1), all, 51_000, word(51, 0), 4, verdict{}},
		{"a tick far ahead", &plain, word(50, 3), all, 900_999, word(900, 0), 4, verdict{}},
		{"used up", &plain, word(50, 3), all, 50_400, 0, 0, verdict{kind: await, ns: 600}},
		{"used up, failing", &failing, word(50, 3), all, 50_400, 0, 0, verdict{kind: exhausted, ns: 600}},
		{"used up, borrowing", &borrowing, word(50, 3), all, 50_400, word(51, 0), 4, verdict{}},
		{"borrowing the last", &borrowing, word(51, 3), all, 50_400, word(52, 0), 4, verdict{}},
		{"borrowed out", &borrowing, word(52, 3), all, 50_400, 0, 0, verdict{kind: await, ns: 600}},
		{"back by less than the limit", &plain, word(50, 1), all, 41_000, word(50, 2), 2, verdict{kind: yes, ns: 9000, behind: 50}},
		{"back by the limit", &plain, word(50, 1), all, 40_000, word(50, 2), 2, verdict{kind: yes, ns: 10_000, behind: 50}},
		{"back by more than the limit", &plain, word(50, 1), all, 39_999, 0, 0, verdict{kind: tooFar, ns: 10_001, behind: 50}},
		{"back, and used up", &plain, word(50, 3), all, 45_000, 0, 0, verdict{kind: await, ns: 6000, behind: 51}},
		{"back, and used up, failing", &failing, word(50, 3), all, 45_000, 0, 0, verdict{kind: exhausted, ns: 6000, behind: 51}},
		{"before the window's start", &plain, word(49, 3), layout.Window{From: 50, Until: 60}, 45_000, 0, 0, verdict{kind: await, ns: 5000}},
		{"before the start, failing", &failing, word(49, 3), layout.Window{From: 50, Until: 60}, 45_000, 0, 0, verdict{kind: await, ns: 5000}},
		{"long before the start: never counts up from it", &plain, word(99, 3), layout.Window{From: 100, Until: 200}, 45_000, 0, 0, verdict{kind: tooFar, ns: 55_000}},
		{"the window's last tick", &plain, word(50, 0), layout.Window{From: 50, Until: 60}, 59_999, word(59, 0), 4, verdict{}},
		{"after the window", &plain, word(50, 0), layout.Window{From: 50, Until: 60}, 60_000, 0, 0, verdict{kind: windowOver}},
		{"the word after the window", &plain, word(59, 3), layout.Window{From: 50, Until: 60}, 55_000, 0, 0, verdict{kind: await, ns: 5000, behind: 60}},
		{"no window", &plain, word(50, 0), layout.Window{}, 50_000, 0, 0, verdict{kind: windowOver}},
		{"borrowing beyond the window", &borrowing, word(59, 3), layout.Window{From: 50, Until: 60}, 59_000, 0, 0, verdict{kind: windowOver}},
		{"the last tick", &plain, word(50, 0), all, 1_023_999, word(1023, 0), 4, verdict{}},
		{"past the last tick", &plain, word(50, 0), all, 1_024_000, 0, 0, verdict{kind: pastEnd}},
		{"the last number", &plain, word(1023, 2), all, 1_023_000, word(1023, 3), 1, verdict{}},
		{"after the last number", &borrowing, word(1023, 3), all, 1_023_000, 0, 0, verdict{kind: pastEnd}},
		{"before the epoch", &plain, word(50, 0), all, -1, 0, 0, verdict{kind: beforeEpoch}},
		{"marked", &plain, mark | word(50, 0), all, 50_000, 0, 0, verdict{kind: sealed}},
		{"marked, clock ahead", &plain, mark | word(50, 0), all, 500_000, 0, 0, verdict{kind: sealed}},
	} {
		s := &snapshot{from: uint64(c.window.From), until: uint64(c.window.Until), ticks: uint64(c.window.Until - c.window.From)}
		first, room, v := c.rule.next(c.word, s, c.now, true)
		assert.Equal(t, []any{c.first, c.room, c.v}, []any{first, room, v}, c.name)

		// Of an old reading nothing follows but the same grant, or another reading.
		first, room, v = c.rule.next(c.word, s, c.now, false)
		switch {
		case c.v.ns != 0:
			assert.Equal(t, verdict{kind: reread}, v, c.name)
		default:
			assert.Equal(t, []any{c.first, c.room, c.v}, []any{first, room, v}, c.name)
		}
	}
}

func TestComposeAgreesWithLayout(t *testing.T) {
	seed := uint64(25)
	r := rand.New(rand.NewPCG(seed, 26))
	for i := range 2000 {
		c := layout.Config{
			Epoch: time.Unix(0, 0), Unit: time.Millisecond,
			NodeBits: r.IntN(22), SequenceBits: r.IntN(22), Order: layout.Order(r.IntN(2)),
		}
		if i%2 == 0 {
			c.TimeBits = 1 + r.IntN(19)
		}
		l, err := layout.New(c)
		require.NoError(t, err)
		g := newCore(t, l)
		for range 50 {
			pick := func(most int64) int64 { return [...]int64{0, most, r.Int64N(most + 1), r.Int64N(most + 1)}[r.IntN(4)] }
			tick, node, sequence := pick(l.MaxTick()), pick(l.MaxNode()), pick(l.MaxSequence())
			want, err := l.Compose(tick, node, sequence)
			require.NoError(t, err)
			s := newSnapshot(l, layout.Window{Node: node, From: 0, Until: 1}, 0)
			number := uint64(tick)<<l.SequenceBits() | uint64(sequence)
			require.Equal(t, want, layout.ID(g.compose(number, s)), "seed %d, %v: tick %d, node %d, sequence %d", seed, l, tick, node, sequence)
			if sequence < l.MaxSequence() { // a step is one number on
				require.Equal(t, g.compose(number+1, s), g.compose(number, s)+g.step)
			}
		}
	}
}
