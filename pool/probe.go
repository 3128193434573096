package pool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// batch is how many records a probe reads at once from a store that others write
// to as well.
const batch = 64

// exhaustion is what is known of all nodes of one use being taken.
type exhaustion struct {
	freed atomic.Uint64 // how often a node was given back before its time
	last  atomic.Pointer[proof]
}

// proof says that no node is free from one time to another, Unix ns, unless one was
// given back since the search for it began.
type proof struct {
	made, until int64
	freed       uint64
}

// until returns the time before which no node is free; 0 where that is not known. A
// proof that was made later than now was made by a clock that is not gone by any more.
func (e *exhaustion) until(now int64) int64 {
	p := e.last.Load()
	if p == nil || p.freed != e.freed.Load() || now < p.made {
		return 0
	}
	return p.until
}

// acquire finds a node of a use for a token. It begins where the token points to, so that
// clients do not all try the same nodes first, and so that a repetition, also at
// another server, comes upon what was granted before.
func (s *space) acquire(ctx context.Context, use Use, token Token, now int64) (Grant, error) {
	ns := s.current()
	e := &ExhaustedError{Namespace: s.name, Use: use, Nodes: ns.count(use)}
	known := &s.exhausted[use]
	freed := known.freed.Load()
	p := probe{space: s, use: use, token: token, now: now, earliest: math.MaxInt64, notYet: math.MaxInt64}
	if node, ok := s.holds(token); ok { // most likely a repetition
		taken, err := p.take(ctx, node)
		if err == nil {
			return p.grant, nil
		}
		if !p.skip(ns, taken, err) {
			return Grant{}, err // it may have this node: another one would be lost to it
		}
	}
	if wait := start(ns.Layout, ns.Floor) - now; ns.Floor > 0 && wait > int64(ns.Layout.Unit()) {
		return Grant{}, &NotYetError{RetryAfter: time.Duration(wait)} // as each node would say
	}
	if until := known.until(now); now < until {
		e.RetryAfter = time.Duration(until - now)
		return Grant{}, e
	}
	found, err := p.search(ctx, ns)
	if err != nil {
		return Grant{}, err // what was granted may not be written
	}
	if found {
		return p.grant, nil
	}
	if p.notYet < math.MaxInt64 {
		return Grant{}, &NotYetError{RetryAfter: time.Duration(p.notYet)}
	}
	if p.earliest < math.MaxInt64 {
		e.RetryAfter = time.Duration(max(1, p.earliest-now))
		known.last.Store(&proof{now, s.believe(p.earliest, now), freed})
	}
	return Grant{}, e
}

// believe returns until when a proof that all nodes are taken holds: until the
// first of them ends or, where others may release one without our knowledge, for
// a second at most.
func (s *space) believe(earliest, now int64) int64 {
	if s.pool.store.Exclusive() {
		return earliest
	}
	return min(earliest, now+int64(time.Second))
}

// forgetExhaustion is for when a node was given back, or has changed otherwise.
func (s *space) forgetExhaustion(node int64) {
	r, _ := s.current().rangeOf(node)
	s.exhausted[r.Use].freed.Add(1)
}

// holds returns the node that a token has, as far as is known here.
func (s *space) holds(token Token) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	node, ok := s.granted[token]
	return node, ok
}

