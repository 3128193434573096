package filestore

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/clock/clocktest"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/internal/boltfile"
)

const name = "default"

// Waiting for others ends with the context, and after a while anyway, and names
// who has the file.
func TestWaitingEnds(t *testing.T) {
	path := newPath(t)
	s := openStore(t, path, WithWait(20*time.Millisecond))
	holder, err := boltstore.Open(path)
	require.NoError(t, err)

	_, err = s.Namespaces(t.Context())
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "has it open")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	patient := openPatient(t, path, s)
	_, err = patient.Write(ctx, pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Another operation of this process waits for its turn no longer either.
	long, cancelLong := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		_, err := patient.Namespaces(long)
		assert.ErrorIs(t, err, context.Canceled)
	})
	for len(patient.turn) == 0 {
		_, err = patient.Now(t.Context())
		require.NoError(t, err)
	}
	_, err = patient.Namespaces(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	cancelLong()
	both.Wait()

	require.NoError(t, holder.Close())
	_, err = s.Namespaces(t.Context())
	require.NoError(t, err)
}

// openPatient is s, as far as the file goes, with all the time of the world.
func openPatient(t *testing.T, path string, s *Store) *Store {
	t.Helper()
	file, err := boltfile.Find(path, time.Hour, nil)
	require.NoError(t, err)
	patient := &Store{file: file, id: s.id, turn: make(chan struct{}, 1)}
	none := ""
	patient.doubt.Store(&none)
	return patient
}

// A write that fails is unknown, not acknowledged; the next one finds out.
func TestFailedSync(t *testing.T) {
	path := newPath(t)
	disk := errors.New("input/output error")
	var fails error
	s := openStore(t, path, func(o *boltfile.Options) { o.AfterCommit = func() error { return fails } })
	namespace, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	fails = disk
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: 1, Value: []byte("x")})
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, disk)
	_, err = s.Nodes(t.Context(), name, 1, 1)
	require.ErrorIs(t, err, ErrFailed, "what may not be durable must not be read")
	fails = nil
	nodes, err := s.Nodes(t.Context(), name, 1, 1)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
}

func TestReplacedInUse(t *testing.T) {
	path := newPath(t)
	s := openStore(t, path)
	_, err := s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.NoError(t, err)
	openStore(t, path, WithRestored())
	_, err = s.Namespaces(t.Context())
	require.ErrorIs(t, err, ErrReplaced)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name})
	require.ErrorIs(t, err, ErrReplaced)
}

func TestDeletedInUse(t *testing.T) {
	path := newPath(t)
	s := openStore(t, path)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, OfNamespace: true})
	require.ErrorIs(t, err, ErrLost)
	assert.NoFileExists(t, path)
	_, err = Open(path, WithCreate())
	require.ErrorIs(t, err, ErrLost)
	assert.NoFileExists(t, path)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestClosed(t *testing.T) {
	s := openStore(t, newPath(t))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err := s.Namespaces(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
}

// What one command that makes an ID costs in syncs: it opens the pool, leases a
// node and gives it back.
func TestSyncsOfOneLease(t *testing.T) {
	path := newPath(t)
	c := clocktest.New(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	l := layout.Default()
	once := func() int64 {
		s := openStore(t, path, WithClock(c))
		p := pool.New(s)
		require.NoError(t, prepare(t.Context(), s, p, l))
		g, err := p.Acquire(t.Context(), l.String(), l, pool.NewToken())
		require.NoError(t, err)
		require.NoError(t, p.Release(t.Context(), pool.Release{Namespace: g.Namespace, Node: g.Node, Token: g.Token, Last: g.From}))
		require.NoError(t, p.Close())
		return s.Stats().Syncs
	}
	first := once()
	soon := once()
	c.Advance(time.Minute)
	later := once()
	t.Logf("syncs: %d where all has to be created, %d a minute later, %d at once", first, later, soon)
	assert.LessOrEqual(t, soon, int64(4))
	assert.LessOrEqual(t, later, int64(6), "the time is noted, too")
	assert.LessOrEqual(t, first, int64(15))
}

func TestPool(t *testing.T) {
	path := newPath(t)
	p, l, err := EasyFlake(t.Context(), path, 4)
	require.NoError(t, err)
	assert.Equal(t, 4, l.NodeBits())
	again, err := Pool(t.Context(), path, l)
	require.NoError(t, err)
	nodes := make(map[int64]bool)
	for i := range 16 {
		of := []*pool.Local{p, again}[i%2]
		g, err := of.Acquire(t.Context(), l.String(), l, pool.NewToken())
		require.NoError(t, err)
		nodes[g.Node] = true
	}
	assert.Len(t, nodes, 16)
	_, err = p.Acquire(t.Context(), l.String(), l, pool.NewToken())
	var exhausted *pool.ExhaustedError
	require.ErrorAs(t, err, &exhausted)

	// Another layout is another namespace.
	other, err := Pool(t.Context(), path, layout.Default())
	require.NoError(t, err)
	all, err := other.Namespaces(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, 2)
	for _, p := range []*pool.Local{p, again, other} {
		require.NoError(t, p.Close())
	}

	_, _, err = EasyFlake(t.Context(), path, 60)
	var field *layout.FieldError
	require.ErrorAs(t, err, &field)
	_, _, err = EasyFlake(t.Context(), "", 8)
	require.ErrorIs(t, err, ErrMissing)
}

// A file put back is settled when the pool is opened: there is nothing to wait for
// but the windows that may have been lost.
func TestPoolOfRestoredFile(t *testing.T) {
	path := newPath(t)
	p, err := Pool(t.Context(), path, layout.Default())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	p, err = Pool(t.Context(), path, layout.Default())
	require.NoError(t, err)
	_, err = p.Acquire(t.Context(), layout.Default().String(), layout.Default(), pool.NewToken())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, os.WriteFile(path, data, 0o600))

	p, err = Pool(t.Context(), path, layout.Default())
	require.NoError(t, err)
	_, err = p.Acquire(t.Context(), layout.Default().String(), layout.Default(), pool.NewToken())
	var notYet *pool.NotYetError
	require.ErrorAs(t, err, &notYet)
	require.NoError(t, p.Close())
	assert.Empty(t, openStore(t, path).Doubtful())
}
