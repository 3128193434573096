package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// layoutCheckCmd compares two layouts.
type layoutCheckCmd struct {
	Old  layoutValue `arg:"" help:"Layout of the IDs that exist: a name or text."`
	New  layoutValue `arg:"" help:"Layout of the IDs to come."`
	At   timeValue   `placeholder:"TIME" help:"When the new layout takes over: RFC 3339, or a date (now)."`
	JSON bool        `name:"json" help:"Print JSON."`
}

// Help is printed below the usage.
func (*layoutCheckCmd) Help() string {
	return `
IDs of two layouts in one column can be equal, or sort in the wrong order. This says whether they can, if the old layout is used up to a time and the new one from then on. Where they can, it says how long to wait in between.

Exit status: 0 if the new layout can take over, 1 if not.

Examples:

    easyflake-cli layout check sonyflake easyflake
    easyflake-cli layout check easyflake node=10,sequence=12 --at 2030-01-01
`
}

// handover is the answer.
type handover struct {
	Disjoint bool    `json:"disjoint"`
	Old      string  `json:"old"`
	New      string  `json:"new"`
	At       string  `json:"at"`
	OldMax   *string `json:"old_max"` // largest ID before At; null without any
	NewMin   *string `json:"new_min"` // smallest ID from At on; null without any
	SafeFrom *string `json:"safe_from"`
	Warning  string  `json:"warning,omitempty"`
}

// Run compares the layouts.
func (c *layoutCheckCmd) Run(w *world) error {
	at := c.At.Time
	if at.IsZero() {
		// A full second, and none that has passed already.
		at = time.Unix(0, w.clock.Now()).UTC().Truncate(time.Second).Add(time.Second)
	}
	old, next := c.Old.Layout, c.New.Layout
	h := handover{Old: old.String(), New: next.String(), At: formatTime(at)}
	if id, ok := lastBefore(old, at); ok {
		h.OldMax = new(id.String())
	}
	if id, ok := firstFrom(next, at); ok {
		h.NewMin = new(id.String())
	}
	var overlap *layout.OverlapError
	switch err := layout.Disjoint(old, next, at); {
	case err == nil:
		h.Disjoint = true
		h.SafeFrom = new(h.At)
	case !errors.As(err, &overlap):
		return plain(err)
	case !overlap.SafeFrom.IsZero():
		h.SafeFrom = new(formatTime(overlap.SafeFrom))
	}
	if err := next.Check(at); err != nil {
		h.Warning = plain(err).Error()
	}
	if err := c.print(w, &h); err != nil {
		return err
	}
	if !h.Disjoint {
		return errNegative
	}
	return nil
}

func (c *layoutCheckCmd) print(w *world, h *handover) error {
	if c.JSON {
		return w.printJSON(h)
	}
	return w.print(h.text(style(w.color)))
}

func (h *handover) text(s style) string {
	var b strings.Builder
	if h.Disjoint {
		fmt.Fprintf(&b, "%s: from %s on, IDs of the new layout neither collide with older ones nor sort before them.\n\n", s.paint(green, "Disjoint"), h.At)
	} else {
		fmt.Fprintf(&b, "%s: from %s on, IDs of the new layout could be equal to older ones, or sort before them.\n\n", s.paint(red, "Not disjoint"), h.At)
	}
	fmt.Fprintf(&b, "%s  %s\n", s.paint(bold, "Old"), h.Old)
	fmt.Fprintf(&b, "     %s\n", idOr(h.OldMax, "largest ID before that time: ", "has no ID before that time"))
	fmt.Fprintf(&b, "%s  %s\n", s.paint(bold, "New"), h.New)
	fmt.Fprintf(&b, "     %s\n", idOr(h.NewMin, "smallest ID from then on: ", "has no ID from then on"))
	switch {
	case h.Disjoint:
	case h.SafeFrom != nil:
		fmt.Fprintf(&b, "\nStop the old one at %s, start the new one at %s or later: then they are.\n", h.At, *h.SafeFrom)
	default:
		b.WriteString("\nWaiting does not help: give the new one an earlier epoch, a finer unit, or more node and sequence bits.\n")
	}
	if h.Warning != "" {
		fmt.Fprintf(&b, "\n%s: at that time, of the new one: %s\n", s.paint(yellow, "Warning"), h.Warning)
	}
	return b.String()
}

func idOr(id *string, before, none string) string {
	if id == nil {
		return none
	}
	return before + *id
}

// lastBefore returns the largest ID of the ticks that start before a time.
func lastBefore(l layout.Layout, at time.Time) (layout.ID, bool) {
	id, err := l.Max(at.Add(-1))
	return id, err == nil
}

// firstFrom returns the smallest ID that can be made from a time on.
func firstFrom(l layout.Layout, at time.Time) (layout.ID, bool) {
	tick, err := l.Tick(at)
	switch {
	case errors.Is(err, layout.ErrBeforeEpoch):
		return 0, true
	case err != nil:
		return 0, false
	}
	id, err := l.Compose(tick, 0, 0)
	return id, err == nil
}
