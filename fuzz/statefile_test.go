package fuzz

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/statefile"
)

// impatient is a clock on which nobody waits who has its mark in the context: what
// would wait for what was reserved before gives up at once.
type impatient struct{ clock.Clock }

type impatience struct{}

var errImpatient = errors.New("not waiting")

func (c impatient) Wait(ctx context.Context, until int64) error {
	if ctx.Value(impatience{}) != nil && until > c.Now() {
		return errImpatient
	}
	return c.Clock.Wait(ctx, until)
}

// FuzzStateFile cuts, flips and replaces the state of a node that was numbered by
// hand, and looks for a panic, for a file that was changed though it was refused, and
// for a window that begins before the last tick stamped.
func FuzzStateFile(f *testing.F) {
	o := newOriginal(f)
	l := layout.Default()
	quiet := statefile.WithLogger(slog.New(slog.DiscardHandler))
	const node = 5
	var last int64
	for round := range 3 {
		c := stopped()
		c.Advance(time.Duration(round) * time.Second)
		opts := []statefile.Option{quiet, statefile.WithClock(c)}
		if round == 0 {
			opts = append(opts, statefile.WithCreate())
		}
		s, err := statefile.Open(f.Context(), o.path, l, node, opts...)
		if err != nil {
			f.Fatal(err)
		}
		c.Advance(10 * time.Millisecond) // a window may begin with the next tick
		g, err := generator.NewMutex(l, s, generator.WithClock(c))
		if err != nil {
			f.Fatal(err)
		}
		if _, err := g.Next(); err != nil {
			f.Fatal(err)
		}
		last = max(last, g.LastTick())
		if err := errors.Join(g.Close(), s.Close()); err != nil {
			f.Fatal(err)
		}
		o.keep(f)
	}
	o.add(f)
	f.Fuzz(func(t *testing.T, marker uint8, whole, forged bool, later uint16, edits []byte) {
		if len(edits) > longest {
			return
		}
		data := o.put(t, damage{marker: marker, whole: whole, forged: forged, edits: edits})
		c := stopped()
		c.Advance(time.Duration(later) * time.Second / 100)
		ctx := context.WithValue(t.Context(), impatience{}, true)
		s, err := statefile.Open(ctx, o.path, l, node, quiet, statefile.WithClock(impatient{c}))
		if err == nil {
			defer func() {
				if err := s.Close(); err != nil && !forged {
					t.Error(err)
				}
			}()
			w := s.Window()
			known := !forged && (!whole || bytes.Equal(data, o.store))
			if w.Node != node || w.From >= w.Until || known && w.From <= last {
				t.Fatalf("tick %d was stamped, and the window is %+v", last, w)
			}
			return
		}
		var off *pool.ClockOffError
		switch {
		case errors.Is(err, errImpatient), errors.As(err, &off):
		case forged:
		default:
			refusedFile(t, o.path, data, err, forged)
		}
	})
}
