package main

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// enableColor tells the console to understand escape sequences, and reports
// whether it does.
func enableColor(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return true
	}
	var mode uint32
	console := windows.Handle(f.Fd())
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
