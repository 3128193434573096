package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/internal/boltfile"
)

const name = "default"

func create(t *testing.T, s *Store) (revision uint64) {
	t.Helper()
	revision, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true, Value: []byte("{}")})
	require.NoError(t, err)
	return revision
}

// Many writers at once share commits, and a conflict is that of its writer alone.
func TestGroupCommit(t *testing.T) {
	s := open(t, newPath(t))
	namespace := create(t, s)
	before := s.Stats()
	const writers, each = 64, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			revision := uint64(0)
			for range each {
				var err error
				write := pool.Write{Namespace: name, NamespaceRevision: namespace, Node: int64(w), NodeRevision: revision, Value: []byte("x")}
				revision, err = s.Write(t.Context(), write)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Write(t.Context(), write)
				assert.ErrorIs(t, err, pool.ErrConflict)
			}
		})
	}
	all.Wait()
	after := s.Stats()
	assert.EqualValues(t, writers*each, after.Writes-before.Writes)
	t.Logf("%d writes, %d commits, %d syncs", after.Writes-before.Writes, after.Commits-before.Commits, after.Syncs-before.Syncs)
	assert.Less(t, after.Syncs-before.Syncs, int64(writers*each/4))
}

// Writes that nobody waits for are made together: by the next commit, by that which
// somebody asks for who waits for one of them after all, or when many have gathered.
func TestBegunWritesShareCommits(t *testing.T) {
	committed := make(chan struct{}, 100)
	s := open(t, newPath(t), func(o *boltfile.Options) {
		o.AfterCommit = func() error {
			committed <- struct{}{}
			return nil
		}
	})
	namespace := create(t, s)
	node := int64(0)
	begin := func(n int) (last func(context.Context) (uint64, error)) {
		for range n {
			node++
			last = s.BeginWrite(pool.Write{Namespace: name, NamespaceRevision: namespace, Node: node, Value: []byte("x")})
		}
		return last
	}
	before := s.Stats()
	made := func() (commits, writes int64) {
		now := s.Stats()
		return now.Commits - before.Commits, now.Writes - before.Writes
	}
	begin(gathered - 1)
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: -1, Value: []byte("x")})
	require.NoError(t, err)
	commits, writes := made()
	assert.EqualValues(t, 1, commits)
	assert.EqualValues(t, gathered, writes)

	revision, err := begin(gathered / 2)(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, revision)
	commits, writes = made()
	assert.EqualValues(t, 2, commits)
	assert.EqualValues(t, gathered+gathered/2, writes)

	for len(committed) > 0 {
		<-committed
	}
	begin(gathered)
	<-committed                        // though nobody waits
	_, err = s.Namespaces(t.Context()) // after the commit
	require.NoError(t, err)
	commits, writes = made()
	assert.EqualValues(t, 3, commits)
	assert.EqualValues(t, 2*gathered+gathered/2, writes)

	require.NoError(t, s.Close())
	_, err = begin(1)(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
}

// After a write whose sync failed nothing is answered any more, until the store is
// opened again; and then what was acknowledged is there.
func TestFailedSyncPoisons(t *testing.T) {
	path := newPath(t)
	disk := errors.New("input/output error")
	var mu sync.Mutex
	var fails error
	s := open(t, path, func(o *boltfile.Options) {
		o.AfterCommit = func() error {
			mu.Lock()
			defer mu.Unlock()
			return fails
		}
	})
	namespace := create(t, s)
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("kept")})
	require.NoError(t, err)

	mu.Lock()
	fails = disk
	mu.Unlock()
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 2, Value: []byte("lost")})
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, disk)
	require.ErrorContains(t, err, "open the store again")
	require.ErrorIs(t, pool.New(s).Check(t.Context()), ErrFailed, "a health check sees it")
	mu.Lock()
	fails = nil
	mu.Unlock()

	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 3, Value: []byte("x")})
	require.ErrorIs(t, err, ErrFailed)
	_, err = s.Namespaces(t.Context())
	require.ErrorIs(t, err, ErrFailed)
	_, err = s.Namespace(t.Context(), name)
	require.ErrorIs(t, err, ErrFailed)
	_, err = s.Nodes(t.Context(), name, 0, 10)
	require.ErrorIs(t, err, ErrFailed)
	require.NoError(t, s.Close())

	s = open(t, path)
	assert.Empty(t, s.Doubtful())
	nodes, err := s.Nodes(t.Context(), name, 0, 10)
	require.NoError(t, err)
	require.NotEmpty(t, nodes)
	assert.Equal(t, "kept", string(nodes[0].Value))
}

func TestClosed(t *testing.T) {
	s := open(t, newPath(t))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice does no harm")
	_, err := s.Namespaces(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, pool.ErrClosed)
}

