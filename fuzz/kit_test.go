package fuzz

import (
	"log/slog"
	"testing"
	"time"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// The time of all targets with pools, which stands still.
func theTime() time.Time { return time.Date(2026, time.March, 14, 15, 9, 26, 535_897_932, time.UTC) }

// stopped returns a clock that shows the time of all targets.
func stopped() *clocktest.Clock { return clocktest.New(theTime()) }

// theTick is the tick of a layout that it is now.
func theTick(l layout.Layout) int64 {
	tick, err := l.Tick(theTime())
	if err != nil {
		return -1
	}
	return tick
}

// quiet are the options of a pool that says nothing, and for which no time passes.
func quiet() []pool.Option {
	return []pool.Option{
		pool.WithElapsed(func() time.Duration { return time.Hour }),
		pool.WithLogger(slog.New(slog.DiscardHandler)),
	}
}

func newPool(s pool.Store) *pool.Local { return pool.New(s, quiet()...) }

// tokenOf returns a token that a number stands for, never the zero one.
func tokenOf(n uint8) pool.Token {
	t := pool.Token{15: 1}
	for i := range 15 { // which no input repeats by chance: no token is ever told
		t[i] = n + byte(0x9d*(i+1))
	}
	return t
}

// write puts a record into a store as it is: the namespace's own, or a node's.
func write(t *testing.T, s pool.Store, name string, node int64, ofNamespace bool, value []byte) {
	t.Helper()
	ns, err := s.Namespace(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	w := pool.Write{Namespace: name, NamespaceRevision: ns.Revision, Node: node, OfNamespace: ofNamespace, Value: value}
	if !ofNamespace {
		if was, ok := stored(t, s, name, node); ok {
			w.NodeRevision = was.Revision
		}
	}
	if _, err := s.Write(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// stored returns what a store has of a node.
func stored(t *testing.T, s pool.Store, name string, node int64) (pool.Record, bool) {
	t.Helper()
	found, err := s.Nodes(t.Context(), name, node, node)
	if err != nil || len(found) > 1 {
		t.Fatal(found, err)
	}
	if len(found) == 0 {
		return pool.Record{}, false
	}
	return found[0].Record, true
}
