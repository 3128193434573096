package generator

import (
	"context"
	"sync"

	"github.com/easyflake/easyflake/clock"
)

// gate lets any number of goroutines wait for one moment at the price of one
// precise sleep: the first to come sleeps, the others wait for it. It holds no
// lock while anyone sleeps.
type gate struct {
	mu    sync.Mutex
	round *round // nil without a leader
	spare *round // for the next leader: a lone one allocates nothing
}

type round struct {
	until  int64         // what the leader waits for
	done   chan struct{} // made by the first follower
	failed bool          // the leader gave up; written before done is closed
}

// wait waits until the clock reads until, or as its Wait says, or ctx is done.
func (g *gate) wait(ctx context.Context, c clock.Clock, until int64) error {
	for {
		g.mu.Lock()
		r := g.round
		if r == nil {
			return g.lead(ctx, c, until)
		}
		if r.until > until { // the leader will sleep too long
			g.mu.Unlock()
			return c.Wait(ctx, until)
		}
		if r.done == nil {
			r.done = make(chan struct{})
		}
		done := r.done
		g.mu.Unlock()
		select {
		case <-done:
			// A leader that gave up, or waited for an earlier moment, leaves
			// its place to one of the others.
			if !r.failed && r.until == until {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lead sleeps for all. It is called with g.mu held and releases it.
func (g *gate) lead(ctx context.Context, c clock.Clock, until int64) error {
	r := g.spare
	if r == nil {
		r = new(round)
	}
	r.until = until
	g.spare, g.round = nil, r
	g.mu.Unlock()

	r.failed = true // should the clock panic, the others must not wait for ever
	defer g.dismiss(r)
	err := c.Wait(ctx, until)
	r.failed = err != nil
	return err
}

// dismiss ends a round and wakes its followers.
func (g *gate) dismiss(r *round) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.round = nil
	if r.done == nil {
		g.spare = r
		return
	}
	close(r.done)
}
