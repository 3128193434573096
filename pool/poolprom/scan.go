package poolprom

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easyflake/easyflake/pool"
)

// scan is what one look at a pool has found.
type scan struct {
	metrics  []prometheus.Metric
	complete bool // all that was to be found out
	took     time.Duration
	over     int64
}

// checker and offsetter are what a pool may have to say about its clock;
// [pool.Local] has both.
type (
	checker interface {
		Check(ctx context.Context) error
	}
	offsetter interface {
		ClockOffset(ctx context.Context, namespace string) (time.Duration, error)
	}
)

// look finds out what it can until ctx ends.
func (k *Collector) look(ctx context.Context, now int64) *scan {
	s := &scan{}
	all, err := k.pool.Namespaces(ctx)
	if err != nil {
		return s
	}
	s.add(k.d.namespaces, float64(len(all)))
	s.complete = true
	c, sick := k.check(ctx, s)
	for _, ns := range all[:min(len(all), k.most)] {
		if !utf8.ValidString(ns.Name) { // can be no label
			continue
		}
		k.space(s, &ns, now)
		if err := k.nodes(ctx, s, &ns); err != nil {
			s.complete = false
		}
		if c {
			k.health(s, ns.Name, sick[ns.Name])
		}
		if o, ok := k.pool.(offsetter); ok {
			if offset, err := o.ClockOffset(ctx, ns.Name); err != nil {
				s.complete = false
			} else {
				s.add(k.d.offset, offset.Seconds(), ns.Name)
			}
		}
	}
	return s
}

func (s *scan) add(d *prometheus.Desc, value float64, labels ...string) {
	s.metrics = append(s.metrics, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

// space adds what a namespace's own record says.
func (k *Collector) space(s *scan, ns *pool.Namespace, now int64) {
	at := time.Unix(0, now)
	s.add(k.d.life, seconds(at, ns.Layout.End()), ns.Name)
	floor := ns.Floor
	for _, r := range ns.Ranges {
		if r.Use != pool.ByHand {
			floor = max(floor, r.Floor)
		}
	}
	left := 0.0
	if floor > 0 {
		left = max(0, seconds(at, ns.Layout.Time(floor)))
	}
	s.add(k.d.floor, left, ns.Name)
}

// seconds returns the time between two times; a layout's life may be longer than a
// [time.Duration].
func seconds(from, to time.Time) float64 {
	return float64(to.Unix()-from.Unix()) + float64(to.Nanosecond()-from.Nanosecond())/1e9
}

// The states of a node, in the order in which the first that fits counts.
const (
	unusable = iota
	retired
	free
	expired
	revoked
	held
	states
)

func nameOfState(state int) string {
	return [states]string{"unusable", "retired", "free", "expired", "revoked", "held"}[state]
}

func stateOf(info pool.NodeInfo, err error) int {
	switch {
	case err != nil:
		return unusable
	case info.Retired:
		return retired
	case info.Holder == "":
		return free
	case info.Expired:
		return expired
	case info.Revoked:
		return revoked
	}
	return held
}

// nodes adds how many nodes are in which state. What was never leased is not listed,
// and is free.
func (k *Collector) nodes(ctx context.Context, s *scan, ns *pool.Namespace) error {
	var seen, total [pool.Legacy + 1]int64
	var in [pool.Legacy + 1][states]int64
	for _, r := range ns.Ranges {
		if r.Use <= pool.Legacy {
			total[r.Use] += r.Last - r.First + 1
		}
	}
	for info, err := range k.pool.List(ctx, ns.Name) {
		var record *pool.RecordError
		if err != nil && !errors.As(err, &record) {
			return err //nolint:wrapcheck // that there is one is all that counts
		}
		if use, ok := useOf(ns, info.Node); ok {
			seen[use]++
			in[use][stateOf(info, err)]++
		}
	}
	if err := ctx.Err(); err != nil { // a list that ends early may say nothing
		return err //nolint:wrapcheck // as above
	}
	for _, use := range []pool.Use{pool.Leased, pool.Legacy} {
		if use != pool.Leased && total[use] == 0 {
			continue
		}
		in[use][free] += total[use] - seen[use]
		s.add(k.d.nodes, float64(total[use]), ns.Name, use.String())
		for state, n := range in[use] {
			s.add(k.d.leases, float64(n), ns.Name, use.String(), nameOfState(state))
		}
	}
	return nil
}

// useOf returns what a node is for, if anything can be leased of it.
func useOf(ns *pool.Namespace, node int64) (pool.Use, bool) {
	for _, r := range ns.Ranges {
		if r.First <= node && node <= r.Last {
			return r.Use, r.Use == pool.Leased || r.Use == pool.Legacy
		}
	}
	return 0, false
}

// check asks the pool what is wrong with each namespace, if it can say.
func (k *Collector) check(ctx context.Context, s *scan) (can bool, sick map[string]error) {
	c, ok := k.pool.(checker)
	if !ok {
		return false, nil
	}
	err := c.Check(ctx)
	if err == nil {
		return true, nil
	}
	var some *pool.CheckError
	if !errors.As(err, &some) {
		s.complete = false
		return false, nil
	}
	sick = make(map[string]error, len(some.Namespaces))
	for _, n := range some.Namespaces {
		sick[n.Namespace] = n.Err
	}
	return true, sick
}

// health adds what the check has said of a namespace.
func (k *Collector) health(s *scan, namespace string, sick error) {
	serving, jumped := 1.0, 0.0
	if sick != nil {
		serving = 0
	}
	if errors.Is(sick, pool.ErrClockJumped) {
		jumped = 1
	}
	s.add(k.d.serving, serving, namespace)
	s.add(k.d.jumped, jumped, namespace)
}
