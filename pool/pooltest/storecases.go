package pooltest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/easyflake/easyflake/pool"
)

func readCases() []storeCase {
	return []storeCase{
		{
			name: "nothing yet",
			rule: "what is not there is no error: no names, the zero record, no nodes",
			run: func(k *storeKit) {
				k.names()
				k.mustBe("a namespace that does not exist", k.namespace("none"), nil, 0)
				if r := k.nodes("none", -1, 1<<22); len(r) != 0 {
					k.errorf("%d nodes of a namespace that does not exist", len(r))
				}
				k.create("empty")
				if r := k.nodes("empty", -1, 1<<22); len(r) != 0 {
					k.errorf("%d nodes of a namespace that has none", len(r))
				}
			},
		},
		{
			name: "names are sorted",
			rule: "Namespaces returns every name once, sorted by bytes; names are told apart by every byte, not by case or by what a file system or a query makes of them",
			run: func(k *storeKit) {
				names := []string{
					"default", "Default", "a", "ab", "a:b", "a.b", "a-b", "..", ".", "%", "a%2Fb", "_", "a_b", "*", "a\\b",
					"'", `"`, ";--", "é", "日本", "\U0001F40C", "0", "00", "nodes", "namespaces", "mark", "-1", strings.Repeat(theName, 255),
				}
				for _, name := range names {
					k.create(name)
				}
				slices.Sort(names)
				k.names(names...)
				for _, name := range names {
					if r := k.namespace(name); string(r.Value) != name {
						k.errorf("the record of namespace %q is %s", name, short(r.Value))
					}
				}
			},
		},
		{
			name: "namespaces do not mix",
			rule: "a namespace's nodes are its own, also where its name begins like another's",
			run: func(k *storeKit) {
				names := []string{"a", "ab", "a1", "a:1", "a.1", "A"}
				for _, name := range names {
					revision := k.create(name)
					for node := range int64(3) {
						k.write(pool.Write{Namespace: name, NamespaceRevision: revision, Node: node, Value: []byte(name)})
					}
				}
				for _, name := range names {
					records := k.nodes(name, -1, 1<<40)
					if len(records) != 3 {
						k.errorf("%q has %d nodes, want 3", name, len(records))
					}
					for _, r := range records {
						if string(r.Value) != name {
							k.errorf("node %d of %q is %s", r.Node, name, short(r.Value))
						}
					}
				}
			},
		},
		{
			name: "values are opaque",
			rule: "a value comes back byte for byte, whatever it is and however long",
			run: func(k *storeKit) {
				r := rand.New(rand.NewPCG(1, 2))
				long := make([]byte, 64<<10)
				for i := range long {
					long[i] = byte(r.Uint32())
				}
				values := [][]byte{{}, {0}, []byte("text"), []byte(`{"json":true}`), []byte("'; --\n\r\x00"), {0xff, 0xfe}, long}
				ns := k.create(theName)
				var revisions []uint64
				for i, v := range values {
					revisions = append(revisions, k.write(pool.Write{Namespace: theName, NamespaceRevision: ns, Node: int64(i), Value: v}))
				}
				for i, v := range values {
					k.mustBe("a node's record", k.node(int64(i)), v, revisions[i])
				}
				for _, v := range values {
					ns = k.write(pool.Write{Namespace: theName, NamespaceRevision: ns, OfNamespace: true, Value: v})
					k.mustBe("a namespace's record", k.namespace(theName), v, ns)
				}
			},
		},
		{
			name: "values are not shared",
			rule: "who changes a slice that it gave or got does not change the record",
			run: func(k *storeKit) {
				value := []byte("value")
				ns := k.create(theName)
				ns = k.write(pool.Write{Namespace: theName, NamespaceRevision: ns, OfNamespace: true, Value: value})
				node := k.write(pool.Write{Namespace: theName, NamespaceRevision: ns, Value: value})
				for range 2 {
					clear(value)
					clear(k.namespace(theName).Value)
					clear(k.node(0).Value)
					k.mustBe("the namespace", k.namespace(theName), []byte("value"), ns)
					k.mustBe("the node", k.node(0), []byte("value"), node)
				}
			},
		},
		{
			name:  "the clock",
			rule:  "Now is the clock that the store was given, wherever it jumps",
			needs: func(f StoreFactory) bool { return !f.OwnClock },
			run: func(k *storeKit) {
				for _, move := range []func(){
					func() {}, func() { k.clock.Advance(1) }, func() { k.clock.Jump(1 << 55) }, func() { k.clock.StepBack(1 << 55) },
				} {
					move()
					now, err := k.store.Now(k.ctx())
					if want := k.clock.Now(); err != nil || now != want {
						k.errorf("Now: %d, %v, want %d", now, err, want)
					}
				}
			},
		},
		{
			name:  "the engine's clock",
			rule:  "an engine's clock gives a time that is no nonsense",
			needs: func(f StoreFactory) bool { return f.OwnClock },
			run: func(k *storeKit) {
				now, err := k.store.Now(k.ctx())
				if err != nil || now <= 0 {
					k.errorf("Now: %d, %v", now, err)
				}
			},
		},
		{
			name: "exclusive or not",
			rule: "Exclusive says what the kind of store promises",
			run: func(k *storeKit) {
				if got := k.store.Exclusive(); got != k.f.Exclusive {
					k.errorf("Exclusive: %v, want %v", got, k.f.Exclusive)
				}
			},
		},
		{
			name: "cancelled calls",
			rule: "a call whose context is done returns an error that is the context's, and writes nothing",
			run: func(k *storeKit) {
				ns := k.create(theName)
				ctx, cancel := context.WithCancel(k.ctx())
				cancel()
				check := func(what string, err error) {
					if !errors.Is(err, context.Canceled) {
						k.errorf("%s with a cancelled context: %v, want context.Canceled", what, err)
					}
				}
				_, err := k.store.Namespaces(ctx)
				check("Namespaces", err)
				_, err = k.store.Namespace(ctx, theName)
				check("Namespace", err)
				_, err = k.store.Namespace(ctx, "none")
				check("Namespace of none", err)
				_, err = k.store.Nodes(ctx, theName, 0, 1)
				check("Nodes", err)
				_, err = k.store.Nodes(ctx, "none", 0, 1)
				check("Nodes of none", err)
				_, err = k.store.Write(ctx, pool.Write{Namespace: theName, NamespaceRevision: ns, Value: []byte("x")})
				check("Write", err)
				_, err = k.store.Now(ctx)
				check("Now", err)
				k.mustBe("the node", k.node(0), nil, 0)
			},
		},
	}
}

