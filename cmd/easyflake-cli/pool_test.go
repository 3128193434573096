package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/filestore"
)

// nodesOf returns the file of the user's own pool.
func nodesOf(state string) string { return filepath.Join(state, "easyflake", "nodes") }

// hold leases a node of the user's own pool, and never gives it back.
func hold(t *testing.T, state, namespace string, l layout.Layout) pool.Grant {
	t.Helper()
	s, err := filestore.Open(nodesOf(state))
	require.NoError(t, err)
	p := pool.New(s)
	g, err := p.Acquire(t.Context(), namespace, l, pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	return g
}

// leaseOutput runs a command by the state folder's pool, which must succeed in silence.
func leaseOutput(t *testing.T, state string, args ...string) string {
	t.Helper()
	r := newLeaseTrial(t, state, args...)
	require.Equal(t, statusOK, r.run(), "%q: %s", args, &r.err)
	require.Empty(t, r.err.String(), "%q", args)
	return r.out.String()
}

// leases lists the leases of the only namespace of the user's own pool.
func leases(t *testing.T, state string) []leaseFacts {
	t.Helper()
	var list []leaseFacts
	for line := range strings.Lines(leaseOutput(t, state, "lease", "list", "--json")) {
		var f leaseFacts
		require.NoError(t, json.Unmarshal([]byte(line), &f))
		list = append(list, f)
	}
	return list
}

func TestStateFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths of other systems are not absolute on Windows")
	}
	for _, test := range []struct {
		goos string
		env  map[string]string
		want string
	}{
		{"linux", map[string]string{"HOME": "/home/u"}, "/home/u/.local/state/easyflake"},
		{"linux", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/s"}, "/s/easyflake"},
		{"linux", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "s"}, "/home/u/.local/state/easyflake"},
		{"freebsd", map[string]string{"HOME": "/home/u"}, "/home/u/.local/state/easyflake"},
		{"darwin", map[string]string{"HOME": "/Users/u"}, "/Users/u/Library/Application Support/easyflake"},
		{"darwin", map[string]string{"HOME": "/Users/u", "XDG_STATE_HOME": "/s"}, "/s/easyflake"},
		{"windows", map[string]string{"LocalAppData": "/c/u"}, "/c/u/easyflake"},
		{"windows", map[string]string{"HOME": "/home/u"}, ""},
		{"linux", map[string]string{}, ""},
		{"linux", map[string]string{"HOME": "u"}, ""},
	} {
		got, err := stateFolder(test.goos, func(key string) string { return test.env[key] })
		assert.Equal(t, test.want, got)
		if test.want == "" {
			require.ErrorContains(t, err, "--pool file:PATH")
		}
	}
	r := newLeaseTrial(t, "", "next")
	r.env = nil
	assert.Equal(t, statusFailed, r.run())
	assert.Empty(t, r.out.String())
	assert.Contains(t, r.err.String(), "--pool file:PATH")
}

// TestNextGivesItsNodeBack in whatever way it ends.
func TestNextGivesItsNodeBack(t *testing.T) {
	state := t.TempDir()
	assert.Len(t, ids(t, leaseOutput(t, state, "next", "-n", "1000")), 1000)

	ctx, cancel := context.WithCancelCause(t.Context())
	r := newLeaseTrial(t, state, "next", "-n", "1000000000")
	w := cancelingWriter{cancel: cancel}
	r.stdout = &w
	assert.Equal(t, 130, r.runUntil(ctx))
	assert.NotEmpty(t, ids(t, w.String()))
	assert.Empty(t, r.err.String())

	r = newLeaseTrial(t, state, "next", "-n", "1000000000")
	r.stdout = &brokenWriter{room: 10, err: syscall.EPIPE}
	assert.Equal(t, 141, r.run())
	assert.Empty(t, r.err.String())

	list := leases(t, state)
	assert.NotEmpty(t, list)
	for _, lease := range list {
		assert.Equal(t, "free", lease.State)
		assert.Equal(t, layout.Default().String(), lease.Namespace)
	}
}

