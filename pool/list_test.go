package pool

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// A list of an exclusive store is read page by page: who reads it slowly holds little,
// and sees what comes meanwhile. It has each node once, in order.
func TestListIsReadInPages(t *testing.T) {
	ctx := t.Context()
	c := foundClock()
	p := foundPool(t, NewMemory(c, true), c)
	l, err := layout.Parse("node=10,sequence=4")
	require.NoError(t, err)
	require.NoError(t, p.CreateNamespace(ctx, NewNamespace("n", l)))
	retire := func(nodes ...int64) {
		t.Helper()
		for _, node := range nodes {
			require.NoError(t, p.Retire(ctx, "n", node))
		}
	}
	for node := int64(2); node <= l.MaxNode(); node += 2 {
		retire(node)
	}
	next, stop := iter.Pull2(p.List(ctx, "n"))
	defer stop()
	info, err, ok := next()
	require.True(t, ok)
	require.NoError(t, err)
	assert.EqualValues(t, 2, info.Node)
	retire(1, l.MaxNode()-2, l.MaxNode()) // one that is past already, and two that are not
	seen, last := 1, info.Node
	for {
		if info, err, ok = next(); !ok {
			break
		}
		require.NoError(t, err)
		require.Greater(t, info.Node, last)
		seen, last = seen+1, info.Node
	}
	assert.Equal(t, l.MaxNode(), last)
	assert.Equal(t, 511+2, seen)
}
