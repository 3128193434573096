package pooltest

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/easyflake/easyflake/pool"
)

// several returns stores to work with at once: two where the storage can be
// opened twice.
func (k *storeKit) several() []pool.Store {
	k.Helper()
	if k.f.Locked || k.f.Exclusive {
		return []pool.Store{k.store, k.store}
	}
	second := k.open()
	k.Cleanup(func() { k.close(second) })
	return []pool.Store{k.store, second}
}

// together runs n goroutines and waits for them; what f returns first fails the
// case.
func (k *storeKit) together(n int, f func(i int) error) {
	k.Helper()
	errs := make(chan error, n)
	var ready sync.WaitGroup
	ready.Add(n)
	for i := range n {
		go func() {
			ready.Done()
			ready.Wait()
			errs <- f(i)
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			k.errorf("%v", err)
		}
	}
	if k.Failed() {
		k.FailNow()
	}
}

// one reads a node's record.
func one(ctx context.Context, s pool.Store, node int64) (pool.Record, error) {
	records, err := s.Nodes(ctx, theName, node, node)
	if err != nil || len(records) == 0 {
		return pool.Record{}, err
	}
	return records[0].Record, nil
}

func raceCases() []storeCase {
	const name = theName
	return []storeCase{
		{
			name: "counters lose nothing",
			rule: "of several who write a record that all have read, one succeeds, and the others are told: nobody's write is lost",
			run: func(k *storeKit) {
				const goroutines, counters, each = 32, 3, 12
				ns := k.create(name)
				stores := k.several()
				k.together(goroutines, func(i int) error {
					s, node := stores[i%len(stores)], int64(i%counters)
					for done, tries := 0, 0; done < each; tries++ {
						if tries > 100*goroutines*each {
							k.errorf("refused %d times: somebody must succeed", tries-done)
							return nil
						}
						r, err := one(k.ctx(), s, node)
						if err != nil {
							return err
						}
						var count uint64
						if r.Revision != 0 {
							count = binary.BigEndian.Uint64(r.Value)
						}
						_, err = s.Write(k.ctx(), pool.Write{
							Namespace: name, NamespaceRevision: ns, Node: node, NodeRevision: r.Revision,
							Value: binary.BigEndian.AppendUint64(nil, count+1),
						})
						switch {
						case err == nil:
							done++
						case !errors.Is(err, pool.ErrConflict):
							return err
						}
					}
					return nil
				})
				var sum uint64
				for _, r := range k.nodes(name, 0, counters) {
					sum += binary.BigEndian.Uint64(r.Value)
				}
				if sum != goroutines*each {
					k.errorf("the counters add up to %d, want %d", sum, goroutines*each)
				}
			},
		},
		{
			name: "one creates a namespace",
			rule: "of several who create a namespace at once, exactly one succeeds",
			run: func(k *storeKit) {
				stores := k.several()
				for _, name := range []string{"a", "b", "c", "d"} {
					var created atomic.Int32
					k.together(16, func(i int) error {
						_, err := stores[i%len(stores)].Write(k.ctx(), pool.Write{Namespace: name, OfNamespace: true, Value: []byte{byte(i)}})
						switch {
						case err == nil:
							created.Add(1)
						case !errors.Is(err, pool.ErrConflict):
							return err
						}
						return nil
					})
					if n := created.Load(); n != 1 {
						k.errorf("%d have created namespace %q", n, name)
					}
				}
			},
		},
		{
			name: "a namespace holds back its nodes",
			rule: "the namespace's revision and the node's are compared in the same transaction as the write: no write of a node begun before a change of its namespace succeeds after it",
			run: func(k *storeKit) {
				// A writer goes on with the namespace as it once read it, until it is
				// refused.
				const writers, generations = 6, 25
				ns := k.write(pool.Write{Namespace: name, OfNamespace: true, Value: []byte{0}})
				stores := k.several()
				var acknowledged atomic.Uint32
				var over atomic.Bool
				k.together(writers+1, func(i int) error {
					s := stores[i%len(stores)]
					if i == writers {
						defer over.Store(true)
						for g := range byte(generations) {
							revision, err := s.Write(k.ctx(), pool.Write{Namespace: name, NamespaceRevision: ns, OfNamespace: true, Value: []byte{g + 1}})
							if err != nil {
								return err
							}
							ns = revision
							acknowledged.Store(uint32(g) + 1)
						}
						return nil
					}
					var n, r pool.Record
					for !over.Load() {
						before := acknowledged.Load()
						revision, err := s.Write(k.ctx(), pool.Write{Namespace: name, NamespaceRevision: n.Revision, Node: int64(i), NodeRevision: r.Revision, Value: n.Value})
						switch {
						case err == nil && n.Revision == 0:
							k.errorf("a node was written for revision 0 of a namespace that exists")
							return nil
						case err == nil && uint32(n.Value[0]) < before:
							k.errorf("a write begun when generation %d of the namespace was acknowledged succeeded under generation %d", before, n.Value[0])
							return nil
						case err == nil:
							r.Revision = revision
							continue
						case !errors.Is(err, pool.ErrConflict):
							return err
						}
						if n, err = s.Namespace(k.ctx(), name); err != nil {
							return err
						}
						if r, err = one(k.ctx(), s, int64(i)); err != nil {
							return err
						}
					}
					return nil
				})
			},
		},
		{
			name: "a register is linearizable",
			rule: "a call takes effect at one moment between its beginning and its end: what was acknowledged is seen by every call that begins later, and nothing older is",
			run:  linearizable,
		},
		{
			name: "nodes at one moment",
			rule: "Nodes returns what was there at one moment: a later write without an earlier one was never there",
			run: func(k *storeKit) {
				// A writer raises the nodes one after the other, so that at each
				// moment they fall from left to right by one at most.
				const nodes, rounds = 8, 12
				ns := k.create(name)
				stores := k.several()
				revisions := make([]uint64, nodes)
				var over atomic.Bool
				k.together(3, func(i int) error {
					s := stores[i%len(stores)]
					if i == 0 {
						defer over.Store(true)
						for round := range byte(rounds) {
							for node := range revisions {
								revision, err := s.Write(k.ctx(), pool.Write{Namespace: name, NamespaceRevision: ns, Node: int64(node), NodeRevision: revisions[node], Value: []byte{round + 1}})
								if err != nil {
									return err
								}
								revisions[node] = revision
							}
						}
						return nil
					}
					for !over.Load() {
						records, err := s.Nodes(k.ctx(), name, 0, nodes-1)
						if err != nil {
							return err
						}
						var values [nodes]byte
						for _, r := range records {
							values[r.Node] = r.Value[0]
						}
						for node := 1; node < nodes; node++ {
							if values[node] > values[node-1] || values[0]-values[node] > 1 {
								k.errorf("the nodes were read as %d: at no moment they were", values)
								return nil
							}
						}
					}
					return nil
				})
			},
		},
	}
}

