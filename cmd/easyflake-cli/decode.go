package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// decodeCmd takes IDs apart.
type decodeCmd struct {
	IDs    []string    `arg:"" name:"id" optional:"" help:"IDs to decode. Without any, or with -, they are read from standard input, separated by white space."`
	From   string      `default:"decimal" enum:"decimal,hex,base32,base36,base58,base62" placeholder:"NAME" help:"How the IDs are written: decimal, hex, base32, base36, base58 or base62 (decimal)."`
	Layout layoutValue `default:"easyflake" placeholder:"LAYOUT" help:"Layout of the IDs (easyflake): a name from 'layout list', or text such as node=10,sequence=12."`
	JSON   bool        `name:"json" help:"Print JSON, one object per line."`
}

// Help is printed below the usage.
func (*decodeCmd) Help() string {
	return `
An ID does not say which layout it has: tell with --layout. Any layout decodes, one whose life is over as well.

With --json each line is an object: id (in decimal, as a string), time (RFC 3339, UTC), unix_ms, tick, node, sequence, and layout (as text). Times past the year 9999 are written as +012345-06-07T08:09:10.000Z, which is ISO 8601's expanded form.

IDs given as arguments are all checked before anything is printed. Those on standard input are printed as they come, up to the first that is none.

Examples:

    easyflake-cli decode 3735928559000000
    easyflake-cli decode --layout discord --json 175928847299117063
    easyflake-cli decode --from base58 1B8zSEaVAxu
    easyflake-cli next -n 5 | easyflake-cli decode
`
}

const standardInput = "-"

// Run decodes.
func (c *decodeCmd) Run(ctx context.Context, w *world) error {
	encoding, err := layout.ParseEncoding(c.From)
	if err != nil {
		return wrong(err)
	}
	if len(c.IDs) == 0 || slices.Equal(c.IDs, []string{standardInput}) {
		return c.stream(ctx, w, encoding)
	}
	ids := make([]layout.ID, len(c.IDs))
	for i, text := range c.IDs {
		if text == standardInput {
			return wrongf("- stands for standard input: give either that or IDs")
		}
		if ids[i], err = encoding.Parse(text); err != nil {
			return wrong(err)
		}
	}
	r := c.recorder(w, len(ids) > 1)
	var out []byte
	for _, id := range ids {
		if out, err = r.append(out, id); err != nil {
			return wrong(err)
		}
	}
	return w.print(string(out))
}

func (c *decodeCmd) recorder(w *world, several bool) recorder {
	switch {
	case c.JSON:
		return newJSONRecord(c.Layout.Layout)
	case several:
		return newTableRecord(c.Layout.Layout, style(w.color))
	}
	return &blockRecord{layout: c.Layout.Layout, now: time.Unix(0, w.clock.Now()), style: style(w.color)}
}

// stream decodes standard input. Reading happens apart, so that an interruption
// need not wait for it.
func (c *decodeCmd) stream(ctx context.Context, w *world, encoding layout.Encoding) error {
	if w.stdinTerminal && len(c.IDs) == 0 {
		w.warn("reading IDs from the terminal; end with Ctrl-D (on Windows, Ctrl-Z and Enter)")
	}
	const full = 64 << 10
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	chunks := readChunks(ctx, w.stdin)
	progress := newProgress(w, "IDs", 0, false)
	defer progress.clear()

	r := c.recorder(w, true)
	var words splitter
	var out []byte
	flush := func() error {
		if len(out) == 0 {
			return nil
		}
		if _, err := w.stdout.Write(out); err != nil {
			return writeError(err)
		}
		out = out[:0]
		return nil
	}
	for {
		// What has been decoded is printed as soon as there is nothing else
		// to do.
		var in chunk
		select {
		case in = <-chunks:
		default:
			if err := flush(); err != nil {
				return err
			}
			select {
			case in = <-chunks:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		n := 0
		for word := range words.split(in.text, in.err != nil) {
			id, err := encoding.Parse(word.text)
			if len(word.text) > maxWord { // perhaps it even goes on
				err = fmt.Errorf("a word of more than %d characters is no ID", maxWord)
			}
			if err == nil {
				out, err = r.append(out, id)
			}
			if err != nil {
				return errors.Join(flush(), wrongf("line %d, column %d: %w", word.line, word.column, plain(err)))
			}
			n++
		}
		progress.add(n)
		if len(out) >= full || in.err != nil {
			if err := flush(); err != nil {
				return err
			}
		}
		if errors.Is(in.err, io.EOF) {
			return nil
		}
		if in.err != nil {
			return fmt.Errorf("reading standard input: %w", in.err)
		}
		if ctx.Err() != nil {
			return errors.Join(flush(), context.Cause(ctx))
		}
	}
}
