package boltfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/clock"
)

// Options are what users can choose.
type Options struct {
	// Create makes the store where there has never been one.
	Create bool
	// Restored goes on with a store that is gone or was put back, doubtful.
	Restored bool
	// Network goes on where locks and syncs may not hold.
	Network bool
	// Clock is what the store tells the time by.
	Clock clock.Clock
	// Wait bounds how long to wait for others that have the store.
	Wait time.Duration
	// AfterCommit stands in for a sync that fails, in tests: what was written is
	// there, but nobody may count on it.
	AfterCommit func() error
}

// Option changes one of them.
type Option func(*Options)

// File is where a store is, links resolved.
type File struct {
	path    string
	marker  string
	options Options
	counts  counts
}

type counts struct{ commits, writes, syncs atomic.Int64 }

// Counts are what a store has done since it was opened.
type Counts struct {
	// Commits are transactions; Writes the records that they wrote.
	Commits, Writes int64
	// Syncs are the calls that wait for the disk. A commit has two, and one more
	// when the file grows.
	Syncs int64
}

// Counts returns what was done up to now.
func (f *File) Counts() Counts {
	return Counts{Commits: f.counts.commits.Load(), Writes: f.counts.writes.Load(), Syncs: f.counts.syncs.Load()}
}

// Find looks where a store is, or is to be. With Create it makes the folders that
// are missing, for this user only.
func Find(path string, wait time.Duration, opts []Option) (*File, error) {
	f := &File{path: path, options: Options{Clock: clock.System{}, Wait: wait}}
	for _, opt := range opts {
		opt(&f.options)
	}
	if path == "" {
		return nil, f.errorf(ErrMissing, nil, "the path is empty: name a file")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, f.access(err, "finding the file")
	}
	folder := filepath.Dir(absolute)
	if kind := network(ancestor(folder)); kind != "" && !f.options.Network {
		return nil, f.networkError(kind)
	}
	if err := f.folder(folder); err != nil {
		return nil, err
	}
	switch _, err := os.Lstat(absolute); {
	case errors.Is(err, fs.ErrNotExist):
		folder, err = filepath.EvalSymlinks(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, f.errorf(ErrMissing, err, "there is none, nor its folder: check the path, or open it with the option that creates it")
		} else if err != nil {
			return nil, f.access(err, "resolving links")
		}
		absolute = filepath.Join(folder, filepath.Base(absolute))
	case err != nil:
		return nil, f.access(err, "finding the file")
	default:
		resolved, err := filepath.EvalSymlinks(absolute)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, f.errorf(ErrMissing, nil, "it is a link to nothing: name the file itself, or put it back")
		} else if err != nil {
			return nil, f.access(err, "resolving links")
		}
		absolute = resolved
	}
	f.path, f.marker = absolute, absolute+".id"
	// The link may have led elsewhere.
	if kind := network(filepath.Dir(absolute)); kind != "" && !f.options.Network {
		return nil, f.networkError(kind)
	}
	return f, nil
}

// Path returns where the store is.
func (f *File) Path() string { return f.path }

// Now returns the time by the store's clock.
func (f *File) Now() int64 { return f.options.Clock.Now() }

func (f *File) networkError(kind string) error {
	return f.errorf(ErrNetwork, nil, "it is on a network file system (%s), whose locks and syncs cannot be relied on: put it on a local disk, or run a pool server there; the option for network file systems overrides this, at your risk", kind)
}

// ancestor returns the nearest folder that exists.
func ancestor(folder string) string {
	for {
		_, err := os.Stat(folder)
		up := filepath.Dir(folder)
		if err == nil || up == folder {
			return folder
		}
		folder = up
	}
}

// folder makes the folders that are missing, durably.
func (f *File) folder(folder string) error {
	if !f.options.Create {
		return nil
	}
	first := ancestor(folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return f.access(err, "making its folder")
	}
	for at := folder; at != first && at != filepath.Dir(at); {
		at = filepath.Dir(at)
		if err := f.syncFolder(at); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) syncFolder(folder string) error {
	f.counts.syncs.Add(1)
	if err := syncFolder(folder); err != nil {
		return f.access(err, "making the file's name durable")
	}
	return nil
}

// stat returns nil where there is no file.
func (f *File) stat() (os.FileInfo, error) {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // as documented
	case err != nil:
		return nil, f.access(err, "finding the file")
	case info.IsDir():
		return nil, f.errorf(ErrForeign, nil, "it is a folder: name a file in it")
	case !info.Mode().IsRegular():
		return nil, f.errorf(ErrForeign, nil, "it is not a regular file: name another path")
	}
	return info, nil
}

// lock opens the marker and locks it, within the time that there is. With create
// it makes an empty one where there is none; without, a missing one is an error
// that [fs.ErrNotExist] finds.
func (f *File) lock(ctx context.Context, shared, create bool) (*marker, error) {
	limited, cancel := context.WithTimeout(ctx, f.options.Wait)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 16*time.Millisecond) {
		m, err := f.tryLock(shared, create)
		if m != nil || err != nil {
			return m, err
		}
		// With jitter, so that those who wait do not keep step.
		pause := pause/2 + rand.N(pause) //nolint:gosec // need not be unguessable
		if (clock.System{}).Wait(limited, clock.System{}.Now()+int64(pause)) != nil {
			return nil, f.inUse(ctx.Err())
		}
	}
}

// tryLock returns nil and no error where others have the lock.
func (f *File) tryLock(shared, create bool) (*marker, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	if info, err := os.Lstat(f.marker); err == nil && !info.Mode().IsRegular() {
		return nil, f.foreignMarker()
	}
	file, err := os.OpenFile(f.marker, flags, 0o600)
	if err != nil {
		return nil, f.access(err, "opening the marker "+f.marker)
	}
	locked, err := tryLock(file, shared)
	if locked && f.isMarker(file) {
		return &marker{file: file}, nil
	}
	_ = file.Close() // nothing was written
	if err != nil {
		return nil, f.errorf(nil, err, "locking it failed: the file system must have locks")
	}
	return nil, nil //nolint:nilnil // as documented
}

// isMarker makes sure that the file locked is still the one that others will find.
func (f *File) isMarker(file *os.File) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(f.marker)
	return err == nil && os.SameFile(locked, there)
}

func (f *File) foreignMarker() error {
	return f.errorf(ErrForeign, nil, "%s, where its marker belongs, is something else: move that away, or name another path", f.marker)
}

// inUse names the holder, where the marker does.
func (f *File) inUse(cause error) error {
	holder := "another process"
	if file, err := os.Open(f.marker); err == nil {
		m := marker{file: file}
		if m.read() == nil && m.pid != 0 {
			holder = fmt.Sprintf("process %d", m.pid)
		}
		_ = file.Close() // only read
	}
	return f.errorf(ErrInUse, cause, "%s has it open: end that process, or wait for it, or use a pool server that both can ask", holder)
}
