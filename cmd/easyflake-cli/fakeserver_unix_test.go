//go:build !windows

package main

import "golang.org/x/sys/unix"

const daemonVariable = daemonMark

// currentUmask can only be read by setting it.
func currentUmask() int {
	umask := unix.Umask(0)
	unix.Umask(umask)
	return umask
}