// call is one operation on the register, with the moments at which it began and
// ended, as counted by all.
type call struct {
	began, ended int64
	write        bool
	conflict     bool
	before       uint64 // the revision that a write replaces
	revision     uint64 // the one written or read
}

// linearizable needs no search: each write names the one that it replaces, so that
// the order of the writes is known, and each read names its write.
func linearizable(k *storeKit) {
	const name, goroutines, each = theName, 8, 30
	ns := k.create(name)
	stores := k.several()
	var moment atomic.Int64
	histories := make([][]call, goroutines)
	k.together(goroutines, func(i int) error {
		s := stores[i%len(stores)]
		for range each {
			c := call{began: moment.Add(1)}
			r, err := one(k.ctx(), s, 0)
			if err != nil {
				return err
			}
			c.ended, c.revision = moment.Add(1), r.Revision
			histories[i] = append(histories[i], c)
			if i%4 == 3 {
				continue // readers only
			}
			c = call{began: moment.Add(1), write: true, before: r.Revision}
			c.revision, err = s.Write(k.ctx(), pool.Write{Namespace: name, NamespaceRevision: ns, NodeRevision: r.Revision, Value: []byte{byte(i)}})
			if c.conflict = errors.Is(err, pool.ErrConflict); err != nil && !c.conflict {
				return err
			}
			c.ended = moment.Add(1)
			histories[i] = append(histories[i], c)
		}
		return nil
	})

	var all []call
	after := make(map[uint64]call) // the write that replaced a revision
	for _, h := range histories {
		all = append(all, h...)
		for _, c := range h {
			if !c.write || c.conflict {
				continue
			}
			if other, twice := after[c.before]; twice {
				k.fatalf("revision %d was replaced by %d and by %d", c.before, other.revision, c.revision)
			}
			after[c.before] = c
		}
	}
	place := map[uint64]int{0: 0}
	for revision, n := uint64(0), 1; ; n++ {
		next, ok := after[revision]
		if !ok {
			break
		}
		revision = next.revision
		place[revision] = n
	}
	if len(place) != len(after)+1 {
		k.fatalf("of %d writes only %d follow one another", len(after), len(place)-1)
	}
	for _, c := range all {
		if c.conflict {
			if w, ok := after[c.before]; !ok || w.began > c.ended {
				k.errorf("a write at revision %d was refused while nobody had replaced it", c.before)
			}
			continue
		}
		at, known := place[c.revision]
		if !known {
			k.fatalf("revision %d was read, and written by nobody", c.revision)
		}
		for _, later := range all {
			if later.conflict || later.began < c.ended {
				continue
			}
			if p := place[later.revision]; p < at || later.write && p == at {
				k.errorf("a call that began at %d saw write %d, another that had ended at %d saw write %d", later.began, p, c.ended, at)
			}
		}
	}
}
