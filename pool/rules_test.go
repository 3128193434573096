package pool

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// twin is the rules once more, in exact numbers and one sentence after the other:
// slow, and easy to compare with the design.
type twin struct {
	l                    layout.Layout
	skew, first, horizon *big.Int
	floor, rangeFloor    int64
}

func num(n int64) *big.Int { return big.NewInt(n) }

func (w twin) unit() *big.Int { return num(int64(w.l.Unit())) }

// since returns the time since the epoch.
func (w twin) since(now *big.Int) *big.Int {
	epoch := new(big.Int).Mul(num(w.l.Epoch().Unix()), num(1e9))
	epoch.Add(epoch, num(int64(w.l.Epoch().Nanosecond())))
	return new(big.Int).Sub(now, epoch)
}

// down rounds a time to the tick that it lies in, within 0 and the tick after the
// last; up to the first tick that begins at it or later.
func (w twin) down(t *big.Int) int64 {
	tick := new(big.Int).Div(w.since(t), w.unit()) // Euclidean: down, below zero too
	return w.within(tick)
}

func (w twin) up(t *big.Int) int64 {
	tick, rest := new(big.Int).DivMod(w.since(t), w.unit(), new(big.Int))
	if rest.Sign() > 0 {
		tick.Add(tick, num(1))
	}
	return w.within(tick)
}

func (w twin) within(tick *big.Int) int64 {
	end := num(w.l.MaxTick() + 1)
	switch {
	case tick.Sign() < 0:
		return 0
	case tick.Cmp(end) > 0:
		return end.Int64()
	}
	return tick.Int64()
}

// start returns when a tick begins.
func (w twin) start(tick int64) *big.Int {
	t := new(big.Int).Mul(num(tick), w.unit())
	return t.Sub(t, w.since(num(0)))
}

func least(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func most(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

func plus(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

// acquire returns the window that a free node's next holder gets, which is empty
// if there is none yet.
func (w twin) acquire(until, now int64) (from, to int64) {
	t := num(now)
	from = max(until, w.floor, w.rangeFloor, w.up(new(big.Int).Sub(t, w.skew)))
	latest := plus(t, w.horizon)
	reaches := least(plus(most(t, w.start(from)), w.first), latest)
	to = w.down(w.asTime(reaches))
	if w.start(from).Cmp(plus(t, w.unit())) > 0 {
		return from, from // not with the next tick yet
	}
	return from, to
}

// asTime is a time as far as Unix nanoseconds go.
func (w twin) asTime(t *big.Int) *big.Int { return least(t, num(math.MaxInt64)) }

// renew returns until when a renewal makes a lease last.
func (w twin) renew(until, now int64, window *big.Int) int64 {
	return max(until, w.down(w.asTime(plus(num(now), least(window, w.horizon)))))
}

// someLayouts have ticks of all lengths, and lives that end soon or never.
func someLayouts(t *testing.T) []layout.Layout {
	t.Helper()
	epoch := time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)
	var all []layout.Layout
	for _, c := range []layout.Config{
		{Epoch: epoch, Unit: time.Millisecond, NodeBits: 8, SequenceBits: 8},
		{Epoch: epoch, Unit: time.Microsecond, NodeBits: 2, SequenceBits: 8},
		{Epoch: epoch, Unit: 1234567, NodeBits: 4},
		{Epoch: epoch, Unit: time.Second, NodeBits: 10, TimeBits: 20},
		{Epoch: epoch, Unit: time.Hour, NodeBits: 10, TimeBits: 12},
		{Epoch: epoch, Unit: time.Millisecond, TimeBits: 10},
		{Epoch: time.Unix(0, 0).UTC(), Unit: time.Millisecond, NodeBits: 3},
		{Epoch: time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC), Unit: time.Second, NodeBits: 3},
		{Epoch: epoch, Unit: time.Hour, NodeBits: 3, SequenceBits: 20},
	} {
		l, err := layout.New(c)
		require.NoError(t, err)
		all = append(all, l)
	}
	return all
}

// lastTime is where Unix nanoseconds end, less the second in which start takes all
// ticks to begin at the end.
const lastTime = math.MaxInt64 - int64(3*time.Second)

// someTime returns a time of interest to a layout.
func someTime(r *rand.Rand, l layout.Layout) int64 {
	around := func(at int64) int64 {
		at = min(at, lastTime)
		d := r.Int64N(4*int64(min(l.Unit(), time.Hour))) - 2*int64(min(l.Unit(), time.Hour))
		switch {
		case d > 0 && at > lastTime-d:
			return lastTime
		case d < 0 && at < math.MinInt64-d:
			return math.MinInt64
		}
		return at + d
	}
	end := start(l, l.MaxTick()+1)
	switch r.IntN(8) {
	case 0:
		return around(l.Epoch().UnixNano())
	case 1:
		return around(end)
	case 2:
		return around(end - min(end, int64(time.Minute)))
	case 3:
		return []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, lastTime - 1, lastTime}[r.IntN(7)]
	case 4:
		return min(lastTime, int64(r.Uint64()))
	}
	begin := l.Epoch().UnixNano()
	return around(begin + r.Int64N(max(1, min(end, lastTime)-begin)))
}