func TestNextAlreadyInterrupted(t *testing.T) {
	r := newLeaseTrial(t, t.TempDir(), "next")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&interruptedError{signal: syscall.SIGINT})
	assert.Equal(t, 130, r.runUntil(ctx))
	assert.Empty(t, r.out.String())
	assert.Empty(t, r.err.String())
}

// TestNextAtOnceNeverRepeats, all strategies by one pool.
func TestNextAtOnceNeverRepeats(t *testing.T) {
	state := t.TempDir()
	const runs, n = 6, 20_000
	outs := make(chan string, runs)
	for i := range runs {
		r := newLeaseTrial(t, state, "next", "-n", strconv.Itoa(n), "--layout", "node=4,sequence=12", "--strategy", []string{"mutex", "atomic", "sharded"}[i%3])
		go func() {
			assert.Equal(t, statusOK, r.run(), "stderr: %s", &r.err)
			outs <- r.out.String()
		}()
	}
	seen := make(map[int64]bool)
	for range runs {
		for _, id := range ids(t, <-outs) {
			require.False(t, seen[id], "%d twice", id)
			seen[id] = true
		}
	}
	assert.Len(t, seen, runs*n)
}

func TestNextTakesTheNamespaceOfItsLayout(t *testing.T) {
	for _, scheme := range []string{"file:", "bolt:"} {
		state, url := t.TempDir(), scheme+filepath.Join(t.TempDir(), "folder", "pool")
		create := func(args ...string) {
			t.Helper()
			leaseOutput(t, state, append([]string{"namespace", "create", "--pool", url}, args...)...)
		}
		create("orders", "--layout", "twitter", "--by-hand", "0-9")
		// The only one of this layout.
		id := ids(t, leaseOutput(t, state, "next", "--pool", url, "--layout", "twitter"))[0]
		twitter, err := layout.Parse("twitter")
		require.NoError(t, err)
		p, err := twitter.Decompose(layout.ID(id))
		require.NoError(t, err)
		assert.Greater(t, p.Node, int64(9))
		leaseOutput(t, state, "next", "--pool", url, "--layout", "twitter", "--namespace", "orders")

		create("users", "--layout", "twitter")
		r := newLeaseTrial(t, state, "next", "--pool", url, "--layout", "twitter")
		assert.Equal(t, statusUsage, r.run())
		assert.Contains(t, r.err.String(), "orders, users")
		assert.Empty(t, r.out.String())

		create(twitter.String(), "--layout", "twitter")
		leaseOutput(t, state, "next", "--pool", url, "--layout", "twitter")

		// A bolt pool's namespaces are somebody's to choose.
		r = newLeaseTrial(t, state, "next", "--pool", url)
		if scheme == "file:" {
			assert.Equal(t, statusOK, r.run())
		} else {
			assert.Equal(t, statusFailed, r.run())
			assert.Contains(t, r.err.String(), "namespace create NAME --layout LAYOUT --pool "+url)
			assert.Empty(t, r.out.String())
		}
	}
}

