// Command easyflake-cli makes unique, time-sortable IDs, takes them apart, and
// helps to choose their layout. Run it with --help, or see the README.
//
// What it exits with:
//
//	0    success; a server also when a signal asked it to end
//	1    failure; or, from "layout check", layouts that are not disjoint
//	2    wrong usage: a flag, an argument or an ID on standard input
//	129  SIGHUP, 130 SIGINT, 143 SIGTERM; everything generated is written
//	141  whoever read the output stopped reading it
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/term"

	"github.com/easyflake/easyflake/clock"
)

func main() {
	silenceRedis()
	ctx, w := surroundings()
	os.Exit(run(ctx, w))
}

// surroundings returns the process that this program is, and what ends it.
func surroundings() (context.Context, *world) {
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := abandoned() // before SIGHUP has a handler
	hangups := watch(cancel)
	return ctx, &world{
		args:           os.Args[1:],
		stdin:          os.Stdin,
		stdout:         os.Stdout,
		stderr:         os.Stderr,
		stdinTerminal:  isTerminal(os.Stdin),
		stdoutTerminal: isTerminal(os.Stdout),
		stderrTerminal: isTerminal(os.Stderr),
		width:          width(os.Stdout),
		stderrWidth:    width(os.Stderr),
		goos:           runtime.GOOS,
		getenv:         os.Getenv,
		clock:          clock.Default(),
		buildInfo:      debug.ReadBuildInfo,
		hosting: hosting{
			unsetenv:   os.Unsetenv,
			hangups:    hangups,
			abandoned:  gone,
			daemonize:  daemonize,
			startBound: 30 * time.Second,
			endBound:   10 * time.Second,
		},
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// width returns the terminal's width in columns, or 0 where there is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