// Closing lets writes finish that are on their way: each is acknowledged and
// there, or neither.
func TestCloseDuringWrites(t *testing.T) {
	path := newPath(t)
	s, err := Open(path, WithCreate())
	require.NoError(t, err)
	namespace := create(t, s)
	var all sync.WaitGroup
	var mu sync.Mutex
	acknowledged := make(map[int64]bool)
	begun := make(chan struct{})
	var once sync.Once
	for node := range int64(64) {
		all.Go(func() {
			for n := node; ; n += 64 {
				_, err := s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: n, Value: []byte("x")})
				if err != nil {
					assert.ErrorIs(t, err, pool.ErrClosed)
					return
				}
				mu.Lock()
				acknowledged[n] = true
				mu.Unlock()
				once.Do(func() { close(begun) })
			}
		})
	}
	<-begun
	require.NoError(t, s.Close())
	all.Wait()
	s = open(t, path)
	nodes, err := s.Nodes(t.Context(), name, 0, 1<<62)
	require.NoError(t, err)
	assert.Len(t, nodes, len(acknowledged))
	for _, n := range nodes {
		assert.True(t, acknowledged[n.Node])
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	s := open(t, newPath(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Write(ctx, pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Namespaces(ctx)
	require.ErrorIs(t, err, context.Canceled)
	r, err := s.Namespace(t.Context(), name)
	require.NoError(t, err)
	assert.Zero(t, r)
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := newPath(t)
	open(t, path)
	_, err := Open(path, WithWait(time.Millisecond))
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("process %d has it open", os.Getpid()))
}

func TestNothingIsCreatedUnasked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	_, err := Open(path)
	require.ErrorIs(t, err, ErrMissing)
	assert.NoFileExists(t, path)
	assert.NoFileExists(t, path+".id")
}

// A store put back from a backup grants nothing until Settle, and then no window
// that begins before those that it has forgotten can be over.
func TestSettle(t *testing.T) {
	path := newPath(t)
	c := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	l := layout.Default()
	elapsed := pool.WithElapsed(func() time.Duration { return time.Duration(c.Now()) })
	s := open(t, path, WithClock(c))
	p := pool.New(s, elapsed)
	ns := pool.NewNamespace(name, l)
	require.NoError(t, p.CreateNamespace(t.Context(), ns))
	_, err := p.Acquire(t.Context(), name, l, pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context(), p), "nothing to settle")
	require.NoError(t, p.Close())

	s = open(t, path, WithClock(c), WithRestored())
	require.NotEmpty(t, s.Doubtful())
	p = pool.New(s, elapsed)
	_, err = p.Acquire(t.Context(), name, l, pool.NewToken())
	require.ErrorIs(t, err, ErrDoubtful)
	require.NoError(t, s.Settle(t.Context(), p))
	assert.Empty(t, s.Doubtful())
	_, err = p.Acquire(t.Context(), name, l, pool.NewToken())
	var notYet *pool.NotYetError
	require.ErrorAs(t, err, &notYet)
	c.Advance(ns.Terms.Horizon + time.Second)
	_, err = p.Acquire(t.Context(), name, l, pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, p.Close())

	s = open(t, path, WithClock(c))
	assert.Empty(t, s.Doubtful())
}

// A renewal that would need no write is refused as well: what is written ahead in an
// old copy may have become another holder's since.
func TestDoubtfulStoreRenewsNothing(t *testing.T) {
	path := newPath(t)
	c := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	l := layout.Default()
	elapsed := pool.WithElapsed(func() time.Duration { return time.Duration(c.Now()) })
	s := open(t, path, WithClock(c))
	p := pool.New(s, elapsed)
	ns := pool.NewNamespace(name, l)
	ns.Ranges = []pool.Range{{}} // node 0 alone
	require.NoError(t, p.CreateNamespace(t.Context(), ns))
	old, err := p.Acquire(t.Context(), name, l, pool.NewToken())
	require.NoError(t, err)
	renew := func(p *pool.Local) (pool.Grant, error) {
		return p.Renew(t.Context(), pool.Renewal{Namespace: name, Node: old.Node, Token: old.Token, Revision: old.Revision, Until: old.Until, Nonce: pool.NewToken()})
	}
	c.Advance(time.Second)
	old, err = renew(p)
	require.NoError(t, err)
	copied, err := os.ReadFile(path)
	require.NoError(t, err)
	c.Advance(21 * time.Second) // its window is over, and what was written ahead is not
	_, err = p.Acquire(t.Context(), name, l, pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, p.Close())

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, copied, 0o600))
	s = open(t, path, WithClock(c))
	require.NotEmpty(t, s.Doubtful())
	p = pool.New(s, elapsed)
	_, err = renew(p)
	require.ErrorIs(t, err, ErrDoubtful)
	require.NoError(t, s.Settle(t.Context(), p))
	_, err = renew(p)
	require.ErrorIs(t, err, pool.ErrLeaseLost)
}
