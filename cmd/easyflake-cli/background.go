//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sevlyar/go-daemon"
	"golang.org/x/sys/unix"
)

// logFileMode keeps others from reading what clients a server has.
const logFileMode = 0o640

// background is the ground of a daemon.
type background struct {
	pipe *os.File // to the process that waits
	mark string
	log  string // the log file's path, or that of the null device
}

// newBackground makes this process, which was started for it, a daemon. Its stderr
// is the pipe until it is ready, and so for the Go runtime and for go-daemon too.
func newBackground(w *world, mark, logFile string) (*background, error) {
	if _, err := new(daemon.Context).Reborn(); err != nil {
		return nil, fmt.Errorf("becoming a daemon: %w", err)
	}
	for _, name := range []string{daemon.MARK_NAME, daemonMark} {
		if err := w.hosting.unsetenv(name); err != nil {
			return nil, fmt.Errorf("becoming a daemon: %w", err)
		}
	}
	// go-daemon has put the null device here, copied it to 0, and left it open.
	if err := unix.Close(3); err != nil {
		return nil, fmt.Errorf("becoming a daemon: %w", err)
	}
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("becoming a daemon: %w", err)
	}
	b := &background{pipe: os.NewFile(uintptr(fd), "pipe"), mark: mark, log: os.DevNull}
	if logFile != "" {
		b.log = logFile
	}
	if err := b.redirect(1); err != nil {
		return nil, err
	}
	return b, nil
}

// ready turns stderr to the log file before it tells: whatever is said later has
// somewhere to go.
func (b *background) ready() error {
	err := b.redirect(2)
	if err == nil {
		if _, err = b.pipe.Write(markLine(b.mark)); err != nil {
			// Not %w: a closed pipe ends a program in silence, and this must be in the log.
			err = fmt.Errorf("the process that waited for this daemon is gone (%v), and so nobody knows of it", reason(err)) //nolint:errorlint // see above
		}
	}
	return errors.Join(err, b.pipe.Close())
}

// reopen opens the log file anew, after it was moved or removed.
func (b *background) reopen() error { return b.redirect(1, 2) }

// redirect has descriptors write to the log file.
func (b *background) redirect(descriptors ...int) error {
	file, err := openLog(b.log)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written here
	for _, fd := range descriptors {
		if err := unix.Dup2(int(file.Fd()), fd); err != nil {
			return logError(b.log, os.NewSyscallError("dup2", err))
		}
	}
	return nil
}

// openLog opens a log file to append to it. A FIFO would wait for a reader, and
// /dev/stderr is a pipe that nobody reads for long.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0 {
		return nil, fmt.Errorf("the log file %s is not a file that can be appended to: name another with --log-file", path)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOCTTY, logFileMode)
	if err != nil {
		return nil, logError(path, err)
	}
	return file, nil
}

func logError(path string, err error) error {
	return fmt.Errorf("the log file %s cannot be written: %w; name another with --log-file", path, reason(err))
}