func someTick(r *rand.Rand, l layout.Layout, now int64) int64 {
	end := l.MaxTick() + 1
	near := roundDown(l, now)
	switch r.IntN(6) {
	case 0:
		return 0
	case 1:
		return end - r.Int64N(min(end, 3))
	case 2:
		return r.Int64N(end)
	}
	return max(0, min(end, near+r.Int64N(40_001)-20_000))
}

func TestRulesAreTheirTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	granted, refused, renewed := 0, 0, 0
	for _, l := range someLayouts(t) {
		for range 1000 {
			ns := NewNamespace("n", l)
			if r.IntN(2) == 0 {
				ns.Terms.Skew = time.Duration(r.Int64N(int64(3 * time.Second)))
				ns.Terms.FirstWindow += time.Duration(r.Int64N(int64(20 * time.Second)))
				ns.Terms.Window = ns.Terms.FirstWindow + time.Duration(r.Int64N(int64(time.Minute)))
				ns.Terms.Horizon = ns.Terms.Window + time.Duration(r.Int64N(int64(time.Minute)))
			}
			now := someTime(r, l)
			if r.IntN(4) == 0 {
				ns.Floor = someTick(r, l, now)
			}
			if r.IntN(4) == 0 {
				ns.Ranges[0].Floor = someTick(r, l, now)
			}
			w := twin{
				l: l, skew: num(int64(ns.Terms.Skew)), first: num(int64(ns.Terms.FirstWindow)), horizon: num(int64(ns.Terms.Horizon)),
				floor: ns.Floor, rangeFloor: ns.Ranges[0].Floor,
			}
			n := Node{Until: someTick(r, l, now), Number: 0}
			n.Highest = n.Until
			what := fmt.Sprintf("%v, now %d, until %d, floors %d and %d, %+v", l, now, n.Until, ns.Floor, ns.Ranges[0].Floor, ns.Terms)

			next, err := acquire(&ns, n, Leased, Token{1}, now)
			_, outside := l.Tick(time.Unix(0, now))
			from, until := w.acquire(n.Until, now)
			var notYet *NotYetError
			switch {
			case outside != nil:
				require.Error(t, err, what)
				require.Equal(t, n, next, what)
			case from >= until:
				require.ErrorAs(t, err, &notYet, what)
				require.Positive(t, notYet.RetryAfter, what)
				require.Equal(t, n, next, what)
				refused++
			default:
				require.NoError(t, err, what)
				require.Equal(t, Node{
					Token: Token{1}, From: from, Until: until, Before: n.Until,
					Highest: max(n.Highest, until), Window: ns.Terms.FirstWindow,
				}, next, what)
				granted++
			}

			n.Token, n.Window, n.Revision = Token{1}, time.Duration(r.Int64N(int64(ns.Terms.Window)))+1, r.Uint64N(9)
			next, err = renew(&ns, n, Renewal{Token: Token{1}, Revision: n.Revision, Nonce: Token{2}}, now, false)
			if n.Until <= ns.Floor {
				require.ErrorIs(t, err, ErrLeaseLost, what)
				continue
			}
			require.NoError(t, err, what)
			window := min(2*n.Window, ns.Terms.Window)
			until = w.renew(n.Until, now, num(int64(window)))
			want := n
			want.Window, want.Until, want.Highest, want.Revision, want.Nonce = window, until, max(n.Highest, until), n.Revision+1, Token{2}
			require.Equal(t, want, next, what)
			renewed++
		}
	}
	// The numbers must meet all cases, or the comparison says little.
	assert.Greater(t, granted, 1000)
	assert.Greater(t, refused, 500)
	assert.Greater(t, renewed, 3000)
}

