package config

import (
	"fmt"
	"io/fs"
	"strings"
)

// KeyError reports one thing that is wrong with a configuration.
type KeyError struct {
	File string
	Line int // from 1; 0 where it is the whole file
	// Key leads to the value: "access.permissions[0].quota", with indices from
	// 0. Empty for what is wrong with the YAML itself.
	Key    string
	Reason string
	Err    error // the cause, if it is an error of its own
}

// Error returns "FILE:LINE: KEY: REASON".
func (e *KeyError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Reason)
	return b.String()
}

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// ModeError reports a file that everybody can write, and so give themselves any
// permission.
type ModeError struct {
	Path string
	Mode fs.FileMode
}

// Error says how to close the file.
func (e *ModeError) Error() string {
	return fmt.Sprintf("%s has mode %04o, with which everybody can change it: run chmod o-w %[1]s", e.Path, e.Mode)
}
