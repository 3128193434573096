package boltfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNetworkKind(t *testing.T) {
	for magic, want := range map[uint32]string{
		unix.NFS_SUPER_MAGIC:       "NFS",
		unix.SMB2_SUPER_MAGIC:      "SMB",
		unix.CIFS_SUPER_MAGIC:      "SMB",
		unix.V9FS_MAGIC:            "9P",
		unix.CEPH_SUPER_MAGIC:      "Ceph",
		unix.AFS_FS_MAGIC:          "AFS",
		0x0bd00bd0:                 "Lustre",
		unix.EXT4_SUPER_MAGIC:      "",
		unix.XFS_SUPER_MAGIC:       "",
		unix.BTRFS_SUPER_MAGIC:     "",
		unix.TMPFS_MAGIC:           "",
		unix.OVERLAYFS_SUPER_MAGIC: "",
	} {
		assert.Equal(t, want, networkKind(magic, func() string { t.Error("asked for the mount"); return "" }))
	}
	for mounted, want := range map[string]string{
		"fuse.sshfs": "fuse.sshfs", "fuse.glusterfs": "fuse.glusterfs", "virtiofs": "virtiofs",
		"fuseblk": "", "fuse.ntfs-3g": "", "fuse.gocryptfs": "", "": "",
	} {
		assert.Equal(t, want, networkKind(unix.FUSE_SUPER_MAGIC, func() string { return mounted }))
	}
}

func TestMountedAs(t *testing.T) {
	assert.Equal(t, "proc", mountedAs("/proc"))
	assert.Empty(t, mountedAs("/does/not/exist"))
}

func TestNetworkErrorSaysWhatToDo(t *testing.T) {
	f := &File{path: "/mnt/share/nodes"}
	err := f.networkError("NFS")
	require.ErrorIs(t, err, ErrNetwork)
	require.ErrorContains(t, err, "put it on a local disk, or run a pool server there")
}
