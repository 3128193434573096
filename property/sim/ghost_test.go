package sim

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

const (
	aNode      = `{"v":1,"token":"01020304050607080900010203040506","from":10,"until":20,"before":5,"highest":25,"window_ns":1000,"revision":3,"nonce":"06050403020100090807060504030201"}`
	aNamespace = `{"v":1,"layout":{},"ranges":[],"skew_ns":1,"first_window_ns":2,"window_ns":3,"horizon_ns":4,"floor":0}`
)

// What the ghost cannot read as a whole, it must not pass over.
func TestRecordsAreReadStrictly(t *testing.T) {
	_, err := readNode([]byte(aNode))
	require.NoError(t, err)
	for _, field := range []string{"v", "token", "from", "until", "before", "highest", "window_ns", "revision", "nonce"} {
		_, err = readNode(renamed(aNode, field))
		require.ErrorContains(t, err, "unknown field", field)
	}
	for _, c := range []struct{ old, new string }{
		{`"v":1`, `"v":2`}, {`"until":20,`, ""}, {`"highest":25,`, ""}, {`"from":10`, `"from":20`},
	} {
		_, err = readNode(replaced(aNode, c.old, c.new))
		require.Error(t, err, "%s for %s", c.new, c.old)
	}
	_, err = readNamespace([]byte(aNamespace))
	require.NoError(t, err)
	_, err = readNamespace(renamed(aNamespace, "floor"))
	require.ErrorContains(t, err, "unknown field")
	_, err = readNamespace(replaced(aNamespace, `,"floor":0`, ""))
	require.ErrorContains(t, err, "no floor")
}

// A grant needs a record that reaches as far, of a write that somebody was told of or
// that such a one came after.
func TestGhostAsksForTheRecord(t *testing.T) {
	l, err := layout.New(layout.DefaultConfig())
	require.NoError(t, err)
	begin := func() *ghost {
		w := &world{engine: newEngine(), p: Params{layout: l}}
		w.ghost = newGhost(w)
		_, err := w.engine.write(pool.Write{Namespace: theName, OfNamespace: true, Value: []byte(aNamespace)})
		require.NoError(t, err)
		return w.ghost
	}
	r, err := readNode([]byte(aNode))
	require.NoError(t, err)
	grant := pool.Grant{Node: 7, Token: r.Token, From: r.From, Until: r.Until}

	g := begin()
	g.granted(grant)
	require.Contains(t, g.w.failure, "durably on record up to tick 0", "nothing was written")

	g = begin()
	g.wrote(7, []byte(aNode))
	g.granted(grant)
	require.Contains(t, g.w.failure, "durably on record up to tick 0", "nobody was told of the write")

	g = begin()
	g.wrote(7, []byte(aNode))
	g.sync()
	g.granted(grant)
	require.Empty(t, g.w.failure)
	grant.Until++
	g.granted(grant)
	require.Contains(t, g.w.failure, "durably on record up to tick 20")

	g = begin()
	g.wrote(7, []byte(aNode))
	g.sync()
	g.restored() // to when there was no such record
	grant.Until--
	g.granted(grant)
	require.Contains(t, g.w.failure, "durably on record up to tick 0")
}

// Under a floor no window begins, and none that ends there becomes longer.
func TestGhostKnowsTheFloor(t *testing.T) {
	l, err := layout.New(layout.DefaultConfig())
	require.NoError(t, err)
	w := &world{engine: newEngine(), p: Params{layout: l}}
	w.ghost = newGhost(w)
	revision, err := w.engine.write(pool.Write{Namespace: theName, OfNamespace: true, Value: []byte(aNamespace)})
	require.NoError(t, err)
	w.ghost.wrote(7, []byte(aNode))
	require.Empty(t, w.failure)
	_, err = w.engine.write(pool.Write{Namespace: theName, NamespaceRevision: revision, OfNamespace: true, Value: replaced(aNamespace, `"floor":0`, `"floor":20`)})
	require.NoError(t, err)
	w.ghost.wrote(7, []byte(aNode)) // once more, as it was
	require.Empty(t, w.failure)
	w.ghost.wrote(7, replaced(aNode, `"until":20`, `"until":21`))
	require.Contains(t, w.failure, "under the floor of tick 20, and is renewed")
	w.failure = ""
	w.ghost.wrote(8, []byte(aNode))
	require.Contains(t, w.failure, "from tick 10 on, under the floor of tick 20")
}

// The hash of a run tells other IDs in the same numbers apart.
func TestHashContainsTheIDs(t *testing.T) {
	l, err := layout.New(layout.DefaultConfig())
	require.NoError(t, err)
	hash := func(ticks ...int64) uint64 {
		w := &world{engine: newEngine(), p: Params{layout: l}, ids: newIDSet()}
		w.ghost = newGhost(w)
		w.ghost.byHand(7)
		c := &client{process: &process{world: w}, m: &machine{world: w}, layout: l}
		h := w.ghost.holding(handToken(7))
		h.owners = append(h.owners, c)
		for _, tick := range ticks {
			require.True(t, c.took(&source{}, []layout.ID{layout.ID(tick<<l.TimeShift() | 7<<l.NodeShift())}, 0, true))
		}
		require.Empty(t, w.failure)
		return w.trace.hash
	}
	require.Equal(t, hash(100, 200), hash(100, 200)) //nolint:testifylint // two runs of it
	require.NotEqual(t, hash(100, 200), hash(100, 201))
	require.NotEqual(t, hash(100, 200), hash(200, 100))
}

func replaced(record, old, by string) []byte {
	return bytes.Replace([]byte(record), []byte(old), []byte(by), 1)
}

func renamed(record, field string) []byte { return replaced(record, `"`+field+`"`, `"x`+field+`"`) }
