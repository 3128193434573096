package pooltest

import (
	"time"

	"github.com/easyflake/easyflake/pool"
)

// jump sets the wall clock, and lets so much time pass that a server looks at it.
func (k *poolKit) jump(d time.Duration) {
	k.clock.Jump(d)
	k.advance(2 * time.Second)
}

func timeCases() []poolCase {
	return []poolCase{
		{
			name: "a clock that jumps",
			rule: "a wall clock that moves against the time that passes is not believed: nothing is granted or renewed until it is back, but leases can be given back and nodes be looked at",
			run: func(k *poolKit) {
				for _, far := range []time.Duration{time.Hour, -time.Hour, 30 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 2 * time.Second, -2 * time.Second} {
					h, other := k.acquire(k.server), k.acquire(k.server)
					h.renew(k.server)
					k.jump(far)
					for range 3 {
						_, err := k.try(k.server, k.token())
						k.refusedAs("acquiring", err, pool.ErrClockJumped)
						k.refusedAs("renewing", h.tryRenew(k.server), pool.ErrClockJumped)
						k.advance(time.Second)
					}
					if n := k.list(k.server)[h.Node]; n.Until != h.Until {
						k.errorf("listed as %+v", n)
					}
					other.release(k.server, other.From-1)
					k.jump(-far)
					h.renew(k.server)
					h.release(k.server, h.From-1)
				}
			},
		},
		{
			name: "a jump that is accepted",
			rule: "an operator who accepts the clock has it believed, forward and back; leases end and begin by it, and windows still do not overlap",
			setup: func(n *pool.Namespace) {
				n.Ranges = []pool.Range{{Last: 1}}
			},
			run: func(k *poolKit) {
				for _, far := range []time.Duration{time.Hour, -30 * time.Minute, -time.Hour, 24 * time.Hour} {
					if g, err := k.try(k.server, k.token()); err == nil {
						(&holder{k, g}).renew(k.server)
					}
					k.jump(far)
					_, err := k.try(k.server, k.token())
					k.refusedAs("acquiring", err, pool.ErrClockJumped)
					if err := k.local.AcceptClock(k.ctx(), theName); err != nil {
						k.fatalf("AcceptClock: %v", err)
					}
					// Where nothing is free by the clock as it is now, something is later.
					for range 4 {
						g, err := k.try(k.server, k.token())
						if err == nil {
							if g.Now != k.clock.Now() {
								k.errorf("granted at %d, the clock accepted says %d", g.Now, k.clock.Now())
							}
							(&holder{k, g}).renew(k.server)
							break
						}
						k.advance(time.Hour)
					}
				}
			},
		},
		{
			name: "small steps",
			rule: "a clock that is set by less than half a second is followed, but never back: the time that grants go by does not run backwards",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				last := h.Now
				for _, step := range []int64{400, -400, -450, 300, -100, 499, -499} {
					k.clock.Jump(time.Duration(step) * time.Millisecond)
					for range 4 {
						k.advance(300 * time.Millisecond)
						h.renew(k.server)
						if h.Now <= last {
							k.errorf("granted at %d, after a grant at %d", h.Now, last)
						}
						if wall := k.clock.Now(); h.Now < wall-int64(500*time.Millisecond) {
							k.errorf("granted at %d, the wall clock says %d", h.Now, wall)
						}
						last = h.Now
					}
				}
			},
		},
		{
			name: "drift",
			rule: "clocks that drift apart slowly have not jumped, however far it takes them",
			run: func(k *poolKit) {
				h := k.acquire(k.server)
				for i := range 200 {
					k.advance(1000 * time.Second)
					if i < 100 {
						k.clock.StepBack(900 * time.Millisecond)
					} else {
						k.clock.Jump(900 * time.Millisecond)
					}
					h.renew(k.server)
				}
			},
		},
		{
			name: "downtime",
			rule: "what the clock does while no server runs is no jump; but the time goes on from the latest that was noted",
			needs: func(f StoreFactory) bool {
				return f.Durable
			},
			run: func(k *poolKit) {
				k.acquire(k.server)
				for _, far := range []time.Duration{24 * time.Hour, -time.Hour, 2 * time.Hour} {
					k.advance(6 * time.Second)
					before := k.acquire(k.server)
					noted := before.Now - int64(6*time.Second)
					k.restart()
					k.clock.Jump(far)
					h := k.acquire(k.server)
					if h.Now < noted {
						k.errorf("granted at %d; before the restart %d was noted", h.Now, noted)
					}
					if h.Now < k.clock.Now() {
						k.errorf("granted at %d, the clock says %d", h.Now, k.clock.Now())
					}
					k.advance(10 * time.Second)
					now := h.Now
					h.renew(k.server)
					if h.Now != max(now+int64(10*time.Second), k.clock.Now()) {
						k.errorf("10 s after %d it is %d", now, h.Now)
					}
					h.release(k.server, h.From-1)
					_ = before.tryRelease(k.server, before.From-1) // if nobody has taken it over
				}
			},
		},
		{
			name: "an accepted clock after a restart",
			rule: "an operator who accepts a clock that was set back lowers the time noted for good",
			needs: func(f StoreFactory) bool {
				return f.Durable
			},
			run: func(k *poolKit) {
				k.acquire(k.server)
				k.jump(-time.Hour)
				if err := k.local.AcceptClock(k.ctx(), theName); err != nil {
					k.fatalf("AcceptClock: %v", err)
				}
				for range 2 {
					k.restart()
					if h := k.acquire(k.server); h.Now != k.clock.Now() {
						k.errorf("granted at %d, the clock accepted says %d", h.Now, k.clock.Now())
					}
				}
			},
		},
		{
			name: "how often the time is noted",
			rule: "the time is noted every few seconds at most: asking for it is no reason to write",
			run: func(k *poolKit) {
				k.acquire(k.server)
				before := k.store.Calls("Write")
				for range 600 {
					k.advance(100 * time.Millisecond)
					k.list(k.server)
				}
				if n := k.store.Calls("Write") - before; n > 14 {
					k.errorf("%d writes in a minute of looking", n)
				}
			},
		},
		{
			name:  "servers that disagree",
			rule:  "safety is not a matter of clocks: servers whose clocks are far apart never grant windows that overlap",
			needs: shared,
			setup: few(2),
			run: func(k *poolKit) {
				// A clock that only a new server has seen jump is to it no jump.
				second := k.another()
				k.acquire(second)
				for i := range 40 {
					far := time.Duration(i%7) * time.Minute
					k.clock.Jump(far)
					v := k.serve()
					for range 3 {
						if g, err := k.try(v, k.token()); err == nil {
							h := &holder{k, g}
							_ = h.tryRenew(second)
							_ = h.tryRenew(v)
						}
					}
					k.clock.StepBack(far)
					k.advance(3 * time.Second)
					_, _ = k.try(second, k.token())
					k.stop(v)
				}
			},
		},
	}
}
