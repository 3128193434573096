package pooltest

import (
	"sync"

	"github.com/easyflake/easyflake/pool"
)

// ghost remembers all that was ever granted, whatever clocks, stores and pools
// have forgotten: each holder's window of each node, from the first tick that it
// was given to the last one that it may have stamped. The guarantee is that no two
// of them overlap.
type ghost struct {
	mu    sync.Mutex
	nodes map[nodeKey][]*claim
}

type nodeKey struct {
	namespace string
	node      int64
}

// claim is a window that somebody was given.
type claim struct {
	token       pool.Token
	from, until int64
	sealed      bool // given back: nothing is stamped from until on
}

func newGhost() *ghost { return &ghost{nodes: make(map[nodeKey][]*claim)} }

// granted takes note of a grant, and reports a claim of somebody else that it
// overlaps with.
func (g *ghost) granted(r rule, grant pool.Grant) {
	r.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	key := nodeKey{grant.Namespace, grant.Node}
	var mine *claim
	for _, c := range g.nodes[key] {
		if c.token == grant.Token && c.from == grant.From && !c.sealed {
			mine = c
		}
	}
	if mine == nil {
		mine = &claim{token: grant.Token, from: grant.From}
		g.nodes[key] = append(g.nodes[key], mine)
	}
	mine.until = max(mine.until, grant.Until)
	for _, c := range g.nodes[key] {
		if c != mine && max(c.from, mine.from) < min(c.until, mine.until) {
			r.errorf("node %d was granted for [%d, %d) to %v and for [%d, %d) to %v",
				key.node, c.from, c.until, c.token, mine.from, mine.until, mine.token)
		}
	}
}

// seal takes note that the holder stamps nothing after a tick any more. It is
// called before the release is sent, since it is true from then on.
func (g *ghost) seal(r pool.Release) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.nodes[nodeKey{r.Namespace, r.Node}] {
		if c.token == r.Token && c.from <= r.Last+1 && r.Last < c.until {
			c.until, c.sealed = r.Last+1, true
		}
	}
}