func TestLeasesAreListedRevokedAndRetired(t *testing.T) {
	state := t.TempDir()
	leaseOutput(t, state, "namespace", "create", "orders", "--by-hand", "0-6", "--legacy", "9-255")
	a := hold(t, state, "orders", layout.Default())
	b := hold(t, state, "orders", layout.Default())
	states := func() map[int64]string {
		t.Helper()
		m := make(map[int64]string)
		for _, lease := range leases(t, state) {
			m[lease.Node] = lease.State
		}
		return m
	}
	assert.Equal(t, map[int64]string{a.Node: "held", b.Node: "held"}, states())

	table := lines(leaseOutput(t, state, "lease", "list"))
	require.Len(t, table, 3)
	assert.Equal(t, "NODE STATE HOLDER FROM UNTIL LEFT RENEWALS", strings.Join(strings.Fields(table[0]), " "))
	first := a
	if b.Node < a.Node {
		first = b
	}
	assert.Equal(t, []string{"7", "held", first.Token.String()}, strings.Fields(table[1])[:3])
	secret, err := first.Token.MarshalText()
	require.NoError(t, err)
	assert.NotContains(t, table[1], string(secret))

	// All nodes are taken.
	r := newLeaseTrial(t, state, "next", "--namespace", "orders")
	assert.Equal(t, statusFailed, r.run())
	assert.Empty(t, r.out.String())
	assert.Contains(t, r.err.String(), "try again in")
	assert.NotContains(t, r.err.String(), "pool:")

	assert.Contains(t, leaseOutput(t, state, "lease", "revoke", "7"), "node 7 of orders is revoked; its holder may make IDs until ")
	assert.Equal(t, map[int64]string{7: "revoked", 8: "held"}, states())
	assert.Contains(t, leaseOutput(t, state, "lease", "retire", "8"), "node 8 of orders is retired, and never leased again; its holder may make IDs until ")
	assert.Equal(t, map[int64]string{7: "revoked", 8: "retired"}, states())

	for args, want := range map[string]string{
		"lease revoke 256":                      "node 256: must be between 0 and 255",
		"lease retire 3":                        "node 3",
		"lease revoke 3":                        "no holder",
		"lease list --namespace order":          `the nearest is "orders"`,
		"lease list --namespace x":              "namespace create x",
		"lease revoke 7 --namespace oders":      `the nearest is "orders"`,
		"namespace accept-clock ordres":         `the nearest is "orders"`,
		"namespace create orders":               "exists already",
		"namespace create a --layout baidu":     "life is over",
		"next --namespace order":                `the nearest is "orders"`,
		"next --namespace orders --layout js53": "has the layout " + layout.Default().String(),
	} {
		r := newLeaseTrial(t, state, strings.Fields(args)...)
		assert.Contains(t, []int{statusFailed, statusUsage}, r.run(), args)
		assert.Empty(t, r.out.String(), args)
		assert.Contains(t, r.err.String(), want, args)
		assert.NotContains(t, r.err.String(), "pool: ", args)
	}

	leaseOutput(t, state, "namespace", "create", "users")
	r = newLeaseTrial(t, state, "lease", "list")
	assert.Equal(t, statusUsage, r.run())
	assert.Contains(t, r.err.String(), "--namespace: orders, users")
}

func TestNamespaces(t *testing.T) {
	for _, scheme := range []string{"file:", "bolt:"} {
		state, url := t.TempDir(), scheme+filepath.Join(t.TempDir(), "pool")
		run := func(args ...string) string { return leaseOutput(t, state, append(args, "--pool", url)...) }
		assert.Equal(t, "created namespace orders in "+url+"\nlayout "+layout.Default().String()+", nodes 0-9 by-hand, 10-254, 255 legacy\n",
			run("namespace", "create", "orders", "--legacy", "255", "--by-hand", "0-9"))
		run("namespace", "create", "jobs", "--skew", "100ms", "--first-window", "1h")
		assert.Equal(t, `{"name":"jobs","layout":"`+layout.Default().String()+`","ranges":[{"first":0,"last":255,"use":"leased"}],"skew":"100ms","first_window":"1h0m0s","window":"1h0m0s","horizon":"2h0m0s","floor_tick":0}
{"name":"orders","layout":"`+layout.Default().String()+`","ranges":[{"first":0,"last":9,"use":"by-hand"},{"first":10,"last":254,"use":"leased"},{"first":255,"last":255,"use":"legacy"}],"skew":"1s","first_window":"10s","window":"1m0s","horizon":"2m0s","floor_tick":0}
`, run("namespace", "list", "--json"))
		table := lines(run("namespace", "list"))
		require.Len(t, table, 3)
		assert.Contains(t, table[2], "0-9 by-hand, 10-254, 255 legacy  10s to 1m0s")
		assert.Contains(t, run("namespace", "accept-clock", "jobs"), "namespace jobs goes by this machine's clock: 20")
	}
}

