package boltstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
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
	ErrInUse    = boltfile.ErrInUse    // another process has it
	ErrNetwork  = boltfile.ErrNetwork  // on a network file system
	ErrFailed   = boltfile.ErrFailed   // a write has failed: open it again
	ErrDoubtful = boltfile.ErrDoubtful // doubtful, and not settled
)

// Option changes how a store is opened.
type Option = boltfile.Option

// WithCreate creates the store where there has never been one, with its folders.
func WithCreate() Option { return func(o *boltfile.Options) { o.Create = true } }

// WithRestored says that the file was put back, or is gone for good: the store is
// doubtful, whatever its marker says. Give it once, not at every start.
func WithRestored() Option { return func(o *boltfile.Options) { o.Restored = true } }

// WithNetworkFileSystem opens the store even on a network file system. If its
// locks do not hold, or its syncs do not last, two clients get the same node.
func WithNetworkFileSystem() Option { return func(o *boltfile.Options) { o.Network = true } }

// WithClock sets the clock that the store tells the time by, [clock.System] by
// default.
func WithClock(c clock.Clock) Option { return func(o *boltfile.Options) { o.Clock = c } }

// WithWait sets how long to wait for another process that has the store open, one
// second by default.
func WithWait(d time.Duration) Option { return func(o *boltfile.Options) { o.Wait = d } }

const defaultWait = time.Second

// Store is a [pool.Store] in a file of its own. It is safe for concurrent use.
type Store struct {
	file    *boltfile.File
	session *boltfile.Session
	done    chan struct{} // closed when the writer has ended

	// use is held by the writer during a commit and by readers: what is in the
	// file before it is synced is nobody's to read.
	use sync.RWMutex

	mu     sync.Mutex    // owns the fields below
	work   chan struct{} // holds one element where something is to be written now
	queue  []*request
	doubt  string
	failed error // what all calls return since a write has failed
	closed bool
}

// request is one write on its way. The channel takes one element.
type request struct {
	write pool.Write
	trust bool // end the doubt instead
	reply chan boltfile.Outcome
}

var _ pool.Store = (*Store)(nil)

// Open opens the store at a path. It verifies all of the file, which takes about a
// second for each gigabyte.
func Open(path string, opts ...Option) (*Store, error) {
	file, err := boltfile.Find(path, defaultWait, opts)
	if err != nil {
		return nil, err
	}
	session, err := file.Start(context.Background())
	if err != nil {
		return nil, err
	}
	s := &Store{
		file:    file,
		session: session,
		work:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		doubt:   session.Doubtful(),
	}
	go s.write()
	return s, nil
}

// Path returns where the file is, links resolved.
func (s *Store) Path() string { return s.file.Path() }

// Doubtful says why the store may have lost records, "" where nothing speaks for
// it, or where it was settled.
func (s *Store) Doubtful() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubt
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
	_, err := s.do(ctx, &request{trust: true})
	return err
}

// Stats are what a store has done since it was opened.
type Stats = boltfile.Counts

// Stats returns what was done up to now.
func (s *Store) Stats() Stats { return s.file.Counts() }

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

func (s *Store) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.use.RLock()
	defer s.use.RUnlock()
	s.mu.Lock()
	err := s.usable()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.session.View(read)
}

// usable needs s.mu.
func (s *Store) usable() error {
	if s.closed {
		return pool.ErrClosed
	}
	return s.failed
}

// Write implements [pool.Store]. If ctx ends first, the write may still be made.
func (s *Store) Write(ctx context.Context, w pool.Write) (uint64, error) {
	if err := boltfile.Fits(w); err != nil {
		return 0, err
	}
	return s.do(ctx, &request{write: w})
}

func (s *Store) do(ctx context.Context, r *request) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r.reply = make(chan boltfile.Outcome, 1)
	if err := s.enqueue(r, 1); err != nil {
		return 0, err
	}
	return r.outcome(ctx)
}

func (r *request) outcome(ctx context.Context) (uint64, error) {
	select {
	case o := <-r.reply:
		return o.Revision, o.Err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// gathered is how many writes that nobody waits for are worth a commit.
const gathered = 512

var _ pool.WriteBeginner = (*Store)(nil)

// BeginWrite implements [pool.WriteBeginner]: the write is made by the next commit.
// That is made as soon as somebody waits for a write, or many have been begun, or
// the store is closed.
func (s *Store) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	err := boltfile.Fits(w)
	r := &request{write: w, reply: make(chan boltfile.Outcome, 1)}
	if err == nil {
		err = s.enqueue(r, gathered)
	}
	return func(ctx context.Context) (uint64, error) {
		if err != nil {
			return 0, err
		}
		if len(r.reply) == 0 {
			s.mu.Lock()
			if !s.closed { // else the writer writes all that there is, and ends
				s.tell()
			}
			s.mu.Unlock()
		}
		return r.outcome(ctx)
	}
}

// enqueue has the writer told if so many are queued then.
func (s *Store) enqueue(r *request, enough int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.queue = append(s.queue, r)
	if len(s.queue) >= enough {
		s.tell()
	}
	return nil
}

// tell needs s.mu.
func (s *Store) tell() {
	select {
	case s.work <- struct{}{}:
	default: // the writer has been told already
	}
}

// write is the goroutine that writes: what has queued up during a commit makes the
// next one.
func (s *Store) write() {
	defer close(s.done)
	for range s.work {
		s.commit(s.take())
	}
	s.commit(s.take()) // what nobody has waited for
}

// take empties the queue. Those whom the last commit has woken are about to come
// back: they are let in first, or every second commit would be nearly empty.
func (s *Store) take() []*request {
	for last := -1; ; runtime.Gosched() {
		s.mu.Lock()
		if len(s.queue) == last {
			batch := s.queue
			s.queue = nil
			s.mu.Unlock()
			return batch
		}
		last = len(s.queue)
		s.mu.Unlock()
	}
}

func (s *Store) commit(batch []*request) {
	s.use.Lock()
	defer s.use.Unlock()
	s.mu.Lock()
	err := s.failed
	s.mu.Unlock()
	writes := make([]pool.Write, 0, len(batch))
	for _, r := range batch {
		if r.trust && err == nil {
			err = s.session.Trust()
		} else if !r.trust {
			writes = append(writes, r.write)
		}
	}
	outcomes := make([]boltfile.Outcome, len(writes))
	if err == nil && len(writes) > 0 {
		err = s.session.Write(writes, outcomes)
	}
	s.mu.Lock()
	s.failed = err
	s.doubt = s.session.Doubtful()
	s.mu.Unlock()
	for _, r := range batch {
		o := boltfile.Outcome{}
		if !r.trust {
			o, outcomes = outcomes[0], outcomes[1:]
		}
		if err != nil {
			o = boltfile.Outcome{Err: err}
		}
		r.reply <- o
	}
}

// Now implements [pool.Store]: the wall clock's time.
func (s *Store) Now(ctx context.Context) (int64, error) { return s.file.Now(), ctx.Err() }

// Exclusive implements [pool.Store]: this process alone has the file.
func (s *Store) Exclusive() bool { return true }

// Close implements [pool.Store]: it writes what is queued, and lets the file go.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	if first {
		s.closed = true
		close(s.work)
	}
	s.mu.Unlock()
	<-s.done
	if !first {
		return nil
	}
	s.use.Lock()
	defer s.use.Unlock()
	if s.failed != nil {
		return s.session.Close()
	}
	return errors.Join(s.session.Sync(), s.session.Close())
}
