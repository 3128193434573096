package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// watch cancels with the first signal that asks the program to end. The second
// one finds the default action, and kills. The function that it returns is for a
// command for which SIGHUP means something else: it takes that signal over.
func watch(cancel context.CancelCauseFunc) (hangups func() (taken <-chan os.Signal, release func())) {
	// With a handler of its own, SIGPIPE becomes a write error, and ends the
	// program in order.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	ending := []os.Signal{os.Interrupt, syscall.SIGTERM}
	received := make(chan os.Signal, 1)
	signal.Notify(received, ending...)
	hangup := make(chan os.Signal, 1)    // a channel of its own, which can be stopped
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(hangup, syscall.SIGHUP)
	}
	go func() {
		var sig os.Signal
		select {
		case sig = <-received:
		case sig = <-hangup:
		}
		signal.Reset(ending...)
		signal.Stop(hangup)
		cancel(&interruptedError{signal: sig})
	}()
	return func() (<-chan os.Signal, func()) {
		taken := make(chan os.Signal, 1)
		signal.Notify(taken, syscall.SIGHUP) // first, lest there be a moment without a handler
		signal.Stop(hangup)
		return taken, func() { signal.Stop(taken) }
	}
}

// abandoned returns a function that reports whether the terminal that the program
// was started in is gone: it was closed, or its connection was cut.
func abandoned() func() bool {
	if signal.Ignored(syscall.SIGHUP) { // nohup asks for just that
		return func() bool { return false }
	}
	var terminals []*os.File
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if isTerminal(f) {
			terminals = append(terminals, f)
		}
	}
	return func() bool {
		for _, f := range terminals {
			if !isTerminal(f) {
				return true
			}
		}
		return false
	}
}
