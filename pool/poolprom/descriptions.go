package poolprom

import "github.com/prometheus/client_golang/prometheus"

// descriptions are what a [Collector] can say; the package's documentation has them
// in a table.
type descriptions struct {
	up, took, at            *prometheus.Desc
	namespaces              *prometheus.Desc
	nodes, leases           *prometheus.Desc
	life, floor             *prometheus.Desc
	serving, jumped, offset *prometheus.Desc
}

func describe() *descriptions {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &descriptions{
		up:         d("easyflake_pool_up", "Whether the last look at the pool found out everything."),
		took:       d("easyflake_pool_scan_seconds", "How long it took."),
		at:         d("easyflake_pool_scan_timestamp_seconds", "Unix time of the last one that found out everything; 0: none yet."),
		namespaces: d("easyflake_namespaces", "Namespaces of the pool."),
		nodes:      d("easyflake_nodes", "Nodes that can be leased in all.", "namespace", "use"),
		leases:     d("easyflake_leases", "Nodes that can be leased, by the state that they are in.", "namespace", "use", "state"),
		life:       d("easyflake_layout_life_seconds", "Time left of the layout's life; below 0 when it is over.", "namespace"),
		floor:      d("easyflake_floor_seconds", "Time until windows can begin on all nodes; 0: now.", "namespace"),
		serving:    d("easyflake_serving", "Whether anything can be granted.", "namespace"),
		jumped:     d("easyflake_clock_jumped", "Whether the store's clock has jumped, so that nothing is granted.", "namespace"),
		offset:     d("easyflake_clock_offset_seconds", "How far the store's clock is ahead of the time that the pool goes by.", "namespace"),
	}
}

func (d *descriptions) each(to chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{
		d.up, d.took, d.at, d.namespaces, d.nodes, d.leases, d.life, d.floor, d.serving, d.jumped, d.offset,
	} {
		to <- one
	}
}
