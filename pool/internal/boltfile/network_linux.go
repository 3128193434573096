package boltfile

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// network returns the kind of file system that a folder is on, if it is one whose
// locks or syncs other machines may not see; "" for all others.
func network(folder string) string {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return "" // what is wrong shows when the file is opened
	}
	return networkKind(uint32(s.Type), func() string { return mountedAs(folder) })
}

// networkKind tells by the number that statfs(2) gives, and by the type in the
// table of mounts where many share a number.
func networkKind(magic uint32, mounted func() string) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	case unix.V9FS_MAGIC:
		return "9P"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	case 0x01161970:
		return "GFS2"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x19830326:
		return "BeeGFS"
	case 0x47504653:
		return "GPFS"
	case 0x786f4256:
		return "VirtualBox shared folder"
	case 0xbacbacbc:
		return "VMware shared folder"
	case unix.FUSE_SUPER_MAGIC:
		return networkFUSE(mounted())
	}
	return ""
}

// networkFUSE tells by the type of a FUSE mount. Many of them are local.
func networkFUSE(kind string) string {
	name := strings.TrimPrefix(kind, "fuse.")
	for _, known := range []string{
		"virtiofs", "sshfs", "s3fs", "goofys", "gcsfuse", "rclone", "glusterfs", "ceph", "davfs", "juicefs",
		"lustre", "lizardfs", "mfs", "moosefs", "curlftpfs", "smbnetfs", "vmhgfs", "seaweedfs", "blobfuse", "hdfs", "afp",
	} {
		if strings.HasPrefix(name, known) {
			return kind
		}
	}
	return ""
}

// mountedAs returns the type of the mount that a folder is in.
func mountedAs(folder string) string {
	var s unix.Stat_t
	if unix.Stat(folder, &s) != nil {
		return ""
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer f.Close()                                                                      //nolint:errcheck // only read
	device := fmt.Sprintf("%d:%d", unix.Major(uint64(s.Dev)), unix.Minor(uint64(s.Dev))) //nolint:unconvert // 32 bits on MIPS
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 36 35 98:0 /root /mount options optional… - type source options
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > 2 && fields[2] == device {
			kind, _, _ := strings.Cut(after, " ")
			return kind
		}
	}
	return ""
}
