package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// nextCmd makes IDs.
type nextCmd struct {
	Count     countValue  `short:"n" default:"1" placeholder:"N" help:"How many IDs to print (1)."`
	Node      *string     `xor:"pool,namespace" placeholder:"N" help:"Number of this node, in place of a leased one. No two running programs may share it, and no pool may lease it."`
	Pool      poolValue   `xor:"pool" placeholder:"URL" env:"EASYFLAKE_POOL" help:"Pool to lease a node from: grpc://HOST[:PORT],..., unix:PATH, etcd://HOST,HOST, postgres://USER@HOST/DATABASE, redis://HOST (or redis+cluster://, redis+sentinel://), file:PATH or bolt:PATH. Without it, your own, on this machine."`
	Namespace string      `xor:"namespace" placeholder:"NAME" help:"Namespace of the pool. Without it, the one for the layout."`
	Layout    layoutValue `default:"easyflake" placeholder:"LAYOUT" help:"Layout of the IDs (easyflake): a name from 'layout list', or text such as node=10,sequence=12."`
	Strategy  string      `default:"sharded" enum:"mutex,atomic,sharded" placeholder:"NAME" help:"Generator to use: mutex, atomic or sharded (sharded)."`
	Format    string      `default:"decimal" enum:"decimal,hex,base32,base36,base58,base62,json" placeholder:"NAME" help:"How to print: decimal, hex, base32, base36, base58, base62 or json (decimal)."`
	Quiet     bool        `short:"q" help:"Say nothing on standard error but errors."`

	remoteFlags
}

// Help is printed below the usage.
func (*nextCmd) Help() string {
	return `
Prints one ID per line, in increasing order, each as soon as it is made. With --format json each line is an object with the fields that "decode --json" prints.

Its node number is leased from a pool, and given back at the end: no two IDs of a pool's namespace are equal, however many programs make some at once. With neither --node nor --pool that is a pool of your own, a file in your state folder, and so holds for this user on this machine. Beyond that, give every program a number of its own with --node.

A pool has namespaces, each with one layout. Without --namespace it is the one called what the layout is, as 'layout' prints it, or else the only one of that layout; a file pool that has neither gets the former.

Examples:

    easyflake-cli next
    easyflake-cli next -n 1000000 --node 7 > ids
    easyflake-cli next --pool file:/var/lib/easyflake/nodes
    easyflake-cli next --pool grpc://pool1.example.com,pool2.example.com
    easyflake-cli next --pool postgres://app@db.example.com/ids
    easyflake-cli next --layout sonyflake2 --format base58
    easyflake-cli next --layout epoch=2025-01-01T00:00:00Z,node=10,sequence=12
    easyflake-cli next -n 3 --format json
`
}

// chunkSpan is how long the IDs of one chunk may take to be made, and so how late
// the first of them is printed.
const chunkSpan = 20 * time.Millisecond

// maxChunk bounds a chunk where IDs are made faster: 32 KiB of them, which stay
// in the nearest cache until they are text.
const maxChunk = 4096

// Run makes the IDs.
func (c *nextCmd) Run(ctx context.Context, w *world) error {
	l := c.Layout.Layout
	node, err := c.node()
	if err != nil {
		return err
	}
	life := l.Check(time.Unix(0, w.clock.Now()))
	if errors.Is(life, layout.ErrLifeOver) || errors.Is(life, layout.ErrBeforeEpoch) {
		return wrong(life)
	}
	if c.Count == 0 {
		return nil
	}
	if !c.Quiet && life != nil {
		w.warn("%v", plain(life))
	}
	source, err := c.source(ctx, w, node)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer source.close(w)
	if !c.Quiet {
		c.advise(w, source)
	}
	g, err := c.generator(source.Source, generator.WithClock(w.clock))
	if err != nil {
		return plain(err)
	}
	defer g.Close() //nolint:errcheck // always nil; before the node is given back
	// Closing wakes the generator from waiting for a tick.
	defer context.AfterFunc(ctx, func() { _ = g.Close() })()

	encode, err := c.encoder()
	if err != nil {
		return err
	}
	progress := newProgress(w, "IDs", int64(c.Count), c.Quiet)
	defer progress.clear()
	err = c.write(w, source, g, encode, progress)
	if errors.Is(err, generator.ErrClosed) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// explain says why there is no node.
func (c *nextCmd) explain(ctx context.Context, err error) error {
	var exhausted *pool.ExhaustedError
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return context.Cause(ctx)
	case errors.As(err, &exhausted) && exhausted.Nodes == 1 && c.Layout.NodeBits() == 0:
		return fmt.Errorf("this layout has no node number, so only one program at a time can make IDs: %w", err)
	}
	return err
}

