//go:build !unix

package redistest

import (
	"errors"
	"os"
)

func suspend(*os.Process, bool) error { return errors.ErrUnsupported }
