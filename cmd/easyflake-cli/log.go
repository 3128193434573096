package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger returns one that says on stderr what the library has to say, in the words
// of the program.
func (w *world) logger(level slog.Level) *slog.Logger {
	return slog.New(&logHandler{w: w, level: level})
}

type logHandler struct {
	w     *world
	level slog.Level
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements [slog.Handler].
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var facts []string
	cause := ""
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			cause = ": " + plain(err).Error()
		} else {
			facts = append(facts, fmt.Sprintf("%s %v", a.Key, a.Value))
		}
		return true
	})
	text := r.Message
	if len(facts) > 0 {
		text += " (" + strings.Join(facts, ", ") + ")"
	}
	h.w.warn("%s%s", text, cause)
	return nil
}

// WithAttrs implements [slog.Handler]. The library has no use for it.
func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements [slog.Handler]. The library has no use for it.
func (h *logHandler) WithGroup(string) slog.Handler { return h }
