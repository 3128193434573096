package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// TestExample reads the file that the documentation shows.
func TestExample(t *testing.T) {
	path := filepath.Join("testdata", "server.yaml")
	c, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, []string{path, filepath.Join("testdata", "tokens")}, c.Files)

	orders, err := layout.Parse("epoch=2025-01-01T00:00:00Z,unit=1ms,time=41,node=10,sequence=12")
	require.NoError(t, err)
	want := pool.NewNamespace("default", layout.Default())
	want.Ranges = []pool.Range{
		{First: 0, Last: 15, Use: pool.ByHand},
		{First: 16, Last: 127},
		{First: 128, Last: 128, Use: pool.ByHand},
		{First: 129, Last: 239},
		{First: 240, Last: 255, Use: pool.Legacy},
	}
	second := pool.NewNamespace("orders-eu", orders)
	second.Terms = pool.Terms{Skew: 2 * time.Second, FirstWindow: 20 * time.Second, Window: 2 * time.Minute, Horizon: 5 * time.Minute}
	assert.Equal(t, []pool.Namespace{want, second}, c.Namespaces)

	p, err := c.Policy()
	require.NoError(t, err)
	for secret, name := range map[string]string{"example-1": "reports", "example-2": "billing", "example-3": "billing"} {
		id, err := p.Identify(nil, secret)
		require.NoError(t, err)
		assert.Equal(t, access.Identity{Name: name, By: access.Bearer}, id)
	}
	billing := access.Identity{Name: "billing"}
	require.NoError(t, p.Allow(billing, "orders-eu", access.Lease))
	require.Error(t, p.Allow(billing, "default", access.Lease))
	assert.Equal(t, 100, p.Quota(billing, "orders-eu"))
	require.NoError(t, p.Allow(access.Identity{Name: "ops"}, "any", access.Manage))
	require.NoError(t, p.Allow(access.Anonymous(), "default", access.Legacy))
	assert.Equal(t, []access.Match{{URI: "spiffe://example.org/billing"}, {DNS: "billing.example.org"}}, c.Access.Identities[0].Certificates)
	assert.Equal(t, []access.Match{{CommonName: "ops"}}, c.Access.Identities[1].Certificates)
}

func TestWithoutAccess(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "namespaces: []", "{}"} {
		c, err := Parse([]byte(text), "server.yaml", nil)
		require.NoError(t, err, text)
		assert.Nil(t, c.Access, text)
		p, err := c.Policy()
		require.NoError(t, err)
		require.NoError(t, p.Allow(access.Anonymous(), "any", access.Manage), "open")
	}
	c, err := Parse([]byte("access: {}"), "server.yaml", nil)
	require.NoError(t, err)
	p, err := c.Policy()
	require.NoError(t, err)
	require.Error(t, p.Allow(access.Anonymous(), "any", access.Look), "there, and empty")
}

// files reads from a map.
func files(m map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if text, ok := m[filepath.ToSlash(path)]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("open %s: %w", path, os.ErrNotExist)
	}
}

