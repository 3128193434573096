package drill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool"
)

// clients is how many make IDs.
const clients = 100

// crew is the clients, and what has become of them in the step that lasts.
type crew struct {
	layout layout.Layout
	clock  clock.Clock
	ids    [clients][]layout.ID // each client's own, until it has ended

	mu     sync.Mutex // owns the fields below
	step   string
	order  []string
	report map[string]*report
}

// report is what clients saw in a step.
type report struct {
	made   uint64
	gaps   [clients]time.Duration // the longest time between two IDs of each
	errors map[string]int
	moves  int // generators that went on with another node
}

func newCrew(tb testing.TB) *crew {
	tb.Helper()
	l, err := layout.Parse(form)
	require.NoError(tb, err)
	return &crew{layout: l, clock: clock.Default(), report: map[string]*report{}}
}

// begin begins a step, under whose name all is noted from now on.
func (c *crew) begin(step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = step
	c.order = append(c.order, step)
	c.report[step] = &report{errors: map[string]int{}}
}

func (c *crew) note(f func(r *report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c.report[c.step])
}

// work is one client: a lease from either server, and a generator on it.
func (c *crew) work(ctx context.Context, number int, servers []grpcpool.Endpoint) error {
	remote, err := grpcpool.NewClient(servers)
	if err != nil {
		return err //nolint:wrapcheck // as it is
	}
	lease, err := c.lease(ctx, remote)
	if err != nil {
		return errors.Join(err, remote.Close())
	}
	g, err := generator.NewSharded(c.layout, lease, generator.WithClock(c.clock))
	if err != nil {
		return errors.Join(err, lease.Close(), remote.Close())
	}
	c.generate(ctx, number, g)
	// What it cannot give back any more is free when its window is over.
	_ = g.Close()
	_ = lease.Close()
	return remote.Close() //nolint:wrapcheck // as it is
}

// lease asks until it has one.
func (c *crew) lease(ctx context.Context, p pool.Pool) (*pool.Lease, error) {
	for {
		lease, err := pool.Acquire(ctx, p, namespace, c.layout, pool.WithClock(c.clock), pool.WithLeaseLogger(slog.New(slog.DiscardHandler)))
		if err == nil || ctx.Err() != nil {
			return lease, err //nolint:wrapcheck // as it is
		}
		c.note(func(r *report) { r.errors["acquiring: "+kind(err)]++ })
		_ = c.clock.Wait(ctx, c.clock.Now()+int64(100*time.Millisecond))
	}
}

// generate makes a handful of IDs every few milliseconds.
func (c *crew) generate(ctx context.Context, number int, g *generator.Sharded) {
	last := c.clock.Now()
	node := int64(-1)
	for ctx.Err() == nil {
		made := 0
		var err error
		for range 4 {
			var id layout.ID
			if id, err = g.Next(); err != nil {
				break
			}
			made++
			c.ids[number] = append(c.ids[number], id)
		}
		now := c.clock.Now()
		c.note(func(r *report) {
			r.made += uint64(made)
			r.gaps[number] = max(r.gaps[number], time.Duration(now-last)) // one that has no end yet, too
			if err != nil {
				r.errors["making an ID: "+kind(err)]++
			}
			if made > 0 {
				at := int64(c.ids[number][len(c.ids[number])-1]) >> c.layout.NodeShift() & c.layout.MaxNode()
				if node >= 0 && at != node {
					r.moves++
				}
				node = at
			}
		})
		if made > 0 {
			last = now
		}
		_ = c.clock.Wait(ctx, now+int64(5*time.Millisecond))
	}
}

// kind is an error without what differs from one to the next.
func kind(err error) string {
	for _, known := range []error{generator.ErrNoLease, pool.ErrLeaseLost} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	text, _, _ := strings.Cut(err.Error(), "; try again in ") // which each time is another
	return text
}

// equal returns how many of all IDs were made before, and how many there are.
func (c *crew) equal() (equal, all int) {
	var ids []layout.ID
	for _, own := range &c.ids {
		ids = append(ids, own...)
	}
	all = len(ids)
	slices.Sort(ids)
	return all - len(slices.Compact(ids)), all
}

// String returns a table of the steps.
func (c *crew) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| step | IDs | longest time without an ID | clients without one for over 100 ms | nodes changed | errors at a client |\n|---|---:|---:|---:|---:|---|\n")
	for _, step := range c.order {
		r := c.report[step]
		var longest time.Duration
		late := 0
		for _, gap := range &r.gaps {
			longest = max(longest, gap)
			if gap > 100*time.Millisecond {
				late++
			}
		}
		var seen []string
		for _, e := range slices.Sorted(maps.Keys(r.errors)) {
			seen = append(seen, fmt.Sprintf("%s (%d)", e, r.errors[e]))
		}
		if len(seen) == 0 {
			seen = append(seen, "none")
		}
		fmt.Fprintf(&b, "| %s | %d | %v | %d | %d | %s |\n", step, r.made, longest.Round(time.Millisecond), late, r.moves, strings.Join(seen, ", "))
	}
	return b.String()
}
