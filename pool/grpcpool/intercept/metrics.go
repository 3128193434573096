package intercept

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/easyflake/easyflake/clock"
)

// Metrics counts calls, measures how long they take, and counts panics and
// connections; the package's documentation lists the figures.
//
// A call costs one look into a map, whatever the number of labels: the counters of
// each method and code are looked for once.
type Metrics struct {
	clock clock.Clock

	started     *prometheus.CounterVec
	handled     *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	inFlight    *prometheus.GaugeVec
	panics      prometheus.Counter
	connections prometheus.Gauge
	accepted    prometheus.Counter

	learning sync.Mutex                         // held while methods is replaced
	methods  atomic.Pointer[map[string]*method] // by full name, and never changed
	unknown  [kinds]*method
}

// mostMethods bounds how many methods have figures of their own. A server's are
// known, but this package does not see that they are.
const mostMethods = 256

// method is one method's figures.
type method struct {
	labels   [3]string // grpc_type, grpc_service, grpc_method
	started  prometheus.Counter
	inFlight prometheus.Gauge
	codes    [codes.Unauthenticated + 1]atomic.Pointer[outcome] // made when they first occur
}

// outcome is the figures of a method's calls that ended with one code.
type outcome struct {
	handled prometheus.Counter
	seconds prometheus.Observer
}

// The types of calls, as indices.
const (
	unaryKind = iota
	clientKind
	serverKind
	bidiKind
	kinds
)

// kindOf returns the type of a stream.
func kindOf(clientStream, serverStream bool) int {
	switch {
	case clientStream && serverStream:
		return bidiKind
	case clientStream:
		return clientKind
	case serverStream:
		return serverKind
	}
	return unaryKind
}

func nameOfKind(kind int) string {
	return [kinds]string{"unary", "client_stream", "server_stream", "bidi_stream"}[kind]
}

// MetricsOption changes what Metrics measures.
type MetricsOption func(*metricsOptions)

type metricsOptions struct {
	buckets []float64
}

// WithBuckets sets the upper bounds of the histogram's buckets in seconds. The
// default reaches from 50 µs to 10 s.
func WithBuckets(bounds ...float64) MetricsOption {
	return func(o *metricsOptions) { o.buckets = bounds }
}

// NewMetrics returns the interceptor, with its figures registered; durations are
// measured by c.
func NewMetrics(reg prometheus.Registerer, c clock.Clock, opts ...MetricsOption) (*Metrics, error) {
	o := metricsOptions{buckets: []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 10}}
	for _, opt := range opts {
		opt(&o)
	}
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	withCode := []string{"grpc_type", "grpc_service", "grpc_method", "grpc_code"}
	m := &Metrics{
		clock: c,
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_started_total", Help: "Calls that were begun.",
		}, labels),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total", Help: "Calls that ended, by the code they ended with.",
		}, withCode),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grpc_server_handling_seconds", Help: "How long calls took, by the code they ended with.",
			Buckets: o.buckets,
		}, withCode),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "grpc_server_in_flight", Help: "Calls under way.",
		}, labels),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grpc_server_panics_total", Help: "Panics in handlers, each of which one call has died of.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "grpc_server_connections", Help: "Open connections, those that have not said who they are included.",
		}),
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grpc_server_connections_total", Help: "Connections ever accepted.",
		}),
	}
	m.methods.Store(&map[string]*method{})
	all := []prometheus.Collector{m.started, m.handled, m.seconds, m.inFlight, m.panics, m.connections, m.accepted}
	for i, collector := range all {
		if err := reg.Register(collector); err != nil {
			for _, done := range all[:i] {
				reg.Unregister(done)
			}
			return nil, err //nolint:wrapcheck // it names the metric
		}
	}
	for kind := range m.unknown {
		m.unknown[kind] = &method{labels: [3]string{nameOfKind(kind), unknown, unknown}}
	}
	return m, nil
}

// Panics returns the counter for [NewRecover].
func (m *Metrics) Panics() prometheus.Counter { return m.panics }

// Expect makes the figures of all methods of a server, at zero, as
// [grpc.Server.GetServiceInfo] lists them: what has not happened yet can then be
// told from what is not measured.
func (m *Metrics) Expect(services map[string]grpc.ServiceInfo) {
	for name, service := range services {
		for _, info := range service.Methods {
			kind := kindOf(info.IsClientStream, info.IsServerStream)
			m.method("/"+name+"/"+info.Name, kind).outcome(m, codes.OK)
		}
	}
}

// Unary is a [grpc.UnaryServerInterceptor].
func (m *Metrics) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	of := m.method(info.FullMethod, unaryKind)
	begun := m.begin(of)
	err = errUnfinished
	defer func() { m.end(of, begun, err) }()
	return handler(ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor].
func (m *Metrics) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	kind := kindOf(info.IsClientStream, info.IsServerStream)
	var of *method
	if srv == nil {
		of = m.strangers(kind)
	} else {
		of = m.method(info.FullMethod, kind)
	}
	begun := m.begin(of)
	err = errUnfinished
	defer func() { m.end(of, begun, err) }()
	return handler(srv, stream)
}

func (m *Metrics) begin(of *method) int64 {
	of.started.Inc()
	of.inFlight.Inc()
	return m.clock.Now()
}

func (m *Metrics) end(of *method, begun int64, err error) {
	took := time.Duration(max(0, m.clock.Now()-begun))
	of.inFlight.Dec()
	o := of.outcome(m, codeOf(err))
	o.handled.Inc()
	o.seconds.Observe(took.Seconds())
}

// method returns a method's figures.
func (m *Metrics) method(name string, kind int) *method {
	if of := (*m.methods.Load())[name]; of != nil {
		return of
	}
	return m.learn(name, kind)
}

// strangers returns the figures of all methods that have none of their own.
func (m *Metrics) strangers(kind int) *method {
	m.learning.Lock()
	defer m.learning.Unlock()
	of := m.unknown[kind]
	if of.started == nil {
		m.prepare(of)
	}
	return of
}

func (m *Metrics) learn(name string, kind int) *method {
	m.learning.Lock()
	known := *m.methods.Load()
	if of := known[name]; of != nil {
		m.learning.Unlock()
		return of
	}
	if len(known) >= mostMethods {
		m.learning.Unlock()
		return m.strangers(kind)
	}
	defer m.learning.Unlock()
	service, short, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	of := &method{labels: [3]string{nameOfKind(kind), strings.ToValidUTF8(service, "?"), strings.ToValidUTF8(short, "?")}}
	m.prepare(of)
	more := maps.Clone(known)
	more[name] = of
	m.methods.Store(&more)
	return of
}

// prepare makes the figures that a method has from its first call on.
func (m *Metrics) prepare(of *method) {
	of.started = m.started.WithLabelValues(of.labels[:]...)
	of.inFlight = m.inFlight.WithLabelValues(of.labels[:]...)
}

// outcome returns a method's figures for a code. What is no code of gRPC's counts
// as Unknown.
func (of *method) outcome(m *Metrics, code codes.Code) *outcome {
	if int(code) >= len(of.codes) {
		code = codes.Unknown
	}
	if o := of.codes[code].Load(); o != nil {
		return o
	}
	labels := append(of.labels[:3:3], code.String())
	o := &outcome{handled: m.handled.WithLabelValues(labels...), seconds: m.seconds.WithLabelValues(labels...)}
	of.codes[code].Store(o) // whoever else does so stores the same counters
	return o
}
