package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// space is what a Local knows of one namespace.
//
// Each node has an entry with a lock of its own, held while its record is read,
// judged and written: requests for different nodes do not wait for each other,
// and a store can write them together. Nobody holds two entries' locks.
type space struct {
	pool *Local
	name string
	time keeper

	mu      sync.Mutex // owns opened, order, the maps, and the entries' users
	opened  bool
	entries map[int64]*entry // of an exclusive store they only come; see leave
	order   []int64          // the nodes of an exclusive store, sorted; nil until somebody asks
	granted map[Token]int64  // the entries' nodes, by their holders' tokens

	reading   sync.Mutex // held while namespace is read or changed, so that it is the latest
	namespace atomic.Pointer[versioned]
	exhausted [Legacy + 1]exhaustion // by use
}

// versioned is a namespace's record as last read or written.
type versioned struct {
	Namespace
	revision uint64
	durable  bool // it was written here, and that was acknowledged
}

// entry is what is known of a node's record.
type entry struct {
	users int // how many have it, waiting for its lock or holding it

	mu    sync.Mutex // owns the fields below
	known bool
	// node is the record as granted. In an exclusive store the record written
	// may reach further: until stored.
	node     Node
	stored   int64
	revision uint64
	// reopened says that the record was written by an earlier process that may
	// have granted more than it says, up to its Until.
	reopened bool
	// unsure says that what was read from an exclusive store counts only if the next
	// write comes through: a write was given up, and may still be made; or the store is
	// doubtful, and refuses writes until it is settled.
	unsure bool
	// ahead is a write under way that makes stored greater, or nil. Nothing else is
	// written before it is settled, and nothing is granted on it.
	ahead *pending
}

// pending is a write that nobody has waited for yet.
type pending struct {
	until int64 // the record's
	wait  func(context.Context) (revision uint64, err error)
}

// attempts bounds how often a conditional write is tried: others win in between
// only if they make progress.
const attempts = 16

// floorAttempts is that for floors, which all servers raise at once when their engine
// comes back: each has to come through, and most of them only after others.
const floorAttempts = 16 * attempts

func (s *space) current() *Namespace { return &s.namespace.Load().Namespace }

// open reads the namespace, and from an exclusive store all of its nodes.
func (s *space) open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return nil
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	if s.pool.store.Exclusive() {
		ns := s.current()
		doubtful := Doubtful(s.pool.store) != ""
		records, err := s.pool.store.Nodes(ctx, s.name, 0, ns.Layout.MaxNode())
		if err != nil {
			return fmt.Errorf("pool: reading the nodes of namespace %q: %w", s.name, err)
		}
		for _, r := range records {
			e := &entry{node: Node{Number: r.Node}}
			if err := e.read(ns, r.Node, r.Record); err != nil {
				return err
			}
			e.reopened, e.unsure = true, doubtful
			s.entries[r.Node] = e
			if !e.node.Token.IsZero() {
				s.granted[e.node.Token] = r.Node
			}
		}
	}
	s.time.pool, s.time.name = s.pool, s.name
	s.opened = true
	return nil
}

// reload reads the namespace's record.
func (s *space) reload(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.reread(ctx)
}

// reread needs s.reading.
func (s *space) reread(ctx context.Context) error {
	r, err := s.pool.store.Namespace(ctx, s.name)
	if err != nil {
		return fmt.Errorf("pool: reading namespace %q: %w", s.name, err)
	}
	if r.Revision == 0 {
		names, err := s.pool.names(ctx)
		if err != nil {
			return err
		}
		return &UnknownNamespaceError{Name: s.name, Nearest: nearest(s.name, names)}
	}
	n, err := decodeNamespace(s.name, r.Value)
	if err != nil {
		return err
	}
	last := s.namespace.Load()
	s.namespace.Store(&versioned{*n, r.Revision, last != nil && last.durable && last.revision == r.Revision})
	return nil
}

