package boltfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/easyflake/easyflake/pool"
)

func TestStartRefuses(t *testing.T) {
	foreignBolt := func(t *testing.T, path string) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte("users"))
			return errors.Join(err, b.Put([]byte("a"), []byte("b")))
		}))
		require.NoError(t, db.Close())
	}
	store := func(t *testing.T, path string) {
		t.Helper()
		fill(t, path, 3)
	}
	tests := []struct {
		name    string
		make    func(t *testing.T, path string)
		options []Option
		is      error
		says    string
	}{
		{"nothing there", func(*testing.T, string) {}, nil, ErrMissing, "there is none: check the path, or open it with the option that creates it"},
		{"nothing there to restore", func(*testing.T, string) {}, with(restored), ErrMissing, "there is none"},
		{"no folder", func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(filepath.Dir(path))) }, nil, ErrMissing, "nor its folder"},
		{"deleted", func(t *testing.T, path string) {
			t.Helper()
			store(t, path)
			require.NoError(t, os.Remove(path))
		}, with(creating), ErrLost, "put the file or a backup of it back, and open it as restored (--restored)"},
		{"empty", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}, with(creating), ErrForeign, "it is empty, not a store of EasyFlake, and left as it is: move it away, or name another path"},
		{"emptied", func(t *testing.T, path string) {
			t.Helper()
			store(t, path)
			require.NoError(t, os.Truncate(path, 0))
		}, with(creating), ErrDamaged, "put back a backup"},
		{"text", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("8:3:1675859040.5\n8:4:1675859041.5"), 0o600)) // EasyFlake for Python's
		}, with(creating), ErrForeign, "it is not a bbolt file"},
		{"a long text", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("text\n", 1<<16)), 0o600))
		}, with(creating), ErrForeign, "it is not a bbolt file"},
		{"somebody's bbolt file", foreignBolt, with(creating), ErrForeign, "it is a bbolt file of something else"},
		{"a newer store", func(t *testing.T, path string) {
			t.Helper()
			store(t, path)
			s := start(t, path)
			require.NoError(t, s.update(func(tx *bbolt.Tx) error {
				return errors.Join(writeMetadata(tx, keyFormat, "2"), tx.Bucket([]byte(metaBucket)).Put([]byte("another"), []byte("x")))
			}))
			require.NoError(t, s.Close())
		}, with(creating), ErrNewer, "the store's format is 2, which this program does not know: use the version of EasyFlake that wrote it, or a newer one"},
		{"cut off", func(t *testing.T, path string) {
			t.Helper()
			store(t, path)
			require.NoError(t, os.Truncate(path, int64(3*os.Getpagesize())))
		}, with(creating), ErrDamaged, "it is cut off"},
		{"a folder", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Mkdir(path, 0o700))
		}, with(creating), ErrForeign, "it is a folder: name a file in it"},
		{"a marker of something else", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path+".id", []byte("12345"), 0o600))
		}, with(creating), ErrForeign, "where its marker belongs, is something else"},
		{"a folder for a marker", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Mkdir(path+".id", 0o700))
		}, with(creating), ErrForeign, "where its marker belongs, is something else"},
		{"read-only", func(t *testing.T, path string) {
			t.Helper()
			store(t, path)
			require.NoError(t, os.Chmod(path, 0o400))
		}, with(creating), fs.ErrPermission, "no permission for writing to it: make the file, the marker beside it and their folder writable for this user, or name another path"},
		{"a link to nothing", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Symlink(filepath.Join(filepath.Dir(path), "gone"), path); err != nil {
				t.Skip(err)
			}
		}, with(creating), ErrMissing, "it is a link to nothing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "store")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			test.make(t, path)
			if test.name == "no folder" {
				_, err := Find(path, 0, test.options)
				require.ErrorIs(t, err, test.is)
				require.ErrorContains(t, err, test.says)
				return
			}
			err := startErr(t, path, test.options...)
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, path)
			t.Log(err)
		})
	}
}

func TestEmptyPathIsRefused(t *testing.T) {
	_, err := Find("", 0, with(creating))
	require.ErrorIs(t, err, ErrMissing)
}

