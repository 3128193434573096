package pooltest

import (
	"errors"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

func acquireCases() []poolCase {
	return []poolCase{
		{
			name:   "a first lease",
			rule:   "a window begins a skew before now, rounded up, so that a client whose clock is behind can use it, and reaches a first window from now, rounded down; it is at revision 0",
			shapes: shapes(),
			run: func(k *poolKit) {
				for range 3 {
					h := k.acquire(k.server)
					from := k.ceil(-k.ns.Terms.Skew)
					wait := max(0, k.ns.Layout.Time(from).Sub(k.clock.Time()))
					until := min(k.floor(wait+k.ns.Terms.FirstWindow), k.floor(k.ns.Terms.Horizon))
					if h.From != from || h.Until != until || h.Revision != 0 {
						k.errorf("granted [%d, %d) at revision %d, want [%d, %d) at 0", h.From, h.Until, h.Revision, from, until)
					}
					if h.Now != k.clock.Now() {
						k.errorf("granted at %d, want %d", h.Now, k.clock.Now())
					}
					k.advance(7*time.Second + 123456*time.Nanosecond)
				}
			},
		},
		{
			name: "the same token, the same lease",
			rule: "a client that got no reply asks again with its token, at any server and at any time before it has given up: it gets the lease that it has",
			run: func(k *poolKit) {
				second := k.another()
				for range 4 {
					h := k.acquire(k.server)
					for _, v := range []*server{k.server, second, k.server} {
						g, err := k.try(v, h.Token)
						if err != nil || g.Node != h.Node || g.From != h.From || g.Until != h.Until || g.Revision != h.Revision {
							k.errorf("asked again, got %+v, %v, want %+v", g, err, h.Grant)
						}
						k.advance(time.Second)
					}
				}
				if n := len(k.list(k.server)); n != 4 {
					k.errorf("4 clients have %d nodes", n)
				}
			},
		},
		{
			name: "the same lease while others leave",
			rule: "a repeated request finds its own lease also where another node has become free that would have been tried first",
			run: func(k *poolKit) {
				var all []*holder
				for range k.ns.Layout.MaxNode() + 1 {
					all = append(all, k.acquire(k.server))
				}
				last := all[len(all)-1]
				for _, h := range all[:len(all)-1] {
					h.release(k.server, h.From-1)
				}
				if g, err := k.try(k.server, last.Token); err != nil || g.Node != last.Node {
					k.errorf("asked again, got node %d, %v, want node %d", g.Node, err, last.Node)
				}
			},
		},
		{
			name:  "the same lease of a pool that has no more",
			rule:  "that all nodes are taken is no answer to who has one of them",
			setup: few(3),
			run: func(k *poolKit) {
				all := []*holder{k.acquire(k.server), k.acquire(k.server), k.acquire(k.server)}
				k.exhausted(k.server)
				for _, h := range all {
					if g, err := k.try(k.server, h.Token); err != nil || g.Node != h.Node {
						k.errorf("asked again, got node %d, %v, want node %d", g.Node, err, h.Node)
					}
				}
			},
		},
		{
			name: "one node each",
			rule: "no two clients have one node; when all are taken, the pool says how many there are and when one may become free",
			run: func(k *poolKit) {
				second := k.another()
				nodes := make(map[int64]bool)
				for i := range k.ns.Layout.MaxNode() + 1 {
					v := k.server
					if i%2 == 1 {
						v = second
					}
					nodes[k.acquire(v).Node] = true
				}
				if len(nodes) != int(k.ns.Layout.MaxNode())+1 {
					k.errorf("the nodes granted are %v", nodes)
				}
				e := k.exhausted(k.server)
				k.exhausted(second)
				if e.Nodes != k.ns.Layout.MaxNode()+1 || e.Namespace != theName {
					k.errorf("the error says %+v", e)
				}
				if e.RetryAfter <= 0 || e.RetryAfter > k.ns.Terms.FirstWindow {
					k.errorf("try again in %v, when the windows end within %v", e.RetryAfter, k.ns.Terms.FirstWindow)
				}
				k.advance(e.RetryAfter)
				k.acquire(k.server)
				k.acquire(second)
			},
		},
		{
			name:  "free again when given back",
			rule:  "a node given back is had at once at the server that took it back, and within a second at any other",
			setup: few(2),
			run: func(k *poolKit) {
				second := k.another()
				h := k.acquire(k.server)
				k.acquire(k.server)
				k.exhausted(k.server)
				k.exhausted(second)
				h.release(k.server, h.From-1)
				h = k.acquire(k.server)
				k.exhausted(second)
				h.release(k.server, h.From-1)
				k.advance(time.Second)
				k.acquire(second)
			},
		},
		{
			name:   "a successor's window",
			rule:   "a node is taken up to the last tick of its window and free from the next one on, and no later window begins before that tick",
			shapes: shapes(),
			setup:  few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				k.advance(k.ns.Layout.Time(h.Until).Sub(k.clock.Time()) - 1)
				k.exhausted(k.server)
				k.advance(1)
				g := k.acquire(k.server)
				if g.From != max(h.Until, k.ceil(-k.ns.Terms.Skew)) {
					k.errorf("the window [%d, %d) follows [%d, %d)", g.From, g.Until, h.From, h.Until)
				}
				k.refusedAs("renewing after another has come", h.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name:   "never beyond the horizon",
			rule:   "no window reaches further than a horizon from now, that being how long a lost store is waited for",
			shapes: shapes(), // with long ticks a window begins after now
			setup:  func(n *pool.Namespace) { n.Terms.FirstWindow, n.Terms.Window = n.Terms.Horizon, n.Terms.Horizon },
			run: func(k *poolKit) {
				k.advance(10 * time.Minute)
				h := k.acquire(k.server)
				for range 5 {
					if most := k.floor(k.ns.Terms.Horizon); h.Until != most {
						k.errorf("the window reaches tick %d, want %d", h.Until, most)
					}
					k.advance(k.ns.Terms.Window/3 + k.ns.Layout.Unit())
					h.renew(k.server)
				}
			},
		},
		{
			name: "wrong requests",
			rule: "an unknown namespace, another layout and no token each get their own error, which says what would be right",
			run: func(k *poolKit) {
				token := k.token()
				_, err := k.pool.Acquire(k.ctx(), "defauld", k.ns.Layout, token)
				var unknown *pool.UnknownNamespaceError
				if !errors.As(err, &unknown) || unknown.Name != "defauld" {
					k.errorf("an unknown namespace: %v", err)
				}
				n := k.ns
				n.Name = "default"
				if err := k.local.CreateNamespace(k.ctx(), n); err != nil {
					k.fatalf("CreateNamespace: %v", err)
				}
				_, err = k.pool.Acquire(k.ctx(), "defauld", k.ns.Layout, token)
				if !errors.As(err, &unknown) || unknown.Nearest != "default" {
					k.errorf("a misspelt namespace: %v", err)
				}
				_, err = k.pool.Acquire(k.ctx(), theName, layout.Default(), token)
				var mismatch *pool.LayoutMismatchError
				if !errors.As(err, &mismatch) || mismatch.Have != k.ns.Layout || mismatch.Want != layout.Default() {
					k.errorf("another layout: %v", err)
				}
				_, err = k.pool.Acquire(k.ctx(), theName, k.ns.Layout, pool.Token{})
				if _, ok := errors.AsType[*layout.FieldError](err); !ok {
					k.errorf("no token: %v", err)
				}
				if n := len(k.list(k.server)); n != 0 {
					k.errorf("%d nodes were granted by the way", n)
				}
			},
		},
		{
			name: "only leased nodes",
			rule: "nodes numbered by hand, those of legacy streams and those in no range are never granted to who acquires",
			setup: func(n *pool.Namespace) {
				n.Ranges = []pool.Range{
					{First: 6, Last: 7, Use: pool.Leased},
					{First: 0, Last: 1, Use: pool.ByHand},
					{First: 2, Last: 3, Use: pool.Leased},
					{First: 5, Last: 5, Use: pool.Legacy},
				}
			},
			run: func(k *poolKit) {
				nodes := make(map[int64]bool)
				for range 4 {
					nodes[k.acquire(k.server).Node] = true
				}
				if len(nodes) != 4 || !nodes[2] || !nodes[3] || !nodes[6] || !nodes[7] {
					k.errorf("the nodes granted are %v", nodes)
				}
				if e := k.exhausted(k.server); e.Nodes != 4 {
					k.errorf("the error says %d nodes, want 4", e.Nodes)
				}
			},
		},
		{
			name:  "no leased nodes at all",
			rule:  "a namespace that leases nothing says so, and gives no hope",
			setup: func(n *pool.Namespace) { n.Ranges = []pool.Range{{First: 0, Last: 7, Use: pool.ByHand}} },
			run: func(k *poolKit) {
				if e := k.exhausted(k.server); e.Nodes != 0 || e.RetryAfter != 0 {
					k.errorf("the error says %+v", e)
				}
			},
		},
		{
			name: "the layout's last ticks",
			rule: "a window ends with the layout's last tick and never wraps; after that nothing is granted",
			shapes: []shape{
				{"1 ms", layout.Config{Epoch: start().Add(-1000 * time.Hour), Unit: time.Millisecond, TimeBits: 36, NodeBits: 3}},
				{"1 s", layout.Config{Epoch: start().Add(-1000 * time.Hour), Unit: time.Second, TimeBits: 26, NodeBits: 3}},
			},
			run: func(k *poolKit) {
				l := k.ns.Layout
				k.advance(l.End().Sub(k.clock.Time()) - 5*time.Second)
				h := k.acquire(k.server)
				for range 5 {
					if h.Until != l.MaxTick()+1 {
						k.errorf("the window reaches tick %d, want %d", h.Until, l.MaxTick()+1)
					}
					k.advance(time.Second - l.Unit()/5)
					h.renew(k.server)
				}
				k.until(l.MaxTick())
				h.release(k.server, h.From-1)
				h = k.acquire(k.server)
				if h.Until != l.MaxTick()+1 {
					k.errorf("the last window reaches tick %d, want %d", h.Until, l.MaxTick()+1)
				}
				k.advance(l.Unit())
				_, err := k.try(k.server, k.token())
				k.refusedAs("acquiring after the layout's end", err, layout.ErrPastEnd)
				if err := h.tryRenew(k.server); err == nil && h.Until != l.MaxTick()+1 {
					k.errorf("renewed until tick %d", h.Until)
				}
				k.advance(100 * 365 * 24 * time.Hour)
				if err := h.tryRenew(k.server); err == nil && h.Until != l.MaxTick()+1 {
					k.errorf("renewed until tick %d", h.Until)
				}
			},
		},
		{
			name: "before the epoch",
			rule: "before its epoch a layout has no ticks, and nothing is granted",
			run: func(k *poolKit) {
				k.clock.StepBack(2000 * time.Hour)
				if err := k.local.AcceptClock(k.ctx(), theName); err != nil {
					k.fatalf("AcceptClock: %v", err)
				}
				_, err := k.try(k.server, k.token())
				k.refusedAs("acquiring", err, layout.ErrBeforeEpoch)
			},
		},
	}
}

// exhausted asks a pool that must have no node.
func (k *poolKit) exhausted(v *server) pool.ExhaustedError {
	k.Helper()
	g, err := k.try(v, k.token())
	var e *pool.ExhaustedError
	if !errors.As(err, &e) {
		k.fatalf("Acquire: node %d, %v, want an ExhaustedError", g.Node, err)
	}
	return *e
}
