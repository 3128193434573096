package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// pidFile is a file with the number of the one process that has it locked.
//
// The lock decides, never the number: it ends with the process, however that ends,
// so that what a killed one leaves behind is taken over, also where another program
// has its number by then. The number is for whoever wants to send a signal.
//
// A file is locked first, and then looked for at its path once more: of processes
// that start at once, one may lock the file that another has just removed.
type pidFile struct {
	path string
	file *os.File
}

// errPIDFileMoved is a file that was locked, and is no longer what its path names.
var errPIDFileMoved = errors.New("it was replaced meanwhile")

// heldPIDFileError is a file that another process has locked.
type heldPIDFileError string

func (e heldPIDFileError) Error() string { return string(e) }

// Both bound what is over in microseconds, unless somebody plays tricks: a killed
// process is still on its way out, and a new one has its number to write.
const (
	pidFileAttempts = 20
	pidFilePause    = 10 * time.Millisecond
)

// takePIDFile locks the file at a path, makes it where there is none, and writes
// this process's number to it.
func takePIDFile(path string) (*pidFile, error) {
	path, err := filepath.Abs(path) // for the end, should the working folder be another by then
	if err != nil {
		return nil, pidFileError(path, err)
	}
	for range pidFileAttempts {
		var p *pidFile
		if p, err = lockPIDFile(path); err == nil {
			if err := p.begin(); err != nil {
				return nil, err
			}
			return p, nil
		}
		if _, held := errors.AsType[heldPIDFileError](err); !held && !errors.Is(err, errPIDFileMoved) {
			return nil, err
		}
		<-time.After(pidFilePause)
	}
	if _, held := errors.AsType[heldPIDFileError](err); held {
		return nil, err
	}
	return nil, pidFileError(path, err)
}

// begin writes the number. It closes the file where it cannot.
func (p *pidFile) begin() error {
	if err := p.check(); err != nil {
		_ = p.file.Close() // nothing was written
		return err
	}
	if err := p.write(); err != nil {
		_ = p.discard() // the first error counts
		return err
	}
	return nil
}

// check refuses to overwrite what is not a PID file, as after a slip in the path.
func (p *pidFile) check() error {
	text, err := readPIDFile(p.file)
	if err != nil {
		return pidFileError(p.path, err)
	}
	// NULs are what some file systems leave of a file after a power cut.
	if len(bytes.Trim(text, "0123456789 \t\r\n\x00")) > 0 || len(text) > maxPIDFile {
		return fmt.Errorf("the PID file %s has something else in it, and is left as it is: name another with --pid-file, or remove it", p.path)
	}
	return nil
}

// write leaves no moment in which the file has a part of the number: it is empty,
// or has all of it and the end of the line.
func (p *pidFile) write() error {
	if err := p.file.Truncate(0); err != nil {
		return pidFileError(p.path, err)
	}
	if _, err := p.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return pidFileError(p.path, err)
	}
	return nil
}

// release removes the file, unless it is another process's by now, and unlocks it.
func (p *pidFile) release() error {
	if p == nil {
		return nil
	}
	if err := p.discard(); err != nil {
		return fmt.Errorf("removing the PID file %s: %w; the next start takes it over", p.path, reason(err))
	}
	return nil
}

// maxPIDFile is more than any number needs.
const maxPIDFile = 32

// readPIDFile reads no more of a file than tells that it is too long.
func readPIDFile(f *os.File) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(f, 0, maxPIDFile+1))
}

// heldPIDFile says which process has the file. read returns what is in the file.
func heldPIDFile(path string, read func() ([]byte, error)) error {
	text, err := read()
	number, complete := bytes.CutSuffix(text, []byte("\n"))
	if err == nil && complete {
		if pid, err := strconv.Atoi(string(number)); err == nil && pid > 0 && isRunning(pid) {
			return heldPIDFileError(fmt.Sprintf("the PID file %s belongs to a running server, process %d: end that one first ('kill %d'), or name another file with --pid-file", path, pid, pid))
		}
	}
	// Such as one in another container, where it has another number.
	return heldPIDFileError(fmt.Sprintf("the PID file %s belongs to a running process that its content does not name: find it ('fuser %s') and end it first, or name another file with --pid-file", path, path))
}

// pidFileKind refuses what cannot be a PID file. Following a symbolic link would
// overwrite whatever somebody had it point to.
func pidFileKind(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("the PID file %s is a symbolic link, which is not followed: name the file itself with --pid-file, or remove the link", path)
	case mode.IsDir():
		return fmt.Errorf("the PID file %s is a folder: name a file in it with --pid-file", path)
	case !mode.IsRegular():
		return fmt.Errorf("the PID file %s is not a regular file: name another with --pid-file", path)
	}
	return nil
}

func pidFileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the PID file %s has no folder to be in: create %s, or name another file with --pid-file", path, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the PID file %s cannot be written (%w): let this user write there, or name another file with --pid-file", path, reason(err))
	}
	return fmt.Errorf("the PID file %s cannot be written: %w; name another with --pid-file", path, reason(err))
}

// reason leaves out of an error of a file what its message names anyway.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
