package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// namespaceCmd is a family of commands about namespaces.
type namespaceCmd struct {
	List        namespaceListCmd        `cmd:"" help:"List the namespaces of a pool."`
	Create      namespaceCreateCmd      `cmd:"" help:"Create a namespace, and the pool if there is none."`
	AcceptClock namespaceAcceptClockCmd `cmd:"" help:"Take the clock of the pool's machine as right, after it has jumped."`
}

// Help is printed below the usage.
func (*namespaceCmd) Help() string {
	return `
A namespace is what IDs that must differ have in common: one layout, for ever, and one table of who has which node.

Examples:

    easyflake-cli namespace create orders --layout twitter
    easyflake-cli namespace list
    easyflake-cli namespace accept-clock orders
`
}

// namespaceListCmd lists the namespaces.
type namespaceListCmd struct {
	poolFlags

	JSON bool `name:"json" help:"Print JSON, one object per line."`
}

// Help is printed below the usage.
func (*namespaceListCmd) Help() string {
	return `
The windows are the first one and the longest one of a lease, the skew is how far the clocks of programs may be off, and no window reaches further ahead than the horizon. No window begins before the floor.

Examples:

    easyflake-cli namespace list
    easyflake-cli namespace list --pool bolt:/var/lib/easyflake/pool --json
`
}

// namespaceFacts is a line of JSON.
type namespaceFacts struct {
	Name        string      `json:"name"`
	Layout      string      `json:"layout"`
	Ranges      []rangeFact `json:"ranges"`
	Skew        string      `json:"skew"`
	FirstWindow string      `json:"first_window"`
	Window      string      `json:"window"`
	Horizon     string      `json:"horizon"`
	Floor       string      `json:"floor,omitempty"`
	FloorTick   int64       `json:"floor_tick"`
}

type rangeFact struct {
	First int64  `json:"first"`
	Last  int64  `json:"last"`
	Use   string `json:"use"`
}

// Run lists the namespaces.
func (c *namespaceListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, false, func(p *openPool) error {
		all, err := p.Namespaces(ctx)
		if err != nil {
			return p.explain(err)
		}
		var out strings.Builder
		rows := [][]string{{"NAME", "NODES", "WINDOWS", "SKEW", "HORIZON", "FLOOR", "LAYOUT"}}
		for _, ns := range all {
			if !c.JSON {
				rows = append(rows, rowOf(ns))
				continue
			}
			line, err := marshal(factsOfNamespace(ns))
			if err != nil {
				return err
			}
			out.WriteString(line)
		}
		if !c.JSON {
			out.WriteString(table(rows, style(w.color)))
		}
		return w.print(out.String())
	})
}

func factsOfNamespace(ns pool.Namespace) namespaceFacts {
	f := namespaceFacts{
		Name:        ns.Name,
		Layout:      ns.Layout.String(),
		Skew:        ns.Terms.Skew.String(),
		FirstWindow: ns.Terms.FirstWindow.String(),
		Window:      ns.Terms.Window.String(),
		Horizon:     ns.Terms.Horizon.String(),
		FloorTick:   ns.Floor,
	}
	for _, r := range ns.Ranges {
		f.Ranges = append(f.Ranges, rangeFact{r.First, r.Last, r.Use.String()})
	}
	if ns.Floor > 0 {
		f.Floor = formatTime(ns.Layout.Time(ns.Floor))
	}
	return f
}

func rowOf(ns pool.Namespace) []string {
	floor := "-"
	if ns.Floor > 0 {
		floor = formatTime(ns.Layout.Time(ns.Floor))
	}
	name, text := ns.Name, ns.Layout.String()
	if name == text { // which is long
		name = "(its layout)"
	}
	t := ns.Terms
	return []string{name, rangesOf(ns.Ranges), fmt.Sprintf("%v to %v", t.FirstWindow, t.Window), t.Skew.String(), t.Horizon.String(), floor, text}
}

// rangesOf writes "0-9 by-hand, 10-255".
func rangesOf(ranges []pool.Range) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = strconv.FormatInt(r.First, 10)
		if r.Last > r.First {
			texts[i] += "-" + strconv.FormatInt(r.Last, 10)
		}
		if r.Use != pool.Leased {
			texts[i] += " " + r.Use.String()
		}
	}
	return strings.Join(texts, ", ")
}

// namespaceCreateCmd creates a namespace.
type namespaceCreateCmd struct {
	poolFlags

	Name   string       `arg:"" help:"Name of the namespace, without spaces and slashes."`
	Layout layoutValue  `default:"easyflake" placeholder:"LAYOUT" help:"Layout of its IDs, for ever (easyflake)."`
	ByHand []rangeValue `placeholder:"FROM-TO" help:"Nodes that people number, and that are never leased. May be repeated."`
	Legacy []rangeValue `placeholder:"FROM-TO" help:"Nodes for EasyFlake for Python, which are never leased. May be repeated."`

	Skew        *time.Duration `placeholder:"TIME" help:"How far the clocks of programs may be off (1s)."`
	FirstWindow *time.Duration `placeholder:"TIME" help:"How long a node stays taken after a crash at the start (10s)."`
	Window      *time.Duration `placeholder:"TIME" help:"How long it stays taken after a crash later on (1m)."`
	Horizon     *time.Duration `placeholder:"TIME" help:"How far ahead no window reaches (2m)."`
}

// Help is printed below the usage.
func (*namespaceCreateCmd) Help() string {
	return `
Name and layout never change, and neither do the nodes and the times given here. A window must be at least three ticks and twice the skew.

Examples:

    easyflake-cli namespace create orders --layout twitter
    easyflake-cli namespace create users --by-hand 0-9 --by-hand 255
    easyflake-cli namespace create jobs --skew 100ms --first-window 1s
`
}

