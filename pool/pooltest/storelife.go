package pooltest

import (
	"errors"
	"fmt"

	"github.com/easyflake/easyflake/pool"
)

func durabilityCases() []storeCase {
	const name = theName
	durable := func(f StoreFactory) bool { return f.Durable }
	return []storeCase{
		{
			name:  "closed and opened again",
			rule:  "everything that was acknowledged is there when the storage is opened again, with its revisions",
			needs: durable,
			run: func(k *storeKit) {
				ns := k.create(name)
				other := k.create("other")
				node := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("first")})
				node = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: node, Value: []byte("second")})
				mark := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: -1, Value: []byte("mark")})
				for range 3 {
					k.reopen()
					k.names(name, "other")
					k.mustBe("the namespace", k.namespace(name), []byte(name), ns)
					k.mustBe("the other one", k.namespace("other"), []byte("other"), other)
					k.mustBe("the node", k.node(5), []byte("second"), node)
					k.mustBe("the mark", k.node(-1), []byte("mark"), mark)
				}
				k.refused(pool.Write{Namespace: name, OfNamespace: true})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5})
				next := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: node, Value: []byte("third")})
				if next == node {
					k.errorf("the revision is still %d after a write", node)
				}
			},
		},
		{
			name:  "revisions never come back, not even after reopening",
			rule:  "a store that is opened again goes on with its revisions; who read before must see what happened since",
			needs: durable,
			run: func(k *storeKit) {
				ns, node := k.create(name), uint64(0)
				seen := make(map[uint64]bool)
				for range 10 {
					for range 5 {
						node = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, NodeRevision: node, Value: []byte("x")})
						if seen[node] {
							k.fatalf("revision %d came back", node)
						}
						seen[node] = true
					}
					k.reopen()
				}
			},
		},
		{
			name:  "begun, and waited for or not",
			rule:  "a write that was begun is a write: on condition, durable once it was waited for; one that nobody waits for is made before the store is closed, and takes no revision from others",
			needs: durable,
			run: func(k *storeKit) {
				begin, ok := k.store.(pool.WriteBeginner)
				if !ok {
					k.Skip("the store begins no writes")
				}
				ns := k.create(name)
				first := begin.BeginWrite(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("first")})
				second := begin.BeginWrite(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("second")})
				revision, err := first(k.ctx())
				if err != nil || revision == 0 {
					k.fatalf("waiting returned revision %d, %v", revision, err)
				}
				k.mustBe("the node", k.node(5), []byte("first"), revision)
				if _, err := second(k.ctx()); !errors.Is(err, pool.ErrConflict) {
					k.errorf("the second write on one condition: %v, want ErrConflict", err)
				}
				begin.BeginWrite(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: revision, Value: []byte("third")})
				begin.BeginWrite(pool.Write{Namespace: name, NamespaceRevision: ns + 1, Node: 6, Value: []byte("nobody's")})
				k.reopen()
				r := k.node(5)
				if r.Revision == revision {
					k.errorf("the revision is still %d after closing", revision)
				}
				k.mustBe("the node after closing", r, []byte("third"), r.Revision)
				k.mustBe("the node of a wrong namespace", k.node(6), nil, 0)
			},
		},
		{
			name:  "crashed and opened again",
			rule:  "what was acknowledged survives the death of the process at any moment; what was not is there as a whole or not at all",
			needs: durable,
			run: func(k *storeKit) {
				if k.storage.Crash == nil {
					k.Skip("the storage cannot be made to crash")
				}
				ns := k.create(name)
				revisions := make(map[int64]uint64)
				for round := range 5 {
					for node := range int64(10) {
						revisions[node] = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: node, NodeRevision: revisions[node], Value: fmt.Appendf(nil, "%d of %d", node, round)})
					}
					s := k.store
					k.store = nil
					k.storage.Crash(s)
					k.store = k.open()
					for node := range int64(10) {
						k.mustBe(fmt.Sprintf("node %d", node), k.node(node), fmt.Appendf(nil, "%d of %d", node, round), revisions[node])
					}
				}
			},
		},
		{
			name:  "a second opener is refused",
			rule:  "storage that one process holds for itself cannot be opened once more, until it is closed: the pool writes ahead and keeps records in memory on the strength of that",
			needs: func(f StoreFactory) bool { return f.Locked },
			run: func(k *storeKit) {
				ns := k.create(name)
				for range 3 {
					if s, err := k.storage.Open(); err == nil {
						k.close(s)
						k.fatalf("the storage was opened while it is open")
					}
				}
				k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, Value: []byte("still works")})
				k.reopen()
			},
		},
		{
			name:  "two servers on one storage",
			rule:  "what one of several servers has written, the others see at once, and their writes are judged by it",
			needs: func(f StoreFactory) bool { return !f.Exclusive && !f.Locked },
			run: func(k *storeKit) {
				stores := k.several()
				ns := k.create(name)
				var revision uint64
				for i := range 20 {
					k.store = stores[i%2]
					k.mustBe("the namespace", k.namespace(name), []byte(name), ns)
					before := revision
					revision = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, NodeRevision: revision, Value: []byte{byte(i)}})
					k.store = stores[(i+1)%2]
					k.mustBe("the node", k.node(1), []byte{byte(i)}, revision)
					k.refused(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, NodeRevision: before})
				}
				k.store = stores[0]
			},
		},
	}
}
