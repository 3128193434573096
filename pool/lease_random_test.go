package pool

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// chaos is some clients' machines, a pool that keeps the rules, and a network
// between them that loses, repeats and delays. Whatever happens, in whatever
// order, is drawn from a seed.
type chaos struct {
	t       *testing.T
	r       *rand.Rand
	ns      Namespace
	records []Node
	elapsed int64 // true time, ns
	skew    int64 // of the pool's clock
	clients []*client
	stamped map[tenure]span // the ghost: the ticks that each holder has used
}

// tenure is a node in one pair of hands. A token alone does not tell: a request to
// acquire that comes late, or twice, may be granted after its lease was over.
type tenure struct {
	token      Token
	node, from int64
}

// span is a run of ticks, both ends included.
type span struct{ node, first, last int64 }

// client is a machine, and what a shell would know beside it.
type client struct {
	c       *chaos
	m       machine
	skew    int64 // of its clock
	alarm   int64 // 0: none is set
	network []message
	open    layout.Window // the generator's window
	used    int64         // the last tick that the generator has reserved
	begun   bool
	healing bool           // it has had a lease
	gone    map[Token]bool // tokens that are its own no more
	last    uint64         // number of its last request
	closed  bool
}

// message is a request on its way to the pool, or its reply on its way back.
type message struct {
	send  action
	reply *event
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	c := &chaos{
		t: t, r: rand.New(rand.NewPCG(seed, 99)),
		elapsed: noon,
		stamped: make(map[tenure]span),
	}
	c.ns = NewNamespace("orders", milliseconds(t))
	c.ns.Ranges = []Range{{First: 0, Last: 1}}
	c.records = []Node{{Number: 0}, {Number: 1}}
	for range 3 {
		c.join()
	}
	return c
}

func (c *chaos) join() {
	c.clients = append(c.clients, &client{
		c:    c,
		m:    machine{namespace: "orders", layout: c.ns.Layout, limit: clockLimit},
		gone: make(map[Token]bool),
	})
}

func (c *chaos) random() (t Token) {
	binary.BigEndian.PutUint64(t[:8], c.r.Uint64())
	binary.BigEndian.PutUint64(t[8:], c.r.Uint64())
	return t
}

// chance is true n times in a hundred.
func (c *chaos) chance(n int) bool { return c.r.IntN(100) < n }

// step lets one thing happen.
func (c *chaos) step() {
	k := c.clients[c.r.IntN(len(c.clients))]
	switch n := c.r.IntN(100); {
	case n < 40:
		k.deliver()
	case n < 60:
		k.ring()
	case n < 75:
		k.stamp()
	case n < 90:
		c.elapsed += c.r.Int64N(int64(3 * time.Second))
	case n < 92: // everybody was stopped, or asleep
		c.elapsed += c.r.Int64N(int64(2 * time.Minute))
	case n < 95:
		k.skew = []int64{0, 0, 0, int64(time.Second), -int64(time.Second), int64(time.Hour), -int64(time.Hour)}[c.r.IntN(7)]
	case n < 96:
		c.skew = c.r.Int64N(int64(2*time.Second)) - int64(time.Second)
	case n < 98:
		if r := &c.records[c.r.IntN(2)]; !r.Token.IsZero() {
			r.Revoked = true
		}
	case n < 99:
		k.close()
	case k.m.phase == ended:
		c.join()
	}
}

func (k *client) now() int64 { return k.c.elapsed + k.skew }

func (k *client) do(e event) {
	e.random = k.c.random()
	before := k.m
	for _, a := range k.m.step(e, k.now()) {
		k.carryOut(a, e, before)
	}
	k.check(e)
}

func (k *client) carryOut(a action, e event, before machine) {
	t := k.c.t
	switch a.kind {
	case toAcquire, toRenew:
		require.Equal(t, k.last+1, a.request, "a request has the number after the last one's")
		k.last = a.request
		token := a.token
		if a.kind == toRenew {
			token = a.renewal.Token
			require.Equal(t, k.m.grant.Token, token)
			require.False(t, a.renewal.Nonce.IsZero())
		}
		require.False(t, k.gone[token], "a request with a token that was lost or given back")
		require.False(t, k.closed, "a request after the end")
		k.network = append(k.network, message{send: a})
	case toRelease:
		r := a.release
		g := e.grant
		if r.Token == before.grant.Token {
			g = before.grant
		}
		require.Equal(t, g.Token, r.Token)
		require.GreaterOrEqual(t, r.Last, g.From-1)
		require.Less(t, r.Last, g.Until)
		if s, ok := k.c.stamped[tenure{g.Token, g.Node, g.From}]; ok {
			require.GreaterOrEqual(t, r.Last, s.last, "the seal report leaves out ticks that were stamped")
		}
		require.True(t, k.open.IsEmpty(), "given back before it was sealed")
		k.gone[r.Token] = true
		k.network = append(k.network, message{send: a})
	case toOpen:
		require.Equal(t, granted, e.kind)
		require.Equal(t, layout.Window{Node: e.grant.Node, From: e.grant.From, Until: e.grant.Until}, a.window, "the window opened is the grant's")
		require.Equal(t, before.request, e.request, "of the last request")
		if before.phase == seeking {
			require.True(t, k.open.IsEmpty(), "a node changes only after it was sealed")
			k.used = a.window.From - 1
		}
		k.open, k.healing = a.window, true
	case toSeal:
		k.gone[before.grant.Token] = true
		k.open = layout.Window{}
	case toSet:
		require.GreaterOrEqual(t, a.at, k.now())
		k.alarm = a.at
	case toEnd:
		require.True(t, e.kind == closing || !k.healing, "a lease ends by its close, or because it never began")
		k.open, k.closed = layout.Window{}, true
	case toSay:
		require.Error(t, a.err)
	}
}

