package pooltest

import (
	"errors"
	"strings"
	"time"

	"github.com/easyflake/easyflake/pool"
)

func adminCases() []poolCase {
	return []poolCase{
		{
			name:  "revoked",
			rule:  "a revoked lease is not renewed, and its node is free when its window is over, not before: the holder may be using it",
			setup: few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				h.renew(k.server)
				if err := k.pool.Revoke(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Revoke: %v", err)
				}
				if n := k.list(k.server)[h.Node]; !n.Revoked || n.Until != h.Until {
					k.errorf("listed as %+v", n)
				}
				for _, v := range []*server{k.server, k.another()} {
					k.refusedAs("renewing", h.tryRenew(v), pool.ErrRevoked)
				}
				k.exhausted(k.server)
				k.until(h.Until)
				g := k.acquire(k.server)
				if g.From < h.Until {
					k.errorf("the next window is [%d, %d), the revoked one ended with %d", g.From, g.Until, h.Until)
				}
				if k.list(k.server)[h.Node].Revoked {
					k.errorf("the next lease is revoked too")
				}
				k.refusedAs("renewing after another has come", h.tryRenew(k.server), pool.ErrLeaseLost)
				g.renew(k.server)
			},
		},
		{
			name:  "revoked and given back",
			rule:  "a holder whose lease was revoked can still give it back, and frees it at once",
			setup: few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				if err := k.pool.Revoke(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Revoke: %v", err)
				}
				h.release(k.server, h.From)
				k.acquire(k.server).renew(k.server)
			},
		},
		{
			name:  "revoked again",
			rule:  "revoking is about the lease that there is: what a server remembers of an earlier one does not answer for it",
			setup: few(1),
			run: func(k *poolKit) {
				second := k.another()
				h := k.acquire(k.server)
				if err := k.pool.Revoke(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Revoke: %v", err)
				}
				k.until(h.Until)
				h = k.acquire(second)
				if err := k.pool.Revoke(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Revoke: %v", err)
				}
				k.refusedAs("renewing", h.tryRenew(second), pool.ErrRevoked)
			},
		},
		{
			name:  "retired",
			rule:  "a retired node is never leased again, and its holder is not renewed; its record stays",
			setup: few(2),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				if err := k.pool.Retire(k.ctx(), theName, h.Node); err != nil {
					k.fatalf("Retire: %v", err)
				}
				k.refusedAs("renewing", h.tryRenew(k.another()), pool.ErrRevoked)
				other := k.acquire(k.server)
				if other.Node == h.Node {
					k.errorf("node %d was granted", h.Node)
				}
				k.until(other.Until)
				for range 3 {
					if g := k.acquire(k.server); g.Node == h.Node {
						k.errorf("node %d was granted", g.Node)
					} else {
						g.release(k.server, g.From-1)
					}
				}
				if n := k.list(k.server)[h.Node]; !n.Retired || n.Until != h.Until {
					k.errorf("listed as %+v", n)
				}
			},
		},
		{
			name:  "retired before it was used",
			rule:  "a node can be retired that nobody ever had",
			setup: few(2),
			run: func(k *poolKit) {
				for range 2 {
					if err := k.pool.Retire(k.ctx(), theName, 1); err != nil {
						k.fatalf("Retire: %v", err)
					}
				}
				if g := k.acquire(k.another()); g.Node != 0 {
					k.errorf("node %d was granted", g.Node)
				}
				k.exhausted(k.server)
			},
		},
		{
			name: "what cannot be administered",
			rule: "a node that the layout does not have, that is not leased, or that nobody has, is refused",
			setup: func(n *pool.Namespace) {
				n.Ranges = []pool.Range{{First: 0, Last: 3}, {First: 4, Last: 5, Use: pool.ByHand}, {First: 6, Last: 6, Use: pool.Legacy}}
			},
			run: func(k *poolKit) {
				for _, node := range []int64{4, 5, 7, -1, 8, 1 << 40, 1<<63 - 1, -1 << 63} {
					k.refusedAs("revoking", k.pool.Revoke(k.ctx(), theName, node), pool.ErrNotLeasable)
					k.refusedAs("retiring", k.pool.Retire(k.ctx(), theName, node), pool.ErrNotLeasable)
				}
				k.refusedAs("revoking what nobody has", k.pool.Revoke(k.ctx(), theName, 0), pool.ErrNotLeasable)
				k.refusedAs("revoking what no stream has", k.pool.Revoke(k.ctx(), theName, 6), pool.ErrNotLeasable)
				var unknown *pool.UnknownNamespaceError
				if err := k.pool.Revoke(k.ctx(), "other", 0); !errors.As(err, &unknown) {
					k.errorf("revoking in an unknown namespace: %v", err)
				}
				if n := len(k.list(k.server)); n != 0 {
					k.errorf("%d records were made by the way", n)
				}
			},
		},
		{
			name: "listed",
			rule: "List yields every node that was ever leased, in order, with its window and who has it, but not with a token that could be used",
			run: func(k *poolKit) {
				second := k.another()
				if n := len(k.list(k.server)); n != 0 {
					k.errorf("%d nodes of a new namespace", n)
				}
				held, gone, over := k.acquire(k.server), k.acquire(second), k.acquire(k.server)
				held.renew(second)
				gone.release(k.server, gone.From)
				k.until(over.Until)
				held.renew(k.server)
				for _, v := range []*server{k.server, second} {
					all := k.list(v)
					if len(all) != 3 {
						k.errorf("%d nodes, want 3", len(all))
					}
					n := all[held.Node]
					if n.From != held.From || n.Until != held.Until || n.Renewals != 2 || n.Expired || n.Revoked || n.Retired {
						k.errorf("who holds node %d, %+v, is listed as %+v", held.Node, held.Grant, n)
					}
					text, err := held.Token.MarshalText()
					if err != nil {
						k.fatalf("pooltest: %v", err)
					}
					if n.Holder == "" || !strings.HasPrefix(string(text), strings.TrimSuffix(n.Holder, "…")) || len(n.Holder) > 12 {
						k.errorf("the holder is listed as %q, want the beginning of %q", n.Holder, text)
					}
					if n = all[gone.Node]; n.Holder != "" || n.Until != gone.From+1 || !n.Expired {
						k.errorf("the node given back is listed as %+v", n)
					}
					if n = all[over.Node]; n.Holder == "" || n.Until != over.Until || !n.Expired {
						k.errorf("the node whose window is over is listed as %+v", n)
					}
				}
				for _, err := range k.pool.List(k.ctx(), "other") {
					if _, ok := errors.AsType[*pool.UnknownNamespaceError](err); !ok {
						k.errorf("listing an unknown namespace: %v", err)
					}
				}
				for _, err := range k.pool.List(k.ctx(), theName) {
					if err != nil {
						k.errorf("List: %v", err)
					}
					break // who has seen enough must be let go
				}
			},
		},
	}
}

