package pooltest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/easyflake/easyflake/pool"
)

func faultCases() []poolCase {
	faults := []struct {
		fault Fault
		name  string
	}{{LostBefore, "lost before"}, {LostAfter, "reply lost"}, {Twice, "twice"}, {Late, "late"}}
	return []poolCase{
		{
			name: "accidents of clients' calls",
			rule: "a call that was lost, carried out twice or late is repeated without harm: to acquire with the same token, to renew with the same nonce; and who gives back has given back",
			run: func(k *poolKit) {
				for _, f := range faults {
					fault, name := f.fault, f.name
					for range 3 {
						token := k.token()
						k.pool.Next("Acquire", fault)
						g, err := k.try(k.server, token)
						if err != nil {
							if g, err = k.try(k.server, token); err != nil {
								k.fatalf("%s: acquiring again: %v", name, err)
							}
						}
						k.pool.Deliver()
						h := &holder{k, g}

						k.pool.Next("Renew", fault)
						r := h.renewal()
						if err := h.send(k.server, r); err != nil {
							if err := h.send(k.server, r); err != nil {
								k.fatalf("%s: renewing again: %v", name, err)
							}
						}
						k.pool.Deliver()
						if n := k.list(k.server)[h.Node]; n.Renewals != 1 || n.Until != h.Until {
							k.errorf("%s: after one renewal: %+v, want until %d", name, n, h.Until)
						}

						k.pool.Next("Release", fault)
						if err := h.tryRelease(k.server, h.From-1); err != nil {
							if err := h.tryRelease(k.server, h.From-1); err != nil && !errors.Is(err, pool.ErrLeaseLost) {
								k.errorf("%s: giving back again: %v", name, err)
							}
						}
						k.pool.Deliver()
						if n := k.list(k.server)[h.Node]; n.Holder != "" {
							k.errorf("%s: after giving back: %+v", name, n)
						}
					}
				}
			},
		},
		{
			name: "accidents of writes",
			rule: "where a write fails, the pool grants nothing that may not be written, and knows what is written before it goes on; so the call can be repeated",
			run: func(k *poolKit) {
				second := k.another()
				for _, f := range faults {
					fault, name := f.fault, f.name
					for range 3 {
						token := k.token()
						k.store.Next("Write", fault)
						g, err := k.try(k.server, token)
						if err != nil {
							if g, err = k.try(k.server, token); err != nil {
								k.fatalf("%s: acquiring again: %v", name, err)
							}
						}
						k.store.Deliver()
						h := &holder{k, g}
						for i := range 3 {
							k.advance(time.Second)
							k.store.Next("Write", fault)
							r := h.renewal()
							if err := h.send(k.server, r); err != nil {
								v := k.server
								if i == 1 {
									v = second
								}
								if err := h.send(v, r); err != nil {
									k.fatalf("%s: renewing again: %v", name, err)
								}
							}
							k.store.Deliver()
						}
						k.store.Next("Write", fault)
						last := k.floor(0)
						if err := h.tryRelease(k.server, last); err != nil {
							if err := h.tryRelease(k.server, last); err != nil && !errors.Is(err, pool.ErrLeaseLost) {
								k.errorf("%s: giving back again: %v", name, err)
							}
						}
						k.store.Deliver()
						if n := k.list(k.server)[h.Node]; n.Holder != "" || n.Until != last+1 {
							k.errorf("%s: after giving back after tick %d: %+v", name, last, n)
						}
						k.store.Plan(nil)
						k.advance(time.Second)
					}
				}
			},
		},
		{
			name:  "a revocation given up",
			rule:  "a write that was given up may be made late: what is granted meanwhile must not depend on that it is not",
			needs: func(f StoreFactory) bool { return f.Durable },
			setup: few(1),
			run: func(k *poolKit) {
				for _, repeated := range []bool{false, true} {
					h := k.acquire(k.server)
					r := h.renewal()
					if err := h.send(k.server, r); err != nil { // this is written, perhaps ahead
						k.fatalf("Renew: %v", err)
					}
					k.store.Next("Write", Late)
					if err := k.pool.Revoke(k.ctx(), theName, h.Node); err == nil {
						k.errorf("Revoke succeeded, and nothing was written")
					}
					for range 3 {
						if repeated {
							_ = h.send(k.server, r)
							continue
						}
						k.advance(2 * time.Second)
						_ = h.tryRenew(k.server)
					}
					k.store.Deliver()
					k.crash()
					for range 100 {
						k.advance(2 * time.Second)
						if g, err := k.try(k.server, k.token()); err == nil { // the ghost sees whether it overlaps
							(&holder{k, g}).release(k.server, g.From-1)
						}
					}
				}
			},
		},
		{
			name: "a renewal given up",
			rule: "a renewal whose write failed is no reason to lose a lease: its repetition succeeds, also where earlier renewals were not written",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for i := range 30 {
					k.advance(2 * time.Second)
					k.store.Next("Write", []Fault{LostBefore, LostAfter}[i%2])
					r := h.renewal()
					for tries := 0; ; tries++ {
						err := h.send(k.server, r)
						if err == nil {
							break
						}
						if tries == 2 || errors.Is(err, pool.ErrLeaseLost) {
							k.fatalf("Renew: %v", err)
						}
					}
				}
			},
		},
		{
			name: "reads that fail",
			rule: "a pool that cannot read its store refuses, and is well again when the store is",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for _, call := range []string{"Namespace", "Namespaces", "Nodes", "Now"} {
					v := k.another()
					k.advance(2 * time.Second)
					v.store.Plan(func(name string) Fault {
						if name == call {
							return LostBefore
						}
						return None
					})
					_, _ = k.try(v, k.token())
					_ = h.tryRenew(v)
					for _, err := range v.pool.List(k.ctx(), theName) {
						_ = err
					}
					v.store.Plan(nil)
					h.renew(v)
					g := k.acquire(v)
					g.release(v, g.From-1)
				}
			},
		},
		{
			name:  "paused between reading and writing",
			rule:  "a server that was stopped after it had decided, and goes on when others have decided otherwise, is refused by the store and decides anew",
			needs: shared,
			setup: few(1),
			run: func(k *poolKit) {
				second := k.another()
				// Both see the node free; the first is stopped before it writes.
				var there *holder
				k.store.Once("Write", func() Fault { there = k.acquire(second); return None })
				if g, err := k.try(k.server, k.token()); err == nil {
					k.errorf("node %d was granted twice: [%d, %d), and [%d, %d) meanwhile", g.Node, g.From, g.Until, there.From, there.Until)
				}
				// A renewal is stopped, and its node taken over.
				k.until(there.Until)
				h := k.acquire(k.server)
				k.until(h.Until)
				k.store.Once("Write", func() Fault { there = k.acquire(second); return None })
				k.refusedAs("the renewal", h.tryRenew(k.server), pool.ErrLeaseLost)
				// A release is stopped, repeated elsewhere, and the node taken.
				h = there
				k.store.Once("Write", func() Fault {
					h.release(second, h.From)
					there = k.acquire(second)
					return None
				})
				k.refusedAs("the release", h.tryRelease(k.server, h.From), pool.ErrLeaseLost)
				there.renew(k.server)
			},
		},
		{
			name:  "freed during the proof",
			rule:  "a node given back while the pool was looking for one elsewhere is not forgotten: the proof that all are taken holds no longer",
			needs: shared,
			setup: func(n *pool.Namespace) {
				n.Ranges = nil // each node by itself, so that they are read one after the other
				for _, node := range []int64{0, 2, 4, 6} {
					n.Ranges = append(n.Ranges, pool.Range{First: node, Last: node})
				}
			},
			run: func(k *poolKit) {
				var all []*holder
				for range 4 {
					all = append(all, k.acquire(k.server))
				}
				for i, h := range all {
					reads := 0
					k.store.Plan(func(call string) Fault {
						if call == "Nodes" {
							reads++
						}
						if call == "Nodes" && reads == len(all) { // the last one, or one looked at before
							reads++
							h.release(k.server, h.From-1)
						}
						return None
					})
					g, err := k.try(k.server, k.token())
					k.store.Plan(nil)
					if err != nil {
						g = k.acquire(k.server).Grant
					}
					all[i] = &holder{k, g}
				}
			},
		},
		{
			name:  "everything at once",
			rule:  "whatever is lost, repeated or late, wherever the clocks go and the servers die: no tick of a node is granted to two",
			setup: few(3),
			run: func(k *poolKit) {
				for seed := range uint64(4) {
					k.chaos(seed)
					k.advance(10 * time.Minute)
				}
			},
		},
	}
}

