package config

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

// maxFile bounds the files that are read.
const maxFile = 1 << 20

// ReadFile reads a file of at most 1 MiB that not everybody can write: a
// [*ModeError] otherwise, but not on Windows. Who can read it does not matter: a
// configuration holds no secrets, and a file of tokens only their hashes.
func ReadFile(path string) ([]byte, error) {
	// Before opening: a named pipe would hold us until somebody writes to it.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o002 != 0 {
		return nil, &ModeError{Path: path, Mode: mode}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes; is it the right file?", path, maxFile)
	}
	return data, err
}