func TestRounding(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, l := range someLayouts(t) {
		w := twin{l: l}
		for range 2000 {
			now := someTime(r, l)
			assert.Equal(t, w.down(num(now)), roundDown(l, now), "%v, %d", l, now)
			assert.Equal(t, w.up(num(now)), roundUp(l, now), "%v, %d", l, now)
			tick := someTick(r, l, now)
			if exact := w.start(tick); exact.Cmp(num(lastTime)) < 0 {
				assert.Equal(t, exact.Int64(), start(l, tick), "%v, tick %d", l, tick)
			} else {
				assert.GreaterOrEqual(t, start(l, tick), lastTime, "%v, tick %d", l, tick)
			}
		}
	}
	assert.Equal(t, int64(math.MaxInt64), later(math.MaxInt64-1, 2))
	assert.Equal(t, int64(math.MaxInt64), later(math.MaxInt64, math.MaxInt64))
	assert.EqualValues(t, -1, later(math.MinInt64, math.MaxInt64))
}

// aNamespace is one of default terms, with ticks of a millisecond.
func aNamespace(t *testing.T) *Namespace {
	t.Helper()
	ns := NewNamespace("n", layout.Default())
	require.NoError(t, ns.Validate())
	return &ns
}

func TestAcquireSaysWhose(t *testing.T) {
	ns := aNamespace(t)
	ns.Ranges = []Range{{First: 0, Last: 9}, {First: 10, Last: 19, Use: ByHand}, {First: 20, Last: 29, Use: Legacy}}
	now := start(ns.Layout, 1_000_000)
	taken := Node{Token: Token{1}, From: 999_000, Until: 1_000_001, Highest: 1_000_001}
	for name, c := range map[string]struct {
		node Node
		err  error
	}{
		"taken":                    {taken, errTaken},
		"taken and revoked":        {revoked(taken), errTaken},
		"by hand":                  {Node{Number: 10}, ErrNotLeasable},
		"legacy":                   {Node{Number: 29}, ErrNotLeasable},
		"in no range":              {Node{Number: 30}, ErrNotLeasable},
		"below zero":               {Node{Number: -1}, ErrNotLeasable},
		"retired":                  {Node{Number: 1, Retired: true}, ErrNotLeasable},
		"retired, one's own":       {Node{Number: 1, Retired: true, Token: Token{2}}, ErrNotLeasable},
		"free":                     {Node{Number: 1}, nil},
		"over":                     {Node{Token: Token{1}, Until: 1_000_000, Highest: 1_000_000}, nil},
		"given back":               {Node{Until: 1_000_000, Highest: 1_000_000}, nil},
		"given back with borrowed": {Node{Until: 1_000_001, Highest: 1_000_001}, nil},
	} {
		next, err := acquire(ns, c.node, Leased, Token{2}, now)
		require.ErrorIs(t, err, c.err, name)
		if c.err != nil {
			assert.Equal(t, c.node, next, name)
			continue
		}
		assert.GreaterOrEqual(t, next.From, c.node.Until, name)
		assert.Equal(t, c.node.Until, next.Before, name)
		assert.Zero(t, next.Revision, name)
		assert.Zero(t, next.Nonce, name)
		assert.False(t, next.Revoked, name)
	}
}

