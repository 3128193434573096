package poolprom

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// Store returns a store that is s, and measures it. What s returns, it returns.
//
// A call that its caller has given up is no error; one that took too long for the
// caller's deadline is.
func Store(s pool.Store, reg prometheus.Registerer, c clock.Clock) (pool.Store, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "easyflake_store_seconds", Help: "How long the store took.", Buckets: buckets(),
	}, []string{"op"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "easyflake_store_errors_total", Help: "Failures of the store; conflicts are none.",
	}, []string{"op"})
	conflicts := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "easyflake_store_conflicts_total", Help: "Writes that came second, and were tried again.",
	})
	if err := register(reg, seconds, failures, conflicts); err != nil {
		return nil, err
	}
	m := &measuredStore{Store: s, clock: c, conflicts: conflicts}
	for op := range m.ops {
		name := [storeOps]string{"namespaces", "namespace", "nodes", "write", "now"}[op]
		m.ops[op] = storeFigures{seconds: seconds.WithLabelValues(name), failures: failures.WithLabelValues(name)}
	}
	if beginner, ok := s.(pool.WriteBeginner); ok {
		return &measuredBeginner{m, beginner}, nil
	}
	return m, nil
}

const (
	opStoreNamespaces = iota
	opStoreNamespace
	opStoreNodes
	opStoreWrite
	opStoreNow
	storeOps
)

type storeFigures struct {
	seconds  prometheus.Observer
	failures prometheus.Counter
}

// measuredStore passes Exclusive and Close through.
type measuredStore struct {
	pool.Store

	clock     clock.Clock
	ops       [storeOps]storeFigures
	conflicts prometheus.Counter
}

func (m *measuredStore) note(op int, begun int64, err error) {
	m.ops[op].seconds.Observe(since(m.clock, begun))
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, pool.ErrConflict):
		m.conflicts.Inc()
	default:
		m.ops[op].failures.Inc()
	}
}

// since returns the seconds since begun; none where the clock was set back.
func since(c clock.Clock, begun int64) float64 {
	return time.Duration(max(0, c.Now()-begun)).Seconds()
}

// Doubtful implements [pool.Doubter].
func (m *measuredStore) Doubtful() string { return pool.Doubtful(m.Store) }

// Namespaces implements [pool.Store].
func (m *measuredStore) Namespaces(ctx context.Context) ([]string, error) {
	begun := m.clock.Now()
	names, err := m.Store.Namespaces(ctx)
	m.note(opStoreNamespaces, begun, err)
	return names, err //nolint:wrapcheck // passed through
}

// Namespace implements [pool.Store].
func (m *measuredStore) Namespace(ctx context.Context, name string) (pool.Record, error) {
	begun := m.clock.Now()
	r, err := m.Store.Namespace(ctx, name)
	m.note(opStoreNamespace, begun, err)
	return r, err //nolint:wrapcheck // passed through
}

// Nodes implements [pool.Store].
func (m *measuredStore) Nodes(ctx context.Context, name string, first, last int64) ([]pool.NodeRecord, error) {
	begun := m.clock.Now()
	all, err := m.Store.Nodes(ctx, name, first, last)
	m.note(opStoreNodes, begun, err)
	return all, err //nolint:wrapcheck // passed through
}

// Write implements [pool.Store].
func (m *measuredStore) Write(ctx context.Context, w pool.Write) (uint64, error) {
	begun := m.clock.Now()
	revision, err := m.Store.Write(ctx, w)
	m.note(opStoreWrite, begun, err)
	return revision, err //nolint:wrapcheck // passed through
}

// measuredBeginner is the same for a store that is a [pool.WriteBeginner].
type measuredBeginner struct {
	*measuredStore

	beginner pool.WriteBeginner
}

// BeginWrite implements [pool.WriteBeginner]. What counts is how long somebody waits.
func (m *measuredBeginner) BeginWrite(w pool.Write) func(context.Context) (uint64, error) {
	wait := m.beginner.BeginWrite(w)
	return func(ctx context.Context) (uint64, error) {
		begun := m.clock.Now()
		revision, err := wait(ctx)
		m.note(opStoreWrite, begun, err)
		return revision, err
	}
}

// Now implements [pool.Store].
func (m *measuredStore) Now(ctx context.Context) (int64, error) {
	begun := m.clock.Now()
	now, err := m.Store.Now(ctx)
	m.note(opStoreNow, begun, err)
	return now, err //nolint:wrapcheck // passed through
}
