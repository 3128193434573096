package fuzz

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/config"
)

// FuzzServerConfig looks for a configuration that makes its parser panic, that the
// policy or the pool then refuses, that allows somebody unknown what it does not
// say, or that is refused without a word of where.
func FuzzServerConfig(f *testing.F) {
	dir := filepath.Join("..", "pool", "grpcpool", "config", "testdata")
	example, err := os.ReadFile(filepath.Join(dir, "server.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	tokens, err := os.ReadFile(filepath.Join(dir, "tokens"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, tokens)
	f.Add([]byte("a: &a [*a]"), []byte(nil))
	f.Add([]byte("namespaces: [{name: a, layout: easyflake, legacy: 0x1}]"), []byte("\x00"))
	f.Add([]byte("? {a: b}\n: c"), tokens)
	f.Add([]byte("access: {token_file: t, permissions: [{identity: anonymous, namespace: 'a*', actions: [lease], quota: 1}]}"), []byte("anonymous x"))
	f.Add([]byte("namespaces:\n- {name: a, layout: 'unit=1h,node=62,sequence=0', by_hand: [0-9, '10'], skew: 1h, first_window: 3h, window: 3h, horizon: 3h}"), tokens)
	f.Add([]byte("access:\n"), tokens)
	f.Add([]byte("access: {}\n---\nnamespaces: []"), tokens)
	f.Add([]byte("!!binary aGVsbG8="), tokens)
	f.Add([]byte("namespaces: [{name: a, layout: easyflake, legacy: 9223372036854775807}]"), tokens)
	f.Fuzz(func(t *testing.T, data, tokens []byte) {
		c, err := config.Parse(data, "server.yaml", func(string) ([]byte, error) { return tokens, nil })
		if err != nil {
			var key *config.KeyError
			var token *access.TokenError
			if c != nil || !errors.As(err, &key) && !errors.As(err, &token) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		names := make(map[string]bool)
		for _, ns := range c.Namespaces {
			soundNamespace(t, ns)
			if names[ns.Name] {
				t.Fatalf("%q twice", ns.Name)
			}
			names[ns.Name] = true
		}
		policy, err := c.Policy()
		if err != nil {
			t.Fatalf("accepted, but the policy is refused: %v", err)
		}
		if c.Access == nil {
			return
		}
		allows := func(identity, namespace string, a access.Action) bool {
			return policy.Allow(access.Identity{Name: identity}, namespace, a) == nil
		}
		anonymous := false
		for _, p := range c.Access.Permissions {
			anonymous = anonymous || p.Identity == access.AnonymousName
		}
		if who, err := policy.Identify(nil, ""); (err == nil) != anonymous {
			t.Fatalf("who shows nothing is %+v (%v), permissions of anonymous: %v", who, err, anonymous)
		}
		if _, err := policy.Identify(nil, "a secret that nobody has"); err == nil {
			t.Fatal("a secret that nobody has is taken")
		}
		for _, a := range []access.Action{access.Lease, access.Look, access.Manage, access.Legacy} {
			if allows("somebody else's name #", "default", a) {
				t.Fatalf("somebody unknown may %v", a)
			}
		}
	})
}

// soundNamespace checks what is true of every namespace that a pool takes: the
// ranges divide the nodes, and each lies within the layout.
func soundNamespace(t *testing.T, ns pool.Namespace) {
	t.Helper()
	if err := ns.Validate(); err != nil {
		t.Fatalf("accepted, but refused by the pool: %v", err)
	}
	soundLayout(t, ns.Layout)
	if ns.Floor != 0 {
		t.Fatalf("%q begins with a floor", ns.Name)
	}
	next := int64(0)
	for _, r := range ns.Ranges {
		if r.First != next || r.Last < r.First {
			t.Fatalf("%q: %v do not divide the nodes", ns.Name, ns.Ranges)
		}
		next = r.Last + 1
	}
	if next != ns.Layout.MaxNode()+1 {
		t.Fatalf("%q: %v leave nodes out", ns.Name, ns.Ranges)
	}
	var field *layout.FieldError
	if bad := (pool.Namespace{Name: ns.Name}); !errors.As(bad.Validate(), &field) {
		t.Fatal("a namespace without a layout is valid")
	}
}