func writeCases() []storeCase {
	const name = theName
	return []storeCase{
		{
			name: "create a namespace once",
			rule: "revision 0 means that there must be no record yet: of two who create a namespace, the second is refused",
			run: func(k *storeKit) {
				revision := k.create(name)
				k.refused(pool.Write{Namespace: name, OfNamespace: true, Value: []byte("second")})
				k.mustBe("the namespace", k.namespace(name), []byte(name), revision)
				k.names(name)
			},
		},
		{
			name: "replace a namespace",
			rule: "a namespace's record is replaced if it has the revision given, and its revision changes; who has read an earlier one is refused",
			run: func(k *storeKit) {
				first := k.create(name)
				k.refused(pool.Write{Namespace: name, NamespaceRevision: first + 1, OfNamespace: true})
				second := k.write(pool.Write{Namespace: name, NamespaceRevision: first, OfNamespace: true, Value: []byte("second")})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: first, OfNamespace: true, Value: []byte("third")})
				k.mustBe("the namespace", k.namespace(name), []byte("second"), second)
				k.refused(pool.Write{Namespace: "other", NamespaceRevision: second, OfNamespace: true})
				k.names(name)
			},
		},
		{
			name: "create a node once",
			rule: "revision 0 means that there must be no record yet: of two who take a node that was never used, the second is refused",
			run: func(k *storeKit) {
				ns := k.create(name)
				k.refused(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: 1})
				k.mustBe("the node", k.node(5), nil, 0)
				revision := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("first")})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("second")})
				k.mustBe("the node", k.node(5), []byte("first"), revision)
			},
		},
		{
			name: "replace a node",
			rule: "a node's record is replaced if it has the revision given; who has read an earlier one is refused, and changes nothing",
			run: func(k *storeKit) {
				ns := k.create(name)
				first := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, Value: []byte("first")})
				second := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: first, Value: []byte("second")})
				for _, wrong := range []uint64{0, first, second + 1, second - 1, ^uint64(0)} {
					if wrong != second {
						k.refused(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 5, NodeRevision: wrong, Value: []byte("third")})
					}
				}
				k.mustBe("the node", k.node(5), []byte("second"), second)
				k.mustBe("the namespace, of which only a node was written", k.namespace(name), []byte(name), ns)
			},
		},
		{
			name: "a node under an old namespace",
			rule: "a node is written only if the namespace has not changed either: a floor raised meanwhile must not be missed by a grant that was decided before",
			run: func(k *storeKit) {
				old := k.create(name)
				node := k.write(pool.Write{Namespace: name, NamespaceRevision: old, Node: 5, Value: []byte("first")})
				now := k.write(pool.Write{Namespace: name, NamespaceRevision: old, OfNamespace: true, Value: []byte("floor raised")})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: old, Node: 5, NodeRevision: node, Value: []byte("second")})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: old, Node: 6, Value: []byte("new")})
				k.refused(pool.Write{Namespace: name, Node: 6, Value: []byte("new")})
				k.mustBe("the node", k.node(5), []byte("first"), node)
				k.mustBe("the node never written", k.node(6), nil, 0)
				node = k.write(pool.Write{Namespace: name, NamespaceRevision: now, Node: 5, NodeRevision: node, Value: []byte("second")})
				k.mustBe("the node", k.node(5), []byte("second"), node)
			},
		},
		{
			name: "a node without a namespace",
			rule: "a node is written only into a namespace that exists, and makes none by being refused",
			run: func(k *storeKit) {
				k.refused(pool.Write{Namespace: name, Node: 1, Value: []byte("x")})
				k.refused(pool.Write{Namespace: name, NamespaceRevision: 1, Node: 1, Value: []byte("x")})
				k.names()
				k.mustBe("the namespace", k.namespace(name), nil, 0)
				if r := k.nodes(name, -1, 100); len(r) != 0 {
					k.errorf("there are %d nodes", len(r))
				}
				k.create(name)
				if r := k.nodes(name, -1, 100); len(r) != 0 {
					k.errorf("there are %d nodes in a new namespace", len(r))
				}
			},
		},
		{
			name: "a namespace is no node",
			rule: "with OfNamespace only the namespace's revision counts, and only its record is written, whatever Node and NodeRevision are",
			run: func(k *storeKit) {
				ns := k.create(name)
				zero := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 0, Value: []byte("zero")})
				ns = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, OfNamespace: true, Value: []byte("second")})
				ns = k.write(pool.Write{Namespace: name, NamespaceRevision: ns, OfNamespace: true, Node: 7, NodeRevision: 99, Value: []byte("third")})
				k.mustBe("the namespace", k.namespace(name), []byte("third"), ns)
				k.mustBe("node 0", k.node(0), []byte("zero"), zero)
				k.mustBe("node 7", k.node(7), nil, 0)
			},
		},
		{
			name: "one record at a time",
			rule: "writing a node leaves all other nodes, and their revisions, as they are",
			run: func(k *storeKit) {
				ns := k.create(name)
				first := k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, Value: []byte("one")})
				for node := range int64(4) {
					if node != 1 {
						k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: node, Value: []byte("other")})
					}
				}
				k.mustBe("node 1", k.node(1), []byte("one"), first)
				k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: 1, NodeRevision: first, Value: []byte("one again")})
			},
		},
		{
			name: "revisions never come back",
			rule: "a record's revision changes with every write, also of the same value, and never to one that it had before: who reads twice must see that something happened in between",
			run: func(k *storeKit) {
				ns, node := k.create(name), uint64(0)
				seen := map[bool]map[uint64]bool{false: {}, true: {ns: true}}
				for range 200 {
					for _, of := range []bool{true, false} {
						w := pool.Write{Namespace: name, NamespaceRevision: ns, Node: 3, NodeRevision: node, OfNamespace: of, Value: []byte("same")}
						revision := k.write(w)
						if seen[of][revision] {
							k.fatalf("Write of %s returned revision %d, which it had before", describe(w), revision)
						}
						seen[of][revision] = true
						if of {
							ns = revision
						} else {
							node = revision
						}
					}
				}
				k.mustBe("the namespace", k.namespace(name), []byte("same"), ns)
				k.mustBe("the node", k.node(3), []byte("same"), node)
			},
		},
	}
}