func TestMistakes(t *testing.T) {
	ns := func(s string) string { return "namespaces:\n  - name: a\n    layout: easyflake\n    " + s }
	allow := func(s string) string { return "access:\n  permissions:\n    - identity: anonymous\n      " + s }
	tests := map[string]struct{ text, want string }{
		"no YAML":                {"a: [", "/etc/s.yaml:1: is no YAML: "},
		"no YAML, line":          {"a: b\n\tc", "is no YAML: "},
		"invalid UTF-8":          {"a: \xff", "/etc/s.yaml: is no YAML: "},
		"two documents":          {"namespaces: []\n---\naccess: {}", "/etc/s.yaml:2: begins a second document"},
		"broken second document": {"namespaces: []\n---\n[", "is no YAML"},
		"a list":                 {"- a", "/etc/s.yaml:1: must be keys and values, not a list"},
		"text":                   {"text", `/etc/s.yaml:1: must be keys and values, not "text"`},
		"anchor":                 {"namespaces: &a []", "/etc/s.yaml:1: anchors and aliases"},
		"alias":                  {"namespaces: &a []\nb: *a", "anchors and aliases"},
		"merge":                  {"<<: {namespaces: []}", `unknown key "<<"`},
		"tag":                    {"namespaces: !!set {}", "namespaces: must be a list, not keys and values"},
		"own tag":                {"namespaces: !x []", "namespaces: must be a list"},
		"deep":                   {strings.Repeat("[", 20) + strings.Repeat("]", 20), "/etc/s.yaml:1: is nested too deep"},
		"very deep":              {strings.Repeat("[", 20_000), "/etc/s.yaml"},
		"too long":               {strings.Repeat("#", maxFile+1), "/etc/s.yaml: is longer"},
		"unknown key":            {"namespace: []", `/etc/s.yaml:1: unknown key "namespace"; the nearest is "namespaces"`},
		"unknown deeper":         {ns("windows: 1m"), `/etc/s.yaml:4: namespaces[0]: unknown key "windows"; the nearest is "window"`},
		"key twice":              {"namespaces: []\nnamespaces: []", "/etc/s.yaml:2: namespaces: is given twice, first in line 1"},
		"key twice, deeper":      {ns("layout: twitter"), "/etc/s.yaml:4: namespaces[0].layout: is given twice, first in line 3"},
		"a list for a key":       {"[a]: b", "a key must be one of namespaces, access"},
		"a number for a key":     {"1: b", `unknown key "1"`},
		"no namespaces":          {"namespaces:", "/etc/s.yaml:1: namespaces: must be a list, not nothing"},
		"no name":                {"namespaces: [{layout: easyflake}]", `namespaces[0]: the key "name" is missing`},
		"no layout":              {"namespaces: [{name: a}]", `namespaces[0]: the key "layout" is missing`},
		"a number for a name":    {"namespaces: [{name: 12, layout: easyflake}]", "namespaces[0].name: must be text, not 12; put text"},
		"empty name":             {`namespaces: [{name: "", layout: easyflake}]`, "namespaces[0].name: must not be empty"},
		"bad name":               {"namespaces: [{name: a/b, layout: easyflake}]", "must not contain spaces"},
		"name twice":             {ns("\n  - {name: a, layout: twitter}"), `/etc/s.yaml:5: namespaces[1]: namespace "a" is given twice, first in line 2`},
		"unknown layout":         {"namespaces: [{name: a, layout: twiter}]", "twitter"},
		"bad layout":             {"namespaces: [{name: a, layout: node=99}]", "namespaces[0].layout: layout: node bits"},
		"number for a duration":  {ns("window: 60"), "/etc/s.yaml:4: namespaces[0].window: must be a duration with its unit, such as 10s or 2m, not 60"},
		"bad duration":           {ns("window: 1 minute"), `not "1 minute"`},
		"window too short":       {ns("first_window: 1s"), "/etc/s.yaml:4: namespaces[0].first_window: layout: first window 1s: must be at least 2s"},
		"negative skew":          {ns("skew: -1s"), "namespaces[0].skew: layout: skew -1s: must not be negative"},
		"horizon too near":       {ns("horizon: 30s"), "/etc/s.yaml:4: namespaces[0].horizon: "},
		"nodes past the last":    {ns(`by_hand: ["0-256"]`), "/etc/s.yaml:4: namespaces[0].by_hand[0]: must lie between 0 and 255"},
		"nodes the wrong way":    {ns(`by_hand: ["9-3"]`), "by_hand[0]: must be nodes, the first and the last"},
		"no nodes":               {ns("by_hand: [x]"), "by_hand[0]: must be nodes"},
		"negative nodes":         {ns("legacy: -5"), "legacy: must be nodes"},
		"huge nodes":             {ns("legacy: 0-99999999999999999999"), "legacy: must be nodes"},
		"largest nodes":          {ns("legacy: 0-9223372036854775807"), "legacy: must lie between"},
		"nodes without a list":   {ns("by_hand: 0-15"), `by_hand: must be a list, not "0-15"`},
		"legacy with a list":     {ns("legacy: [0-15]"), "legacy: must be nodes, such as 0-15, not a list"},
		"nodes shared":           {ns("by_hand: [0-15, 8-20]"), "by_hand[1]: shares nodes with another range"},
		"nodes shared, legacy":   {ns("by_hand: [0-15]\n    legacy: 15"), "/etc/s.yaml:5: namespaces[0].legacy: shares nodes"},
		"access: nothing":        {"access:", "/etc/s.yaml:1: access: must be keys and values, not nothing"},
		"access: null":           {"access: ~", "access: must be keys and values, not nothing"},
		"access: unknown":        {"access: {tokenfile: x}", `/etc/s.yaml:1: access: unknown key "tokenfile"; the nearest is "token_file"`},
		"tokens missing":         {"access: {token_file: none}", "/etc/s.yaml:1: access.token_file: open " + filepath.FromSlash("/etc/none")},
		"tokens bad":             {"access: {token_file: bad}", filepath.FromSlash("/etc/bad") + ":2: a token's hash is"},
		"certificate unknown":    {"access: {identities: [{name: a, certificates: [{url: x}]}]}", `access.identities[0].certificates[0]: unknown key "url"; the nearest is "uri"`},
		"certificate pattern":    {"access:\n  identities:\n  - name: a\n    certificates: [{dns: '*.x'}]", "/etc/s.yaml:3: access.identities[0]: access: identity 1: certificates"},
		"identity incomplete":    {"access: {identities: [{name: a}]}", `access.identities[0]: the key "certificates" is missing`},
		"unknown identity":       {"access:\n  permissions:\n  - {identity: b, namespace: x, actions: [look]}", `/etc/s.yaml:3: access.permissions[0]: access: permission 1: identity "b": is unknown`},
		"permission incomplete":  {allow("namespace: x"), `access.permissions[0]: the key "actions" is missing`},
		"unknown action":         {allow("namespace: x\n      actions: [leas]"), `/etc/s.yaml:5: access.permissions[0].actions[0]: unknown action "leas"; the nearest is "lease"`},
		"quota 0":                {allow("namespace: x\n      actions: [lease]\n      quota: 0"), "/etc/s.yaml:6: access.permissions[0].quota: must be a whole number from 1 on, not 0"},
		"quota as text":          {allow("namespace: x\n      actions: [lease]\n      quota: '5'"), `quota: must be a whole number from 1 on, not "5"`},
		"quota huge":             {allow("namespace: x\n      actions: [lease]\n      quota: 99999999999"), "quota: must be a whole number"},
		"long value":             {ns("window: " + strings.Repeat("x", 1000)), strings.Repeat("x", maxShown) + `…"`},
	}
	read := files(map[string]string{"/etc/bad": "# x\nbilling secret\n"})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := Parse([]byte(test.text), "/etc/s.yaml", read)
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, c)
			assert.Len(t, lines(err), 1, "one mistake, one line")
			assert.Less(t, len(err.Error()), 400)
		})
	}
}

