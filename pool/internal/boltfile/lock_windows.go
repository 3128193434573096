package boltfile

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks an open file, shared or for this one alone, and reports whether it
// could. The lock belongs to this opening of the file, and ends with it. It is on
// the last byte that a file can have, since it keeps others from reading.
func tryLock(f *os.File, shared bool) (bool, error) {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, os.NewSyscallError("LockFileEx", err)
}

// unlock has nothing to do: closing the file ends its locks.
func unlock(*os.File) {}

// inode is unknown here.
func inode(os.FileInfo) uint64 { return 0 }

// syncFolder does nothing: the system makes names durable itself, or not.
func syncFolder(string) error { return nil }