func rangeCases() []storeCase {
	const name = theName
	return []storeCase{
		{
			name: "ranges of nodes",
			rule: "Nodes returns the nodes from first to last, both included, in order of their numbers, and only those that exist; −1 is a number too",
			run: func(k *storeKit) {
				all := []int64{-1, 0, 1, 2, 9, 10, 11, 99, 100, 127, 128, 255, 256, 257, 1000, 65535, 65536, 1<<22 - 1, 1 << 22, 1<<31 - 1, 1 << 31, 1<<32 + 1, 1<<62 - 1}
				order := slices.Clone(all)
				rand.New(rand.NewPCG(3, 4)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
				ns := k.create(name)
				for _, node := range order {
					k.write(pool.Write{Namespace: name, NamespaceRevision: ns, Node: node, Value: []byte{byte(node)}})
				}
				bounds := []int64{-1, 0, 1, 2, 3, 10, 99, 101, 255, 256, 258, 65535, 65537, 1 << 22, 1 << 31, 1 << 33, 1<<62 - 1}
				for _, first := range bounds {
					for _, last := range bounds {
						var want []int64
						for _, node := range all {
							if first <= node && node <= last {
								want = append(want, node)
							}
						}
						var got []int64
						for _, r := range k.nodes(name, first, last) {
							got = append(got, r.Node)
							if !bytes.Equal(r.Value, []byte{byte(r.Node)}) {
								k.errorf("node %d has the value %s", r.Node, short(r.Value))
							}
						}
						if !equal(got, want) {
							k.errorf("Nodes from %d to %d: %d, want %d", first, last, got, want)
						}
					}
				}
			},
		},
		{
			name: "many nodes",
			rule: "Nodes returns all that there are, however many: none is lost at the end of a page",
			run: func(k *storeKit) {
				const many, goroutines = 1200, 30
				ns := k.create(name)
				k.together(goroutines, func(i int) error {
					for node := int64(i); node < many; node += goroutines {
						if _, err := k.store.Write(k.ctx(), pool.Write{Namespace: name, NamespaceRevision: ns, Node: node, Value: []byte("x")}); err != nil {
							return err
						}
					}
					return nil
				})
				if got := len(k.nodes(name, 0, 1<<22)); got != many {
					k.errorf("%d nodes, want %d", got, many)
				}
				if got := len(k.nodes(name, 1, many-2)); got != many-2 {
					k.errorf("%d nodes from 1 to %d, want %d", got, many-2, many-2)
				}
			},
		},
	}
}