func TestAcquireIsForOneUse(t *testing.T) {
	// A node goes to who asks for its use, its own holder included.
	ns := aNamespace(t)
	ns.Ranges = []Range{{First: 0, Last: 9}, {First: 10, Last: 19, Use: ByHand}, {First: 20, Last: 29, Use: Legacy}}
	now := start(ns.Layout, 1_000_000)
	for _, c := range []struct {
		number int64
		use    Use
		err    error
	}{
		{9, Leased, nil},
		{9, Legacy, ErrNotLeasable},
		{10, Leased, ErrNotLeasable},
		{19, Legacy, ErrNotLeasable},
		{20, Leased, ErrNotLeasable},
		{20, Legacy, nil},
		{29, Legacy, nil},
		{30, Legacy, ErrNotLeasable},
	} {
		_, err := acquire(ns, Node{Number: c.number}, c.use, Token{2}, now)
		require.ErrorIs(t, err, c.err, "node %d for %v", c.number, c.use)
		_, err = acquire(ns, Node{Number: c.number, Token: Token{2}, Until: 1_000_001, Highest: 1_000_001}, c.use, Token{2}, now)
		require.ErrorIs(t, err, c.err, "node %d for %v, repeated", c.number, c.use)
	}
}

func revoked(n Node) Node {
	n.Revoked = true
	return n
}

func TestAcquireRepeated(t *testing.T) {
	ns := aNamespace(t)
	n := Node{Token: Token{2}, From: 5, Until: 100, Highest: 100, Revision: 3, Nonce: Token{9}, Window: time.Second}
	for _, tick := range []int64{0, 50, 99, 100, 1_000_000} {
		next, err := acquire(ns, n, Leased, Token{2}, start(ns.Layout, tick))
		require.NoError(t, err)
		assert.Equal(t, n, next, "at tick %d", tick)
	}
	// A revoked lease is nobody's to repeat; when it is over, the node is free.
	_, err := acquire(ns, revoked(n), Leased, Token{2}, start(ns.Layout, 99))
	require.ErrorIs(t, err, errTaken)
	next, err := acquire(ns, revoked(n), Leased, Token{2}, start(ns.Layout, 100))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, next.From, int64(100))
}

func TestRenewIsTheHolders(t *testing.T) {
	ns := aNamespace(t)
	ns.Floor = 1000
	n := Node{Token: Token{1}, From: 900, Until: 2000, Highest: 3000, Revision: 7, Nonce: Token{70}, Window: time.Second}
	good := Renewal{Token: Token{1}, Revision: 7, Until: 2000, Nonce: Token{71}}
	type mutation func(*Node, *Renewal)
	for _, c := range []struct {
		name     string
		change   mutation
		reopened bool
		want     error
	}{
		{"as it should be", func(*Node, *Renewal) {}, false, nil},
		{"another token", func(_ *Node, r *Renewal) { r.Token[15]++ }, false, ErrLeaseLost},
		{"no token", func(_ *Node, r *Renewal) { r.Token = Token{} }, false, ErrLeaseLost},
		{"nobody's node", func(n *Node, _ *Renewal) { n.Token = Token{} }, false, ErrLeaseLost},
		{"nobody's node, no token", func(n *Node, r *Renewal) { n.Token, r.Token = Token{}, Token{} }, false, ErrLeaseLost},
		{"revoked", func(n *Node, _ *Renewal) { n.Revoked = true }, false, ErrRevoked},
		{"retired", func(n *Node, _ *Renewal) { n.Retired = true }, false, ErrRevoked},
		{"until before the floor", func(n *Node, _ *Renewal) { n.Until = 999 }, false, ErrLeaseLost},
		{"until at the floor", func(n *Node, _ *Renewal) { n.Until = 1000 }, false, ErrLeaseLost},
		{"until past the floor", func(n *Node, _ *Renewal) { n.Until = 1001 }, false, nil},
		{"one revision behind", func(_ *Node, r *Renewal) { r.Revision = 6 }, false, ErrLeaseLost},
		{"two behind, with the last nonce", func(_ *Node, r *Renewal) { r.Revision, r.Nonce = 5, Token{70} }, false, ErrLeaseLost},
		{"ahead", func(_ *Node, r *Renewal) { r.Revision = 8 }, false, ErrLeaseLost},
		{"ahead with the last nonce", func(_ *Node, r *Renewal) { r.Revision, r.Nonce = 8, Token{70} }, false, ErrLeaseLost},
		{"the end of all revisions", func(n *Node, r *Renewal) { n.Revision, r.Revision = 0, math.MaxUint64 }, false, ErrLeaseLost},
		{"reopened, as it should be", func(*Node, *Renewal) {}, true, nil},
		{"reopened, ahead", func(_ *Node, r *Renewal) { r.Revision = 900 }, true, nil},
		{"reopened, behind", func(_ *Node, r *Renewal) { r.Revision = 6 }, true, ErrLeaseLost},
		{"reopened, ahead, with too late an end", func(_ *Node, r *Renewal) { r.Revision, r.Until = 8, 2001 }, true, ErrLeaseLost},
		{"reopened, ahead, another token", func(_ *Node, r *Renewal) { r.Revision, r.Token = 8, Token{3} }, true, ErrLeaseLost},
		{"reopened, ahead, revoked", func(n *Node, r *Renewal) { n.Revoked, r.Revision = true, 8 }, true, ErrRevoked},
		{"reopened, ahead, before the floor", func(n *Node, r *Renewal) { n.Until, r.Until, r.Revision = 999, 999, 8 }, true, ErrLeaseLost},
	} {
		before, r := n, good
		c.change(&before, &r)
		next, err := renew(ns, before, r, start(ns.Layout, 1990), c.reopened)
		require.ErrorIs(t, err, c.want, c.name)
		if c.want != nil {
			assert.Equal(t, before, next, c.name)
			continue
		}
		assert.Equal(t, r.Revision+1, next.Revision, c.name)
		assert.Equal(t, r.Nonce, next.Nonce, c.name)
		assert.Greater(t, next.Until, before.Until, c.name)
	}
	// The last one repeated: nothing changes, not even by the time that has passed.
	again, err := renew(ns, n, Renewal{Token: Token{1}, Revision: 6, Until: 1900, Nonce: Token{70}}, start(ns.Layout, 50_000), false)
	require.NoError(t, err)
	assert.Equal(t, n, again)
}