// Each way in which a file can be another than it was, and one in which it is not.
func TestContinuity(t *testing.T) {
	copyFile := func(t *testing.T, to, from string) {
		t.Helper()
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, data, 0o600))
	}
	// put writes into the file that there is, as it keeps its inode.
	put := func(t *testing.T, path string, data []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	more := func(t *testing.T, path string) {
		t.Helper()
		s := start(t, path)
		write(t, s, pool.Write{Namespace: "small", Node: 9, Value: []byte("later")})
		require.NoError(t, s.Close())
	}
	tests := []struct {
		name     string
		change   func(t *testing.T, path string)
		options  []Option
		doubtful string
	}{
		{"nothing", func(*testing.T, string) {}, nil, ""},
		{"used once more", more, nil, ""},
		{"moved with its folder", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".x"))
			require.NoError(t, os.Rename(filepath.Dir(path)+".x", filepath.Dir(path)))
		}, nil, ""},
		{"never used, and its marker not written yet", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
			put(t, path+".id", nil)
			s := start(t, path, creating)
			require.NoError(t, s.Close())
			put(t, path+".id", nil)
		}, nil, ""},
		{"opened as restored", func(*testing.T, string) {}, with(restored), "opened as restored"},
		{"gone, and opened as restored", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		}, with(restored), "opened as restored"},
		{"an older copy put back in place", func(t *testing.T, path string) {
			t.Helper()
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			more(t, path)
			put(t, path, data)
		}, nil, "as if an older copy had been put back"},
		{"an older copy after a crash of the process", func(t *testing.T, path string) {
			t.Helper()
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			s := start(t, path)
			write(t, s, pool.Write{Namespace: "small", Node: 9, Value: []byte("later")})
			require.NoError(t, s.Abandon())
			put(t, path, data)
		}, nil, "as if an older copy had been put back"},
		{"another store's file", func(t *testing.T, path string) {
			t.Helper()
			fill(t, path+"2", 50)
			copyFile(t, path, path+"2")
		}, nil, "its marker belongs to another store"},
		{"without its marker", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path+".id"))
		}, nil, "its marker is missing"},
		{"with an empty marker", func(t *testing.T, path string) {
			t.Helper()
			put(t, path+".id", nil)
		}, nil, "its marker is missing"},
		{"with a damaged marker", func(t *testing.T, path string) {
			t.Helper()
			data, err := os.ReadFile(path + ".id")
			require.NoError(t, err)
			for i := markerSlot; i < len(data); i++ {
				data[i] ^= 1
			}
			put(t, path+".id", data)
		}, nil, "its marker is damaged"},
		{"with half a marker", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Truncate(path+".id", markerSlot+20))
		}, nil, "its marker is damaged"},
		{"both copied", func(t *testing.T, path string) {
			t.Helper()
			if runtime.GOOS == "windows" {
				t.Skip("there are no inodes")
			}
			require.NoError(t, os.Rename(path, path+"2"))
			copyFile(t, path, path+"2")
			require.NoError(t, os.Rename(path+".id", path+"2.id"))
			copyFile(t, path+".id", path+"2.id")
		}, nil, "as if both had been copied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			fill(t, path, 30)
			test.change(t, path)
			s := start(t, path, test.options...)
			if test.doubtful == "" {
				assert.Empty(t, s.Doubtful())
				require.NoError(t, s.Close())
				return
			}
			assert.Contains(t, s.Doubtful(), test.doubtful)

			// Nobody is granted anything yet, but floors can be raised.
			writes := []pool.Write{{Namespace: "new", OfNamespace: true}, {Namespace: "new", Node: 1}, {Namespace: "new", Node: -1}}
			outcomes := make([]Outcome, len(writes))
			require.NoError(t, s.Write(writes, outcomes))
			require.NoError(t, outcomes[0].Err)
			require.ErrorIs(t, outcomes[1].Err, ErrDoubtful)
			require.ErrorIs(t, outcomes[2].Err, pool.ErrConflict)

			// The doubt is there until it is settled, also after a crash.
			require.NoError(t, s.Abandon())
			s = start(t, path)
			assert.Contains(t, s.Doubtful(), test.doubtful)
			require.NoError(t, s.Trust())
			assert.Empty(t, s.Doubtful())
			require.NoError(t, s.Abandon())
			s = start(t, path)
			assert.Empty(t, s.Doubtful())
			write(t, s, pool.Write{Namespace: "new", Node: 1, Value: []byte("x")})
			require.NoError(t, s.Close())
		})
	}
}