// entry returns a node's entry to a user, who has to leave it.
func (s *space) entry(node int64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[node]
	if e == nil {
		// What an exclusive store did not have when it was opened, it has not.
		e = &entry{known: s.pool.store.Exclusive(), node: Node{Number: node}}
		s.entries[node] = e
		if s.order != nil {
			at, _ := slices.BinarySearch(s.order, node)
			s.order = slices.Insert(s.order, at, node)
		}
	}
	e.users++
	return e
}

// leave is called by a user of an entry who is done with it, and has let go of its lock.
//
// Where others write as well, an entry without a record goes with its last user: nodes
// that somebody only names have no end, and all that it knows is read again. It has no
// other user, so nobody writes by it once another one has been made for its node.
func (s *space) leave(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	if e.users == 0 && e.revision == 0 && !s.pool.store.Exclusive() {
		delete(s.entries, e.node.Number)
	}
}

// page returns some entries from a node on, in order. Whoever reads all of them slowly
// holds no more than a page.
func (s *space) page(from int64) []*entry {
	const most = 256
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.order == nil {
		s.order = slices.Sorted(maps.Keys(s.entries))
	}
	at, _ := slices.BinarySearch(s.order, from)
	nodes := s.order[at:min(at+most, len(s.order))]
	page := make([]*entry, len(nodes))
	for i, node := range nodes {
		page[i] = s.entries[node]
	}
	return page
}

// has reports whether a node may have a record. In an exclusive store that is known:
// no entry is made for a node that somebody only named.
func (s *space) has(node int64) bool {
	if !s.pool.store.Exclusive() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[node] != nil
}

// read takes a record for what is known; the zero Record for a node never used.
func (e *entry) read(ns *Namespace, node int64, r Record) error {
	n := Node{Number: node}
	if r.Revision != 0 {
		var err error
		if n, err = decodeNode(ns, node, r.Value); err != nil {
			return err
		}
	}
	e.node, e.revision = n, r.Revision
	e.known, e.stored, e.reopened = true, n.Until, false
	return nil
}

// fetch reads one node's record. It needs e.mu.
func (s *space) fetch(ctx context.Context, e *entry) error {
	node := e.node.Number
	records, err := s.pool.store.Nodes(ctx, s.name, node, node)
	if err != nil {
		return fmt.Errorf("pool: reading node %d of namespace %q: %w", node, s.name, err)
	}
	var r Record
	if len(records) > 0 {
		r = records[0].Record
	}
	before, reopened := e.node, e.reopened
	if err := e.read(s.current(), node, r); err != nil {
		return err
	}
	if s.pool.store.Exclusive() && before.since(e.node) {
		// Nobody else writes here, so the record is one of ours: that which was granted
		// last, or a write that was given up and made after all. It does not have what
		// was granted since without a write.
		before.Highest = max(before.Highest, e.node.Highest)
		e.node, e.reopened = before, reopened
	}
	if e.node.Token != before.Token {
		s.hand(node, before.Token, e.node.Token)
	}
	return nil
}

// since reports whether n is the lease that a record has, as it was then or renewed
// since. If the record is another one, revoked or retired, or reaches less far, a write
// that was given up has been made, and it is the record that counts.
func (n *Node) since(record Node) bool {
	return !n.Token.IsZero() && n.Token == record.Token && n.From == record.From && n.Revision >= record.Revision &&
		n.Until <= record.Until && n.Revoked == record.Revoked && n.Retired == record.Retired
}

