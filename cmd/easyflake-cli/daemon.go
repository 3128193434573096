//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/sevlyar/go-daemon"
)

// A program that is to be a daemon starts itself once more, in a session of its
// own, and waits. What the second process writes to stdout and stderr goes into a
// pipe, and the first passes it on: so whatever keeps the server from starting,
// even the Go runtime's last words, is said where the user is, once. When the
// server answers, its process turns stderr to the log file and writes a mark into
// the pipe, upon which the first one ends with success. Should the pipe end before
// that, then so has the daemon; should the first process end, the daemon cannot
// write the mark, and ends too.
//
// The pipe has no name, so nothing is left behind, and nobody else can get at it.
// go-daemon fixes which files the daemon inherits, but opens the log by name: the
// name of a descriptor hands over the pipe.

// daemonMark names the environment variable with the mark, which is random so that
// nothing else that is said looks like it. It also tells a daemon of this program
// from a program that a daemon started, which may have inherited go-daemon's own.
const daemonMark = "EASYFLAKE_CLI_DAEMON"

// daemonUmask keeps from others what the server creates.
const daemonUmask = 0o027

// daemonize implements hosting's.
func daemonize(ctx context.Context, w *world, logFile string) (ground, error) {
	if mark := w.getenv(daemonMark); mark != "" && daemon.WasReborn() {
		b, err := newBackground(w, mark, logFile)
		if err != nil {
			return nil, err // a nil *background would not be a nil ground
		}
		return b, nil
	}
	return nil, startDaemon(ctx, w)
}

// birth is the start of a daemon, as the process sees it that waits.
type birth struct {
	w    *world
	pipe *os.File // what the daemon says
	mark []byte

	heard        chan struct{} // closed at the mark, or when the daemon can say no more
	marked, said bool          // what was heard, until then the listener's own
}

func startDaemon(ctx context.Context, w *world) error {
	// Inherited from another daemon, they would make this process take itself for one.
	for _, name := range []string{daemon.MARK_NAME, daemonMark} {
		if err := w.hosting.unsetenv(name); err != nil {
			return fmt.Errorf("starting the daemon: %w", err)
		}
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	mark := hex.EncodeToString(random[:])
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	defer out.Close() //nolint:errcheck // only read
	b := &birth{w: w, pipe: out, mark: markLine(mark), heard: make(chan struct{})}

	late := time.NewTimer(w.hosting.startBound)
	defer late.Stop()
	// go-daemon passes its context to the daemon by another pipe. One that does not
	// read, with an environment larger than a pipe, would keep it for ever.
	type reborn struct {
		child *os.Process
		err   error
	}
	started := make(chan reborn, 1)
	go func() {
		child, err := rebirth(in, mark)
		started <- reborn{child, err}
	}()
	var r reborn
	select {
	case r = <-started:
	case <-late.C: // and without its context, the daemon ends if it goes on
		return b.late()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if r.child == nil {
		return fmt.Errorf("starting the daemon: %w", r.err)
	} // else an error means that it has ended already, and it says why
	go b.listen()
	return b.wait(ctx, r.child, late.C)
}

// rebirth starts this program once more.
func rebirth(in *os.File, mark string) (*os.Process, error) {
	defer in.Close() //nolint:errcheck // nothing was written here
	if err := keepFiles(); err != nil {
		return nil, err
	}
	d := &daemon.Context{
		LogFileName: "/dev/fd/" + strconv.Itoa(int(in.Fd())),
		Env:         append(os.Environ(), daemonMark+"="+mark),
		Umask:       daemonUmask,
		// The working folder stays, although that keeps its file system in use:
		// any flag may name a relative path, and SIGHUP may read it again.
		WorkDir: "",
	}
	return d.Reborn()
}

// keepFiles keeps from the daemon what this process has inherited open, such as the
// lock that a script holds as long as anyone has its file.
func keepFiles() error {
	const folder = "/dev/fd"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("which files are open: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd) // without effect on that of the folder, which is closed
		}
	}
	return nil
}

// markLine is the mark as a line that no text is.
func markLine(mark string) []byte { return []byte("\x00" + mark + "\n") }

// listen passes on what the daemon says, until the mark.
func (b *birth) listen() {
	defer close(b.heard)
	in := bufio.NewReader(b.pipe)
	for {
		line, err := in.ReadSlice('\n')
		line, b.marked = bytes.CutSuffix(line, b.mark)
		if len(line) > 0 {
			b.said = true
			b.w.passOn(line)
		}
		if b.marked || err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// wait returns nil when the daemon answers. Otherwise it has ended.
func (b *birth) wait(ctx context.Context, child *os.Process, late <-chan time.Time) error {
	select {
	case <-b.heard:
		if b.marked {
			return child.Release()
		}
		return b.explain(b.end(child))
	case <-late:
		b.end(child, syscall.SIGTERM)
		return b.late()
	case <-ctx.Done():
		b.end(child, syscall.SIGTERM)
		return context.Cause(ctx)
	}
}

// end waits for the daemon to end after some signals, or kills it, and listens to
// its last words.
func (b *birth) end(child *os.Process, signals ...os.Signal) *os.ProcessState {
	for _, sig := range signals {
		_ = child.Signal(sig) // fails if it has ended
	}
	exited := make(chan *os.ProcessState, 1)
	go func() {
		state, _ := child.Wait() // of a child of ours that nobody else waits for
		exited <- state
	}()
	bound := time.NewTimer(b.w.hosting.endBound)
	defer bound.Stop()
	var state *os.ProcessState
	select {
	case state = <-exited:
	case <-bound.C:
		// With all that it started: the session is its own.
		_ = syscall.Kill(-child.Pid, syscall.SIGKILL)
		state = <-exited
	}
	// What it started may have the pipe still, and nothing to say.
	_ = b.pipe.SetReadDeadline(time.Now().Add(b.w.hosting.endBound)) // a pipe has deadlines
	<-b.heard
	return state
}

func (b *birth) late() error {
	return daemonHint(fmt.Sprintf("the server did not answer within %v, and was ended", b.w.hosting.startBound))
}

// explain says why the daemon ended, unless it did so itself. Its status is not
// passed on: the Go runtime uses the one for wrong usage when it panics.
func (b *birth) explain(state *os.ProcessState) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return daemonHint(fmt.Sprintf("the server was ended by a signal (%v) before it answered", status.Signal()))
	case state.Success() || !b.said:
		return daemonHint(fmt.Sprintf("the server ended (%v) before it answered", state))
	}
	return errTold
}

// daemonHint says what to do about a daemon that does not tell.
func daemonHint(text string) error {
	return fmt.Errorf("%s: run it without --daemon to see more", text)
}

// passOn writes to stderr what another process has said in the words of the program.
func (w *world) passOn(text []byte) {
	w.saying.Lock()
	defer w.saying.Unlock()
	_, _ = w.stderr.Write(text) // there is nowhere to say that stderr is closed
}
