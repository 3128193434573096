package filestore

import (
	"context"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/internal/boltfile"
)

// What can be wrong, to be found by errors.Is.
var (
	ErrMissing  = boltfile.ErrMissing  // there has never been a store
	ErrLost     = boltfile.ErrLost     // there was one
	ErrForeign  = boltfile.ErrForeign  // the file is something else
	ErrNewer    = boltfile.ErrNewer    // written by a newer version
	ErrDamaged  = boltfile.ErrDamaged  // corrupted or cut off
	ErrInUse    = boltfile.ErrInUse    // another process has it for too long
	ErrNetwork  = boltfile.ErrNetwork  // on a network file system
	ErrFailed   = boltfile.ErrFailed   // this write has failed
	ErrReplaced = boltfile.ErrReplaced // another file than the one that was opened
	ErrDoubtful = boltfile.ErrDoubtful // doubtful, and not settled
)

// Option changes how a store is opened.
type Option = boltfile.Option

// WithCreate creates the store where there has never been one, with its folders.
func WithCreate() Option { return func(o *boltfile.Options) { o.Create = true } }

// WithRestored says that the file was put back, or is gone for good: the store is
// doubtful, whatever its marker says. All processes that have it open must open it
// again.
func WithRestored() Option { return func(o *boltfile.Options) { o.Restored = true } }

// WithNetworkFileSystem opens the store even on a network file system. If its
// locks do not hold, or its syncs do not last, two clients get the same node.
func WithNetworkFileSystem() Option { return func(o *boltfile.Options) { o.Network = true } }

// WithClock sets the clock that the store tells the time by, [clock.System] by
// default.
func WithClock(c clock.Clock) Option { return func(o *boltfile.Options) { o.Clock = c } }

// WithWait sets how long an operation waits for other processes, ten seconds by
// default.
func WithWait(d time.Duration) Option { return func(o *boltfile.Options) { o.Wait = d } }

const defaultWait = 10 * time.Second

// Store is a [pool.Store] in a file that it shares with others. It is safe for
// concurrent use.
type Store struct {
	file   *boltfile.File
	id     string
	turn   chan struct{} // holds an element while an operation is under way
	doubt  atomic.Pointer[string]
	closed atomic.Bool
}

var _ pool.Store = (*Store)(nil)

// Open opens the store at a path, and verifies all of the file.
func Open(path string, opts ...Option) (*Store, error) {
	return open(context.Background(), path, opts)
}

func open(ctx context.Context, path string, opts []Option) (*Store, error) {
	file, err := boltfile.Find(path, defaultWait, opts)
	if err != nil {
		return nil, err
	}
	session, err := file.Start(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{file: file, id: session.ID(), turn: make(chan struct{}, 1)}
	s.noteDoubt(session)
	if err := session.Close(); err != nil {
		return nil, err
	}
	return s, nil
}

// Path returns where the file is, links resolved.
func (s *Store) Path() string { return s.file.Path() }

// Doubtful says why the store may have lost records, "" where nothing spoke for it
// the last time that it was used, or where it was settled.
func (s *Store) Doubtful() string { return *s.doubt.Load() }

func (s *Store) noteDoubt(session *boltfile.Session) {
	why := session.Doubtful()
	s.doubt.Store(&why)
}

// Settle makes a doubtful store usable: it raises the floors of all its namespaces
// by the store's pool, and then trusts it. It does nothing where there is no doubt.
func (s *Store) Settle(ctx context.Context, p *pool.Local) error {
	if s.Doubtful() == "" {
		return nil
	}
	if err := p.Doubt(ctx); err != nil {
		return err
	}
	return s.with(ctx, true, (*boltfile.Session).Trust)
}

// Stats are what a store has done since it was opened, in this process.
type Stats = boltfile.Counts

// Stats returns what was done up to now.
func (s *Store) Stats() Stats { return s.file.Counts() }

// with opens the file for one operation. Those of one process take turns here, so
// that only one of them at a time waits for the lock.
func (s *Store) with(ctx context.Context, write bool, do func(*boltfile.Session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.closed.Load() {
		return pool.ErrClosed
	}
	session, err := s.file.Resume(ctx, s.id, write)
	if err != nil {
		return err
	}
	err = do(session)
	s.noteDoubt(session)
	// What closing can fail at is unlocking, which ends with the process: what
	// was written is durable all the same.
	if closing := session.Close(); err == nil {
		err = closing
	}
	return err
}

func (s *Store) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	return s.with(ctx, false, func(session *boltfile.Session) error { return session.View(read) })
}

// Namespaces implements [pool.Store].
func (s *Store) Namespaces(ctx context.Context) (names []string, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		names = boltfile.Namespaces(tx)
		return nil
	})
	return names, err
}

// Namespace implements [pool.Store].
func (s *Store) Namespace(ctx context.Context, name string) (r pool.Record, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		r, err = boltfile.Namespace(tx, name)
		return err
	})
	return r, err
}

// Nodes implements [pool.Store].
func (s *Store) Nodes(ctx context.Context, name string, first, last int64) (found []pool.NodeRecord, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		found, err = boltfile.Nodes(tx, name, first, last)
		return err
	})
	return found, err
}

// Write implements [pool.Store].
func (s *Store) Write(ctx context.Context, w pool.Write) (uint64, error) {
	if err := boltfile.Fits(w); err != nil {
		return 0, err
	}
	var outcome [1]boltfile.Outcome
	err := s.with(ctx, true, func(session *boltfile.Session) error {
		return session.Write([]pool.Write{w}, outcome[:])
	})
	if err != nil {
		return 0, err
	}
	return outcome[0].Revision, outcome[0].Err
}

// Now implements [pool.Store]: the wall clock's time.
func (s *Store) Now(ctx context.Context) (int64, error) { return s.file.Now(), ctx.Err() }

// Exclusive implements [pool.Store]: others may write as well.
func (s *Store) Exclusive() bool { return false }

// Close implements [pool.Store]. It waits for an operation under way.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.closed.Store(true)
	return nil
}
