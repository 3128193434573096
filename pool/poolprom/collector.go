package poolprom

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/pool"
)

// Collector looks at a pool when it is scraped: a [prometheus.Collector]. One scan
// is under way at a time, its result serves all scrapes for a while, and a scan that
// fails or takes too long is a figure, not a failed scrape.
type Collector struct {
	pool    pool.Manager
	clock   clock.Clock
	maxAge  time.Duration
	timeout time.Duration
	most    int
	d       *descriptions

	ctx  context.Context // ended by Close
	stop context.CancelFunc
	busy sync.WaitGroup

	mu       sync.Mutex // owns what follows
	closed   bool
	running  chan struct{} // closed when the scan under way is over; nil: none is
	last     *scan         // nil: none is over yet
	complete int64         // when the last complete scan was over; 0: never
}

var _ prometheus.Collector = (*Collector)(nil)

// CollectorOption changes how a Collector looks.
type CollectorOption func(*Collector)

// WithMaxAge sets how long a scan's result serves. The default is 15 seconds.
func WithMaxAge(d time.Duration) CollectorOption { return func(c *Collector) { c.maxAge = d } }

// WithTimeout sets how long a scan may take, and a scrape waits for it. The default
// is 5 seconds.
func WithTimeout(d time.Duration) CollectorOption { return func(c *Collector) { c.timeout = d } }

// WithMostNamespaces sets how many namespaces have figures, in the order of their
// names. The default is 256.
func WithMostNamespaces(n int) CollectorOption { return func(c *Collector) { c.most = n } }

// NewCollector returns a collector that is to be registered. Close it before the
// pool is closed.
func NewCollector(p pool.Manager, c clock.Clock, opts ...CollectorOption) *Collector {
	k := &Collector{pool: p, clock: c, maxAge: 15 * time.Second, timeout: 5 * time.Second, most: 256, d: describe()}
	for _, opt := range opts {
		opt(k)
	}
	k.ctx, k.stop = context.WithCancel(context.Background())
	return k
}

// Close breaks off a scan that is under way, and waits for its end. Scrapes go on,
// and say that the pool is not up.
func (k *Collector) Close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.busy.Wait()
	return nil
}

// Describe implements [prometheus.Collector].
func (k *Collector) Describe(to chan<- *prometheus.Desc) { k.d.each(to) }

// Collect implements [prometheus.Collector].
func (k *Collector) Collect(to chan<- prometheus.Metric) {
	s, complete := k.result()
	up := 0.0
	if s == nil {
		s = &scan{}
	} else if s.complete {
		up = 1
	}
	to <- prometheus.MustNewConstMetric(k.d.up, prometheus.GaugeValue, up)
	to <- prometheus.MustNewConstMetric(k.d.took, prometheus.GaugeValue, s.took.Seconds())
	to <- prometheus.MustNewConstMetric(k.d.at, prometheus.GaugeValue, float64(complete)/1e9)
	for _, m := range s.metrics {
		to <- m
	}
}

// result returns a scan that is young enough, waiting for one where necessary, and
// when the last complete one was over. The scan is nil where there is none in time.
func (k *Collector) result() (*scan, int64) {
	ctx, cancel := context.WithTimeout(k.ctx, k.timeout)
	defer cancel()
	k.mu.Lock()
	last, complete := k.last, k.complete
	if k.closed {
		k.mu.Unlock()
		return nil, complete
	}
	if last != nil {
		if age := k.clock.Now() - last.over; 0 <= age && age < int64(k.maxAge) {
			k.mu.Unlock()
			return last, complete
		}
	}
	if k.running == nil {
		k.running = make(chan struct{})
		k.busy.Go(k.scan)
	}
	running := k.running
	k.mu.Unlock()
	select {
	case <-running:
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.last, k.complete
	case <-ctx.Done():
		return nil, complete
	}
}

// scan looks at the pool, for whoever waits for it.
func (k *Collector) scan() {
	ctx, cancel := context.WithTimeout(k.ctx, k.timeout)
	defer cancel()
	begun := k.clock.Now()
	s := k.look(ctx, begun)
	s.over = k.clock.Now()
	s.took = time.Duration(max(0, s.over-begun))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = s
	if s.complete {
		k.complete = s.over
	}
	close(k.running)
	k.running = nil
}
