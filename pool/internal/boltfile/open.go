package boltfile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/bbolt"
)

// Start opens the store for this process alone: it verifies all of it, judges
// whether it is still the store that it was, and makes it if that was asked for.
func (f *File) Start(ctx context.Context) (*Session, error) {
	info, err := f.stat()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(f.marker); errors.Is(err, fs.ErrNotExist) {
		// Leave nothing beside a file that is not ours.
		if info == nil && !f.options.Create {
			return nil, f.errorf(ErrMissing, nil, "there is none: check the path, or open it with the option that creates it")
		} else if info != nil {
			if err := f.look(); err != nil {
				return nil, err
			}
		}
	}
	m, err := f.lock(ctx, false, true)
	if err != nil {
		return nil, err
	}
	s, err := f.start(m)
	if err != nil {
		_ = m.file.Close() // what was written is synced
		return nil, err
	}
	return s, nil
}

// look verifies a file without a marker.
func (f *File) look() error {
	file, err := os.Open(f.path)
	if err != nil {
		return f.access(err, "opening it")
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return f.access(err, "opening it")
	}
	_, err = f.verify(file, info, false)
	return err
}

func (f *File) verify(file *os.File, info os.FileInfo, ours bool) (*image, error) {
	img, err := verify(file, info.Size())
	var newer *newerError
	switch {
	case err == nil:
		return img, nil
	case errors.As(err, &newer):
		return nil, f.errorf(ErrNewer, nil, "%v, which this program does not know: use the version of EasyFlake that wrote it, or a newer one", newer)
	case !ours && (errors.Is(err, errEmpty) || errors.Is(err, errNotBolt) || errors.Is(err, errNotOurs)):
		return nil, f.errorf(ErrForeign, nil, "%v, not a store of EasyFlake, and left as it is: move it away, or name another path", err)
	}
	return nil, f.damaged(err)
}

// start goes on where the marker is locked.
func (f *File) start(m *marker) (*Session, error) {
	unmarked := m.read()
	if errors.Is(unmarked, errMarkForeign) {
		return nil, f.foreignMarker()
	}
	known := unmarked == nil || errors.Is(unmarked, errMarkDamaged)
	if !known && !errors.Is(unmarked, errNoMark) {
		return nil, f.access(unmarked, "reading the marker")
	}
	info, err := f.stat()
	if err != nil {
		return nil, err
	}
	var doubt string
	if f.options.Restored {
		doubt = "it was opened as restored"
	}
	created := info == nil
	if created {
		switch {
		case known && !f.options.Restored:
			return nil, f.errorf(ErrLost, nil, "there was one, as its marker %s says, and it is gone: put the file or a backup of it back, and open it as restored (--restored); opened so without a file, it begins anew, and the first windows wait until the lost ones are over", f.marker)
		case !known && !f.options.Create:
			return nil, f.errorf(ErrMissing, nil, "there is none: check the path, or open it with the option that creates it")
		}
		if err := f.create(doubt); err != nil {
			return nil, err
		}
	}

	var img *image
	db, file, err := f.bolt(false, func(file *os.File, i os.FileInfo) error {
		if i.Mode().Perm()&0o200 == 0 { // which a superuser could write to all the same
			return f.access(fs.ErrPermission, "writing to it")
		}
		info = i
		var err error
		img, err = f.verify(file, i, known)
		return err
	})
	if err != nil {
		return nil, err
	}
	s := &Session{file: f, db: db, bolt: file, marker: m, meta: img.metadata, commits: img.commits, inode: inode(info)}
	if doubt == "" {
		doubt = s.judge(unmarked)
	}
	if err := s.settle(unmarked, doubt, created); err != nil {
		return nil, errors.Join(err, s.closeBolt())
	}
	return s, nil
}

// judge says why a store cannot be trusted to be what it was, by its marker.
func (s *Session) judge(unmarked error) string {
	m := s.marker
	switch {
	case errors.Is(unmarked, errNoMark) && s.commits == s.meta.born:
		return "" // its creation was cut off before the marker was written; it was never used
	case errors.Is(unmarked, errNoMark):
		return "its marker is missing, as if it had been copied here"
	case unmarked != nil:
		return "its marker is damaged"
	case m.id != s.meta.id:
		return "its marker belongs to another store, as if an older copy had been put back"
	case m.commits > s.commits:
		return fmt.Sprintf("its marker has counted %d commits and it has had %d, as if an older copy had been put back", m.commits, s.commits)
	case m.inode != 0 && s.inode != 0 && m.inode != s.inode:
		return "it is not the file that its marker was made for, as if both had been copied"
	}
	return ""
}

