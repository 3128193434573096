//go:build !windows

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPIDFileIsForAllToRead(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	path := filepath.Join(t.TempDir(), "pid")
	p, err := takePIDFile(path)
	require.NoError(t, err)
	defer p.release() //nolint:errcheck // not what is tested
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
}

func TestPIDFileFollowsNoLink(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(target, link))
	_, err := takePIDFile(link)
	require.ErrorContains(t, err, "is a symbolic link")
	require.NoFileExists(t, target)

	require.NoError(t, os.WriteFile(target, []byte("1\n"), 0o600))
	_, err = takePIDFile(link)
	require.ErrorContains(t, err, "is a symbolic link")
	hard := filepath.Join(folder, "hard")
	require.NoError(t, os.Link(target, hard))
	_, err = takePIDFile(hard)
	require.ErrorContains(t, err, "hard links")

	text, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "1\n", string(text))
}

func TestPIDFileIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err := takePIDFile(path)
	require.ErrorContains(t, err, "is not a regular file")
	_, err = takePIDFile(os.DevNull)
	require.ErrorContains(t, err, "is not a regular file")
}

func TestPIDFileOfAnotherUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, os.WriteFile(path, []byte("1\n"), 0o600))
	if err := os.Chown(path, 65534, -1); err != nil {
		require.NotZero(t, os.Geteuid(), "a superuser cannot give files away: %v", err)
		t.Skip("only a superuser can give files away: ", err)
	}
	_, err := takePIDFile(path)
	require.ErrorContains(t, err, "belongs to another user, number 65534")
}

func TestPIDFileWhereItCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "pid")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o500))
	if os.Geteuid() == 0 {
		if runtime.GOOS != "linux" {
			t.Skip("a superuser may write everywhere")
		}
		path = "/sys/easyflake.pid" // nobody makes files there
	}
	_, err := takePIDFile(path)
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "let this user write there")
}

// TestPIDFileTampered is what others do to the file while a server has it.
func TestPIDFileTampered(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(t *testing.T, path string)
		stays  string // at the path, after the end
	}{
		"removed": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		}, ""},
		"truncated": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Truncate(path, 0))
		}, ""},
		"replaced": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path+".new", []byte("5\n"), 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		}, "5\n"},
		"in a folder that was replaced": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"))
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte("6\n"), 0o600))
		}, "6\n"},
		"replaced by a link to itself": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Rename(path, path+".old"))
			require.NoError(t, os.Symlink(path+".old", path))
		}, ownNumber()},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "pid")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			p, err := takePIDFile(path)
			require.NoError(t, err)
			c.tamper(t, path)
			require.NoError(t, p.release())
			text, err := os.ReadFile(path)
			if c.stays == "" {
				require.ErrorIs(t, err, os.ErrNotExist)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.stays, string(text))
		})
	}
}

// TestPIDFileHolderWithoutNumber is one that has locked the file and not written
// to it yet, over a killed one's number.
func TestPIDFileHolderWithoutNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, os.WriteFile(path, []byte("2147483646\n"), 0o600))
	p, err := lockPIDFile(path)
	require.NoError(t, err)
	_, err = takePIDFile(path)
	require.ErrorContains(t, err, "a running process that its content does not name")
	require.NoError(t, p.release())
}

// TestPIDFileHasOneHolder among many that come and go, each of which may lock a
// file that another has just removed.
func TestPIDFileHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	var holders, taken atomic.Int32
	var starters sync.WaitGroup
	for range 8 {
		starters.Go(func() {
			for range 300 {
				p, err := lockPIDFile(path)
				if err != nil {
					if !errors.Is(err, errPIDFileMoved) && !strings.Contains(err.Error(), "belongs to a running") {
						t.Error(err)
					}
					continue
				}
				if err := p.begin(); err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d holders at once", n)
				}
				if text, err := os.ReadFile(path); err != nil || string(text) != ownNumber() {
					t.Errorf("the holder's file has %q: %v", text, err)
				}
				holders.Add(-1)
				if err := p.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	starters.Wait()
	assert.Positive(t, taken.Load())
	assert.NoFileExists(t, path)
}

// TestPIDFileFollowsNoLinkMadeMeanwhile, between looking and opening.
func TestPIDFileFollowsNoLinkMadeMeanwhile(t *testing.T) {
	folder := t.TempDir()
	path, target := filepath.Join(folder, "pid"), filepath.Join(folder, "target")
	done := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = os.Symlink(target, path) // fails while there is a file
				_ = os.Remove(path)
			}
		}
	})
	for range 3000 {
		if p, err := lockPIDFile(path); err == nil {
			assert.NoError(t, p.release())
		}
	}
	close(done)
	attacker.Wait()
	assert.NoFileExists(t, target)
}

// TestPIDFileIsEmptyOrWhole to whoever reads it at any moment.
func TestPIDFileIsEmptyOrWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	const stale = "1234567890123\n"
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			if err := os.WriteFile(path, []byte(stale), 0o600); err != nil {
				t.Error(err)
			}
			p, err := takePIDFile(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.release(); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			text, _ := os.ReadFile(path)
			// The stale one is not written by a server.
			if s := string(text); s != "" && s != ownNumber() && !strings.HasPrefix(stale, s) {
				t.Fatalf("the file had %q", s)
			}
		}
	}
}
