package pool

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/easyflake/easyflake/clock"
)

// Memory is a [Store] for tests, and for pools whose namespaces may end with the
// process: it forgets everything, and so breaks A1 of the guarantee as soon as its
// process ends before its clients do.
type Memory struct {
	clock     clock.Clock
	exclusive bool

	mu     sync.Mutex // owns the fields below
	last   uint64     // the latest revision given
	spaces map[string]*memorySpace
}

type memorySpace struct {
	namespace Record
	nodes     map[int64]Record
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that tells the time by c. An exclusive one
// lets its pool write ahead of what it grants, as a server's own file does.
func NewMemory(c clock.Clock, exclusive bool) *Memory {
	return &Memory{clock: c, exclusive: exclusive, spaces: make(map[string]*memorySpace)}
}

// Namespaces implements [Store].
func (m *Memory) Namespaces(ctx context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.spaces)), ctx.Err()
}

// Namespace implements [Store].
func (m *Memory) Namespace(ctx context.Context, name string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.spaces[name]; s != nil {
		return s.namespace.clone(), ctx.Err()
	}
	return Record{}, ctx.Err()
}

// Nodes implements [Store].
func (m *Memory) Nodes(ctx context.Context, name string, first, last int64) ([]NodeRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spaces[name]
	if s == nil {
		return nil, ctx.Err()
	}
	var found []NodeRecord
	if last-first < int64(len(s.nodes)) {
		for node := first; node <= last; node++ {
			if r, ok := s.nodes[node]; ok {
				found = append(found, NodeRecord{node, r.clone()})
			}
		}
		return found, ctx.Err()
	}
	for node, r := range s.nodes {
		if first <= node && node <= last {
			found = append(found, NodeRecord{node, r.clone()})
		}
	}
	slices.SortFunc(found, func(a, b NodeRecord) int { return cmp.Compare(a.Node, b.Node) })
	return found, ctx.Err()
}

// Write implements [Store].
func (m *Memory) Write(ctx context.Context, w Write) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spaces[w.Namespace]
	if s == nil {
		s = &memorySpace{nodes: make(map[int64]Record)}
	}
	if s.namespace.Revision != w.NamespaceRevision || !w.OfNamespace && (w.NamespaceRevision == 0 || s.nodes[w.Node].Revision != w.NodeRevision) {
		return 0, ErrConflict
	}
	m.last++
	r := Record{Value: slices.Clone(w.Value), Revision: m.last}
	if w.OfNamespace {
		s.namespace = r
		m.spaces[w.Namespace] = s
	} else {
		s.nodes[w.Node] = r
	}
	return r.Revision, nil
}

// Now implements [Store].
func (m *Memory) Now(ctx context.Context) (int64, error) { return m.clock.Now(), ctx.Err() }

// Exclusive implements [Store].
func (m *Memory) Exclusive() bool { return m.exclusive }

// Close implements [Store]. The records stay, so that another pool can be made of
// them.
func (m *Memory) Close() error { return nil }

func (r Record) clone() Record { return Record{slices.Clone(r.Value), r.Revision} }
