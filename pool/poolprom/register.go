package poolprom

import "github.com/prometheus/client_golang/prometheus"

// register registers all or none.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			for _, done := range all[:i] {
				reg.Unregister(done)
			}
			return err //nolint:wrapcheck // it names the metric
		}
	}
	return nil
}

// buckets are the upper bounds that times fall under: from a lookup in memory to a
// disk that hangs.
func buckets() []float64 {
	return []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 10}
}
