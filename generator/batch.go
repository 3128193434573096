package generator

import (
	"context"
	"iter"

	"github.com/easyflake/easyflake/layout"
)

// NextContext is Next that ends with ctx, and that waits for a lease where Next
// returns [ErrNoLease], as long as the source can still bring one. A ctx that is
// done makes no ID. A wait of up to [clock.UninterruptibleWait] may finish first.
func (c *core) NextContext(ctx context.Context) (layout.ID, error) {
	s, err := c.acquireContext(ctx)
	return layout.ID(s.id), err
}

// Fill fills dst with new IDs, in increasing order, and returns how many it
// wrote: all of them, or fewer with the error that ended it. It reserves them by
// as many at once as a tick has, and so costs next to nothing for each; with
// [Wait] it may take as many ticks as dst needs.
func (c *core) Fill(dst []layout.ID) (n int, err error) {
	for n < len(dst) {
		s, err := c.acquire(c.ctx, c.strategy, uint64(len(dst)-n))
		if err != nil {
			return n, err
		}
		write(dst[n:n+int(s.n)], layout.ID(s.id), layout.ID(c.step))
		n += int(s.n)
	}
	return n, nil
}

// write writes a run of IDs. In eights, an ID does not wait for the one before it,
// and the processor can store two at once: most of what a large Fill costs is here.
func write(run []layout.ID, id, step layout.ID) {
	for len(run) >= 8 {
		eight := (*[8]layout.ID)(run)
		eight[0] = id
		eight[1] = id + step
		eight[2] = id + 2*step
		eight[3] = id + 3*step
		eight[4] = id + 4*step
		eight[5] = id + 5*step
		eight[6] = id + 6*step
		eight[7] = id + 7*step
		id += 8 * step
		run = run[8:]
	}
	for i := range run {
		run[i] = id
		id += step
	}
}

// Seq returns an endless sequence of new IDs, each made by NextContext when it is
// asked for. It ends after its first error, ctx's included.
func (c *core) Seq(ctx context.Context) iter.Seq2[layout.ID, error] {
	return func(yield func(layout.ID, error) bool) {
		for {
			id, err := c.NextContext(ctx)
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}