func TestNoPoolYet(t *testing.T) {
	for args, want := range map[string]string{
		"lease list":                          "'easyflake-cli next' creates it",
		"namespace list":                      "'easyflake-cli next' creates it",
		"lease revoke 1":                      "'easyflake-cli next' creates it",
		"lease list --pool file:/no/such":     "namespace create NAME --layout LAYOUT --pool file:/no/such",
		"next --pool bolt:/no/such":           "namespace create NAME --layout LAYOUT --pool bolt:/no/such",
		"namespace accept-clock x --restored": "'easyflake-cli next' creates it",
	} {
		state := t.TempDir()
		r := newLeaseTrial(t, state, strings.Fields(args)...)
		assert.Equal(t, statusFailed, r.run(), args)
		assert.Empty(t, r.out.String(), args)
		assert.Contains(t, r.err.String(), want, args)
		assert.NoFileExists(t, nodesOf(state), args)
	}
}

// TestBadFiles are not touched.
func TestBadFiles(t *testing.T) {
	for _, test := range []struct {
		name string
		ruin func(path string) error
		want []string
	}{
		{"foreign", func(path string) error {
			return errors.Join(os.Remove(path+".id"), os.WriteFile(path, bytes.Repeat([]byte("not a store\n"), 4096), 0o600))
		}, []string{"not a store of EasyFlake", "name another path"}},
		{"truncated", func(path string) error { return os.Truncate(path, 5000) }, []string{"damaged"}},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, []string{"damaged"}},
		{"corrupted", func(path string) error {
			data, err := os.ReadFile(path)
			for i := range data {
				data[i] ^= 0x55
			}
			return errors.Join(err, os.WriteFile(path, data, 0o600))
		}, []string{"damaged"}},
		{"read-only", func(path string) error { return os.Chmod(path, 0o400) }, []string{"no permission", "writable"}},
		{"deleted", os.Remove, []string{"gone", "that is 'easyflake-cli namespace list --restored'"}},
		{"a folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := t.TempDir()
			leaseOutput(t, state, "next")
			path := nodesOf(state)
			require.NoError(t, test.ruin(path))
			before, readable := os.ReadFile(path)
			for _, args := range []string{"next -n 1000", "lease list", "lease revoke 1", "namespace list", "namespace create x", "namespace accept-clock x"} {
				r := newLeaseTrial(t, state, strings.Fields(args)...)
				assert.Equal(t, statusFailed, r.run(), args)
				assert.Empty(t, r.out.String(), args)
				assert.Contains(t, r.err.String(), path, args)
				for _, want := range test.want {
					assert.Contains(t, r.err.String(), want, args)
				}
				assert.Len(t, lines(r.err.String()), 1, args)
				after, err := os.ReadFile(path)
				assert.Equal(t, readable == nil, err == nil, args)
				assert.True(t, bytes.Equal(before, after), "%s: the file has changed", args)
			}
			_ = os.Chmod(path, 0o600)
		})
	}
}

// actingWriter does something once, at its first write.
type actingWriter struct {
	bytes.Buffer

	once sync.Once
	act  func()
}

func (w *actingWriter) Write(p []byte) (int, error) {
	w.once.Do(w.act)
	return w.Buffer.Write(p)
}

// TestRevokedNodeIsReplaced: the program goes on with another one.
func TestRevokedNodeIsReplaced(t *testing.T) {
	const text = "node=2,sequence=2"
	state := t.TempDir()
	leaseOutput(t, state, "namespace", "create", "short", "--layout", text, "--by-hand", "2-3",
		"--skew", "0s", "--first-window", "200ms", "--window", "200ms", "--horizon", "1s")
	l, err := layout.Parse(text)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	r := newLeaseTrial(t, state, "next", "-q", "-n", "1000000000", "--layout", text)
	nodes := make(map[int64]bool)
	r.stdout = writerFunc(func(p []byte) {
		for _, id := range ids(t, string(p)) {
			parts, err := l.Decompose(layout.ID(id))
			require.NoError(t, err)
			if len(nodes) == 0 {
				leaseOutput(t, state, "lease", "revoke", strconv.FormatInt(parts.Node, 10))
			}
			nodes[parts.Node] = true
		}
		if len(nodes) == 2 {
			cancel(&interruptedError{signal: syscall.SIGINT})
		}
	})
	assert.Equal(t, 130, r.runUntil(ctx))
	assert.Len(t, nodes, 2)
	assert.Empty(t, r.err.String(), "quiet")
}

