//go:build unix

package peers

import (
	"syscall"
	"time"
)

// processCPU returns the user and system time that this process has spent.
func processCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