func lines(err error) []string { return strings.Split(err.Error(), "\n") }

func TestAllMistakesTogether(t *testing.T) {
	text := `
namespaces:
  - {name: a, layout: nothing, skew: 5}
  - {layout: easyflake, by_hand: [300]}
acess: {}
access: {permissions: [{identity: x}], token_file: none}
`
	_, err := Parse([]byte(text), "s.yaml", files(nil))
	var all []string
	for _, line := range lines(err) {
		all = append(all, strings.Join(strings.Split(line, ": ")[:2], ": "))
	}
	assert.Equal(t, []string{
		"s.yaml:3: namespaces[0].layout",
		"s.yaml:4: namespaces[1]",
		"s.yaml:4: namespaces[1].by_hand[0]",
		`s.yaml:5: unknown key "acess"; the nearest is "access"`,
		"s.yaml:6: access.permissions[0]",
		"s.yaml:6: access.permissions[0]",
		"s.yaml:6: access.token_file",
	}, all)
	require.ErrorIs(t, err, os.ErrNotExist)
	key, ok := errors.AsType[*KeyError](err)
	require.True(t, ok)
	assert.Equal(t, "namespaces[0].layout", key.Key)
	_, ok = errors.AsType[*layout.UnknownPresetError](err)
	assert.True(t, ok)

	_, err = Parse([]byte(strings.Repeat("x: 1\n", 100)), "s.yaml", nil)
	assert.Len(t, lines(err), maxProblems, "bounded")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	_, hash := access.NewSecret()
	tokens := put("tokens", "billing "+hash+"\n", 0o644)
	relative := put("relative.yaml", "access: {token_file: tokens}", 0o664)
	absolute := put("absolute.yaml", fmt.Sprintf("access: {token_file: %q}", tokens), 0o600)
	for _, path := range []string{relative, absolute} {
		c, err := Load(path)
		require.NoError(t, err)
		assert.Equal(t, []string{path, tokens}, c.Files)
		assert.Len(t, c.Access.Tokens, 1)
	}

	_, err := Load(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(dir)
	require.ErrorContains(t, err, "is not a regular file")
	_, err = Load(put("long", strings.Repeat("#", maxFile+1), 0o600))
	require.ErrorContains(t, err, "is longer")

	if runtime.GOOS == "windows" {
		return // where modes say nothing about who can write
	}
	put("tokens", "", 0o646)
	_, err = Load(relative)
	mode, ok := errors.AsType[*ModeError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, ModeError{Path: tokens, Mode: 0o646}, *mode)
	assert.Contains(t, err.Error(), "chmod o-w "+tokens)
	require.NoError(t, os.Chmod(relative, 0o666))
	_, err = Load(relative)
	assert.ErrorContains(t, err, "chmod o-w "+relative)
}

// FuzzParse looks for what makes it panic, or accept what the policy or the pool
// then refuses.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(filepath.Join("testdata", "server.yaml"))
	require.NoError(f, err)
	tokens, err := os.ReadFile(filepath.Join("testdata", "tokens"))
	require.NoError(f, err)
	f.Add(example)
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("namespaces: [{name: a, layout: easyflake, legacy: 0x1}]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "server.yaml", func(string) ([]byte, error) { return tokens, nil })
		if err != nil {
			return
		}
		for _, ns := range c.Namespaces {
			require.NoError(t, ns.Validate())
		}
		_, err = c.Policy()
		require.NoError(t, err)
	})
}
