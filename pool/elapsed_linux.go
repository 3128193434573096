package pool

import (
	"syscall"
	"time"
	"unsafe"
)

// elapsed returns the time since some fixed moment, counting the time that the
// machine was suspended (CLOCK_BOOTTIME), which Go's own monotonic clock does not.
func elapsed() time.Duration {
	const clockBoottime = 7 // linux/include/uapi/linux/time.h
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return sinceStart()
	}
	return time.Duration(ts.Nano())
}
