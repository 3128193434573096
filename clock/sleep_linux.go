package clock

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// alarms holds timers that nobody sleeps by. What it drops, the garbage collector
// closes.
var alarms sync.Pool //nolint:gochecknoglobals // a cache: it changes what is paid, not what happens

// preciseSleep sleeps for about d, to some 60 µs.
//
// It waits in the runtime's poller for a timer of the kernel's to become readable
// (timerfd_create(2)), which holds neither a thread nor a P: a sleeping system call
// would keep its P from other goroutines until the runtime takes it away, and with
// GOMAXPROCS=1 that cost them more than half of their time.
func preciseSleep(d time.Duration) {
	a, _ := alarms.Get().(*alarm)
	if a == nil {
		a = newAlarm()
	}
	if a == nil || !a.sleep(d) {
		time.Sleep(d) // no file descriptors left, or forbidden here
		return
	}
	alarms.Put(a)
}

// alarm is a timer of the kernel's. One goroutine at a time has it.
type alarm struct {
	file *os.File
	conn syscall.RawConn
	poll func(fd uintptr) bool // a.step, made once
	set  itimerspec
	errno,
	state uintptr
}

// itimerspec is that of timerfd_settime(2).
type itimerspec struct{ interval, value syscall.Timespec }

const (
	stateSet   = iota // the timer is to be set
	stateReady        // it has run out
)

func newAlarm() *alarm {
	const clockMonotonic = 1 // linux/include/uapi/linux/time.h
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil
	}
	a := &alarm{file: os.NewFile(fd, "timer")}
	var err error
	if a.conn, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return nil
	}
	a.poll = a.step
	return a
}

// sleep reports whether it slept.
func (a *alarm) sleep(d time.Duration) bool {
	a.set.value = syscall.NsecToTimespec(int64(d))
	a.state, a.errno = stateSet, 0
	if err := a.conn.Read(a.poll); err != nil || a.errno != 0 {
		_ = a.file.Close()
		return false
	}
	return true
}

// step is called by the poller, at first and then whenever the timer is readable.
// Nobody reads it: setting it again begins from nothing.
func (a *alarm) step(fd uintptr) bool {
	if a.state == stateReady {
		return true
	}
	a.state = stateReady
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&a.set)), 0, 0, 0)
	a.errno = uintptr(errno)
	return errno != 0
}
