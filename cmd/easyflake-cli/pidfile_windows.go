package main

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// lockPIDFile opens the file at a path so that nobody else can write, rename or
// remove it while it is open: the lock that Windows has built in. It ends with the
// process, and keeps nobody from reading. So the path cannot come to name another
// file either.
func lockPIDFile(path string) (*pidFile, error) {
	if info, err := os.Lstat(path); err == nil {
		if err := pidFileKind(path, info); err != nil {
			return nil, err
		}
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, pidFileError(path, err)
	}
	// FILE_FLAG_OPEN_REPARSE_POINT opens a link itself.
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ,
		nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	switch {
	case errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return nil, heldPIDFile(path, func() ([]byte, error) { return sharedPIDFile(path) })
	case errors.Is(err, windows.ERROR_DELETE_PENDING):
		return nil, errPIDFileMoved
	case err != nil:
		return nil, pidFileError(path, err)
	}
	p := &pidFile{path: path, file: os.NewFile(uintptr(handle), path)}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		_ = p.file.Close() // nothing was written
		return nil, pidFileError(path, err)
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		_ = p.file.Close()          // nothing was written
		return nil, errPIDFileMoved // by a link, which the next look finds
	}
	return p, nil
}

// sharedPIDFile reads the file that another process has open.
func sharedPIDFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readPIDFile(f)
}

// discard closes the file first, as it must be to be removed. A process that takes
// it over in between keeps it from being removed.
func (p *pidFile) discard() error {
	if err := p.file.Close(); err != nil {
		return err
	}
	err := os.Remove(p.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil
	}
	return err
}

// isRunning reports whether there is a process of a number.
func isRunning(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = process.Release() // always nil
	return true
}
