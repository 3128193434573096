package fuzz

import (
	"maps"
	"slices"
	"testing"

	"github.com/easyflake/easyflake/pool"
)

// ghost remembers who may have stamped what, whatever a store has forgotten. No two
// windows of a node may overlap. A nil one remembers nothing from before.
type ghost struct{ claims map[place][]claim }

type place struct {
	namespace string
	node      int64
}

// claim is a window that somebody was granted, as far as it may have been used.
type claim struct {
	node        int64
	token       pool.Token
	from, until int64
	sealed      bool // given back
}

func newGhost() *ghost { return &ghost{claims: make(map[place][]claim)} }

func (g *ghost) clone() *ghost {
	c := newGhost()
	if g != nil {
		for at, claims := range g.claims {
			c.claims[at] = slices.Clone(claims)
		}
	}
	return c
}

// granted notes a grant, which must overlap with nobody else's.
func (g *ghost) granted(tb testing.TB, grant pool.Grant) {
	tb.Helper()
	at := place{grant.Namespace, grant.Node}
	claims := g.claims[at]
	mine := slices.IndexFunc(claims, func(c claim) bool { return c.token == grant.Token && c.from == grant.From && !c.sealed })
	if mine < 0 {
		mine = len(claims)
		claims = append(claims, claim{node: grant.Node, token: grant.Token, from: grant.From})
	}
	claims[mine].until = max(claims[mine].until, grant.Until)
	for i, c := range claims {
		if i != mine && max(c.from, grant.From) < min(c.until, claims[mine].until) {
			tb.Fatalf("node %d was granted for [%d, %d) to %v and for [%d, %d) to %v", grant.Node, c.from, c.until, c.token, grant.From, claims[mine].until, grant.Token)
		}
	}
	g.claims[at] = claims
}

// sealed notes that a lease was given back: its holder stamps nothing past a tick.
func (g *ghost) sealed(r pool.Release) {
	claims := g.claims[place{r.Namespace, r.Node}]
	for i, c := range claims {
		if c.token == r.Token && !c.sealed {
			claims[i].until, claims[i].sealed = max(c.from, r.Last+1), true
		}
	}
}

// holders are those who have not given anything back, in order.
func (g *ghost) holders() []claim {
	var all []claim
	if g == nil {
		return nil
	}
	for _, at := range slices.SortedFunc(maps.Keys(g.claims), func(a, b place) int { return int(a.node - b.node) }) {
		for _, c := range g.claims[at] {
			if !c.sealed {
				all = append(all, c)
			}
		}
	}
	return all
}