// settle makes marker and store agree, and all that is in the store durable.
func (s *Session) settle(unmarked error, doubt string, created bool) error {
	if doubt != "" && !created {
		// A new id tells those who have the old store open. The marker comes
		// last: cut off before it, this happens again.
		id := newID()
		err := s.commit(func(tx *bbolt.Tx) error {
			return errors.Join(writeMetadata(tx, keyID, id), writeMetadata(tx, keyDoubt, doubt))
		})
		if err != nil {
			return err
		}
		s.meta.id, s.meta.doubt = id, doubt
		return s.begin(false)
	}
	switch {
	case unmarked != nil || doubt != "":
		return s.begin(created)
	case s.marker.commits < s.commits:
		return s.Touch()
	}
	return s.count()
}

// begin writes the marker anew.
func (s *Session) begin(created bool) error {
	s.file.counts.syncs.Add(1)
	if err := s.marker.begin(s.mark()); err != nil {
		return s.file.failed(err)
	}
	if created {
		return nil // its name was made durable with the file's
	}
	return s.file.syncFolder(filepath.Dir(s.file.marker))
}

// Touch commits nothing, which makes durable what is there.
func (s *Session) Touch() error { return s.update(func(*bbolt.Tx) error { return nil }) }

// create makes a file beside, and gives it its name when it is complete: at that
// name there is either nothing or a store.
func (f *File) create(doubt string) error {
	path := f.path + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.access(err, "removing what was left of an attempt to create it")
	}
	err := guarded(func() error { return f.fill(path, doubt) })
	if err == nil {
		err = os.Rename(path, f.path)
	}
	if err != nil {
		_ = os.Remove(path) // the first error counts
		return f.access(err, "creating it")
	}
	return f.syncFolder(filepath.Dir(f.path))
}

func (f *File) fill(path, doubt string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoGrowSync: true, OpenFile: func(path string, flags int, mode os.FileMode) (*os.File, error) {
		return os.OpenFile(path, flags|os.O_EXCL, mode)
	}})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		err := errors.Join(
			writeMetadata(tx, keyFormat, format),
			writeMetadata(tx, keyID, newID()),
			writeMetadata(tx, keyBorn, strconv.Itoa(tx.ID())))
		if doubt != "" {
			err = errors.Join(err, writeMetadata(tx, keyDoubt, doubt))
		}
		return err
	})
	if err == nil {
		err = db.Sync()
	}
	f.counts.commits.Add(1)
	f.counts.syncs.Add(2) // bbolt syncs the first pages of a new file
	return errors.Join(err, db.Close())
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// Resume opens the store again for one operation: shared with other readers, or to
// write. It is an error if the store is not the one of this id, or has gone back.
func (f *File) Resume(ctx context.Context, id string, write bool) (*Session, error) {
	m, err := f.lock(ctx, !write, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.replaced("its marker is gone")
	} else if err != nil {
		return nil, err
	}
	s, err := f.resume(m, id, write)
	if err != nil {
		_ = m.file.Close() // nothing was written
		return nil, err
	}
	if s.commits == m.commits || write {
		return s, nil // what is to be written makes durable what was
	}
	// What there is to read may not be durable.
	if err := s.Close(); err != nil {
		return nil, err
	}
	s, err = f.Resume(ctx, id, true)
	if err != nil {
		return nil, err
	}
	if s.commits != s.marker.commits {
		if err := s.Touch(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (f *File) resume(m *marker, id string, write bool) (*Session, error) {
	if err := m.read(); err != nil || m.id != id {
		return nil, f.replaced("its marker is another's")
	}
	info, err := f.stat()
	if err != nil {
		return nil, err
	}
	if info == nil {
		return nil, f.errorf(ErrLost, nil, "it is gone while it was in use: put it back, end all processes that use it, and open it again")
	}
	db, file, err := f.bolt(!write, func(file *os.File, i os.FileInfo) error {
		info = i
		_, err := findMeta(file, i.Size())
		if err != nil {
			return f.damaged(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &Session{file: f, db: db, bolt: file, marker: m, inode: inode(info)}
	err = s.View(func(tx *bbolt.Tx) error {
		var err error
		s.commits = uint64(tx.ID())
		s.meta, err = readMetadata(tx)
		return err
	})
	if err == nil && (s.meta.id != id || s.commits < m.commits || m.inode != 0 && s.inode != m.inode) {
		err = f.replaced("it is another file, or an older copy")
	}
	if err == nil && write {
		if err = m.sign(os.Getpid()); err != nil {
			err = f.access(err, "writing the marker")
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.closeBolt())
	}
	return s, nil
}

func (f *File) replaced(why string) error {
	return f.errorf(ErrReplaced, nil, "it has been replaced while it was in use (%s): end all processes that use it, and open it again", why)
}

// ID returns what the store is known by until it becomes doubtful again.
func (s *Session) ID() string { return s.meta.id }
