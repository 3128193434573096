//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pidFileMode lets everyone read the number, whatever the umask.
const pidFileMode = 0o644

// lockPIDFile opens the file at a path and locks it. The lock belongs to the
// opening of the file, which no child process inherits.
func lockPIDFile(path string) (*pidFile, error) {
	// Before opening it, which does something to some devices, and waits at a FIFO.
	if info, err := os.Lstat(path); err == nil {
		if err := pidFileKind(path, info); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, pidFileMode)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) {
		return nil, errPIDFileMoved // by a link, which the next look finds
	} else if err != nil {
		return nil, pidFileError(path, err)
	}
	p := &pidFile{path: path, file: file}
	if err := p.lock(); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return p, nil
}

func (p *pidFile) lock() error {
	locked := unix.Flock(int(p.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if locked != nil && !errors.Is(locked, unix.EWOULDBLOCK) {
		return pidFileError(p.path, os.NewSyscallError("flock", locked))
	}
	info, err := p.file.Stat()
	if err != nil {
		return pidFileError(p.path, err)
	}
	switch at, err := p.isThere(info); {
	case err != nil:
		return pidFileError(p.path, err)
	case !at:
		return errPIDFileMoved
	case locked != nil:
		return heldPIDFile(p.path, func() ([]byte, error) { return readPIDFile(p.file) })
	}
	return p.own(info)
}

// isThere reports whether the path names the file still.
func (p *pidFile) isThere(info fs.FileInfo) (bool, error) {
	at, err := os.Lstat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(info, at), err
}

// own refuses a file that somebody else prepared: its owner could write another
// number into it, for an administrator to send signals to, and under a second name
// it may be anything.
func (p *pidFile) own(info fs.FileInfo) error {
	if err := pidFileKind(p.path, info); err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return pidFileError(p.path, errors.ErrUnsupported)
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("the PID file %s belongs to another user, number %d, who could change it: remove it, or name another with --pid-file", p.path, stat.Uid)
	case stat.Nlink != 1:
		return fmt.Errorf("the PID file %s has other names too (hard links), under which it would be overwritten: remove it, or name another with --pid-file", p.path)
	}
	if err := p.file.Chmod(pidFileMode); err != nil {
		return pidFileError(p.path, err)
	}
	return nil
}

// discard removes the file while it is locked still: whoever has opened it before
// finds, having locked it, that it is no longer there.
func (p *pidFile) discard() error {
	info, err := p.file.Stat()
	var at bool
	if err == nil {
		at, err = p.isThere(info)
	}
	if at {
		if err = os.Remove(p.path); errors.Is(err, fs.ErrNotExist) {
			err = nil // somebody was quicker
		} else if err != nil {
			_ = p.file.Truncate(0) // a number that is no longer ours helps nobody
		}
	}
	return errors.Join(err, p.file.Close())
}

// isRunning reports whether there is a process of a number.
func isRunning(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
