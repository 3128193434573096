//go:build !windows && (!unix || aix || solaris)

package boltfile

import (
	"errors"
	"os"
)

// tryLock refuses: without a lock, two processes could grant the same node.
func tryLock(*os.File, bool) (bool, error) { return false, errors.ErrUnsupported }

func unlock(*os.File) {}

func inode(os.FileInfo) uint64 { return 0 }

func syncFolder(string) error { return nil }
