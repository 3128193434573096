package boltfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/pool"
)

func with(change func(*Options)) []Option { return []Option{change} }

func creating(o *Options) { o.Create = true }

func restored(o *Options) { o.Restored = true }

func find(t *testing.T, path string, opts ...Option) *File {
	t.Helper()
	f, err := Find(path, 100*time.Millisecond, opts)
	require.NoError(t, err)
	return f
}

func start(t *testing.T, path string, opts ...Option) *Session {
	t.Helper()
	s, err := find(t, path, opts...).Start(t.Context())
	require.NoError(t, err)
	return s
}

// startErr opens what must be refused, and left as it is.
func startErr(t *testing.T, path string, opts ...Option) error {
	t.Helper()
	before := folder(t, path)
	f, err := Find(path, 100*time.Millisecond, opts)
	if err == nil {
		_, err = f.Start(t.Context())
	}
	require.Error(t, err)
	assert.Equal(t, before, folder(t, path), "what is in the folder must not change")
	return err
}

// folder returns what lies beside a file, and in it.
func folder(t *testing.T, path string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
			require.NoError(t, err)
			all[e.Name()] = string(data)
		} else {
			all[e.Name()] = e.Type().String()
		}
	}
	return all
}

// write writes one record, whatever there is.
func write(t *testing.T, s *Session, w pool.Write) {
	t.Helper()
	require.NoError(t, s.View(func(tx *bbolt.Tx) error {
		r, err := Namespace(tx, w.Namespace)
		w.NamespaceRevision = r.Revision
		if err != nil || w.OfNamespace {
			return err
		}
		nodes, err := Nodes(tx, w.Namespace, w.Node, w.Node)
		if len(nodes) > 0 {
			w.NodeRevision = nodes[0].Revision
		}
		return err
	}))
	outcomes := make([]Outcome, 1)
	require.NoError(t, s.Write([]pool.Write{w}, outcomes))
	require.NoError(t, outcomes[0].Err)
}

// fill makes a store with pages of all kinds: branches, leaves, a bucket within a
// page, free pages.
func fill(t *testing.T, path string, nodes int64) {
	t.Helper()
	s := start(t, path, creating)
	for _, name := range []string{"large", "small"} {
		write(t, s, pool.Write{Namespace: name, OfNamespace: true, Value: []byte(`{"layout":"` + name + `"}`)})
	}
	write(t, s, pool.Write{Namespace: "small", Node: -1, Value: []byte("1767225600000000000")})
	var batch []pool.Write
	revision := uint64(0)
	require.NoError(t, s.View(func(tx *bbolt.Tx) error {
		r, err := Namespace(tx, "large")
		revision = r.Revision
		return err
	}))
	for node := range nodes {
		batch = append(batch, pool.Write{
			Namespace: "large", NamespaceRevision: revision, Node: node,
			Value: fmt.Appendf(nil, `{"v":1,"node":%d,"token":"%0200d"}`, node, node*node),
		})
	}
	require.NoError(t, s.Write(batch, make([]Outcome, len(batch))))
	write(t, s, pool.Write{Namespace: "large", Node: nodes / 2, Value: []byte("once more")})
	require.NoError(t, s.Close())
}

// contents returns all records, by namespace and node.
func contents(tx *bbolt.Tx) (map[string]string, error) {
	all := make(map[string]string)
	for _, name := range Namespaces(tx) {
		r, err := Namespace(tx, name)
		if err != nil {
			return nil, err
		}
		all[name] = fmt.Sprintf("%d %s", r.Revision, r.Value)
		nodes, err := Nodes(tx, name, -1<<63, 1<<63-1)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			all[fmt.Sprintf("%s/%d", name, n.Node)] = fmt.Sprintf("%d %s", n.Revision, n.Value)
		}
	}
	return all, nil
}

func sessionContents(t *testing.T, s *Session) map[string]string {
	t.Helper()
	var all map[string]string
	require.NoError(t, s.View(func(tx *bbolt.Tx) (err error) {
		all, err = contents(tx)
		return err
	}))
	return maps.Clone(all)
}

// checkFile asks bbolt whether a file is sound.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}))
}

// newPath returns where a store may be made, whose file is checked in the end.
func newPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	t.Cleanup(func() {
		if _, err := os.Stat(path); err == nil && !t.Failed() {
			checkFile(t, path)
		}
	})
	return path
}
