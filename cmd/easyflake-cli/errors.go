package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/easyflake/easyflake/layout"
)

func writeError(err error) error {
	// fs.PathError would name /dev/stdout, which nobody asked about.
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return &outputError{err}
}

// outputError is an output that could not be written.
type outputError struct{ err error }

func (e *outputError) Error() string { return "writing the output: " + e.err.Error() }

func (e *outputError) Unwrap() error { return e.err }

// errNegative is the answer "no" of a command that was asked a question. It has
// been given on stdout already.
var errNegative = errors.New("no")

// errTold is a failure of which another process has told the user already.
var errTold = errors.New("failed, as was said")

// interruptedError is a signal that ended the program.
type interruptedError struct{ signal os.Signal }

func (e *interruptedError) Error() string { return e.signal.String() }

func (e *interruptedError) status() int {
	if sig, ok := e.signal.(syscall.Signal); ok {
		return statusSignal + int(sig)
	}
	return statusFailed
}

// usageError is wrong input: the exit status is 2.
type usageError struct {
	err  error
	hint string // a line of its own
}

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// wrong makes an error of a library an error of the user's.
func wrong(err error) error { return &usageError{err: plain(err)} }

func wrongf(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// plain leaves the name of this project's packages out of an error's text:
// whoever types a command has not called them.
func plain(err error) error {
	var e *plainError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &plainError{err}
}

type plainError struct{ err error }

func (e *plainError) Error() string {
	text := e.err.Error()
	for _, name := range []string{"pgstore: ", "etcdstore: ", "grpcpool: ", "access: ", "certs: ", "pool: ", "generator: ", "layout: "} {
		text = strings.ReplaceAll(strings.TrimPrefix(text, name), ": "+name, ": ")
	}
	return text
}

func (e *plainError) Unwrap() error { return e.err }

// usage turns an error of parsing the command line into what the user reads.
func (w *world) usage(err error) error {
	var path *fs.PathError
	var output *outputError
	switch {
	case errors.As(err, &output):
		return err
	case isClosedPipe(err), errors.As(err, &path):
		return writeError(err) // of the help: no file has been opened yet
	}
	if _, known := errors.AsType[*plainError](err); known {
		// Values of ours say themselves what to do. kong puts [<layout>] before
		// those of an optional argument.
		name, rest, _ := strings.Cut(err.Error(), ": ")
		return wrongf("%s: %s", strings.Trim(name, "[<>]"), rest)
	}
	// "decode -5" looks like a flag, and is a negative ID.
	if w.args[0] == "decode" && strings.HasPrefix(err.Error(), "unknown flag -") {
		for _, arg := range w.args[1:] {
			if len(arg) > 1 && arg[0] == '-' && '0' <= arg[1] && arg[1] <= '9' {
				if _, err := layout.ParseID(arg); err != nil {
					return wrong(err)
				}
			}
		}
	}
	command := appName
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	if name, missing := strings.CutPrefix(err.Error(), `expected "<`); missing {
		err = fmt.Errorf("an argument is missing: <%s", strings.TrimSuffix(name, `"`))
	}
	return &usageError{err: err, hint: fmt.Sprintf("Run %q for help.", command+" --help")}
}

// isClosedPipe reports whether a write failed because nobody reads any more.
func isClosedPipe(err error) bool {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return true
	}
	const errorBrokenPipe, errorNoData = syscall.Errno(109), syscall.Errno(232)
	return runtime.GOOS == "windows" && (errors.Is(err, errorBrokenPipe) || errors.Is(err, errorNoData))
}