// hand notes that a node has another holder, or none. It is called before anybody can
// see that, and whoever has seen it is not told any more that all nodes are taken.
func (s *space) hand(node int64, from, to Token) {
	if to.IsZero() {
		s.forgetExhaustion(node)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.granted[from] == node {
		delete(s.granted, from)
	}
	if !to.IsZero() {
		s.granted[to] = node
	}
}

// probes yields all nodes of a use in runs of up to batch, in an order that the
// token gives. Runs that follow each other lie apart: neighbours fill up together,
// and whoever went through them in order would meet thousands of taken nodes where
// one in a hundred is free.
func (n *Namespace) probes(use Use, token Token) iter.Seq2[int64, int64] {
	return func(yield func(first, run int64) bool) {
		total := n.count(use)
		if total == 0 {
			return
		}
		begin := int64(binary.BigEndian.Uint64(token[:8]) % uint64(total))
		runs := (total + batch - 1) / batch
		step := int64(binary.BigEndian.Uint64(token[8:])%uint64(runs)) + 1
		for gcd(step, runs) != 1 { // else it would not come to all of them
			step++
		}
		for i, run := int64(0), int64(0); i < runs; i, run = i+1, (run+step)%runs {
			for at, end := run*batch, min(run*batch+batch, total); at < end; {
				first, length := n.at(use, (begin+at)%total)
				length = min(length, end-at)
				if !yield(first, length) {
					return
				}
				at += length
			}
		}
	}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// at returns the node that stands at an index among those of a use, and how many of
// them follow it without a gap, itself included.
func (n *Namespace) at(use Use, index int64) (node, run int64) {
	for _, r := range n.Ranges {
		if r.Use != use {
			continue
		}
		if size := r.Last - r.First + 1; index >= size {
			index -= size
			continue
		}
		return r.First + index, r.Last - r.First + 1 - index
	}
	return 0, 0
}

// probe is one search for a node.
type probe struct {
	space    *space
	use      Use
	token    Token
	now      int64
	grant    Grant
	earliest int64 // when the first of the taken nodes ends, Unix ns
	notYet   int64 // the shortest wait for a free one, ns
}

// begun returns the namespace without those ranges in which no window can begin yet,
// and notes how long that takes. Where a node that nobody ever had is refused, all of
// its range are, and there may be more than anybody could go through.
func (p *probe) begun(ns *Namespace) *Namespace {
	some := *ns
	some.Ranges = slices.DeleteFunc(slices.Clone(ns.Ranges), func(r Range) bool {
		fresh := Node{Number: r.First}
		_, err := acquire(ns, fresh, p.use, p.token, p.now)
		_, notYet := errors.AsType[*NotYetError](err)
		return notYet && p.skip(ns, fresh, err)
	})
	return &some
}

// search tries all nodes of the use, until one can be had.
func (p *probe) search(ctx context.Context, ns *Namespace) (found bool, err error) {
	exclusive := p.space.pool.store.Exclusive()
	var runs [][2]int64 // the first node, and how many
	gathered := int64(0)
	for first, run := range p.begun(ns).probes(p.use, p.token) {
		if err := ctx.Err(); err != nil {
			return false, err // nothing was tried that could have been granted
		}
		if exclusive {
			for node := first; node < first+run; node++ {
				if found, err := p.tryNode(ctx, ns, node); found || err != nil {
					return found, err
				}
			}
			continue
		}
		runs = append(runs, [2]int64{first, run})
		if gathered += run; gathered < batch {
			continue // the rest of them lies elsewhere
		}
		if found, err := p.try(ctx, ns, runs); found || err != nil {
			return found, err
		}
		runs, gathered = runs[:0], 0
	}
	return p.try(ctx, ns, runs)
}

// try reads the nodes of some runs from a store that others write to as well, and tries
// those that can be had.
func (p *probe) try(ctx context.Context, ns *Namespace, runs [][2]int64) (found bool, err error) {
	var seen []seenNode
	for _, r := range runs {
		if seen, err = p.look(ctx, ns, seen, r[0], r[1]); err != nil {
			return false, err
		}
	}
	// What the token has already comes first: another server may have granted it, or
	// this one before it was restarted, when the nodes before were taken.
	if own := slices.IndexFunc(seen, func(n seenNode) bool { return n.Token == p.token }); own >= 0 {
		if found, err := p.tryNode(ctx, ns, seen[own].Number); found || err != nil {
			return found, err
		}
	}
	for _, n := range seen {
		if n.err != nil {
			return false, n.err
		}
		if _, err := acquire(ns, n.Node, p.use, p.token, p.now); err != nil && p.skip(ns, n.Node, err) {
			continue
		}
		if found, err := p.tryNode(ctx, ns, n.Number); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// seenNode is a node as it was read, or what is wrong with its record. That stops those
// who come to it, and nobody who finds another node before.
type seenNode struct {
	Node

	err error
}

// look adds a run of nodes to those seen.
func (p *probe) look(ctx context.Context, ns *Namespace, seen []seenNode, first, run int64) ([]seenNode, error) {
	before := len(seen)
	for node := first; node < first+run; node++ {
		seen = append(seen, seenNode{Node: Node{Number: node}})
	}
	records, err := p.space.pool.store.Nodes(ctx, p.space.name, first, first+run-1)
	if err != nil {
		return nil, err //nolint:wrapcheck // a store's errors say themselves what is wrong
	}
	for _, r := range records {
		if r.Node < first || r.Node >= first+run {
			return nil, fmt.Errorf("pool: the store was asked for nodes %d to %d of namespace %q, and has answered with %d", first, first+run-1, p.space.name, r.Node)
		}
		n, err := decodeNode(ns, r.Node, r.Value)
		seen[before+int(r.Node-first)] = seenNode{n, err}
	}
	return seen, nil
}

// tryNode tries one node.
func (p *probe) tryNode(ctx context.Context, ns *Namespace, node int64) (found bool, err error) {
	taken, err := p.take(ctx, node)
	if err == nil {
		return true, nil
	}
	if !p.skip(ns, taken, err) {
		return false, err
	}
	return false, nil
}

// take acquires one node, or returns its record and why not.
func (p *probe) take(ctx context.Context, node int64) (n Node, err error) {
	err = p.space.update(ctx, node, p.now, func(ns *Namespace, e *entry) (Node, error) {
		next, err := acquire(ns, e.node, p.use, p.token, p.now)
		n = next
		p.grant = next.grant(ns, p.now)
		return next, err
	})
	return n, err
}

// skip notes why a node cannot be had, and reports whether others may be.
func (p *probe) skip(ns *Namespace, n Node, err error) bool {
	var notYet *NotYetError
	switch {
	case errors.Is(err, errTaken):
		p.earliest = min(p.earliest, start(ns.Layout, n.Until))
	case errors.As(err, &notYet):
		p.notYet = min(p.notYet, int64(notYet.RetryAfter))
	case errors.Is(err, ErrNotLeasable):
	default:
		return false
	}
	return true
}