// check holds after every event.
func (k *client) check(e event) {
	t := k.c.t
	require.Equal(t, k.m.phase == ended, k.closed)
	require.Equal(t, k.m.phase == holding, !k.open.IsEmpty())
	if k.closed || !k.begun {
		return
	}
	underWay := slices.ContainsFunc(k.network, func(m message) bool { return m.send.request == k.last && m.send.kind != toRelease })
	require.True(t, underWay || k.alarm != 0 || e.kind == rang, "nothing will ever happen to this lease again")
}

// deliver carries a request to the pool or a reply back, in any order; or loses
// it; or does it twice.
func (k *client) deliver() {
	if !k.begun {
		k.begun = true
		k.do(event{kind: begun})
		return
	}
	if len(k.network) == 0 {
		return
	}
	i := k.c.r.IntN(len(k.network))
	m := k.network[i]
	if !k.c.chance(15) { // else it comes again
		k.network = slices.Delete(k.network, i, i+1)
	}
	switch {
	case m.reply != nil:
		k.do(*m.reply)
	case k.c.chance(15): // lost before or after it was carried out
		if k.c.chance(50) {
			k.c.answer(m.send)
		}
		if m.send.kind != toRelease {
			k.network = append(k.network, message{send: m.send, reply: &event{kind: refused, request: m.send.request, err: errNetwork}})
		}
	default:
		if reply := k.c.answer(m.send); reply != nil {
			k.network = append(k.network, message{send: m.send, reply: reply})
		}
	}
}

func (k *client) ring() {
	if k.alarm != 0 && k.alarm <= k.now() {
		k.alarm = 0
		k.do(event{kind: rang})
	}
}

// stamp is the generator at work: it reserves the tick that its clock shows.
func (k *client) stamp() {
	tick := k.now() / int64(time.Millisecond)
	if !k.open.Contains(tick) || tick <= k.used {
		return
	}
	key := tenure{k.m.grant.Token, k.m.grant.Node, k.m.grant.From}
	s, ok := k.c.stamped[key]
	if !ok {
		s = span{k.open.Node, tick, tick}
	}
	s.last = tick
	k.used = tick
	k.c.stamped[key] = s
}

func (k *client) close() {
	if !k.begun || k.closed {
		return
	}
	e := event{kind: closing, last: k.m.grant.From - 1}
	if !k.open.IsEmpty() {
		e.last = k.used
		k.open = layout.Window{}
	}
	k.do(e)
}

// answer is the pool: the rules, over two records.
func (c *chaos) answer(a action) *event {
	now := c.elapsed + c.skew
	switch a.kind {
	case toAcquire:
		begin := int(a.token[0]) % 2
		var last error
		for i := range 2 {
			n := &c.records[(begin+i)%2]
			next, err := acquire(&c.ns, *n, Leased, a.token, now)
			if err != nil {
				last = err
				continue
			}
			*n = next
			return &event{kind: granted, request: a.request, grant: next.grant(&c.ns, now)}
		}
		return &event{kind: refused, request: a.request, err: last}
	case toRenew:
		n := &c.records[a.renewal.Node]
		next, err := renew(&c.ns, *n, a.renewal, now, false)
		if err != nil {
			return &event{kind: refused, request: a.request, err: err}
		}
		*n = next
		return &event{kind: granted, request: a.request, grant: next.grant(&c.ns, now)}
	case toRelease:
		n := &c.records[a.release.Node]
		if next, err := release(*n, a.release); err == nil {
			*n = next
		}
	}
	return nil
}

// unique asserts that no tick of a node was stamped under two leases.
func (c *chaos) unique() {
	var all []span
	for _, s := range c.stamped {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b span) int {
		if a.node != b.node {
			return int(a.node - b.node)
		}
		return int(a.first - b.first)
	})
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		require.True(c.t, a.node != b.node || a.last < b.first, "%+v and %+v overlap", a, b)
	}
}

// TestMachineUnderChaos lets anything happen, in any order, and asserts what a
// lease never does.
func TestMachineUnderChaos(t *testing.T) {
	seeds, steps := uint64(1000), 2000
	if testing.Short() {
		seeds = 100
	}
	var healed, ended, stamped int
	for seed := range seeds {
		c := newChaos(t, seed)
		for range steps {
			c.step()
		}
		c.unique()
		for _, k := range c.clients {
			if k.healing {
				healed += len(k.gone)
			}
			if k.closed {
				ended++
			}
		}
		stamped += len(c.stamped)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	// Otherwise the test says nothing.
	require.Greater(t, healed, int(seeds))
	require.Greater(t, ended, int(seeds))
	require.Greater(t, stamped, int(seeds))
}
