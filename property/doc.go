// Package property tests what EasyFlake promises, by the exported API alone and
// over what chance comes up with: layouts, strategies, clocks, windows and
// goroutines. A case that breaks a promise is made as small as it can be, and
// printed with the command that repeats it. The README and docs/CONTRIBUTING.md
// say how to run them.
//
// There is nothing here to import.
package property
