package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/easyflake/easyflake/clock"
)

const appName = "easyflake-cli"

// app is the command line. Each command stands in a file of its own.
type app struct {
	Next       nextCmd       `cmd:"" help:"Make IDs."`
	Decode     decodeCmd     `cmd:"" help:"Take IDs apart: time, node and sequence."`
	Layout     layoutCmd     `cmd:"" help:"Show layouts: what each bit of an ID means, how many IDs there are, how long they last."`
	GRPC       grpcCmd       `cmd:"" name:"grpc" help:"Run a pool server, which leases nodes to programs on other machines."`
	Lease      leaseCmd      `cmd:"" help:"Show who has which node of a pool, and take nodes away."`
	Store      storeCmd      `cmd:"" help:"Make a database ready to keep leases."`
	Namespace  namespaceCmd  `cmd:"" help:"Show and create namespaces: what IDs that must differ have in common."`
	Secret     secretCmd     `cmd:"" help:"Make a secret by which a pool server knows a client."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	NoColor     bool        `help:"Never use colors. The environment variable NO_COLOR does the same."`
	ShowVersion versionFlag `name:"version" help:"Print the version and exit."`
}

// Help is printed below the usage of the whole program.
func (*app) Help() string {
	return `
Examples:

    easyflake-cli next -n 10                          ten IDs
    easyflake-cli next -n 1000000 --node 7 > ids      a million, as node 7
    easyflake-cli lease list                          who has which node
    easyflake-cli decode 175928847299117063 --layout discord
    easyflake-cli decode --json < ids
    easyflake-cli layout twitter                      what the bits mean

Exit status: 0 on success, 1 on failure, 2 on wrong usage, 130 when interrupted with Ctrl-C.
`
}

// world is all that the program touches outside of itself, so that tests can
// bring their own.
type world struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	saying         sync.Mutex // one writes to stderr: leases do so by themselves

	stdinTerminal, stdoutTerminal, stderrTerminal bool

	width       int // of the terminal at stdout in columns, 0 without one
	stderrWidth int
	color       bool
	goos        string
	getenv      func(string) string
	clock       clock.Clock
	buildInfo   func() (*debug.BuildInfo, bool)
	hosting     hosting // what only a server has to do with
}

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
	statusSignal = 128 // plus the signal's number
)

// run does what the arguments say and returns the exit status. ctx ends it
// early; the cause is then an [*interruptedError].
func run(ctx context.Context, w *world) int {
	var cli app
	exited := false
	parser, err := kong.New(&cli,
		kong.Name(appName),
		kong.Description("Unique, time-sortable 64-bit IDs: make them, take them apart, choose their layout."),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(int) { exited = true }), // after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		// So that -n -1 is a wrong number, not a wrong flag.
		kong.WithHyphenPrefixedParameters(true),
		kong.Bind(w),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return w.fail(fmt.Errorf("the command line's grammar: %w", err))
	}
	if len(w.args) == 0 {
		return w.failHelpfully(parser)
	}
	parsed, err := parser.Parse(w.args)
	switch {
	case exited: // kong goes on after its help, and misses what was not given
		return statusOK
	case err != nil:
		return w.fail(w.usage(err))
	}
	w.color = w.stdoutTerminal && !cli.NoColor && w.getenv("NO_COLOR") == "" && w.getenv("TERM") != "dumb" && enableColor(w.stdout)
	return w.fail(parsed.Run())
}

// failHelpfully is for a command line without a command.
func (w *world) failHelpfully(parser *kong.Kong) int {
	parser.Stdout = w.stderr
	if parsed, err := kong.Trace(parser, nil); err == nil {
		// There is nowhere to say that stderr is closed.
		_ = parsed.PrintUsage(false)
	}
	return statusUsage
}

// fail says on stderr what went wrong, if anything did, and returns the status
// for it.
func (w *world) fail(err error) int {
	var interrupted *interruptedError
	var usage *usageError
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errNegative), errors.Is(err, errTold):
		return statusFailed
	case errors.As(err, &interrupted):
		return interrupted.status()
	case isClosedPipe(err):
		// As if SIGPIPE had killed the program, on every system.
		return statusSignal + int(syscall.SIGPIPE)
	case errors.As(err, &usage):
		w.warn("%v", err)
		if usage.hint != "" {
			fmt.Fprintln(w.stderr, usage.hint) //nolint:errcheck // there is nowhere to say that stderr is closed
		}
		return statusUsage
	}
	w.warn("%v", err)
	return statusFailed
}

// warn writes a line to stderr.
func (w *world) warn(format string, args ...any) {
	w.saying.Lock()
	defer w.saying.Unlock()
	//nolint:errcheck // there is nowhere to say that stderr is closed
	fmt.Fprint(w.stderr, unsecret(fmt.Sprintf(appName+": "+format+"\n", args...)))
}

// print writes a whole output at once.
func (w *world) print(text string) error {
	if _, err := io.WriteString(w.stdout, text); err != nil {
		return writeError(err)
	}
	return nil
}
