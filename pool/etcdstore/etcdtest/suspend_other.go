//go:build !unix

package etcdtest

import (
	"errors"
	"os"
)

func suspend(*os.Process, bool) error { return errors.ErrUnsupported }
