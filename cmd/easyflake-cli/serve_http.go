package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/easyflake/easyflake/pool/grpcpool"
)

// listenError says why a port cannot be had.
func listenError(flag, address string, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening at %s: another program has that port; end it, or choose another one with %s", address, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening at %s: this user may not; ports below 1024 are the administrator's, choose another one with %s", address, flag)
	}
	return fmt.Errorf("listening at %s (%s): %w", address, flag, err)
}

// pages are for monitoring:
//
//	/metrics  figures for Prometheus
//	/healthz  200 as long as the process answers
//	/readyz   200 while the pool grants leases, else 503 and why not
func (s *poolServer) pages(server *grpcpool.Server, figures *prometheus.Registry) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(figures, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             30 * time.Second,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, server.Health()) })
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = plain(err).Error() + "\n"
	}
	_, _ = io.WriteString(w, text) // who asked may be gone
}

func serveHTTP(pages *http.Server, l net.Listener) error {
	if err := pages.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %v: %w", l.Addr(), err)
	}
	return nil
}
