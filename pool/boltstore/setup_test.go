package boltstore

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/pooltest"
)

// crash ends a store as the death of its process would.
func crash(opened pool.Store) error {
	s, ok := opened.(*Store)
	if !ok {
		return errors.ErrUnsupported
	}
	s.mu.Lock()
	s.closed = true
	close(s.work)
	s.mu.Unlock()
	<-s.done
	return s.session.Abandon()
}

// newPath returns where a store may be made, whose file is checked in the end.
func newPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.bolt")
	t.Cleanup(func() { checkFile(t, path) })
	return path
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

func open(t *testing.T, path string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(path, append([]Option{WithCreate()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func factory() pooltest.StoreFactory {
	return pooltest.StoreFactory{
		New: func(t *testing.T, c clock.Clock) pooltest.Storage {
			t.Helper()
			path := newPath(t)
			return pooltest.Storage{
				Open:  func() (pool.Store, error) { return Open(path, WithCreate(), WithClock(c), WithWait(1)) },
				Crash: func(s pool.Store) { require.NoError(t, crash(s)) },
			}
		},
		Exclusive: true,
		Locked:    true,
		Durable:   true,
	}
}

func TestStore(t *testing.T) { pooltest.RunStore(t, factory()) }

func TestPoolOfStore(t *testing.T) { pooltest.RunPool(t, pooltest.PoolFactory{Stores: factory()}) }