func TestReleaseIsTheHolders(t *testing.T) {
	n := Node{Number: 4, Token: Token{1}, From: 100, Until: 200, Before: 40, Highest: 300, Revision: 7, Window: time.Second}
	for _, c := range []struct {
		last, until int64
		err         error
	}{
		{98, 0, ErrBadSeal},
		{99, 40, nil}, // nothing stamped
		{100, 101, nil},
		{150, 151, nil},
		{199, 200, nil},
		{200, 0, ErrBadSeal},
		{math.MaxInt64, 0, ErrBadSeal},
		{math.MinInt64, 0, ErrBadSeal},
	} {
		for _, before := range []Node{n, revoked(n)} {
			next, err := release(before, Release{Token: Token{1}, Last: c.last})
			require.ErrorIs(t, err, c.err, "last %d", c.last)
			if c.err != nil {
				assert.Equal(t, before, next)
				continue
			}
			assert.Equal(t, c.until, next.Until, "last %d", c.last)
			assert.True(t, next.Token.IsZero())
			assert.False(t, next.Revoked)
			assert.EqualValues(t, 300, next.Highest)
			_, err = release(next, Release{Token: Token{1}, Last: c.last})
			require.ErrorIs(t, err, ErrLeaseLost)
			_, err = release(next, Release{Last: next.From - 1})
			require.ErrorIs(t, err, ErrLeaseLost)
		}
		_, err := release(n, Release{Token: Token{2}, Last: c.last})
		require.ErrorIs(t, err, ErrLeaseLost)
	}
	retired := n
	retired.Retired = true
	next, err := release(retired, Release{Token: Token{1}, Last: 120})
	require.NoError(t, err)
	assert.True(t, next.Retired, "giving back is no way out of retirement")
}

// played is one node under random requests, with all that was ever granted of it.
type played struct {
	ns     Namespace
	node   Node
	copies []Node // what backups of the store hold
	claims []claim
	now    int64

	changed int // the claim that the last step granted or made longer
}

