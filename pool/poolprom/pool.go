package poolprom

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
)

// Pool returns a pool that is p, and counts and measures the requests to it. What p
// returns, it returns.
//
// Where p has AcquireLegacy, Check and ClockOffset, as a [pool.Local] has, the
// result has them too.
func Pool(p pool.Manager, reg prometheus.Registerer, c clock.Clock) (pool.Manager, error) {
	m, err := newCounted(p, reg, c)
	if err != nil {
		return nil, err
	}
	if l, ok := p.(local); ok {
		return &countedLocal{counted: m, local: l}, nil
	}
	return m, nil
}

// local is what a [pool.Local] has beyond a manager.
type local interface {
	AcquireLegacy(ctx context.Context, namespace string, token pool.Token) (pool.Grant, error)
	Check(ctx context.Context) error
	ClockOffset(ctx context.Context, namespace string) (time.Duration, error)
}

var (
	_ local        = (*pool.Local)(nil)
	_ pool.Manager = (*countedLocal)(nil)
	_ local        = (*countedLocal)(nil)
)

// counted counts and measures the requests to a pool.
type counted struct {
	pool    pool.Manager
	clock   clock.Clock
	seconds [poolOps]prometheus.Observer
	figures *requests
}

func newCounted(p pool.Manager, reg prometheus.Registerer, c clock.Clock) (*counted, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "easyflake_pool_request_seconds", Help: "How long the pool took.", Buckets: buckets(),
	}, []string{"op"})
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "easyflake_pool_requests_total", Help: "Requests to the pool, by what came of them. The namespace is empty where the pool is not known to have it.",
	}, []string{"namespace", "op", "reason"})
	if err := register(reg, seconds, total); err != nil {
		return nil, err
	}
	m := &counted{pool: p, clock: c, figures: newRequests(total)}
	for op := range m.seconds {
		m.seconds[op] = seconds.WithLabelValues(nameOfOp(op))
	}
	return m, nil
}

func (m *counted) note(op int, namespace string, begun int64, err error) {
	m.seconds[op].Observe(since(m.clock, begun))
	m.figures.count(op, namespace, err)
}

// Acquire implements [pool.Pool].
func (m *counted) Acquire(ctx context.Context, namespace string, l layout.Layout, token pool.Token) (pool.Grant, error) {
	begun := m.clock.Now()
	g, err := m.pool.Acquire(ctx, namespace, l, token)
	m.note(opAcquire, namespace, begun, err)
	return g, err //nolint:wrapcheck // passed through
}

// Renew implements [pool.Pool].
func (m *counted) Renew(ctx context.Context, r pool.Renewal) (pool.Grant, error) {
	begun := m.clock.Now()
	g, err := m.pool.Renew(ctx, r)
	m.note(opRenew, r.Namespace, begun, err)
	return g, err //nolint:wrapcheck // passed through
}

// Release implements [pool.Pool].
func (m *counted) Release(ctx context.Context, r pool.Release) error {
	begun := m.clock.Now()
	err := m.pool.Release(ctx, r)
	m.note(opRelease, r.Namespace, begun, err)
	return err //nolint:wrapcheck // passed through
}

// List implements [pool.Pool]. It is over when the caller has seen the last node,
// or enough. A record that cannot be used is a node like the others here.
func (m *counted) List(ctx context.Context, namespace string) iter.Seq2[pool.NodeInfo, error] {
	return func(yield func(pool.NodeInfo, error) bool) {
		var failed error
		begun := m.clock.Now()
		defer func() { m.note(opList, namespace, begun, failed) }()
		for info, err := range m.pool.List(ctx, namespace) {
			var unusable *pool.RecordError
			if err != nil && !errors.As(err, &unusable) {
				failed = err
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Revoke implements [pool.Pool].
func (m *counted) Revoke(ctx context.Context, namespace string, node int64) error {
	begun := m.clock.Now()
	err := m.pool.Revoke(ctx, namespace, node)
	m.note(opRevoke, namespace, begun, err)
	return err //nolint:wrapcheck // passed through
}

// Retire implements [pool.Pool].
func (m *counted) Retire(ctx context.Context, namespace string, node int64) error {
	begun := m.clock.Now()
	err := m.pool.Retire(ctx, namespace, node)
	m.note(opRetire, namespace, begun, err)
	return err //nolint:wrapcheck // passed through
}

// Namespaces implements [pool.Manager].
func (m *counted) Namespaces(ctx context.Context) ([]pool.Namespace, error) {
	begun := m.clock.Now()
	all, err := m.pool.Namespaces(ctx)
	m.note(opNamespaces, "", begun, err)
	return all, err //nolint:wrapcheck // passed through
}

// CreateNamespace implements [pool.Manager].
func (m *counted) CreateNamespace(ctx context.Context, n pool.Namespace) error {
	begun := m.clock.Now()
	err := m.pool.CreateNamespace(ctx, n)
	m.note(opCreateNamespace, n.Name, begun, err)
	return err //nolint:wrapcheck // passed through
}

// AcceptClock implements [pool.Manager].
func (m *counted) AcceptClock(ctx context.Context, namespace string) error {
	begun := m.clock.Now()
	err := m.pool.AcceptClock(ctx, namespace)
	m.note(opAcceptClock, namespace, begun, err)
	return err //nolint:wrapcheck // passed through
}

// countedLocal has what a [pool.Local] has beyond that. Questions about its health
// are asked all the time, and are not counted.
type countedLocal struct {
	*counted

	local local
}

// AcquireLegacy is that of [pool.Local].
func (m *countedLocal) AcquireLegacy(ctx context.Context, namespace string, token pool.Token) (pool.Grant, error) {
	begun := m.clock.Now()
	g, err := m.local.AcquireLegacy(ctx, namespace, token)
	m.note(opAcquireLegacy, namespace, begun, err)
	return g, err //nolint:wrapcheck // passed through
}

// Check is that of [pool.Local].
func (m *countedLocal) Check(ctx context.Context) error {
	return m.local.Check(ctx) //nolint:wrapcheck // passed through
}

// ClockOffset is that of [pool.Local].
func (m *countedLocal) ClockOffset(ctx context.Context, namespace string) (time.Duration, error) {
	return m.local.ClockOffset(ctx, namespace) //nolint:wrapcheck // passed through
}