// update applies a rule to a node's record and writes what comes of it. A rule
// that refuses on what was known of a store that others write to as well is asked
// again on what is there now. now is what time the rule goes by, if it is a renewal.
func (s *space) update(ctx context.Context, node, now int64, rule func(*Namespace, *entry) (Node, error)) error {
	e := s.entry(node)
	defer s.leave(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := e.known && s.pool.store.Exclusive()
	for range attempts {
		if !e.known {
			if err := s.reload(ctx); err != nil {
				return err
			}
			if err := s.fetch(ctx, e); err != nil {
				return err
			}
			fresh = true
		}
		ns := s.namespace.Load()
		next, err := rule(&ns.Namespace, e)
		switch {
		case err != nil && fresh:
			return err
		case err != nil:
			e.known = false
			continue
		case next == e.node && !fresh:
			e.known = false
			continue
		case next == e.node && !e.unsure && s.pool.store.Exclusive():
			return nil // see raiseFloorTo
		case s.covers(e, next):
			next.Highest = e.node.Highest
			e.node, e.reopened = next, false
			return s.writeAhead(ns, e, now)
		case e.ahead != nil:
			if err := s.settle(ctx, e); err != nil {
				return err
			}
			continue // the rule has not seen what this has brought
		}
		err = s.write(ctx, ns, e, next, now)
		if err == nil {
			return nil
		}
		if conflict := errors.Is(err, ErrConflict); conflict && s.pool.store.Exclusive() {
			// The namespace has changed, by another request: what is known of the
			// node is more than what is stored, so keep it. Or else a write of ours
			// that was given up has been made after all: read what it has left.
			if err := s.reload(ctx); err != nil {
				return err
			}
			e.known = s.namespace.Load().revision != ns.revision
		} else {
			// Changed by others, or perhaps by us: only the store knows.
			e.known = false
			if !conflict {
				e.unsure = s.pool.store.Exclusive()
				return err
			}
		}
	}
	return fmt.Errorf("pool: node %d of namespace %q: %w, %d times in a row; try again", node, s.name, ErrConflict, attempts)
}

// write makes next what is known of a node, and durable as far as safety needs
// it: what is stored must reach at least as far as what is granted. It needs e.mu.
func (s *space) write(ctx context.Context, ns *versioned, e *entry, next Node, now int64) error {
	record := next
	if s.pool.store.Exclusive() && longer(e.node, next) {
		record = ahead(&ns.Namespace, next, now)
	}
	w, err := s.writing(ns, e, &record)
	if err != nil {
		return err
	}
	revision, err := s.pool.store.Write(ctx, w)
	if err != nil {
		return fmt.Errorf("pool: writing node %d of namespace %q: %w", next.Number, s.name, err)
	}
	if next.Token != e.node.Token {
		s.hand(next.Number, e.node.Token, next.Token)
	}
	next.Highest = record.Highest
	// To write the same lease again, as for a repetition, says nothing of its renewals.
	e.reopened = e.reopened && next.Token == e.node.Token && next.Revision == e.node.Revision
	e.known, e.node, e.stored, e.revision, e.unsure = true, next, record.Until, revision, false
	return nil
}

// writing is the write of a node's record. It needs e.mu.
func (s *space) writing(ns *versioned, e *entry, record *Node) (Write, error) {
	value, err := encodeNode(record)
	if err != nil {
		return Write{}, fmt.Errorf("pool: node %d of namespace %q: %w", record.Number, s.name, err)
	}
	return Write{
		Namespace:         s.name,
		NamespaceRevision: ns.revision,
		Node:              record.Number,
		NodeRevision:      e.revision,
		Value:             value,
	}, nil
}

// ahead is a renewed lease's record as it is written in an exclusive store: further
// than granted, so that the next renewals need not be written; within a horizon from
// now, which floors rely on. What is granted may reach as far already, after a restart.
func ahead(ns *Namespace, n Node, now int64) Node {
	n.Until = max(n.Until, reach(ns.Layout, start(ns.Layout, n.Until), ns.Terms.Window, now, ns.Terms.Horizon))
	n.Highest = max(n.Highest, n.Until)
	return n
}

// covers reports whether next is a renewal that what is stored reaches far enough
// for. It needs e.mu.
func (s *space) covers(e *entry, next Node) bool {
	return s.pool.store.Exclusive() && longer(e.node, next) && next.Until <= e.stored && !e.unsure
}

// writeAhead begins to write a lease further ahead where its next renewal, a third of
// a window from now and a tenth of that, would have to be written: then nobody waits
// for the disk. It is left until it gains as much. It needs e.mu.
func (s *space) writeAhead(ns *versioned, e *entry, now int64) error {
	store, ok := s.pool.store.(WriteBeginner)
	if !ok || e.ahead != nil {
		return nil
	}
	l, window := ns.Layout, ns.Terms.Window
	record := ahead(&ns.Namespace, e.node, now)
	stored := start(l, e.stored)
	if later(start(l, e.node.Until), window*2/5) <= stored || start(l, record.Until) < later(stored, window/3) {
		return nil
	}
	w, err := s.writing(ns, e, &record)
	if err != nil {
		return err
	}
	e.ahead = &pending{until: record.Until, wait: store.BeginWrite(w)}
	return nil
}

// settle waits for the write that was begun. It needs e.mu.
func (s *space) settle(ctx context.Context, e *entry) error {
	b := e.ahead
	e.ahead = nil
	revision, err := b.wait(ctx)
	switch {
	case err == nil:
		e.revision, e.stored = revision, b.until
		e.node.Highest = max(e.node.Highest, b.until)
	case errors.Is(err, ErrConflict):
		// Nothing was written, and why is found out by the write that follows.
	default:
		e.known, e.unsure = false, true
		return fmt.Errorf("pool: writing node %d of namespace %q ahead: %w", e.node.Number, s.name, err)
	}
	return nil
}

// longer reports whether next is the same lease as before, renewed.
func longer(before, next Node) bool {
	return !next.Token.IsZero() && next.Token == before.Token && next.Revision > before.Revision &&
		next.Revoked == before.Revoked && next.Retired == before.Retired
}

// now returns the time to go by.
func (s *space) now(ctx context.Context) (int64, error) { return s.time.now(ctx) }

// hearsay marks the context of a request from nobody known.
type hearsay struct{}

// Hearsay returns a context for requests whose sender is not known, where others are:
// a window that such a renewal shows is no evidence that the store has lost records.
// Who could make that up would stop a namespace for a horizon.
func Hearsay(ctx context.Context) context.Context { return context.WithValue(ctx, hearsay{}, true) }

// doubt raises the floor if a renewal shows a window that the store knows nothing
// of: the store is an old copy.
func (s *space) doubt(ctx context.Context, r Renewal, now int64) error {
	var highest int64
	if s.has(r.Node) {
		e := s.entry(r.Node)
		e.mu.Lock()
		highest = max(e.node.Highest, e.stored)
		e.mu.Unlock()
		s.leave(e)
	}
	if ctx.Value(hearsay{}) != nil || r.Until <= highest || r.Until > s.current().Layout.MaxTick()+1 || r.Token.IsZero() {
		return nil // nothing new, or nothing that any pool can have granted
	}
	// Not for each of many that show the same within a second.
	if ns := s.current(); later(start(ns.Layout, ns.Floor), time.Second) < later(now, ns.Terms.Horizon) {
		s.pool.log.ErrorContext(ctx, "the store has lost records: a client shows a window that it does not know; no window will begin before a horizon from now",
			"namespace", s.name, "node", r.Node, "shown_until", r.Until, "highest_known", highest)
	}
	return s.raiseFloor(ctx, now)
}

// raiseFloor keeps new windows from beginning before a horizon from now, which no
// window granted before reaches past.
func (s *space) raiseFloor(ctx context.Context, now int64) error {
	ns := s.current()
	return s.raiseFloorTo(ctx, roundUp(ns.Layout, later(now, ns.Terms.Horizon)))
}

func (s *space) raiseFloorTo(ctx context.Context, floor int64) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	for range floorAttempts {
		cur := s.namespace.Load()
		next := cur.Namespace
		next.Floor = max(cur.Floor, floor)
		if next.Floor == cur.Floor && (cur.durable || s.pool.store.Exclusive()) {
			// What others write to may show what is not durable yet, or never will be, as
			// when the wait for a standby was broken off. So there it is written again.
			return nil
		}
		value, err := encodeNamespace(&next)
		if err != nil {
			return fmt.Errorf("pool: namespace %q: %w", s.name, err)
		}
		revision, err := s.pool.store.Write(ctx, Write{
			Namespace: s.name, NamespaceRevision: cur.revision, OfNamespace: true, Value: value,
		})
		if err == nil {
			s.namespace.Store(&versioned{next, revision, true})
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("pool: raising the floor of namespace %q: %w", s.name, err)
		}
		if err := s.reread(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("pool: raising the floor of namespace %q: %w", s.name, ErrConflict)
}
