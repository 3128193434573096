package sim

import (
	"context"
	"math"

	"github.com/easyflake/easyflake/clock"
)

// wallClock is a machine's clock: true time, set wrong, and running fast or slow.
type wallClock struct {
	since, shown int64 // what it showed at a moment of true time
	ppm          int64 // how much faster it runs than true time; -1e6: it stands
}

func (c *wallClock) at(now int64) int64 {
	passed := now - c.since
	return c.shown + passed + passed/1_000_000*c.ppm + passed%1_000_000*c.ppm/1_000_000
}

// set makes it show something else from now on.
func (c *wallClock) set(now, shown, ppm int64) { *c = wallClock{now, shown, ppm} }

// clientClock is the clock that a client's lease and generator go by.
type clientClock struct{ c *client }

var _ clock.Clock = clientClock{}

// Now implements [clock.Clock]. Between the reading and its use anything can
// happen: the whole process is stopped, or, where no lock is held, only this
// goroutine is, and the lease is renewed, lost or replaced meanwhile.
//
// Who is stopped in here must hold no lock: another goroutine that wanted it would
// count as one that runs, and the world would wait for it for ever. Who may hold
// one gets an old reading instead, as turn explains.
func (k clientClock) Now() int64 {
	c := k.c
	now := c.m.wall.at(c.now)
	if c.dead || c.quiet {
		return now
	}
	switch {
	case c.olds.Load() > 0:
		c.olds.Add(-1)
		return c.old
	case c.kind == making && chance(c.rng, c.p.StopInNow):
		c.count.StopsInNow++
		c.pause(between(c.rng, int64(c.unit()), 2*int64(c.p.Terms.Horizon)))
	case c.kind == making && chance(c.rng, c.p.PreemptInNow):
		c.count.PreemptsInNow++
		c.preempt(between(c.rng, int64(c.unit())/4+1, int64(c.p.Terms.Window)))
	}
	return now
}

// waiter is a goroutine that waits for a clock.
type waiter struct {
	k     *parked
	until int64
}

// Wait implements [clock.Clock].
func (k clientClock) Wait(ctx context.Context, until int64) error {
	c := k.c
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // the context's
	}
	if c.dead {
		return errDead
	}
	now := c.m.wall.at(c.now)
	if until <= now {
		return nil
	}
	missing := until - now
	if missing < 0 {
		missing = math.MaxInt64
	}
	var w *waiter
	forget := context.AfterFunc(ctx, func() {
		c.arrive("wake", until, func() {
			if w != nil {
				c.after(0, c.process, func() { c.ring(w) })
			}
		})
	})
	err := c.park("wait", until, func(p *parked) {
		w = &waiter{p, until}
		c.waiters = append(c.waiters, w)
		if missing < int64(maxRun) {
			d := missing
			if c.m.wall.ppm > 0 {
				d -= d / 1_000_000 * c.m.wall.ppm
			}
			c.after(d, c.process, func() { c.ring(w) })
		}
	})
	forget()
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // the context's
	}
	return err
}

// ring wakes a waiter whose time has come. Where the clock runs fast and then does
// not any more, that is a little later.
func (c *client) ring(w *waiter) {
	if w.k.over {
		return
	}
	c.wake(w)
}

func (c *client) wake(w *waiter) {
	for i, x := range c.waiters {
		if x == w {
			c.waiters = append(c.waiters[:i], c.waiters[i+1:]...)
			break
		}
	}
	w.k.resume()
}

// setClock sets the client's clock, and wakes who waits for what it shows now.
func (c *client) setClock(shown, ppm int64) {
	c.m.wall.set(c.now, shown, ppm)
	for _, w := range c.waiters {
		if w.until <= shown {
			c.after(0, c.process, func() { c.ring(w) })
		}
	}
}
