package boltfile

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/pool"
)

// Session is a store, open and locked.
type Session struct {
	file    *File
	db      *bbolt.DB
	bolt    *os.File
	marker  *marker
	meta    metadata
	commits uint64
	inode   uint64
	stuck   atomic.Bool // a panic has left bbolt with locks held: it must not be called again
}

// boltWait is how long to wait for tools that open the file by bbolt itself:
// EasyFlake's own processes wait for the marker before.
const boltWait = time.Second

// bolt opens the file by bbolt, after check has looked at it. It never creates
// one.
func (f *File) bolt(readOnly bool, check func(*os.File, os.FileInfo) error) (db *bbolt.DB, file *os.File, err error) {
	options := &bbolt.Options{
		Timeout:      boltWait,
		ReadOnly:     readOnly,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(path string, flags int, _ os.FileMode) (*os.File, error) {
			var err error
			if file, err = os.OpenFile(path, flags&^os.O_CREATE, 0); err != nil {
				return nil, f.access(err, "opening it")
			}
			info, err := file.Stat()
			if err == nil {
				err = check(file, info)
			}
			if err != nil {
				_ = file.Close() // only read
				return nil, err
			}
			return file, nil
		},
	}
	err = guarded(func() error {
		var err error
		db, err = bbolt.Open(f.path, 0, options)
		return err
	})
	var known *Error
	var panicked *panicError
	switch {
	case err == nil:
		return db, file, nil
	case errors.As(err, &known):
		return nil, nil, err
	case errors.As(err, &panicked):
		unlock(file) // what is mapped keeps the lock beyond Close
		_ = file.Close()
		return nil, nil, f.damaged(err)
	case errors.Is(err, bbolt.ErrTimeout): //nolint:staticcheck // the new name is in a package of its own
		return nil, nil, f.errorf(ErrInUse, nil, "a program that is not EasyFlake has it open: end that program")
	}
	return nil, nil, f.access(err, "opening it")
}

// panicError is what bbolt has panicked with.
type panicError struct{ reason any }

func (e *panicError) Error() string { return fmt.Sprint(e.reason) }

// guarded turns panics into errors, reading outside of mapped memory included. The
// file was verified when it was opened; this is for what happens to it later.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	return do()
}

// View reads in one transaction.
func (s *Session) View(read func(*bbolt.Tx) error) error {
	if err := s.call(func() error { return s.db.View(read) }); err != nil {
		return s.file.damaged(err)
	}
	return nil
}

// call calls bbolt, once more.
func (s *Session) call(do func() error) error {
	if s.stuck.Load() {
		return errors.New("it was found damaged before")
	}
	err := guarded(do)
	if _, panicked := errors.AsType[*panicError](err); panicked {
		s.stuck.Store(true)
	}
	return err
}

// update commits what change does, and then counts it at the marker. Any error
// but one of change's means that it is not known what has become of it.
func (s *Session) update(change func(*bbolt.Tx) error) error {
	err := s.commit(change)
	if err == nil {
		err = s.count()
	}
	return err
}

// count counts the last commit at the marker: it is durable.
func (s *Session) count() error {
	if err := s.marker.write(s.mark()); err != nil {
		return s.file.failed(err)
	}
	return nil
}

// commit is update without counting.
func (s *Session) commit(change func(*bbolt.Tx) error) error {
	err := s.call(func() error { return s.transact(change) })
	if s.stuck.Load() {
		return s.file.damaged(err)
	}
	return err
}

func (s *Session) transact(change func(*bbolt.Tx) error) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return s.file.failed(err)
	}
	if err := change(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	before, id := s.size(), tx.ID()
	if err := tx.Commit(); err != nil {
		return s.file.failed(err)
	}
	counts := &s.file.counts
	counts.commits.Add(1)
	counts.syncs.Add(2)
	if s.size() > before {
		counts.syncs.Add(1)
	}
	if f := s.file.options.AfterCommit; f != nil {
		if err := f(); err != nil {
			return s.file.failed(err)
		}
	}
	s.commits = uint64(id)
	return nil
}

func (s *Session) mark() mark {
	return mark{id: s.meta.id, commits: s.commits, inode: s.inode, pid: os.Getpid()}
}

func (s *Session) size() int64 {
	info, err := s.bolt.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// failed is for a commit that did not come through.
func (f *File) failed(cause error) error {
	return f.errorf(ErrFailed, cause, "a write has failed, and it is not known what reached the disk: see to the disk (is it full?), then open the store again")
}

// damaged is for a file that is not what it was.
func (f *File) damaged(cause error) error {
	return f.errorf(ErrDamaged, cause, "it is damaged, and left as it is: put back a backup, and open it as restored (--restored)")
}

// Outcome is what has become of one of the records to write.
type Outcome struct {
	Revision uint64
	Err      error
}

// errUnchanged ends a transaction in which nothing was written.
var errUnchanged = errors.New("nothing to write")

// Write writes records in one transaction, each on its own conditions, and says
// what became of each. An error is that of all.
func (s *Session) Write(writes []pool.Write, outcomes []Outcome) error {
	var written int64
	err := s.update(func(tx *bbolt.Tx) error {
		for i, w := range writes {
			refused, err := s.write(tx, w)
			switch {
			case err != nil:
				return err
			case refused != nil:
				outcomes[i] = Outcome{Err: refused}
			default:
				outcomes[i] = Outcome{Revision: uint64(tx.ID())}
				written++
			}
		}
		if written == 0 {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	s.file.counts.writes.Add(written)
	return err
}

func (s *Session) write(tx *bbolt.Tx, w pool.Write) (refused, err error) {
	if s.meta.doubt != "" && !w.OfNamespace && w.Node >= 0 {
		return s.file.errorf(ErrDoubtful, nil, "it may have lost records (%s), and no floor keeps new windows apart from lost ones yet: call Settle", s.meta.doubt), nil
	}
	refused, err = apply(tx, w)
	if refused != nil && !errors.Is(refused, pool.ErrConflict) {
		refused = s.file.damaged(refused)
	}
	if err != nil {
		err = s.file.failed(err)
	}
	return refused, err
}

// Doubtful says why the store may have lost records; "" where nothing speaks for
// it.
func (s *Session) Doubtful() string { return s.meta.doubt }

// Trust ends a doubt: the floors have been raised.
func (s *Session) Trust() error {
	if s.meta.doubt == "" {
		return nil
	}
	if err := s.update(func(tx *bbolt.Tx) error { return writeMetadata(tx, keyDoubt, "") }); err != nil {
		return err
	}
	s.meta.doubt = ""
	return nil
}

// Sync makes durable what the marker has counted.
func (s *Session) Sync() error {
	s.file.counts.syncs.Add(1)
	if err := s.marker.sync(); err != nil {
		return s.file.access(err, "writing the marker")
	}
	return nil
}

// Close closes the file.
func (s *Session) Close() error {
	var err error
	if s.marker.pid == os.Getpid() {
		err = s.marker.sign(0)
	}
	if err = errors.Join(err, s.closeBolt(), s.marker.file.Close()); err != nil {
		return s.file.access(err, "closing it")
	}
	return nil
}

// Abandon lets the file go as the death of the process would. For tests.
func (s *Session) Abandon() error {
	s.stuck.Store(true)
	return errors.Join(s.closeBolt(), s.marker.file.Close())
}

func (s *Session) closeBolt() error {
	if !s.stuck.Load() {
		return guarded(s.db.Close)
	}
	// bbolt would wait for itself. Its memory stays mapped, and keeps the lock
	// beyond Close.
	unlock(s.bolt)
	return s.bolt.Close()
}
