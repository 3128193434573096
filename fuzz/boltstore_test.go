package fuzz

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/filestore"
)

// fileStore is what the stores in files have in common.
type fileStore interface {
	pool.Store
	Doubtful() string
	Settle(ctx context.Context, p *pool.Local) error
}

// opener opens a kind of store.
type opener func(path string, create bool, c clock.Clock) (fileStore, error)

// FuzzBoltStore cuts, flips and replaces a server's file, and looks for a panic, for a
// file that was changed though it was refused, and for a node that is granted again
// for ticks that somebody may have stamped.
func FuzzBoltStore(f *testing.F) {
	fuzzStore(f, func(path string, create bool, c clock.Clock) (fileStore, error) {
		opts := []boltstore.Option{boltstore.WithClock(c), boltstore.WithNetworkFileSystem()}
		if create {
			opts = append(opts, boltstore.WithCreate())
		}
		s, err := boltstore.Open(path, opts...)
		if err != nil {
			return nil, err // and no store: a nil one would not be nil
		}
		return s, nil
	})
}

// FuzzFileStore does the same to a file that processes share.
func FuzzFileStore(f *testing.F) {
	fuzzStore(f, func(path string, create bool, c clock.Clock) (fileStore, error) {
		opts := []filestore.Option{filestore.WithClock(c), filestore.WithNetworkFileSystem()}
		if create {
			opts = append(opts, filestore.WithCreate())
		}
		s, err := filestore.Open(path, opts...)
		if err != nil {
			return nil, err
		}
		return s, nil
	})
}

func fuzzStore(f *testing.F, open opener) {
	f.Helper()
	o := newOriginal(f)
	held := o.fill(f, open)
	o.add(f)
	f.Fuzz(func(t *testing.T, marker uint8, whole, forged bool, later uint16, edits []byte) {
		if len(edits) > longest {
			return
		}
		d := damage{marker: marker, whole: whole, forged: forged, edits: edits}
		data := o.put(t, d)
		c := stopped()
		c.Advance(time.Duration(later) * time.Second)
		s, err := open(o.path, false, c)
		if err != nil {
			refusedFile(t, o.path, data, err, forged)
			return
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		before := held
		if whole && !bytes.Equal(data, o.store) || forged {
			before = nil // not the store that it was: what matters is that nothing breaks
		}
		used(t, s, c, before)
	})
}

// fill makes the store: some nodes in use, some given back. It returns who may have
// stamped what.
func (o *original) fill(f *testing.F, open opener) *ghost {
	f.Helper()
	held := newGhost()
	c := stopped()
	l := layout.Default()
	for round := range uint8(2) {
		s, err := open(o.path, round == 0, c)
		if err != nil {
			f.Fatal(err)
		}
		p := newPool(s)
		if round == 0 {
			ns := pool.NewNamespace(theName, l)
			ns.Ranges = []pool.Range{{Last: 5}}
			if err := p.CreateNamespace(f.Context(), ns); err != nil {
				f.Fatal(err)
			}
		}
		for i := range uint8(3) {
			g, err := p.Acquire(f.Context(), theName, l, tokenOf(10*round+i))
			if err != nil {
				f.Fatal(err)
			}
			held.granted(f, g)
			if i == 2 {
				r := pool.Release{Namespace: theName, Node: g.Node, Token: g.Token, Last: g.From + 3000}
				if err := p.Release(f.Context(), r); err != nil {
					f.Fatal(err)
				}
				held.sealed(r)
			}
		}
		if err := p.Close(); err != nil {
			f.Fatal(err)
		}
		o.keep(f)
	}
	return held
}

// refusedFile makes sure that a file that is not opened is said to be what it is, and
// is left as it was. Of one whose checksums were forged, bbolt may say that it cannot
// be opened.
func refusedFile(t *testing.T, path string, data []byte, err error, forged bool) {
	t.Helper()
	known := forged
	for _, kind := range []error{boltstore.ErrMissing, boltstore.ErrLost, boltstore.ErrForeign, boltstore.ErrNewer, boltstore.ErrDamaged} {
		known = known || errors.Is(err, kind)
	}
	if !known {
		t.Fatalf("refused, but not as missing, lost, foreign, newer or damaged: %v", err)
	}
	is, wrong := os.ReadFile(path)
	if data == nil && os.IsNotExist(wrong) {
		return
	}
	if wrong != nil || !bytes.Equal(is, data) {
		t.Fatalf("refused (%v), and yet it has changed (%v)", err, wrong)
	}
}

// used asks a store that was opened for all that a pool does. Nothing may be granted
// that somebody else may have stamped.
func used(t *testing.T, s fileStore, c *clocktest.Clock, before *ghost) {
	t.Helper()
	ctx := t.Context()
	p := newPool(s)
	l := layout.Default()
	if s.Doubtful() != "" {
		if g, err := p.Acquire(ctx, theName, l, tokenOf(99)); err == nil {
			t.Fatalf("in doubt (%s), and yet %+v is granted", s.Doubtful(), g)
		}
		if err := s.Settle(ctx, p); err != nil {
			return // nothing is granted then
		}
		if why := s.Doubtful(); why != "" {
			t.Fatalf("settled, and in doubt all the same: %s", why)
		}
	} else if before != nil {
		seen := 0
		for info, err := range p.List(ctx, theName) {
			seen++
			if err != nil {
				t.Fatalf("accepted, but %+v cannot be read: %v", info, err)
			}
		}
		if seen != len(before.claims) {
			t.Fatalf("accepted, but it has %d nodes of %d", seen, len(before.claims))
		}
	}
	now := before.clone()
	for i := range uint8(8) {
		if i == 4 {
			c.Advance(150 * time.Second) // past the horizon, so that what was in doubt is not any more
			p = newPool(s)
		}
		if g, err := p.Acquire(ctx, theName, l, tokenOf(100+i)); err == nil {
			now.granted(t, g)
		}
	}
	for _, holder := range before.holders() {
		g, err := p.Renew(ctx, pool.Renewal{Namespace: theName, Node: holder.node, Token: holder.token, Until: holder.until, Nonce: tokenOf(1)})
		if err == nil {
			now.granted(t, g)
		}
	}
}