func floorCases() []poolCase {
	return []poolCase{
		{
			name: "a doubtful store",
			rule: "after doubt no window begins before a horizon from then, and no lease that ends before it is renewed: what the store has forgotten can be nothing later",
			run: func(k *poolKit) {
				second := k.another()
				h, long := k.acquire(k.server), k.acquire(second)
				k.advance(time.Second)
				floor := k.ceil(k.ns.Terms.Horizon)
				if err := k.local.Doubt(k.ctx()); err != nil {
					k.fatalf("Doubt: %v", err)
				}
				for _, v := range []*server{k.server, second} {
					k.refusedAs("renewing", h.tryRenew(v), pool.ErrLeaseLost)
					k.refusedAs("renewing", long.tryRenew(v), pool.ErrLeaseLost)
					_, err := k.try(v, k.token())
					var notYet *pool.NotYetError
					if !errors.As(err, &notYet) || notYet.RetryAfter <= 0 || notYet.RetryAfter > k.ns.Terms.Horizon+k.ns.Layout.Unit() {
						k.errorf("Acquire: %v", err)
					}
				}
				k.until(floor)
				g := k.acquire(second)
				if g.From < floor {
					k.errorf("the window begins with tick %d, the floor is %d", g.From, floor)
				}
				g.renew(k.server)
				k.refusedAs("renewing", h.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name: "a lease beyond the floor",
			rule: "a lease that ends after the floor was granted by the store as it is, and is renewed",
			setup: func(n *pool.Namespace) {
				n.Terms.FirstWindow, n.Terms.Window = n.Terms.Horizon, n.Terms.Horizon
			},
			run: func(k *poolKit) {
				early := k.acquire(k.server)
				k.advance(time.Second)
				if err := k.local.Doubt(k.ctx()); err != nil {
					k.fatalf("Doubt: %v", err)
				}
				k.advance(k.ns.Terms.Horizon)
				h := k.acquire(k.server)
				h.renew(k.server)
				k.refusedAs("renewing", early.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name: "a window that the store does not know",
			rule: "a client that shows a window which the store never granted proves that it is an old copy: the floor is raised, at every server",
			run: func(k *poolKit) {
				second := k.another()
				h := k.acquire(second)
				r := h.renewal()
				k.advance(time.Second)
				r.Until = h.Until + 1 // as if granted by what is lost
				r.Revision += 5
				floor := k.ceil(k.ns.Terms.Horizon)
				_, err := k.pool.Renew(k.ctx(), r)
				k.refusedAs("renewing", err, pool.ErrLeaseLost)
				for _, v := range []*server{k.server, second} {
					k.refusedAs("renewing", h.tryRenew(v), pool.ErrLeaseLost)
					var notYet *pool.NotYetError
					if _, err := k.try(v, k.token()); !errors.As(err, &notYet) {
						k.errorf("Acquire: %v, want a NotYetError", err)
					}
				}
				k.until(floor)
				if g := k.acquire(k.server); g.From < floor {
					k.errorf("the window begins with tick %d, the floor is %d", g.From, floor)
				}
			},
		},
		{
			name: "a window of a node never leased",
			rule: "a lease that the store does not know at all is proof as well",
			run: func(k *poolKit) {
				r := pool.Renewal{Namespace: theName, Node: 3, Token: k.token(), Nonce: k.token(), Revision: 3, Until: k.floor(10 * time.Second)}
				_, err := k.pool.Renew(k.ctx(), r)
				k.refusedAs("renewing", err, pool.ErrLeaseLost)
				var notYet *pool.NotYetError
				if _, err := k.try(k.another(), k.token()); !errors.As(err, &notYet) {
					k.errorf("Acquire: %v, want a NotYetError", err)
				}
			},
		},
		{
			name: "no proof",
			rule: "who has lost a lease in the ordinary way, or shows what no pool can have granted, raises no floor",
			setup: func(n *pool.Namespace) {
				n.Ranges = []pool.Range{{First: 0, Last: 0}, {First: 1, Last: 1, Use: pool.ByHand}}
			},
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				h.renew(k.server)
				h.release(k.server, h.From)
				k.refusedAs("renewing what was given back", h.tryRenew(k.server), pool.ErrLeaseLost)
				for _, wrong := range []change[pool.Renewal]{
					{"no token", func(r *pool.Renewal) { r.Token = pool.Token{} }},
					{"a node by hand", func(r *pool.Renewal) { r.Node = 1 }},
					{"a node in no range", func(r *pool.Renewal) { r.Node = 2 }},
					{"no node", func(r *pool.Renewal) { r.Node = 8 }},
					{"the key of the mark", func(r *pool.Renewal) { r.Node = -1 }},
					{"ticks after the layout's end", func(r *pool.Renewal) { r.Until = k.ns.Layout.MaxTick() + 2 }},
				} {
					r := h.renewal()
					r.Until += 5
					wrong.to(&r)
					if _, err := k.pool.Renew(k.ctx(), r); !errors.Is(err, pool.ErrLeaseLost) && !errors.Is(err, pool.ErrNotLeasable) {
						k.errorf("%s: %v", wrong.what, err)
					}
					g, err := k.try(k.server, k.token())
					if err != nil {
						k.fatalf("%s has raised the floor: %v", wrong.what, err)
					}
					(&holder{k, g}).release(k.server, g.From-1)
				}
			},
		},
		{
			name: "a floor in between",
			rule: "a floor raised between what a server has read and what it writes holds: grants and renewals are judged anew",
			run: func(k *poolKit) {
				second := k.another()
				k.acquire(k.server)
				floor := k.ceil(k.ns.Terms.Horizon)
				doubt := func() Fault {
					if err := second.local.Doubt(k.ctx()); err != nil {
						k.errorf("Doubt: %v", err)
					}
					return None
				}
				k.advance(500 * time.Millisecond)
				k.store.Once("Write", doubt)
				if g, err := k.try(k.server, k.token()); err == nil && g.From < floor {
					k.errorf("granted [%d, %d), the floor was raised to %d meanwhile", g.From, g.Until, floor)
				}
				k.until(floor)
				k.advance(time.Minute)
				h := k.acquire(k.server)
				k.advance(time.Second)
				k.store.Once("Write", doubt)
				k.refusedAs("renewing", h.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name: "a range's floor",
			rule: "nodes that were others' before begin after the range's floor",
			setup: func(n *pool.Namespace) {
				tick, _ := n.Layout.Tick(start().Add(30 * time.Second))
				n.Ranges = []pool.Range{{First: 0, Last: 0, Floor: tick}}
			},
			run: func(k *poolKit) {
				_, err := k.try(k.server, k.token())
				var notYet *pool.NotYetError
				if !errors.As(err, &notYet) || notYet.RetryAfter <= 0 || notYet.RetryAfter > 30*time.Second {
					k.fatalf("Acquire: %v, want a NotYetError of at most 30 s", err)
				}
				k.advance(notYet.RetryAfter)
				if h := k.acquire(k.server); h.From < k.ns.Ranges[0].Floor {
					k.errorf("the window begins with tick %d, the floor is %d", h.From, k.ns.Ranges[0].Floor)
				}
			},
		},
	}
}
