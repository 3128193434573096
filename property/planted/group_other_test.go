//go:build !unix

package planted

import "os/exec"

// together has a program and all that it starts be one group, where there are groups.
func together(*exec.Cmd) {}

// alone ends what a program has left behind, where that can be told.
func alone(*exec.Cmd) {}
