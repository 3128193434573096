//go:build !windows

package main

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSystemdHearsEverythingInOrder, and the socket's name is not for others.
func TestSystemdHearsEverythingInOrder(t *testing.T) {
	s := listenAsSystemd(t, "")
	r, hangups := hung(t)
	r.env["NOTIFY_SOCKET"] = s.LocalAddr().String()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	err := new(hostFlags).run(ctx, &r.world, func(ctx context.Context, ready func() error) error {
		assert.NotContains(t, r.env, "NOTIFY_SOCKET")
		require.NoError(t, ready())
		assert.Equal(t, "READY=1", s.hear(t)[0])
		hangups <- syscall.SIGHUP
		assert.Equal(t, "RELOADING=1", s.hear(t)[0])
		assert.Equal(t, "READY=1", s.hear(t)[0])
		cancel(&interruptedError{signal: syscall.SIGTERM})
		assert.Equal(t, "STOPPING=1", s.hear(t)[0]) // before the server has ended
		return nil
	}, nil)
	require.NoError(t, err)
	assert.Empty(t, r.err.String())
}

// TestWatchdogIsFed from ready on, also while the server is ending.
func TestWatchdogIsFed(t *testing.T) {
	s := listenAsSystemd(t, "")
	r, _ := hung(t)
	r.env["NOTIFY_SOCKET"], r.env["WATCHDOG_USEC"] = s.LocalAddr().String(), "20000"
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	err := new(hostFlags).run(ctx, &r.world, func(_ context.Context, ready func() error) error {
		require.NoError(t, ready())
		assert.Equal(t, "READY=1", s.hear(t)[0])
		for range 3 {
			assert.Equal(t, "WATCHDOG=1", s.hear(t)[0])
		}
		cancel(&interruptedError{signal: syscall.SIGTERM})
		for fed := 0; fed < 3; {
			if s.hear(t)[0] == "WATCHDOG=1" {
				fed++
			} else {
				fed = 0
			}
		}
		return nil
	}, nil)
	require.NoError(t, err)
	assert.Empty(t, r.err.String())
}

// TestServerDoesNotFailForSystemd, which it says once.
func TestServerDoesNotFailForSystemd(t *testing.T) {
	r := newTrial(t)
	r.env["NOTIFY_SOCKET"] = filepath.Join(t.TempDir(), "nobody")
	err := new(hostFlags).run(t.Context(), &r.world, func(_ context.Context, ready func() error) error {
		return ready()
	}, nil)
	require.NoError(t, err)
	assert.Contains(t, r.err.String(), "telling systemd READY=1")
}