// overlap says which holder may have stamped ticks of what was granted last.
func (p *played) overlap() string {
	if len(p.claims) == 0 {
		return ""
	}
	a := p.claims[p.changed]
	for _, b := range p.claims {
		if a.token != b.token && max(a.from, b.from) < min(a.until, b.until) {
			return fmt.Sprintf("%+v and %+v overlap", a, b)
		}
	}
	return ""
}

// claim is what one holder may have stamped.
type claim struct {
	token       Token
	from, until int64
	revision    uint64
	gone        bool
}

// TestRulesKeepWindowsApart plays random requests at random times, without any
// order between the times, and looks after each at what must hold.
func TestRulesKeepWindowsApart(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 15))
		ls := someLayouts(t)
		l := ls[seed%uint64(len(ls))]
		p := played{ns: NewNamespace("n", l)}
		p.now = l.Epoch().UnixNano() + r.Int64N(int64(max(time.Hour, 8*l.Unit())))
		tokens := uint64(0)
		for step := range 1500 {
			before := p.node
			released := p.step(r, &tokens)
			var broken string
			switch after := p.node; {
			case after.Highest < before.Highest:
				broken = "the highest tick ever granted was lowered"
			case after.Highest < after.Until || after.Highest > l.MaxTick()+1:
				broken = "the highest tick ever granted is not the highest, or none of the layout"
			case !released && after.Until < before.Until:
				broken = "until was lowered, and not by a release"
			default:
				broken = p.overlap()
			}
			if broken != "" {
				t.Fatalf("seed %d, step %d, layout %v: %s: %+v became %+v at %d", seed, step, l, broken, before, p.node, p.now)
			}
		}
	}
}

// step plays one request, and says whether it was a release.
func (p *played) step(r *rand.Rand, tokens *uint64) (released bool) {
	now := p.now
	if r.IntN(20) == 0 {
		now = someTime(r, p.ns.Layout) // a server whose clock is anywhere
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		*tokens++
		t := Token{15: byte(*tokens), 14: byte(*tokens >> 8)}
		next, err := acquire(&p.ns, p.node, Leased, t, now)
		if err == nil {
			p.node = next
			p.changed = len(p.claims)
			p.claims = append(p.claims, claim{token: t, from: next.From, until: next.Until})
		}
	case 3, 4, 5:
		if len(p.claims) == 0 {
			return false
		}
		i := len(p.claims) - 1 - r.IntN(min(3, len(p.claims)))
		c := &p.claims[i]
		request := Renewal{Token: c.token, Revision: c.revision, Until: c.until, Nonce: Token{0: 1, 1: byte(r.Uint32())}}
		next, err := renew(&p.ns, p.node, request, now, r.IntN(4) == 0)
		if err == nil {
			if c.gone {
				panic("a lease that was given back was renewed")
			}
			p.node, p.changed = next, i
			c.until, c.revision = next.Until, next.Revision
		}
	case 6, 7:
		if len(p.claims) == 0 {
			return false
		}
		c := &p.claims[len(p.claims)-1-r.IntN(min(3, len(p.claims)))]
		last := c.from - 1 + r.Int64N(c.until-c.from+1)
		next, err := release(p.node, Release{Token: c.token, Last: last})
		if err == nil {
			p.node = next
			c.until, c.gone = last+1, true
			return true
		}
	case 8:
		p.now = later(p.now, time.Duration(r.Int64N(int64(30*time.Second))))
	case 9:
		switch r.IntN(12) {
		case 0:
			p.node.Revoked = !p.node.Token.IsZero()
		case 1:
			p.now = later(p.now, p.ns.Terms.Horizon)
		case 2:
			p.ns.Floor = max(p.ns.Floor, roundUp(p.ns.Layout, later(now, p.ns.Terms.Horizon)))
		}
	}
	return false
}

