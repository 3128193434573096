package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

var (
	// ErrMismatch says that a private key is not the certificate's: one of the
	// two files was replaced without the other, or not yet.
	ErrMismatch = errors.New("certs: the certificate and the private key do not go together; replace both files")

	// ErrNoName says that a client does not know which server it should find:
	// it was given no name, and addresses are not told in a handshake.
	ErrNoName = errors.New("certs: no server name to check the certificate against; give the server's name or address")

	// ErrFiles says that the files named do not make a whole.
	ErrFiles = errors.New("certs: not all files that are needed were named")
)

// FileError reports a file that cannot be used.
type FileError struct {
	Path   string
	Reason string
	// Err is the cause, if there is one besides the reason.
	Err error
}

// Error names the file and what is wrong with it.
func (e *FileError) Error() string {
	s := fmt.Sprintf("certs: %s: %s", e.Path, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// KeyModeError reports a private key that more people can read than should.
type KeyModeError struct {
	Path string
	Mode fs.FileMode // the permission bits
	// Group says that the group was allowed to read it, as by [AllowGroupKey].
	Group bool
}

// Error says how to close the file.
func (e *KeyModeError) Error() string {
	if e.Group {
		return fmt.Sprintf("certs: the private key %s has mode %04o, with which others than its owner and group can use it: run chmod 640 %[1]s", e.Path, e.Mode)
	}
	return fmt.Sprintf("certs: the private key %s has mode %04o, with which others than its owner can use it: run chmod 600 %[1]s", e.Path, e.Mode)
}

// ValidityError reports a certificate that is not valid now.
type ValidityError struct {
	Path                     string
	Subject                  string
	NotBefore, NotAfter, Now time.Time
}

// Error says since when it is over, or from when on it is valid. It does not say
// what time it is: the same trouble has the same text.
func (e *ValidityError) Error() string {
	if e.Now.Before(e.NotBefore) {
		return fmt.Sprintf("certs: %s: the certificate of %q is valid from %s on: wait, or set this machine's clock",
			e.Path, e.Subject, e.NotBefore.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("certs: %s: the certificate of %q was valid until %s: renew it, or set this machine's clock",
		e.Path, e.Subject, e.NotAfter.UTC().Format(time.RFC3339))
}