// writerFunc takes what is written.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// TestFileThatVanishesMeanwhile ends the program, once its window is used up, and
// not with waiting for ever.
func TestFileThatVanishesMeanwhile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be removed on Windows")
	}
	for name, files := range map[string][]string{"file": {""}, "marker": {".id"}, "both": {"", ".id"}} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			leaseOutput(t, state, "namespace", "create", "short", "--layout", "node=2,sequence=2",
				"--skew", "0s", "--first-window", "200ms", "--window", "200ms", "--horizon", "1s")
			r := newLeaseTrial(t, state, "next", "-q", "-n", "1000000000", "--layout", "node=2,sequence=2")
			w := actingWriter{act: func() {
				for _, suffix := range files {
					assert.NoError(t, os.Remove(nodesOf(state)+suffix))
				}
			}}
			r.stdout = &w
			assert.Equal(t, statusFailed, r.run())
			assert.NotEmpty(t, ids(t, w.String()))
			assert.Contains(t, r.err.String(), nodesOf(state))
			assert.Contains(t, r.err.String(), "open it again")
		})
	}
}

// TestRestoredFiles make new windows wait for those that may be forgotten.
func TestRestoredFiles(t *testing.T) {
	old := func(t *testing.T, state string) { // puts an older copy back
		t.Helper()
		data, err := os.ReadFile(nodesOf(state))
		require.NoError(t, err)
		leaseOutput(t, state, "next")
		require.NoError(t, os.WriteFile(nodesOf(state), data, 0o600))
	}
	waits := func(t *testing.T, state string, args ...string) {
		t.Helper()
		r := newLeaseTrial(t, state, append([]string{"next"}, args...)...)
		assert.Equal(t, statusFailed, r.run())
		assert.Empty(t, r.out.String())
		assert.Contains(t, r.err.String(), "no window can begin yet; try again in ")
	}
	t.Run("older copy", func(t *testing.T) {
		state := t.TempDir()
		leaseOutput(t, state, "next")
		old(t, state)
		waits(t, state)
	})
	t.Run("lost, and begun anew", func(t *testing.T) {
		state := t.TempDir()
		leaseOutput(t, state, "next")
		require.NoError(t, os.Remove(nodesOf(state)))
		leaseOutput(t, state, "namespace", "list", "--restored")
		waits(t, state)
	})
	t.Run("said by the operator", func(t *testing.T) {
		state := t.TempDir()
		leaseOutput(t, state, "next")
		r := newLeaseTrial(t, state, "namespace", "list", "--restored", "--json")
		assert.Equal(t, statusOK, r.run(), &r.err)
		waits(t, state)
		list := objects(t, leaseOutput(t, state, "namespace", "list", "--json"))
		assert.NotEmpty(t, list[0]["floor"])
	})
	t.Run("bolt asks for the operator's word", func(t *testing.T) {
		state, file := t.TempDir(), filepath.Join(t.TempDir(), "pool")
		leaseOutput(t, state, "namespace", "create", "a", "--pool", "bolt:"+file)
		require.NoError(t, os.Remove(file+".id"))
		r := newLeaseTrial(t, state, "next", "--pool", "bolt:"+file)
		assert.Equal(t, statusFailed, r.run())
		assert.Empty(t, r.out.String())
		assert.Contains(t, r.err.String(), "namespace list --restored --pool bolt:"+file)
		r = newLeaseTrial(t, state, "namespace", "list", "--restored", "--pool", "bolt:"+file)
		assert.Equal(t, statusOK, r.run(), &r.err)
		waits(t, state, "--pool", "bolt:"+file)
	})
}
