package pooltest

import (
	"errors"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// change makes a request a wrong one.
type change[T any] struct {
	what string
	to   func(*T)
}

func renewCases() []poolCase {
	return []poolCase{
		{
			name:   "windows grow",
			rule:   "each renewal makes the window twice as long as before, up to the namespace's full length, from now on and rounded down; it never gets shorter",
			shapes: shapes(),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				window, full := k.ns.Terms.FirstWindow, k.ns.Terms.Window
				for i := range 8 {
					k.advance(window/3 + 54321*time.Nanosecond)
					window = min(2*window, full)
					before := h.Until
					h.renew(k.server)
					if want := max(before, k.floor(window)); h.Until != want || h.Revision != uint64(i+1) {
						k.errorf("renewed until tick %d at revision %d, want %d at %d", h.Until, h.Revision, want, i+1)
					}
					if h.Now != k.clock.Now() {
						k.errorf("renewed at %d, want %d", h.Now, k.clock.Now())
					}
				}
			},
		},
		{
			name: "renewed at once",
			rule: "how often a lease is renewed does not make its window reach further than its length from now",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for range 50 {
					h.renew(k.server)
				}
				if want := k.floor(k.ns.Terms.Window); h.Until != want {
					k.errorf("the window reaches tick %d, want %d", h.Until, want)
				}
			},
		},
		{
			name: "renewed late",
			rule: "a lease that nobody has taken over is renewed also after its window is over: the ticks in between are its holder's as well",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for _, late := range []time.Duration{0, 1, time.Second, time.Hour} {
					k.until(h.Until)
					k.advance(late)
					h.renew(k.server)
					if h.Until <= k.floor(0) {
						k.errorf("renewed until tick %d, which has passed", h.Until)
					}
				}
			},
		},
		{
			name:  "taken over",
			rule:  "who comes too late, after another holder has come, is refused for good",
			setup: few(1),
			run: func(k *poolKit) {
				old := k.acquire(k.server)
				k.until(old.Until)
				h := k.acquire(k.another())
				for range 3 {
					k.refusedAs("renewing", old.tryRenew(k.server), pool.ErrLeaseLost)
					k.advance(time.Second)
				}
				h.renew(k.server)
				k.until(h.Until)
				k.refusedAs("renewing", old.tryRenew(k.server), pool.ErrLeaseLost)
				h.renew(k.server)
			},
		},
		{
			name: "a renewal repeated",
			rule: "a renewal repeated with its nonce is answered again and changes nothing, at any server",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				second := k.another()
				for range 3 {
					k.advance(time.Second)
					r := h.renewal()
					if err := h.send(k.server, r); err != nil {
						k.fatalf("Renew: %v", err)
					}
					g := h.Grant
					for _, v := range []*server{k.server, second, second, k.server} {
						if err := h.send(v, r); err != nil {
							k.fatalf("repeated: %v", err)
						}
						if h.Until != g.Until || h.Revision != g.Revision {
							k.errorf("repeated, it gave tick %d at revision %d, want %d at %d", h.Until, h.Revision, g.Until, g.Revision)
						}
					}
				}
			},
		},
		{
			name: "a copied process",
			rule: "of two copies of a process, the second to renew is refused: its nonce is not the one that the lease was renewed with",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				h.renew(k.server)
				copied := &holder{k, h.Grant}
				k.advance(time.Second)
				h.renew(k.server)
				for _, v := range []*server{k.another(), k.server} {
					k.refusedAs("the copy's renewal", copied.tryRenew(v), pool.ErrLeaseLost)
				}
				h.renew(k.server)
				k.refusedAs("the copy's renewal", copied.tryRenew(k.server), pool.ErrLeaseLost)
			},
		},
		{
			name: "an old renewal",
			rule: "a renewal that comes again after later ones changes nothing",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				old := h.renewal()
				for range 3 {
					if err := h.send(k.server, old); err != nil {
						k.fatalf("Renew: %v", err)
					}
					h.renew(k.server)
					g := h.Grant
					k.advance(time.Second)
					_, err := k.pool.Renew(k.ctx(), old)
					k.refusedAs("a renewal from before", err, pool.ErrLeaseLost)
					if n := k.list(k.server)[h.Node]; n.Until != g.Until || n.Renewals != g.Revision {
						k.errorf("it has changed the record to %+v", n)
					}
					old = h.renewal()
				}
			},
		},
		{
			name: "not one's own",
			rule: "a renewal with another token, another revision, of another node, or of a node that nobody has, is refused and changes nothing",
			run: func(k *poolKit) {
				h, other := k.acquire(k.server), k.acquire(k.server)
				before := k.list(k.server)
				for _, wrong := range []change[pool.Renewal]{
					{"another token", func(r *pool.Renewal) { r.Token = k.token() }},
					{"a token with one bit", func(r *pool.Renewal) { r.Token[15] ^= 1 }},
					{"no token", func(r *pool.Renewal) { r.Token = pool.Token{} }},
					{"another's token", func(r *pool.Renewal) { r.Token = other.Token }},
					{"another node", func(r *pool.Renewal) { r.Node = other.Node }},
					{"a later revision", func(r *pool.Renewal) { r.Revision++ }},
					{"a much later revision", func(r *pool.Renewal) { r.Revision = 1 << 63 }},
					{"an endless revision", func(r *pool.Renewal) { r.Revision-- }},
				} {
					r := h.renewal()
					wrong.to(&r)
					_, err := k.pool.Renew(k.ctx(), r)
					k.refusedAs(wrong.what, err, pool.ErrLeaseLost)
				}
				for node := range k.ns.Layout.MaxNode() + 1 {
					if before[node].Until == 0 {
						r := h.renewal()
						r.Node, r.Until = node, 0
						_, err := k.pool.Renew(k.ctx(), r)
						k.refusedAs("a node that nobody has", err, pool.ErrLeaseLost)
					}
				}
				for _, node := range []int64{-1, -2, k.ns.Layout.MaxNode() + 1, 1 << 40, -1 << 63} {
					r := h.renewal()
					r.Node = node
					if _, err := k.pool.Renew(k.ctx(), r); !errors.Is(err, pool.ErrLeaseLost) {
						k.errorf("a node that there is not, %d: %v", node, err)
					}
				}
				for node, n := range k.list(k.server) {
					if n != before[node] {
						k.errorf("node %d was %+v and is %+v", node, before[node], n)
					}
				}
				h.renew(k.server)
				other.renew(k.server)
			},
		},
	}
}