// TestFloorKeepsOldCopiesApart sets a node's record back to what it once was, as
// restoring a backup does, with a floor, as restoring must set it: nothing that was
// granted in between is granted again.
func TestFloorKeepsOldCopiesApart(t *testing.T) {
	rolled := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 16))
		ns := NewNamespace("n", layout.Default())
		p := played{ns: ns, now: ns.Layout.Epoch().UnixNano() + int64(time.Hour)}
		tokens := uint64(0)
		for step := range 600 {
			p.stepInOrder(r, &tokens)
			if r.IntN(30) == 0 {
				p.copies = append(p.copies, p.node)
			}
			if r.IntN(100) == 0 && len(p.copies) > 0 {
				p.node = p.copies[r.IntN(len(p.copies))]
				p.ns.Floor = max(p.ns.Floor, roundUp(ns.Layout, later(p.now, ns.Terms.Horizon)))
				rolled++
			}
			if broken := p.overlap(); broken != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, broken)
			}
		}
	}
	assert.Greater(t, rolled, 100)
}

// stepInOrder is step with a clock that goes on, as A1's loss is made good by time.
func (p *played) stepInOrder(r *rand.Rand, tokens *uint64) {
	switch r.IntN(8) {
	case 0, 1:
		*tokens++
		t := Token{15: byte(*tokens), 14: byte(*tokens >> 8)}
		if next, err := acquire(&p.ns, p.node, Leased, t, p.now); err == nil {
			p.node = next
			p.changed = len(p.claims)
			p.claims = append(p.claims, claim{token: t, from: next.From, until: next.Until})
		}
	case 2, 3, 4:
		if len(p.claims) == 0 {
			return
		}
		i := len(p.claims) - 1 - r.IntN(min(3, len(p.claims)))
		c := &p.claims[i]
		next, err := renew(&p.ns, p.node, Renewal{Token: c.token, Revision: c.revision, Until: c.until, Nonce: Token{1}}, p.now, false)
		if err == nil && !c.gone {
			p.node, p.changed = next, i
			c.until, c.revision = next.Until, next.Revision
		}
	case 5:
		if len(p.claims) == 0 {
			return
		}
		c := &p.claims[len(p.claims)-1]
		last := c.from - 1 + r.Int64N(c.until-c.from+1)
		if next, err := release(p.node, Release{Token: c.token, Last: last}); err == nil {
			p.node = next
			c.until, c.gone = last+1, true
		}
	default:
		p.now = later(p.now, time.Duration(r.Int64N(int64(20*time.Second))))
	}
}

func TestTheEndOfTime(t *testing.T) {
	for _, l := range someLayouts(t) {
		ns := NewNamespace("n", l)
		for _, now := range []int64{lastTime, math.MaxInt64 - 1e9, math.MaxInt64 - 1, math.MaxInt64} {
			for _, until := range []int64{0, roundDown(l, now) - 1, roundDown(l, now), l.MaxTick(), l.MaxTick() + 1} {
				n := Node{Until: max(0, until)}
				n.Highest = n.Until
				next, err := acquire(&ns, n, Leased, Token{1}, now)
				if err != nil {
					require.Equal(t, n, next)
					continue
				}
				require.GreaterOrEqual(t, next.From, n.Until)
				require.Less(t, next.From, next.Until)
				require.LessOrEqual(t, next.Until, l.MaxTick()+1)
				again, err := renew(&ns, next, Renewal{Token: Token{1}, Nonce: Token{2}}, now, false)
				require.NoError(t, err)
				require.GreaterOrEqual(t, again.Until, next.Until)
				require.LessOrEqual(t, again.Until, l.MaxTick()+1)
			}
		}
	}
}

func TestNotYetComes(t *testing.T) {
	// Who comes again when told to gets a window, in every layout.
	r := rand.New(rand.NewPCG(17, 18))
	for _, l := range someLayouts(t)[:4] {
		for range 300 {
			ns := NewNamespace("n", l)
			now := l.Epoch().UnixNano() + r.Int64N(int64(time.Hour))
			n := Node{Until: roundUp(l, now+r.Int64N(int64(5*time.Minute)))}
			n.Highest = n.Until
			_, err := acquire(&ns, n, Leased, Token{1}, now)
			if notYet, ok := errors.AsType[*NotYetError](err); ok {
				_, err = acquire(&ns, n, Leased, Token{1}, now+int64(notYet.RetryAfter))
			}
			require.NoError(t, err, "layout %v, node %+v, now %d", l, n, now)
		}
	}
}