// Run creates the namespace.
func (c *namespaceCreateCmd) Run(ctx context.Context, w *world) error {
	ns, err := c.namespace()
	if err != nil {
		return err
	}
	return c.with(ctx, w, true, func(p *openPool) error {
		if err := p.CreateNamespace(ctx, ns); err != nil {
			return p.explain(err)
		}
		return w.print(fmt.Sprintf("created namespace %s in %s\nlayout %v, nodes %s\n", ns.Name, p.url, ns.Layout, rangesOf(ns.Ranges)))
	})
}

func (c *namespaceCreateCmd) namespace() (pool.Namespace, error) {
	ns := pool.NewNamespace(c.Name, c.Layout.Layout)
	t := &ns.Terms
	for _, given := range []struct{ to, from *time.Duration }{
		{&t.Skew, c.Skew}, {&t.FirstWindow, c.FirstWindow}, {&t.Window, c.Window}, {&t.Horizon, c.Horizon},
	} {
		if given.from != nil {
			*given.to = *given.from
		}
	}
	// What was not given follows what was.
	if c.Window == nil {
		t.Window = max(t.Window, t.FirstWindow)
	}
	if c.Horizon == nil {
		t.Horizon = max(t.Horizon, 2*t.Window)
	}
	return namespaceWith(ns, c.ByHand, c.Legacy)
}

// namespaceWith returns a namespace whose nodes are leased but for some.
func namespaceWith(ns pool.Namespace, byHand, legacy []rangeValue) (pool.Namespace, error) {
	ns.Ranges = nil
	for _, r := range byHand {
		ns.Ranges = append(ns.Ranges, pool.Range{First: r.first, Last: r.last, Use: pool.ByHand})
	}
	for _, r := range legacy {
		ns.Ranges = append(ns.Ranges, pool.Range{First: r.first, Last: r.last, Use: pool.Legacy})
	}
	if err := ns.Validate(); err != nil {
		return ns, wrong(err)
	}
	ns.Ranges = withLeased(ns.Ranges, ns.Layout.MaxNode())
	return ns, nil
}

// withLeased fills the gaps between ranges, which do not overlap.
func withLeased(ranges []pool.Range, last int64) []pool.Range {
	slices.SortFunc(ranges, func(a, b pool.Range) int { return int(min(1, max(-1, a.First-b.First))) })
	var all []pool.Range
	next := int64(0)
	for _, r := range ranges {
		if r.First > next {
			all = append(all, pool.Range{First: next, Last: r.First - 1})
		}
		all = append(all, r)
		next = r.Last + 1
	}
	if next <= last {
		all = append(all, pool.Range{First: next, Last: last})
	}
	return all
}

// rangeValue is a run of nodes on the command line.
type rangeValue struct{ first, last int64 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *rangeValue) UnmarshalText(text []byte) error {
	from, to, found := strings.Cut(string(text), "-")
	if !found {
		to = from
	}
	var err error
	if v.first, err = strconv.ParseInt(from, 10, 64); err == nil {
		v.last, err = strconv.ParseInt(to, 10, 64)
	}
	if err != nil || v.first < 0 || v.last < v.first {
		return &plainError{fmt.Errorf("%q must be a node or a range of nodes, as in 7 or 0-9", text)}
	}
	return nil
}

// namespaceAcceptClockCmd accepts the clock.
type namespaceAcceptClockCmd struct {
	poolFlags

	Name string `arg:"" help:"Name of the namespace."`
}

// Help is printed below the usage.
func (*namespaceAcceptClockCmd) Help() string {
	return `
A pool notes the time, so that it goes on where it was even if the clock is set back. If the clock was wrong before, and far ahead, nodes stay taken for as long. This command makes it take the clock as it is now: of a server's pool, the clock of the machine that the server runs on; of one in PostgreSQL or Redis, the database's. Other servers on the same store whose clocks show the same follow by themselves. That is safe: windows never overlap whatever the clock shows.

Examples:

    easyflake-cli namespace accept-clock orders
    easyflake-cli namespace accept-clock orders --pool grpc://pool.example.com
`
}

// Run accepts the clock.
func (c *namespaceAcceptClockCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, false, func(p *openPool) error {
		ns, err := p.named(ctx, c.Name)
		if err != nil {
			return err
		}
		whose, err := p.acceptClock(ctx, w, ns.Name)
		if err != nil {
			return p.explain(err)
		}
		return w.print(fmt.Sprintf("namespace %s goes by %s\n", ns.Name, whose))
	})
}

// acceptClock says whose clock it has accepted, and what that one shows.
func (p *openPool) acceptClock(ctx context.Context, w *world, name string) (string, error) {
	if e := p.url.engine; e != nil && !e.clockless {
		err := p.AcceptClock(ctx, name)
		if err != nil {
			return "", err //nolint:wrapcheck // explained by the caller
		}
		now, err := p.store.Now(ctx)
		return fmt.Sprintf("the clock of %s: %s", p.url, formatTime(time.Unix(0, now))), err //nolint:wrapcheck // as above
	}
	if p.client == nil {
		err := p.AcceptClock(ctx, name)
		return "this machine's clock: " + formatTime(time.Unix(0, w.clock.Now())), err //nolint:wrapcheck // explained by the caller
	}
	at, now, err := p.client.AcceptServerClock(ctx, name)
	whose := fmt.Sprintf("the clock of the server %v", at)
	if !now.IsZero() {
		whose += ": " + formatTime(now)
	}
	return whose, err //nolint:wrapcheck // as above
}
