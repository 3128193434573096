package pool

import (
	"context"
	"errors"
)

// Store keeps the records of a pool, and decides nothing: the rules are the
// pool's. An engine becomes a store by these few operations; each must be
// durable when it returns, and linearizable across all processes that share the
// engine. Records are opaque to it.
type Store interface {
	// Namespaces returns the names of all namespaces, sorted.
	Namespaces(ctx context.Context) ([]string, error)

	// Namespace returns the record of a namespace, the zero Record where there
	// is none.
	Namespace(ctx context.Context, name string) (Record, error)

	// Nodes returns the records of a namespace's nodes from first to last, both
	// included, in order, without those that do not exist. What it returns was
	// all there at one moment.
	Nodes(ctx context.Context, name string, first, last int64) ([]NodeRecord, error)

	// Write writes one record, if the revisions in it are still those that the
	// store has: both are compared and the record is written in one
	// transaction. Otherwise it writes nothing and returns [ErrConflict]. Any
	// other error means that it is not known whether the record was written:
	// read it again.
	//
	// It returns the written record's revision.
	Write(ctx context.Context, w Write) (revision uint64, err error)

	// Now returns the engine's own time in Unix nanoseconds, where all servers
	// of an engine can share its clock, else the wall clock's.
	Now(ctx context.Context) (int64, error)

	// Exclusive reports whether this process alone writes to the store for as
	// long as it is open, as a lock makes sure. The pool then need not read
	// again what it wrote, and may write ahead of what it grants.
	Exclusive() bool

	// Close releases the store.
	Close() error
}

// WriteBeginner is what a [Store] may be as well, if a write takes it long: it then
// makes the writes that nobody needs yet together with others. Only exclusive stores
// are asked.
type WriteBeginner interface {
	// BeginWrite begins a write, and returns what waits for it, which is called
	// once or not at all. The write is that of [Store.Write], and its outcome is
	// what wait returns; it may be made at any time, also after wait was given up,
	// and is lost if the store ends before. BeginWrite itself does not wait.
	BeginWrite(w Write) (wait func(context.Context) (revision uint64, err error))
}

// Doubter is what a [Store] may be as well, if it can tell that it may have lost records.
// A pool then grants nothing on what it reads there before that is settled. Whoever puts
// something before a store passes that on, as by [Doubtful].
type Doubter interface {
	// Doubtful says why records may be lost; "" where nothing speaks for it, or no more.
	Doubtful() string
}

// Doubtful asks a store, if it is a [Doubter].
func Doubtful(s Store) string {
	if d, ok := s.(Doubter); ok {
		return d.Doubtful()
	}
	return ""
}

// ErrConflict says that a record has changed since it was read.
var ErrConflict = errors.New("pool: the record has changed since it was read")

// Record is what a store keeps under a name. Revision changes with every write of
// it, and is never 0 for one that exists.
type Record struct {
	Value    []byte
	Revision uint64
}

// NodeRecord is the record of a node.
type NodeRecord struct {
	Node int64
	Record
}

// Write is one conditional write.
type Write struct {
	// Namespace is the name. Its record must have NamespaceRevision; 0 means
	// that there must be none.
	Namespace         string
	NamespaceRevision uint64

	// Node is the node whose record is replaced, if it has NodeRevision, or
	// made, if that is 0. With OfNamespace it is the namespace's own record
	// that is replaced or made.
	Node         int64
	NodeRevision uint64
	OfNamespace  bool

	Value []byte
}