func releaseCases() []poolCase {
	return []poolCase{
		{
			name:   "sealed",
			rule:   "a node given back is free at once, and its next window begins after the last tick that was reserved",
			setup:  few(1),
			shapes: shapes(),
			run: func(k *poolKit) {
				second := k.another()
				for range 4 {
					h := k.acquire(k.server)
					if k.ns.Layout.Time(h.From).After(k.clock.Time()) {
						k.until(h.From)
					}
					last := k.floor(0)
					h.release(k.server, last)
					next, err := k.try(second, k.token())
					if notYet, ok := errors.AsType[*pool.NotYetError](err); ok {
						if ahead := k.ns.Layout.Time(last + 1).Sub(k.clock.Time()); notYet.RetryAfter > ahead {
							k.errorf("try again in %v, when the next tick comes in %v", notYet.RetryAfter, ahead)
						}
						k.advance(notYet.RetryAfter)
						next, err = k.try(second, k.token())
					}
					if err != nil || next.From < last+1 {
						k.fatalf("after tick %d the next window begins with tick %d, %v", last, next.From, err)
					}
					h = &holder{k, next}
					h.release(second, h.From)
					k.advance(3*time.Second + max(0, k.ns.Layout.Time(h.From+1).Sub(k.clock.Time())))
				}
			},
		},
		{
			name:   "nothing stamped",
			rule:   "a lease of which nothing was stamped leaves its node as it found it, so that coming and going uses up no ticks",
			setup:  few(1),
			shapes: shapes(),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				if k.ns.Layout.Time(h.From).After(k.clock.Time()) {
					k.until(h.From)
				}
				h.release(k.server, k.floor(0))
				last := k.floor(0)
				k.until(last + 1)
				k.advance(5*time.Second + 2*k.ns.Layout.Unit())
				from := int64(0)
				for i := range 10 {
					h := k.acquire(k.server)
					if h.From <= last || i > 0 && h.From != from {
						k.errorf("the window begins with tick %d, the first time with %d; %d was stamped", h.From, from, last)
					}
					from = h.From
					h.release(k.server, h.From-1)
					if n := k.list(k.server)[h.Node]; n.Until != last+1 {
						k.errorf("the node is free from tick %d on, and was from %d on", n.Until, last+1)
					}
				}
			},
		},
		{
			name:  "borrowed ticks",
			rule:  "ticks that were reserved ahead of the clock keep their node back until they have passed, and the refusal says for how long",
			setup: few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				h.renew(k.server)
				last := k.floor(8 * time.Second)
				h.release(k.server, last)
				_, err := k.try(k.server, k.token())
				var notYet *pool.NotYetError
				if !errors.As(err, &notYet) || notYet.RetryAfter <= 0 || notYet.RetryAfter > 9*time.Second {
					k.fatalf("Acquire: %v, want a NotYetError of some 8 s", err)
				}
				k.advance(notYet.RetryAfter)
				if g := k.acquire(k.server); g.From != last+1 {
					k.errorf("the window begins with tick %d, want %d", g.From, last+1)
				}
			},
		},
		{
			name: "a false seal",
			rule: "a release must report a last tick within the window, or the one before it: else it is refused, and the lease stays",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for _, last := range []int64{h.From - 2, h.Until, h.Until + 1, -1, -2, 1<<63 - 1, -1 << 63} {
					err := k.pool.Release(k.ctx(), h.seal(last))
					k.refusedAs("a seal out of the window", err, pool.ErrBadSeal)
				}
				h.renew(k.server)
				h.release(k.server, h.Until-1)
			},
		},
		{
			name: "not one's own to give back",
			rule: "only the current holder gives a lease back",
			run: func(k *poolKit) {
				h, other := k.acquire(k.server), k.acquire(k.server)
				before := k.list(k.server)
				for _, wrong := range []change[pool.Release]{
					{"another token", func(r *pool.Release) { r.Token = k.token() }},
					{"a token with one bit", func(r *pool.Release) { r.Token[0] ^= 1 }},
					{"no token", func(r *pool.Release) { r.Token = pool.Token{} }},
					{"another's token", func(r *pool.Release) { r.Token = other.Token }},
					{"another node", func(r *pool.Release) { r.Node = other.Node }},
					{"another token, bad seal", func(r *pool.Release) { r.Token, r.Last = k.token(), -5 }},
				} {
					r := h.seal(h.From)
					wrong.to(&r)
					k.refusedAs(wrong.what, k.pool.Release(k.ctx(), r), pool.ErrLeaseLost)
				}
				for node := range k.ns.Layout.MaxNode() + 1 {
					if before[node].Until != 0 {
						continue
					}
					r := h.seal(h.From)
					r.Node = node
					k.refusedAs("a node that nobody has", k.pool.Release(k.ctx(), r), pool.ErrLeaseLost)
					r.Token = pool.Token{}
					k.refusedAs("a node that nobody has, without token", k.pool.Release(k.ctx(), r), pool.ErrLeaseLost)
				}
				for _, node := range []int64{-1, -2, k.ns.Layout.MaxNode() + 1, 1 << 40, -1 << 63} {
					r := h.seal(h.From)
					r.Node = node
					if err := k.pool.Release(k.ctx(), r); !errors.Is(err, pool.ErrLeaseLost) {
						k.errorf("a node that there is not, %d: %v", node, err)
					}
				}
				for node, n := range k.list(k.server) {
					if n != before[node] {
						k.errorf("node %d was %+v and is %+v", node, before[node], n)
					}
				}
			},
		},
		{
			name:  "given back twice",
			rule:  "a release that comes again finds nothing to give back, and does no harm to who came in between",
			setup: few(1),
			run: func(k *poolKit) {
				old := k.acquire(k.server)
				last := k.floor(0)
				old.release(k.server, last)
				k.refusedAs("again", k.pool.Release(k.ctx(), old.seal(last)), pool.ErrLeaseLost)
				k.advance(time.Second)
				h := k.acquire(k.server)
				for _, v := range []*server{k.server, k.another()} {
					k.refusedAs("again, late", v.pool.Release(k.ctx(), old.seal(last)), pool.ErrLeaseLost)
					k.refusedAs("a renewal after it", old.tryRenew(v), pool.ErrLeaseLost)
				}
				h.renew(k.server)
				h.renew(k.another())
			},
		},
		{
			name:  "late, but one's own",
			rule:  "a lease whose window is over is given back like any other while nobody has taken it over",
			setup: few(1),
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				k.until(h.Until)
				k.advance(time.Hour)
				h.release(k.server, h.Until-1)
				h = k.acquire(k.server)
				k.until(h.Until)
				next := k.acquire(k.server)
				k.refusedAs("given back after another has come", h.tryRelease(k.server, h.From), pool.ErrLeaseLost)
				next.renew(k.server)
			},
		},
	}
}