// chaos runs random calls, faults, moves of the clock and restarts.
func (k *poolKit) chaos(seed uint64) {
	k.Helper()
	r := rand.New(rand.NewPCG(seed, 0xea57))
	defer func() {
		if k.Failed() {
			k.Logf("the seed was %d", seed)
		}
	}()
	plan := func(percent int, faults ...Fault) func(string) Fault {
		return func(string) Fault {
			if r.IntN(100) < percent {
				return faults[r.IntN(len(faults))]
			}
			return None
		}
	}
	second := k.another()
	faulty := func() {
		for _, v := range []*server{k.server, second} {
			v.pool.Plan(plan(15, LostBefore, LostAfter, Twice, Late))
			v.store.Plan(plan(5, LostBefore, LostAfter, Twice, Late))
		}
	}
	faulty()
	var seeking []pool.Token
	var holding []*holder
	grants := 0
	for range 400 {
		v := k.server
		if r.IntN(2) == 0 {
			v = second
		}
		switch p := r.IntN(100); {
		case p < 25: // acquire, perhaps not for the first time
			if len(seeking) == 0 || r.IntN(3) == 0 {
				seeking = append(seeking, k.token())
			}
			i := r.IntN(len(seeking))
			if g, err := k.try(v, seeking[i]); err == nil {
				grants++
				holding = append(holding, &holder{k, g})
				seeking = append(seeking[:i], seeking[i+1:]...)
			}
		case p < 60 && len(holding) > 0: // renew, and repeat until there is an answer
			i := r.IntN(len(holding))
			h := holding[i]
			renewal := h.renewal()
			for range 4 {
				g, err := v.pool.Renew(k.ctx(), renewal)
				if err == nil {
					k.ghost.granted(k.rule, g)
					h.Grant = g
					break
				}
				if errors.Is(err, pool.ErrLeaseLost) || errors.Is(err, pool.ErrRevoked) {
					holding = append(holding[:i], holding[i+1:]...)
					break
				}
			}
		case p < 72 && len(holding) > 0: // give back, and never use the token again
			i := r.IntN(len(holding))
			h := holding[i]
			last := h.From - 1 + r.Int64N(h.Until-h.From+1)
			if r.IntN(3) == 0 {
				last = h.From - 1
			}
			_ = h.tryRelease(v, last)
			holding = append(holding[:i], holding[i+1:]...)
		case p < 74 && len(holding) > 0: // die
			i := r.IntN(len(holding))
			holding = append(holding[:i], holding[i+1:]...)
		case p < 88:
			k.advance(time.Duration(r.Int64N(int64(8 * time.Second))))
		case p < 91:
			k.clock.Jump(time.Duration(r.Int64N(int64(2*time.Minute))) - time.Minute)
			k.advance(2 * time.Second)
			_ = v.local.AcceptClock(k.ctx(), theName)
		case p < 93:
			_ = v.pool.Revoke(k.ctx(), theName, r.Int64N(3))
		case p < 97:
			v.pool.Deliver()
		case p < 99:
			v.store.Deliver()
		case k.storage.Crash != nil:
			same := second == k.server
			k.crash()
			if same {
				second = k.server
			}
			faulty()
		}
		if k.Failed() {
			return
		}
	}
	for _, v := range []*server{k.server, second} {
		v.pool.Plan(nil)
		v.store.Plan(nil)
		v.pool.Deliver()
		v.store.Deliver()
		if err := v.local.AcceptClock(k.ctx(), theName); err != nil {
			k.errorf("AcceptClock: %v", err)
		}
	}
	if grants < 10 {
		k.errorf("only %d leases were granted in all that", grants)
	}
}
