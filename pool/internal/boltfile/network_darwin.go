package boltfile

import "golang.org/x/sys/unix"

// network returns the kind of file system that a folder is on, if the system says
// that it is not a local one.
func network(folder string) string {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil || s.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(s.Fstypename[:])
}
