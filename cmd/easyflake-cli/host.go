package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// hostFlags say how a server runs as a process. A command that is a server embeds
// them.
type hostFlags struct {
	Daemon  bool      `short:"d" help:"Run in the background. This returns once the server answers, or says why it does not."`
	PIDFile fileValue `name:"pid-file" placeholder:"FILE" help:"Write the process's number to FILE, which no other server can have until this one ends."`
	LogFile fileValue `placeholder:"FILE" help:"With --daemon, append to FILE what the server says once it answers. SIGHUP opens it anew."`
}

// fileValue is a file on the command line.
type fileValue string

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *fileValue) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return &plainError{errors.New("it is empty, and must name a file")}
	}
	path, err := filepath.Abs(string(text))
	*v = fileValue(path)
	return plain(err)
}

// hosting is what a server touches of its process.
type hosting struct {
	unsetenv func(string) error
	// hangups takes SIGHUP, which ends other commands.
	hangups func() (taken <-chan os.Signal, release func())
	// abandoned reports whether the terminal that the server was started in is gone.
	abandoned func() bool
	// daemonize returns the daemon, or nil in the process that has started one
	// which answers.
	daemonize func(ctx context.Context, w *world, logFile string) (ground, error)

	startBound time.Duration // for a daemon to answer
	endBound   time.Duration // for one that does not to end, before it is killed
}

// ground is where a server runs: in the foreground or, as a daemon, in the background.
type ground interface {
	ready() error  // tells whoever waits for the server that it answers
	reopen() error // the log file, which may have been moved
}

// foreground has nobody waiting, and writes to where the shell has it write.
type foreground struct{}

func (foreground) ready() error  { return nil }
func (foreground) reopen() error { return nil }

// run runs a server until ctx ends, as a process that others can rely on.
//
// serve calls ready once the server answers, and returns when it no longer does:
// in order soon after ctx ends, or with an error. If ready fails, serve must end
// too. It holds the PID file, so that a second server fails before it touches a
// port or a store. Where a signal asked the server to end, and serve did so in
// order, run returns nil: whoever stops a server wants it to have stopped.
//
// reload is called on SIGHUP, never before ready, and never twice at once; it may
// be nil. If it fails the server goes on as it was.
func (f *hostFlags) run(ctx context.Context, w *world, serve func(ctx context.Context, ready func() error) error, reload func(ctx context.Context) error) error {
	if f.LogFile != "" && !f.Daemon {
		return wrongf("--log-file is for --daemon: in the foreground let the shell write the file, as in 2>>%s", f.LogFile)
	}
	h := &host{w: w, ground: foreground{}, reload: reload, readied: make(chan struct{})}
	if f.Daemon {
		var err error
		if h.ground, err = w.hosting.daemonize(ctx, w, string(f.LogFile)); err != nil || h.ground == nil {
			return err
		}
	}
	// Until the very end: without a handler, SIGHUP kills.
	hangups, release := w.hosting.hangups()
	defer release()
	var err error
	if h.notifier, err = newNotifier(w.getenv, w.hosting.unsetenv); err != nil {
		w.warn("%v", err)
	}
	if f.PIDFile != "" {
		p, err := takePIDFile(string(f.PIDFile))
		if err != nil {
			return err
		}
		defer func() {
			if err := p.release(); err != nil {
				w.warn("%v", err)
			}
		}()
	}
	return h.run(ctx, hangups, serve)
}

// host is a server in its process.
type host struct {
	w        *world
	ground   ground
	notifier *notifier
	reload   func(ctx context.Context) error

	once    sync.Once
	readied chan struct{} // closed when the server answers
	failed  error         // why nobody could be told so
}

func (h *host) run(ctx context.Context, hangups <-chan os.Signal, serve func(ctx context.Context, ready func() error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan struct{})

	var beside sync.WaitGroup
	beside.Go(func() { h.attend(ctx, cancel, hangups) })
	beside.Go(func() { h.feed(served) })
	err := serve(ctx, h.ready)
	why := context.Cause(ctx)
	cancel(nil)
	close(served)
	beside.Wait()

	var interrupted *interruptedError
	if errors.As(why, &interrupted) && (err == nil || errors.Is(err, context.Canceled) || errors.As(err, &interrupted)) {
		return nil
	}
	return err
}

// ready tells whoever waits for it that the server answers.
func (h *host) ready() error {
	h.once.Do(func() {
		if h.failed = h.ground.ready(); h.failed == nil {
			h.tell(h.notifier.ready())
			close(h.readied)
		}
	})
	return h.failed
}

// tell takes what came of telling systemd something. A server does not fail for that.
func (h *host) tell(err error) {
	if err != nil {
		h.w.warn("%v", err)
	}
}

// attend does what signals ask for, until ctx ends.
func (h *host) attend(ctx context.Context, end context.CancelCauseFunc, hangups <-chan os.Signal) {
	readied, asked := h.readied, false
	for {
		select {
		case <-ctx.Done():
			h.tell(h.notifier.stopping())
			return
		case <-readied:
			readied = nil
		case sig := <-hangups:
			if h.w.hosting.abandoned() {
				end(&interruptedError{signal: sig})
				continue
			}
			asked = true
		}
		if asked && readied == nil {
			asked = false
			h.renew(ctx)
		}
	}
}

// renew opens the log file anew, and has the server reload.
func (h *host) renew(ctx context.Context) {
	h.tell(h.notifier.reloading())
	if err := h.ground.reopen(); err != nil {
		h.w.warn("going on with the old log file: %v", err)
	}
	if h.reload != nil {
		if err := h.reload(ctx); err != nil && ctx.Err() == nil {
			h.w.warn("going on as before SIGHUP: %v", plain(err))
		}
	}
	h.tell(h.notifier.ready())
}

// feed feeds the watchdog from when the server answers until it has ended.
func (h *host) feed(served <-chan struct{}) {
	if h.notifier.watchdog == 0 {
		return
	}
	select {
	case <-h.readied:
	case <-served:
		return
	}
	ticker := time.NewTicker(max(h.notifier.watchdog/2, 1))
	defer ticker.Stop()
	for failing := false; ; {
		err := h.notifier.alive()
		if err != nil && !failing {
			h.w.warn("%v", err) // the first of many alike
		}
		failing = err != nil
		select {
		case <-ticker.C:
		case <-served:
			return
		}
	}
}
