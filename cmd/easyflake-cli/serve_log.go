package main

import (
	"io"
	"log/slog"
)

// serverLogger returns one that writes lines with the time, as servers do.
func (w *world) serverLogger(format, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // kong has checked it
	options := &slog.HandlerOptions{Level: least}
	to := &turns{w}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// turns writes to stderr, where others write too.
type turns struct{ w *world }

// Write implements [io.Writer].
func (t *turns) Write(p []byte) (int, error) {
	t.w.saying.Lock()
	defer t.w.saying.Unlock()
	return t.w.stderr.Write(p) //nolint:wrapcheck // slog's to see
}

var _ io.Writer = (*turns)(nil)
