package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/intercept"
	"github.com/easyflake/easyflake/pool/grpcpool/legacy"
)

// figures are those of the process, beside what the pool and its server measure:
//
//	easyflake_log_suppressed_total               lines about calls not written, for there were too many like them
//	easyflake_certificate_end_timestamp_seconds  when the server's certificate ends, with TLS
//	go_*, process_*                              the Go runtime's and the operating system's
func (s *poolServer) figures(calls *intercept.Log) []prometheus.Collector {
	all := []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "easyflake_log_suppressed_total",
			Help: "Lines about calls that were not written, for there were too many like them.",
		}, func() float64 { return float64(calls.Suppressed()) }),
	}
	if s.certs != nil {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "easyflake_certificate_end_timestamp_seconds",
			Help: "When the server's certificate, or one that it is based on, ends.",
		}, func() float64 { return float64(s.certs.NotAfter().Unix()) }))
	}
	return all
}

// refusals count what did not get as far as a call:
//
//	easyflake_refused_total{what}  connection, request: closed or refused, for there were too many
func (p *parts) refusals() []prometheus.Collector {
	counter := func(what string, of func(grpcpool.Load) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "easyflake_refused_total",
			Help:        "Connections and requests that were refused, for there were too many.",
			ConstLabels: prometheus.Labels{"what": what},
		}, func() float64 {
			sum := of(p.server.Load())
			if p.side != nil {
				sum += of(p.side.Load())
			}
			return float64(sum)
		})
	}
	return []prometheus.Collector{
		counter("connection", func(l grpcpool.Load) uint64 { return l.ConnectionsRefused }),
		counter("request", func(l grpcpool.Load) uint64 { return l.RequestsRefused }),
	}
}

// streamFigures count streams to EasyFlake for Python:
//
//	easyflake_legacy_streams{state}  lending: it has a number; waiting: it would like one
func streamFigures(streams *legacy.Server) []prometheus.Collector {
	gauge := func(state string, of func(legacy.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "easyflake_legacy_streams",
			Help:        "Open streams to EasyFlake for Python.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(of(streams.Stats())) })
	}
	return []prometheus.Collector{
		gauge("lending", func(s legacy.Stats) int { return s.Lending }),
		gauge("waiting", func(s legacy.Stats) int { return s.Waiting }),
	}
}

func registerAll(figures *prometheus.Registry, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := figures.Register(c); err != nil {
			return err //nolint:wrapcheck // this program's own mistake
		}
	}
	return nil
}
