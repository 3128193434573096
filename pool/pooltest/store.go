package pooltest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/pool"
)

// RunStore runs the conformance suite of stores, each case as a subtest.
func RunStore(t *testing.T, f StoreFactory) {
	t.Helper()
	for _, group := range [][]storeCase{readCases(), writeCases(), rangeCases(), raceCases(), durabilityCases()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				if c.needs != nil && !c.needs(f) {
					t.Skip("the factory does not promise this")
				}
				c.run(newStoreKit(t, f, c))
			})
		}
	}
}

// storeCase is one rule of the contract.
type storeCase struct {
	name string
	rule string
	// needs says whether the case applies; nil: to all.
	needs func(StoreFactory) bool
	run   func(*storeKit)
}

// storeKit is what a case works with.
type storeKit struct {
	rule
	f       StoreFactory
	clock   *clocktest.Clock
	storage Storage
	store   pool.Store
}

func newStoreKit(t *testing.T, f StoreFactory, c storeCase) *storeKit {
	t.Helper()
	k := &storeKit{rule: rule{t, c.rule}, f: f, clock: clocktest.New(start())}
	k.storage = f.New(t, k.clock)
	k.store = k.open()
	k.Cleanup(func() {
		if k.store != nil {
			k.close(k.store)
		}
	})
	return k
}

func (k *storeKit) open() pool.Store {
	k.Helper()
	s, err := k.storage.Open()
	if err != nil {
		k.fatalf("opening the storage: %v", err)
	}
	return s
}

func (k *storeKit) close(s pool.Store) {
	k.Helper()
	if err := s.Close(); err != nil {
		k.errorf("Close: %v", err)
	}
}

// reopen closes the store of the case and opens another one.
func (k *storeKit) reopen() {
	k.Helper()
	s := k.store
	k.store = nil
	k.close(s)
	k.store = k.open()
}

// ctx is the test's own context; while it cleans up too.
func (k *storeKit) ctx() context.Context { return context.WithoutCancel(k.Context()) }

// names, which must be all of them, in this order.
func (k *storeKit) names(want ...string) {
	k.Helper()
	names, err := k.store.Namespaces(k.ctx())
	if err != nil {
		k.fatalf("Namespaces: %v", err)
	}
	if !equal(names, want) {
		k.errorf("Namespaces returned %q, want %q", names, want)
	}
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (k *storeKit) namespace(name string) pool.Record {
	k.Helper()
	r, err := k.store.Namespace(k.ctx(), name)
	if err != nil {
		k.fatalf("Namespace(%q): %v", name, err)
	}
	return r
}

func (k *storeKit) nodes(name string, first, last int64) []pool.NodeRecord {
	k.Helper()
	records, err := k.store.Nodes(k.ctx(), name, first, last)
	if err != nil {
		k.fatalf("Nodes(%q, %d, %d): %v", name, first, last, err)
	}
	for i, r := range records {
		if r.Node < first || r.Node > last || i > 0 && r.Node <= records[i-1].Node {
			k.fatalf("Nodes(%q, %d, %d): node %d is out of range or out of order", name, first, last, r.Node)
		}
		if r.Revision == 0 {
			k.fatalf("node %d has revision 0, which says that there is none", r.Node)
		}
	}
	return records
}

// theName is the namespace of cases that need but one.
const theName = "n"

// node returns the record of a node, zero where there is none.
func (k *storeKit) node(node int64) pool.Record {
	k.Helper()
	if records := k.nodes(theName, node, node); len(records) > 0 {
		return records[0].Record
	}
	return pool.Record{}
}

// write writes what must be written.
func (k *storeKit) write(w pool.Write) (revision uint64) {
	k.Helper()
	revision, err := k.store.Write(k.ctx(), w)
	if err != nil {
		k.fatalf("Write of %s: %v", describe(w), err)
	}
	if revision == 0 {
		k.fatalf("Write of %s returned revision 0, which says that there is no record", describe(w))
	}
	return revision
}

// refused writes what must not be written.
func (k *storeKit) refused(w pool.Write) {
	k.Helper()
	if _, err := k.store.Write(k.ctx(), w); !errors.Is(err, pool.ErrConflict) {
		k.errorf("Write of %s: %v, want ErrConflict", describe(w), err)
	}
}

// create creates a namespace, whose record is its name.
func (k *storeKit) create(name string) (revision uint64) {
	k.Helper()
	return k.write(pool.Write{Namespace: name, OfNamespace: true, Value: []byte(name)})
}

// mustBe says whether a record is what was written.
func (k *storeKit) mustBe(what string, r pool.Record, value []byte, revision uint64) {
	k.Helper()
	if r.Revision != revision || !bytes.Equal(r.Value, value) {
		k.errorf("%s: revision %d and %s, want revision %d and %s", what, r.Revision, short(r.Value), revision, short(value))
	}
}
