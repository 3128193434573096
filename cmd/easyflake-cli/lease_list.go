package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// leaseListCmd lists the nodes of a namespace.
type leaseListCmd struct {
	leaseFlags

	JSON bool `name:"json" help:"Print JSON, one object per line."`
}

// Help is printed below the usage.
func (*leaseListCmd) Help() string {
	return `
The state is one of

    held      its holder makes IDs, or may
    expired   its holder did not renew it: free for others
    revoked   as held, but it cannot be renewed
    free      nobody has it
    retired   out of use for good

The holder is the beginning of the lease's secret token. For a node without a holder, the end of the window is the time before which its next window will not begin.

Examples:

    easyflake-cli lease list
    easyflake-cli lease list --namespace orders --json
`
}

// leaseFacts is a line of JSON.
type leaseFacts struct {
	Namespace string `json:"namespace"`
	Node      int64  `json:"node"`
	State     string `json:"state"`
	Holder    string `json:"holder,omitempty"`
	From      string `json:"from,omitempty"`
	Until     string `json:"until,omitempty"`
	FromTick  int64  `json:"from_tick"`
	UntilTick int64  `json:"until_tick"`
	LeftMS    int64  `json:"left_ms"`
	Renewals  uint64 `json:"renewals"`
}

// Run lists the leases.
func (c *leaseListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(p *openPool, ns pool.Namespace) error {
		now := time.Unix(0, w.clock.Now())
		var out strings.Builder
		rows := [][]string{{"NODE", "STATE", "HOLDER", "FROM", "UNTIL", "LEFT", "RENEWALS"}}
		for info, err := range p.List(ctx, ns.Name) {
			if err != nil {
				return p.explain(err)
			}
			f := factsOfLease(ns, info, now)
			if !c.JSON {
				rows = append(rows, f.row())
				continue
			}
			line, err := marshal(f)
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

func factsOfLease(ns pool.Namespace, info pool.NodeInfo, now time.Time) leaseFacts {
	f := leaseFacts{
		Namespace: ns.Name,
		Node:      info.Node,
		State:     stateOf(info),
		Holder:    info.Holder,
		FromTick:  info.From,
		UntilTick: info.Until,
		Renewals:  info.Renewals,
	}
	if info.Until > 0 {
		f.Until = formatTime(ns.Layout.Time(info.Until))
	}
	if info.Holder != "" {
		f.From = formatTime(ns.Layout.Time(info.From))
		if !info.Expired {
			f.LeftMS = max(0, leftOf(ns.Layout, info.Until, now).Milliseconds())
		}
	}
	return f
}

func leftOf(l layout.Layout, until int64, now time.Time) time.Duration { return l.Time(until).Sub(now) }

func stateOf(info pool.NodeInfo) string {
	switch {
	case info.Retired:
		return "retired"
	case info.Holder == "":
		return "free"
	case info.Expired:
		return "expired"
	case info.Revoked:
		return "revoked"
	}
	return "held"
}

func (f leaseFacts) row() []string {
	row := []string{strconv.FormatInt(f.Node, 10), f.State, "-", "-", "-", "-", strconv.FormatUint(f.Renewals, 10)}
	if f.Holder != "" {
		row[2], row[3] = f.Holder, f.From
	}
	if f.Until != "" {
		row[4] = f.Until
	}
	if f.LeftMS > 0 {
		row[5] = (time.Duration(f.LeftMS) * time.Millisecond).Round(100 * time.Millisecond).String()
	}
	return row
}

// table prints rows in columns, the first one as a heading.
func table(rows [][]string, s style) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell)) // which Sprintf counts too
		}
	}
	var out strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			if j < len(row)-1 {
				cell = fmt.Sprintf("%-*s", widths[j], cell)
			}
			if i == 0 || j == 0 {
				cell = s.paint(bold, cell)
			}
			if j > 0 {
				out.WriteString("  ")
			}
			out.WriteString(cell)
		}
		out.WriteString("\n")
	}
	return out.String()
}
