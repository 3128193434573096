package pooltest

import (
	"time"

	"github.com/easyflake/easyflake/pool"
)

func restartCases() []poolCase {
	durable := func(f StoreFactory) bool { return f.Durable }
	return []poolCase{
		{
			name:  "restarted",
			rule:  "leases outlive their server: after a restart they are renewed, their nodes are taken, and their tokens still find them",
			needs: durable,
			run: func(k *poolKit) {
				h, other := k.acquire(k.server), k.acquire(k.server)
				h.renew(k.server)
				k.restart()
				if g, err := k.try(k.server, other.Token); err != nil || g.Node != other.Node || g.Until != other.Until || g.Revision != 0 {
					k.errorf("asked again, got %+v, %v, want %+v", g, err, other.Grant)
				}
				for range 4 {
					k.advance(3 * time.Second)
					h.renew(k.server)
					k.restart()
					if g := k.acquire(k.server); g.Node == h.Node {
						k.errorf("node %d was granted twice", h.Node)
					}
				}
				k.refusedAs("a token of nobody", (&holder{k, pool.Grant{Node: h.Node, Token: k.token()}}).tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name:  "crashed",
			rule:  "after a crash a new holder gets no tick that was granted before it, though renewals may not have been written",
			needs: durable,
			setup: few(2),
			run: func(k *poolKit) {
				for round := range 6 {
					h := k.acquire(k.server)
					for range round * 3 {
						k.advance(3 * time.Second)
						h.renew(k.server)
					}
					k.crash()
					for range 40 {
						k.advance(5 * time.Second)
						g, err := k.try(k.server, k.token())
						if err == nil && g.Node == h.Node {
							if g.From < h.Until {
								k.errorf("node %d was granted from tick %d on, and before the crash until %d", g.Node, g.From, h.Until)
							}
							break
						}
					}
					k.advance(5 * time.Minute)
				}
			},
		},
		{
			name:  "a first window is not written ahead",
			rule:  "a node whose holder has never renewed is free when its first window is over, also after a crash: else processes that crash at once would use up the nodes",
			needs: durable,
			setup: few(1),
			run: func(k *poolKit) {
				for range 3 {
					h := k.acquire(k.server)
					k.crash()
					k.until(h.Until)
					if g := k.acquire(k.server); g.From != h.Until {
						k.errorf("the next window begins with tick %d, want %d", g.From, h.Until)
					}
					k.advance(time.Minute)
				}
			},
		},
		{
			name: "what renewals cost",
			rule: "a store that one process holds is written ahead, so that most renewals write nothing; one that several share is written each time",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				k.advance(20 * time.Second) // the time is noted with this
				h.renew(k.server)
				for range 5 {
					h.renew(k.server)
				}
				k.store.Plan(nil)
				before := k.store.Calls("Write")
				const renewals = 40
				for range renewals {
					k.advance(100 * time.Millisecond)
					h.renew(k.server)
				}
				writes := k.store.Calls("Write") - before
				if k.f.Stores.Exclusive {
					if writes > renewals/10 {
						k.errorf("%d renewals cost %d writes", renewals, writes)
					}
				} else if writes < renewals {
					k.errorf("%d renewals cost %d writes: somebody's grant is not written", renewals, writes)
				}
			},
		},
		{
			name:  "written before the reply",
			rule:  "what a pool replies is durable: nothing that was granted is ever not in the store",
			needs: durable,
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for range 6 {
					k.advance(2 * time.Second)
					h.renew(k.server)
					k.crash()
					if n := k.list(k.server)[h.Node]; n.Until < h.Until {
						k.errorf("granted until tick %d, the store says %d", h.Until, n.Until)
					}
				}
				last := k.floor(0)
				h.release(k.server, last)
				k.crash()
				if n := k.list(k.server)[h.Node]; n.Until != last+1 || n.Holder != "" {
					k.errorf("given back after tick %d, the store says %+v", last, n)
				}
			},
		},
		{
			name:  "not written ahead when shared",
			rule:  "in a store that several share, a lease is listed, and its node is free, exactly as granted",
			needs: shared,
			setup: few(1),
			run: func(k *poolKit) {
				second := k.another()
				h := k.acquire(k.server)
				h.renew(k.server)
				if n := k.list(second)[h.Node]; n.Until != h.Until {
					k.errorf("granted until tick %d, listed until %d", h.Until, n.Until)
				}
				k.until(h.Until)
				if g := k.acquire(second); g.From != h.Until {
					k.errorf("the next window begins with tick %d, want %d", g.From, h.Until)
				}
			},
		},
		{
			name:  "renewed after a crash",
			rule:  "a lease whose last renewals were not written is renewed once with the revision that its holder has; a copy of the holder is refused then",
			needs: durable,
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for range 3 {
					for range 5 {
						k.advance(time.Second)
						h.renew(k.server)
					}
					k.crash()
					copied := &holder{k, h.Grant}
					h.renew(k.server)
					k.refusedAs("the copy's renewal", copied.tryRenew(k.server), pool.ErrLeaseLost)
					copied.Revision = h.Revision + 5 // as of a copy that had gone on alone
					k.refusedAs("another copy's renewal", copied.tryRenew(k.server), pool.ErrLeaseLost)
					h.renew(k.server)
				}
			},
		},
		{
			name:  "given back after a crash",
			rule:  "a lease is given back after a crash as before it, and its node is free after the last tick reserved, not only after what was written ahead",
			needs: durable,
			setup: few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for range 5 {
					k.advance(time.Second)
					h.renew(k.server)
				}
				k.crash()
				last := k.floor(0)
				h.release(k.server, last)
				k.advance(time.Second)
				if g := k.acquire(k.server); g.From > k.floor(0) || g.From <= last {
					k.errorf("the next window begins with tick %d, %d was the last", g.From, last)
				}
			},
		},
	}
}
