package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// engine is the model of a storage engine: a log of writes. What was synced is
// there for ever; of what was only appended, a crash keeps as many bytes as it
// likes, and spoils some. It has no bugs of its own to offer: it passes the suite
// that all stores pass.
type engine struct {
	mu     sync.Mutex
	spaces map[string]*table // what is synced
	tail   []byte            // appended to the log since
	last   uint64            // the latest revision given
	life   int               // counts restored copies: calls begun before find nobody
}

type table struct {
	namespace pool.Record
	nodes     map[int64]pool.Record
}

func newEngine() *engine { return &engine{spaces: make(map[string]*table)} }

func (e *engine) namespaces() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.spaces))
}

func (e *engine) namespace(name string) pool.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.spaces[name]; t != nil {
		return copied(t.namespace)
	}
	return pool.Record{}
}

func (e *engine) nodes(name string, first, last int64) []pool.NodeRecord {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.spaces[name]
	if t == nil {
		return nil
	}
	var found []pool.NodeRecord
	for node, r := range t.nodes {
		if first <= node && node <= last {
			found = append(found, pool.NodeRecord{Node: node, Record: copied(r)})
		}
	}
	slices.SortFunc(found, func(a, b pool.NodeRecord) int { return cmp.Compare(a.Node, b.Node) })
	return found
}

// write is a write that is durable when it returns.
func (e *engine) write(w pool.Write) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	revision, err := e.append(w)
	if err == nil {
		e.sync()
	}
	return revision, err
}

// torn is a write in the middle of which the power goes: it is made or it is not,
// and whatever the log has of it at its end. It reports which.
func (e *engine) torn(w pool.Write, r *rand.Rand) (made bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	revision, err := e.append(w)
	if err != nil {
		return false
	}
	e.crash(r)
	t := e.spaces[w.Namespace]
	return t != nil && (w.OfNamespace && t.namespace.Revision == revision || !w.OfNamespace && t.nodes[w.Node].Revision == revision)
}

// append adds a write to the log. It needs mu.
func (e *engine) append(w pool.Write) (revision uint64, err error) {
	t := e.spaces[w.Namespace]
	if t == nil {
		t = &table{}
	}
	if t.namespace.Revision != w.NamespaceRevision || !w.OfNamespace && (w.NamespaceRevision == 0 || t.nodes[w.Node].Revision != w.NodeRevision) {
		return 0, pool.ErrConflict
	}
	e.last++
	kind := byte(0)
	if w.OfNamespace {
		kind = 1
	}
	body := []byte{kind}
	body = binary.AppendUvarint(body, e.last)
	body = binary.AppendVarint(body, w.Node)
	body = binary.AppendUvarint(body, uint64(len(w.Namespace)))
	body = append(body, w.Namespace...)
	body = append(body, w.Value...)
	e.tail = binary.BigEndian.AppendUint32(e.tail, uint32(len(body)))
	e.tail = binary.BigEndian.AppendUint32(e.tail, crc32.ChecksumIEEE(body))
	e.tail = append(e.tail, body...)
	return e.last, nil
}

// sync makes durable what was appended. It needs mu.
func (e *engine) sync() {
	for rest := e.tail; len(rest) >= 8; {
		size := int(binary.BigEndian.Uint32(rest))
		if size > len(rest)-8 {
			break
		}
		body := rest[8 : 8+size]
		if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(rest[4:]) {
			break
		}
		e.replay(body)
		rest = rest[8+size:]
	}
	e.tail = e.tail[:0]
}

func (e *engine) replay(body []byte) {
	of, rest := body[0] == 1, body[1:]
	revision, n := binary.Uvarint(rest)
	rest = rest[n:]
	node, n := binary.Varint(rest)
	rest = rest[n:]
	size, n := binary.Uvarint(rest)
	name, value := string(rest[n:n+int(size)]), bytes.Clone(rest[n+int(size):])
	t := e.spaces[name]
	if t == nil {
		t = &table{nodes: make(map[int64]pool.Record)}
		e.spaces[name] = t
	}
	if of {
		t.namespace = pool.Record{Value: value, Revision: revision}
		return
	}
	t.nodes[node] = pool.Record{Value: value, Revision: revision}
}

// crash ends the engine and starts it again on what the disk has. It needs mu.
func (e *engine) crash(r *rand.Rand) {
	e.tail = e.tail[:r.IntN(len(e.tail)+1)]
	if len(e.tail) > 0 && r.IntN(3) == 0 {
		e.tail[r.IntN(len(e.tail))] ^= 1 << r.IntN(8)
	}
	e.sync()
}

// snapshot copies all that is durable, and restore puts a copy in its place.
func (e *engine) snapshot() map[string]*table {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cloned(e.spaces)
}

func (e *engine) restore(old map[string]*table) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spaces = cloned(old)
	e.tail = e.tail[:0]
	e.life++
}

func cloned(spaces map[string]*table) map[string]*table {
	all := make(map[string]*table, len(spaces))
	for name, t := range spaces {
		all[name] = &table{t.namespace, maps.Clone(t.nodes)}
	}
	return all
}

func copied(r pool.Record) pool.Record {
	return pool.Record{Value: bytes.Clone(r.Value), Revision: r.Revision}
}

// plainStore is the engine as a store without a network or a process around it.
type plainStore struct {
	*engine
	clock     clock.Clock
	exclusive bool
}

var _ pool.Store = plainStore{}

// Namespaces implements [pool.Store].
func (s plainStore) Namespaces(ctx context.Context) ([]string, error) {
	return s.namespaces(), ctx.Err()
}

// Namespace implements [pool.Store].
func (s plainStore) Namespace(ctx context.Context, name string) (pool.Record, error) {
	return s.namespace(name), ctx.Err()
}

// Nodes implements [pool.Store].
func (s plainStore) Nodes(ctx context.Context, name string, first, last int64) ([]pool.NodeRecord, error) {
	return s.nodes(name, first, last), ctx.Err()
}

// Write implements [pool.Store].
func (s plainStore) Write(ctx context.Context, w pool.Write) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err //nolint:wrapcheck // the context's
	}
	return s.write(w)
}

// Now implements [pool.Store].
func (s plainStore) Now(ctx context.Context) (int64, error) { return s.clock.Now(), ctx.Err() }

// Exclusive implements [pool.Store].
func (s plainStore) Exclusive() bool { return s.exclusive }

// Close implements [pool.Store].
func (s plainStore) Close() error { return nil }