// Whoever has the old store open finds out, also if another has settled it.
func TestResumeOfReplacedStore(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, path string, before []byte)
		is     error
	}{
		{"an older copy in place", func(t *testing.T, path string, before []byte) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, before, 0o600))
		}, ErrReplaced},
		{"an older copy in place, settled by another", func(t *testing.T, path string, before []byte) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, before, 0o600))
			s := start(t, path)
			require.NoError(t, s.Trust())
			require.NoError(t, s.Close())
		}, ErrReplaced},
		{"the same records in another file", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			if runtime.GOOS == "windows" {
				t.Skip("there are no inodes")
			}
			now, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+"2", now, 0o600))
			require.NoError(t, os.Rename(path+"2", path))
		}, ErrReplaced},
		{"opened as restored by another", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			require.NoError(t, start(t, path, restored).Close())
		}, ErrReplaced},
		{"no marker", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			require.NoError(t, os.Remove(path+".id"))
		}, ErrReplaced},
		{"no store", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		}, ErrLost},
		{"emptied", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			require.NoError(t, os.Truncate(path, 0))
		}, ErrDamaged},
		{"cut off", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			require.NoError(t, os.Truncate(path, int64(4*os.Getpagesize())))
		}, ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store")
			fill(t, path, 30)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			f := find(t, path)
			s, err := f.Start(t.Context())
			require.NoError(t, err)
			id := s.ID()
			write(t, s, pool.Write{Namespace: "small", Node: 9, Value: []byte("later")})
			require.NoError(t, s.Close())
			s, err = f.Resume(t.Context(), id, true)
			require.NoError(t, err)
			require.NoError(t, s.Close())

			test.change(t, path, before)
			left := folder(t, path)
			for _, write := range []bool{false, true} {
				_, err = f.Resume(t.Context(), id, write)
				require.ErrorIs(t, err, test.is)
			}
			assert.Equal(t, left, folder(t, path))
			t.Log(err)
		})
	}
}

// A record that is damaged while the store is in use is not taken for one.
func TestDamageInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	fill(t, path, 30)
	s := start(t, path)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := 0; ; at++ {
		i := strings.Index(string(data[at:]), "once more")
		if i < 0 {
			break
		}
		at += i
		data[at] ^= 1
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
	err = s.View(func(tx *bbolt.Tx) error {
		_, err := Nodes(tx, "large", 15, 15)
		return err
	})
	require.ErrorIs(t, err, ErrDamaged)
	outcomes := make([]Outcome, 1)
	require.NoError(t, s.Write([]pool.Write{{Namespace: "large", NamespaceRevision: 3, Node: 15, NodeRevision: 1}}, outcomes))
	require.Error(t, outcomes[0].Err)
	require.NoError(t, s.Close())
}

// What bbolt panics on while the store is in use ends in an error, and the store
// can be closed, and its locks are free.
func TestPanicInUse(t *testing.T) {
	path := newPath(t)
	fill(t, path, 30)
	s := start(t, path)
	require.ErrorIs(t, s.View(func(*bbolt.Tx) error { panic("as bbolt does") }), ErrDamaged)
	require.ErrorIs(t, s.update(func(*bbolt.Tx) error { panic("as bbolt does") }), ErrDamaged)
	require.NoError(t, s.Close())
	require.NoError(t, start(t, path).Close())
}

// A commit that nobody could count at the marker may not be durable: before
// anything is read, another one makes it so.
func TestUncountedCommitIsMadeDurable(t *testing.T) {
	path := newPath(t)
	fill(t, path, 3)
	broken := errors.New("the disk said no")
	var fails error
	f := find(t, path, func(o *Options) { o.AfterCommit = func() error { return fails } })
	s, err := f.Start(t.Context())
	require.NoError(t, err)
	id := s.ID()
	fails = broken
	err = s.update(func(tx *bbolt.Tx) error { return writeMetadata(tx, "x", "1") })
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, broken)
	require.NoError(t, s.Close())

	// Reading alone does not do: the disk still says no.
	_, err = f.Resume(t.Context(), id, false)
	require.ErrorIs(t, err, broken)
	fails = nil
	before := f.Counts()
	s, err = f.Resume(t.Context(), id, false)
	require.NoError(t, err)
	assert.Equal(t, before.Commits+1, f.Counts().Commits)
	require.NoError(t, s.Close())
	s, err = f.Resume(t.Context(), id, false)
	require.NoError(t, err)
	assert.Equal(t, before.Commits+1, f.Counts().Commits, "once is enough")
	require.NoError(t, s.Close())
}

// Whoever may write waits for the disk in each commit, however the file was opened:
// bbolt leaves that out if it is told to, and nothing else would show it before the
// power goes.
func TestCommitsWaitForTheDisk(t *testing.T) {
	path := newPath(t)
	syncs := func(s *Session, err error, how string) (id string) {
		t.Helper()
		require.NoError(t, err)
		assert.False(t, s.db.NoSync, how)
		assert.False(t, s.db.NoGrowSync, how)
		write(t, s, pool.Write{Namespace: how, OfNamespace: true, Value: []byte("x")})
		require.NoError(t, s.Close())
		return s.ID()
	}
	s, err := find(t, path, creating).Start(t.Context())
	syncs(s, err, "created")
	f := find(t, path)
	s, err = f.Start(t.Context())
	id := syncs(s, err, "opened")
	s, err = f.Resume(t.Context(), id, true)
	syncs(s, err, "resumed")
	s, err = find(t, path, restored).Start(t.Context())
	syncs(s, err, "restored")
}

