package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errServe = errors.New("the port is taken")

type readyFunc = func() error

// hung is a world that gets SIGHUP from a test.
func hung(t *testing.T) (*trial, chan os.Signal) {
	t.Helper()
	r := newTrial(t)
	hangups := make(chan os.Signal) // unbuffered: sent means taken
	r.hosting.hangups = func() (<-chan os.Signal, func()) { return hangups, func() {} }
	return r, hangups
}

// TestServerEndsWithWhatServeReturns unless a signal asked for it.
func TestServerEndsWithWhatServeReturns(t *testing.T) {
	stopped := &interruptedError{signal: syscall.SIGTERM}
	for name, c := range map[string]struct {
		cause error // why ctx ends; nil if it does not
		serve func(ctx context.Context) error
		want  error
	}{
		"by itself":                       {nil, func(context.Context) error { return nil }, nil},
		"failing":                         {nil, func(context.Context) error { return errServe }, errServe},
		"asked, in order":                 {stopped, func(context.Context) error { return nil }, nil},
		"asked, with the context's error": {stopped, context.Context.Err, nil},
		"asked, with its cause":           {stopped, context.Cause, nil},
		"asked, but failing":              {stopped, func(context.Context) error { return errServe }, errServe},
		"ended otherwise":                 {errServe, context.Cause, errServe},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			r := newTrial(t)
			err := new(hostFlags).run(ctx, &r.world, func(ctx context.Context, ready func() error) error {
				require.NoError(t, ready())
				require.NoError(t, ready(), "again")
				if c.cause != nil {
					cancel(c.cause)
					<-ctx.Done()
				}
				return c.serve(ctx)
			}, nil)
			require.ErrorIs(t, err, c.want)
			assert.Empty(t, r.err.String())
		})
	}
}

func TestServerHoldsItsPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	f := &hostFlags{PIDFile: fileValue(path)}
	r := newTrial(t)
	err := f.run(t.Context(), &r.world, func(ctx context.Context, _ readyFunc) error {
		assert.FileExists(t, path)
		err := f.run(ctx, &r.world, func(context.Context, readyFunc) error {
			t.Error("the second server must not begin")
			return nil
		}, nil)
		require.ErrorContains(t, err, "belongs to a running server")
		assert.FileExists(t, path)
		return errServe
	}, nil)
	require.ErrorIs(t, err, errServe)
	assert.NoFileExists(t, path)
}

func TestLogFileIsForDaemons(t *testing.T) {
	r := newTrial(t)
	err := (&hostFlags{LogFile: "log"}).run(t.Context(), &r.world, nil, nil)
	assert.Equal(t, statusUsage, r.fail(err))
	assert.Contains(t, r.err.String(), "2>>log")
}

func TestFilesHaveNames(t *testing.T) {
	var v fileValue
	require.Error(t, v.UnmarshalText(nil))
	require.NoError(t, v.UnmarshalText([]byte("pid")))
	folder, err := os.Getwd()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(folder, "pid"), string(v))
}

// TestHangupReloads once the server answers, and not before.
func TestHangupReloads(t *testing.T) {
	r, hangups := hung(t)
	reloads := make(chan struct{})
	answers := false
	err := new(hostFlags).run(t.Context(), &r.world, func(_ context.Context, ready func() error) error {
		hangups <- syscall.SIGHUP
		hangups <- syscall.SIGHUP // while the first one waits
		answers = true
		require.NoError(t, ready())
		<-reloads
		hangups <- syscall.SIGHUP
		<-reloads
		return nil
	}, func(context.Context) error {
		assert.True(t, answers)
		reloads <- struct{}{}
		return errServe
	})
	require.NoError(t, err)
	assert.Contains(t, r.err.String(), "going on as before SIGHUP: the port is taken")
}

// TestHangupOfATerminalEnds a server that was started in it.
func TestHangupOfATerminalEnds(t *testing.T) {
	r, hangups := hung(t)
	r.hosting.abandoned = func() bool { return true }
	err := new(hostFlags).run(t.Context(), &r.world, func(ctx context.Context, _ readyFunc) error {
		hangups <- syscall.SIGHUP
		<-ctx.Done()
		require.EqualError(t, context.Cause(ctx), syscall.SIGHUP.String())
		return ctx.Err()
	}, func(context.Context) error {
		t.Error("there is nothing to reload for")
		return nil
	})
	require.NoError(t, err)
}

// deaf is a ground on which nobody can be told anything.
type deaf struct{}

func (deaf) ready() error  { return errServe }
func (deaf) reopen() error { return errServe }

func TestServerThatNobodyWaitsForEnds(t *testing.T) {
	r := newTrial(t)
	r.hosting.daemonize = func(context.Context, *world, string) (ground, error) { return deaf{}, nil }
	err := (&hostFlags{Daemon: true}).run(t.Context(), &r.world, func(_ context.Context, ready func() error) error {
		require.ErrorIs(t, ready(), errServe)
		return ready()
	}, nil)
	require.ErrorIs(t, err, errServe)
}

func TestDaemonsParentDoesNotServe(t *testing.T) {
	for _, want := range []error{nil, errServe} {
		r := newTrial(t)
		r.hosting.daemonize = func(context.Context, *world, string) (ground, error) { return nil, want }
		err := (&hostFlags{Daemon: true}).run(t.Context(), &r.world, nil, nil)
		require.ErrorIs(t, err, want)
	}
}
