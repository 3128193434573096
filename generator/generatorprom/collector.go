// Package generatorprom exports the figures of generators to Prometheus. It is a
// package of its own, so that who has no Prometheus takes none in with a generator.
//
//	c := generatorprom.New(nil)
//	if err := c.Add("orders", g, generatorprom.WithLayout(l)); err != nil { … }
//	registry.MustRegister(c)
//
// Every metric has the label generator, the name it was added by:
//
//	name                                                type     unit
//	easyflake_generator_ids_total                       counter  IDs
//	easyflake_generator_waits_total                     counter  calls that waited for the clock
//	easyflake_generator_wait_seconds_total              counter  seconds that they waited, together
//	easyflake_generator_backward_steps_total            counter  times the clock was found behind the IDs
//	easyflake_generator_borrowed_ticks_total            counter  ticks begun before the clock reached them
//	easyflake_generator_discarded_total                 counter  sequence numbers reserved and thrown away
//	easyflake_generator_lease_age_seconds               gauge    seconds since the window was granted or made longer; 0: there is none
//	easyflake_generator_last_tick_timestamp_seconds     gauge    Unix time of the last tick of which numbers were reserved
//	easyflake_generator_layout_end_timestamp_seconds    gauge    Unix time at which the layout's life ends
//
// The last two need [WithLayout].
//
// Alert on easyflake_generator_layout_end_timestamp_seconds less time() below a year
// (31536000); on a lease age above the namespace's window, 60 seconds unless it has
// other terms: renewals do not get through; and on backward steps that do not stop:
// the machine's clock is being fought over. A rate of wait seconds near the number of
// goroutines says that the layout has too few sequence bits for them.
package generatorprom

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

// Generator is what a Collector needs of a generator: those of package generator
// have it. With LastTick() int64, as they have too, the time of the last tick is
// exported.
type Generator interface{ Stats() generator.Stats }

var (
	_ Generator = (*generator.Mutex)(nil)
	_ Generator = (*generator.Atomic)(nil)
	_ Generator = (*generator.Sharded)(nil)
)

// Collector is a [prometheus.Collector] of generators, which may come and go. It is
// safe for concurrent use.
type Collector struct {
	counters [counters]*prometheus.Desc
	age      *prometheus.Desc
	last     *prometheus.Desc
	end      *prometheus.Desc

	mu  sync.Mutex // owns all
	all map[string]*entry
}

var _ prometheus.Collector = (*Collector)(nil)

// entry is a generator and what was exported of it.
type entry struct {
	name   string
	g      Generator
	layout layout.Layout // zero: not known

	mu   sync.Mutex // owns seen
	seen [counters]float64
}

// The counters, as indices.
const (
	ids = iota
	waits
	waited
	steps
	borrowed
	discarded
	counters
)

// New returns a collector without generators, whose metrics all have these labels,
// which may be nil.
func New(labels prometheus.Labels) *Collector {
	d := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("easyflake_generator_"+name, help, []string{"generator"}, labels)
	}
	return &Collector{
		counters: [counters]*prometheus.Desc{
			ids:       d("ids_total", "IDs returned."),
			waits:     d("waits_total", "Calls that waited for the clock."),
			waited:    d("wait_seconds_total", "How long calls waited, all together."),
			steps:     d("backward_steps_total", "How often the clock was found behind the IDs made before."),
			borrowed:  d("borrowed_ticks_total", "Ticks that were begun before the clock reached them."),
			discarded: d("discarded_total", "Sequence numbers that were reserved and thrown away."),
		},
		age:  d("lease_age_seconds", "How long ago the window in force was granted or made longer; 0: there is none."),
		last: d("last_tick_timestamp_seconds", "Unix time of the last tick of which numbers were reserved."),
		end:  d("layout_end_timestamp_seconds", "Unix time at which the layout's life ends."),
		all:  make(map[string]*entry),
	}
}

// Option says more about a generator.
type Option func(*entry)

// WithLayout says which layout a generator has, for the metrics that are times.
func WithLayout(l layout.Layout) Option { return func(e *entry) { e.layout = l } }

// Add exports a generator under a name, until it is removed. A name that is taken,
// empty or no UTF-8 is a [*layout.FieldError].
func (c *Collector) Add(name string, g Generator, opts ...Option) error {
	if name == "" || !utf8.ValidString(name) {
		return &layout.FieldError{Field: "generator name", Value: name, Reason: "must be some UTF-8"}
	}
	e := &entry{name: name, g: g}
	for _, opt := range opts {
		opt(e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[name] != nil {
		return &layout.FieldError{Field: "generator name", Value: name, Reason: "is taken: remove that generator first, or choose another name"}
	}
	c.all[name] = e
	return nil
}

// Remove exports a generator no more, and returns whether there was one of that
// name. Its counters begin anew with the next one that is added under it.
func (c *Collector) Remove(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.all[name]
	delete(c.all, name)
	return ok
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.counters {
		to <- d
	}
	to <- c.age
	to <- c.last
	to <- c.end
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	all := make([]*entry, 0, len(c.all))
	for _, e := range c.all {
		all = append(all, e)
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range all {
		c.collect(to, e)
	}
}

func (c *Collector) collect(to chan<- prometheus.Metric, e *entry) {
	s := e.g.Stats()
	for i, value := range e.rise([counters]float64{
		ids:       float64(s.Issued),
		waits:     float64(s.Waits),
		waited:    s.WaitTime.Seconds(),
		steps:     float64(s.BackwardSteps),
		borrowed:  float64(s.BorrowedTicks),
		discarded: float64(s.Discarded),
	}) {
		to <- prometheus.MustNewConstMetric(c.counters[i], prometheus.CounterValue, value, e.name)
	}
	to <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, s.LeaseAge.Seconds(), e.name)
	if e.layout.IsZero() {
		return
	}
	if l, ok := e.g.(interface{ LastTick() int64 }); ok {
		to <- prometheus.MustNewConstMetric(c.last, prometheus.GaugeValue, e.seconds(l.LastTick()), e.name)
	}
	to <- prometheus.MustNewConstMetric(c.end, prometheus.GaugeValue, e.seconds(e.layout.MaxTick()+1), e.name)
}

// rise returns the largest values seen: a generator's may go down a little while
// calls are under way, and a counter that does counts as begun anew, with all its IDs
// counted twice.
func (e *entry) rise(now [counters]float64) [counters]float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, value := range now {
		e.seen[i] = max(e.seen[i], value)
	}
	return e.seen
}

// seconds returns the Unix time of a tick.
func (e *entry) seconds(tick int64) float64 {
	t := e.layout.Time(tick)
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9
}