// write makes the IDs in chunks, and writes each at once.
func (c *nextCmd) write(w *world, source *nodeSource, g filler, encode encoder, progress *progress) error {
	ids := make([]layout.ID, min(chunkSize(c.Layout.Layout), int64(c.Count)))
	var text []byte
	for left := int64(c.Count); left > 0; {
		n, err := source.fill(g, ids[:min(left, int64(len(ids)))])
		if n > 0 {
			var failed error
			if text, failed = encode(text[:0], ids[:n]); failed != nil {
				return failed
			}
			if _, failed := w.stdout.Write(text); failed != nil {
				return writeError(failed)
			}
			left -= int64(n)
			progress.add(n)
		}
		if err != nil {
			return plain(err)
		}
	}
	return nil
}

// chunkSize returns how many IDs to make before printing them. It is a power of
// two, as is the number of IDs in a tick, so that no chunk waits for the next
// tick with IDs of the last one in hand, unless both come within chunkSpan.
func chunkSize(l layout.Layout) int64 {
	n := l.MaxSequence() + 1
	for span := l.Unit(); span <= chunkSpan/2 && n < maxChunk; span *= 2 {
		n *= 2
	}
	return min(n, maxChunk)
}

func (c *nextCmd) node() (int64, error) {
	if c.Node == nil {
		return 0, nil
	}
	return parseNode(c.Layout.Layout, *c.Node)
}

// advise says how far the uniqueness reaches, to those who have not chosen it.
func (c *nextCmd) advise(w *world, source *nodeSource) {
	switch {
	case source.lease == nil || !source.pool.own || !w.stderrTerminal:
	case c.Layout.NodeBits() == 0:
		w.warn("this layout has no node number: IDs are unique for this user on this machine, one program at a time; elsewhere, choose a layout with nodes (--quiet hides this)")
	default:
		w.warn("leased node %d: IDs are unique for this user on this machine; beyond that, give every program its own --node (--quiet hides this)", source.lease.Node())
	}
}

// filler is what all generators have.
type filler interface {
	Fill(dst []layout.ID) (n int, err error)
	NextContext(ctx context.Context) (layout.ID, error)
	Close() error
}

func (c *nextCmd) generator(source generator.Source, opts ...generator.Option) (filler, error) {
	l := c.Layout.Layout
	switch c.Strategy {
	case "mutex":
		return generator.NewMutex(l, source, opts...)
	case "atomic":
		return generator.NewAtomic(l, source, opts...)
	case "sharded":
		return generator.NewSharded(l, source, opts...)
	}
	return nil, fmt.Errorf("strategy %q is none", c.Strategy) // kong has checked it
}

// encoder appends IDs as text, a line each.
type encoder func(dst []byte, ids []layout.ID) ([]byte, error)

func (c *nextCmd) encoder() (encoder, error) {
	if c.Format == "json" {
		r := newJSONRecord(c.Layout.Layout)
		return func(dst []byte, ids []layout.ID) ([]byte, error) {
			var err error
			for _, id := range ids {
				if dst, err = r.append(dst, id); err != nil {
					return dst, err
				}
			}
			return dst, nil
		}, nil
	}
	encoding, err := layout.ParseEncoding(c.Format)
	return func(dst []byte, ids []layout.ID) ([]byte, error) {
		var err error
		for _, id := range ids {
			if dst, err = encoding.Append(dst, id); err != nil {
				return dst, err
			}
			dst = append(dst, '\n')
		}
		return dst, nil
	}, err
}
