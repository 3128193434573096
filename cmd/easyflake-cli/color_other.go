//go:build !windows

package main

import "io"

// enableColor reports whether a terminal shows colors.
func enableColor(io.Writer) bool { return true }
