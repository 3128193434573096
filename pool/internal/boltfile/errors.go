package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What can be wrong with a store, found by errors.Is. The packages that users see
// pass them on.
var (
	ErrMissing  = errors.New("there is no store")
	ErrLost     = errors.New("the store is gone")
	ErrForeign  = errors.New("not a store of EasyFlake")
	ErrNewer    = errors.New("a store of a newer version")
	ErrDamaged  = errors.New("the store is damaged")
	ErrInUse    = errors.New("the store is in use")
	ErrNetwork  = errors.New("the store is on a network file system")
	ErrFailed   = errors.New("a write to the store has failed")
	ErrReplaced = errors.New("the store has been replaced")
	ErrDoubtful = errors.New("the store may have lost records")
)

// Error says what is wrong with a store, and what to do.
type Error struct {
	Path string
	// Kind is one of the errors above, or nil where Cause says it all.
	Kind  error
	Text  string
	Cause error
}

// Error is one sentence on what is wrong, and one on what helps.
func (e *Error) Error() string {
	s := "pool: store " + e.Path + ": " + e.Text
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

func (f *File) errorf(kind, cause error, format string, args ...any) error {
	return &Error{Path: f.path, Kind: kind, Text: fmt.Sprintf(format, args...), Cause: cause}
}

// access explains an error of the operating system.
func (f *File) access(cause error, doing string) error {
	var known *Error
	switch {
	case errors.As(cause, &known):
		return cause
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		return f.errorf(nil, cause, "no permission for %s: make the file, the marker beside it and their folder writable for this user, or name another path", doing)
	case errors.Is(cause, syscall.ENOSPC):
		return f.errorf(nil, cause, "the disk is full: free some space, then open the store again")
	}
	return f.errorf(nil, cause, "%s failed", doing)
}