func TestStartMakesUncountedCommitDurable(t *testing.T) {
	path := newPath(t)
	fill(t, path, 3)
	s := start(t, path, func(o *Options) { o.AfterCommit = func() error { return errors.New("no") } })
	require.Error(t, s.Touch())
	require.NoError(t, s.Abandon())
	f := find(t, path)
	s, err := f.Start(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, f.Counts().Commits)
	assert.Empty(t, s.Doubtful())
	require.NoError(t, s.Close())
}

func TestCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "store")
	require.NoError(t, start(t, path, creating).Close())
	if runtime.GOOS != "windows" {
		for name, mode := range map[string]fs.FileMode{path: 0o600, path + ".id": 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode().Perm(), name)
		}
	}
	checkFile(t, path)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing else is left there")
}

// What a creation that was cut off has left is in nobody's way.
func TestCreationAfterCrash(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.WriteFile(path+".new", []byte("half a file"), 0o600))
	require.NoError(t, os.WriteFile(path+".id", nil, 0o600))
	s := start(t, path, creating)
	assert.Empty(t, s.Doubtful())
	require.NoError(t, s.Close())
	assert.NoFileExists(t, path+".new")
}

func TestLinksAreResolved(t *testing.T) {
	folder := t.TempDir()
	path := newPath(t)
	fill(t, path, 3)
	link := filepath.Join(folder, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	s := start(t, link)
	assert.NoFileExists(t, link+".id")
	err := startErr(t, path)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, s.Close())
}

func TestInUseNamesTheHolder(t *testing.T) {
	path := newPath(t)
	fill(t, path, 3)
	s := start(t, path)
	err := startErr(t, path)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = find(t, path).Start(ctx)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	s = start(t, path)
	require.NoError(t, s.Close())
}

func TestBboltToolHasTheFile(t *testing.T) {
	path := newPath(t)
	fill(t, path, 3)
	db, err := bbolt.Open(path, 0, nil)
	require.NoError(t, err)
	err = startErr(t, path)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "not EasyFlake")
	require.NoError(t, db.Close())
}

func TestReadersShare(t *testing.T) {
	path := newPath(t)
	f := find(t, path, creating)
	s, err := f.Start(t.Context())
	require.NoError(t, err)
	id := s.ID()
	require.NoError(t, s.Close())
	one, err := f.Resume(t.Context(), id, false)
	require.NoError(t, err)
	two, err := f.Resume(t.Context(), id, false)
	require.NoError(t, err)
	_, err = f.Resume(t.Context(), id, true)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
}

func TestRecordsThatDoNotFit(t *testing.T) {
	require.Error(t, Fits(pool.Write{}))
	require.Error(t, Fits(pool.Write{Namespace: strings.Repeat("n", maxName+1)}))
	require.Error(t, Fits(pool.Write{Namespace: "n", Value: make([]byte, maxValue+1)}))
	require.NoError(t, Fits(pool.Write{Namespace: strings.Repeat("n", maxName), Value: make([]byte, maxValue)}))
}

// Whoever has the file to write is named, and nobody else is.
func TestMarkerNamesWhoWrites(t *testing.T) {
	path := newPath(t)
	f := find(t, path, creating)
	s, err := f.Start(t.Context())
	require.NoError(t, err)
	id := s.ID()
	require.NoError(t, s.Close())
	for _, writes := range []bool{true, false} {
		s, err = f.Resume(t.Context(), id, writes)
		require.NoError(t, err)
		_, err = f.Resume(t.Context(), id, true)
		require.ErrorIs(t, err, ErrInUse)
		if writes {
			require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))
		} else {
			require.ErrorContains(t, err, "another process")
		}
		require.NoError(t, s.Close())
	}
}

// bbolt makes what it does not find: here it must not, even if a file goes away
// just when it is opened.
func TestOpeningNeverCreates(t *testing.T) {
	f := find(t, newPath(t))
	_, _, err := f.bolt(false, func(*os.File, os.FileInfo) error { return nil })
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.NoFileExists(t, f.path)
}

// A lock on a marker that somebody has removed keeps nobody out.
func TestRemovedMarkerIsNoLock(t *testing.T) {
	f := find(t, newPath(t), creating)
	m, err := f.tryLock(false, true)
	require.NoError(t, err)
	assert.True(t, f.isMarker(m.file))
	require.NoError(t, os.Remove(f.marker))
	assert.False(t, f.isMarker(m.file))
	require.NoError(t, os.WriteFile(f.marker, nil, 0o600))
	assert.False(t, f.isMarker(m.file))
	require.NoError(t, m.file.Close())
}
