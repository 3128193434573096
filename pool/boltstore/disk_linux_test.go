package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/easyflake/easyflake/pool"
)

// smallDisk mounts a disk of its own, which only root may do.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a disk to fill")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); errors.Is(err, syscall.EPERM) {
		t.Skip("this root may not mount a disk to fill")
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

// A disk that runs full ends the store with an error that says so. What was
// acknowledged is there afterwards, nothing else, and the store goes on once there
// is room.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "512k")
	path := filepath.Join(dir, "store")
	s := open(t, path)
	namespace := create(t, s)
	var written int64
	var err error
	for err == nil {
		_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: written, Value: fmt.Appendf(nil, "%01000d", written)})
		if err == nil {
			written++
		}
	}
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "is it full?")
	_, err = s.Nodes(t.Context(), name, 0, 1)
	require.ErrorIs(t, err, ErrFailed)
	require.NoError(t, s.Close())
	checkFile(t, path)

	// It opens while the disk is full, too: leases can be read.
	s = open(t, path)
	assert.Empty(t, s.Doubtful())
	nodes, err := s.Nodes(t.Context(), name, 0, 1<<40)
	require.NoError(t, err)
	require.Len(t, nodes, int(written))
	require.NoError(t, s.Close())

	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"))
	s = open(t, path)
	_, err = s.Write(t.Context(), pool.Write{Namespace: name, NamespaceRevision: namespace, Node: written, Value: []byte("x")})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	checkFile(t, path)
}

// On a disk that is full from the start nothing is created but an empty marker,
// and once there is room, all is well.
func TestCreationOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "16k")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 12<<10), 0o600))
	path := filepath.Join(dir, "store")
	_, err := Open(path, WithCreate())
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "the disk is full: free some space")
	assert.NoFileExists(t, path)
	assert.NoFileExists(t, path+".new")
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=1m"))
	s := open(t, path)
	assert.Empty(t, s.Doubtful())
}

// In a folder that cannot be written to there is no store.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "1m")
	path := filepath.Join(dir, "store")
	require.NoError(t, open(t, path).Close())
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	for _, path := range []string{path, filepath.Join(dir, "another"), filepath.Join(dir, "folder", "store")} {
		_, err := Open(path, WithCreate())
		require.ErrorIs(t, err, syscall.EROFS)
		require.ErrorContains(t, err, "writable for this user, or name another path")
	}
}
