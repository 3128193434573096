package main

import (
	"slices"
	"strconv"
	"strings"
)

// pools writes what requests to a pool take, as more leases live and as more
// goroutines ask.
func (m *measurements) pools(w *strings.Builder) {
	work, crowd := m.named("Pool"), m.named("PoolCrowd")
	if len(work) == 0 && len(crowd) == 0 {
		return
	}
	w.WriteString("## Pools\n\nRequests for nodes to a pool in the same process, and to a server over TLS on the loopback, where an echo is " +
		"a request of the same size, over as many connections, that nothing is done with. Acquiring and releasing wait for the disk, where the store has one.\n\n" +
		"**`renew at once`** is the best case: leases with windows of an hour are renewed again and again within the first third, which no store has to write but " +
		"the file store, which reads and writes its file each time. **`renew in time`** is what a client costs: the terms that a new namespace has, " +
		"each lease renewed after a third of its window (by a clock that goes as fast as that takes), and about one renewal in two written. " +
		"With many leases these writes are made ahead, many at a time, and few renewals wait for the disk; with one or ten, many do, and the figure is mostly that wait.\n\n")
	if len(work) > 0 {
		w.WriteString("`BenchmarkPool`: the time of one request after the other, while so many leases live.\n\n")
		for _, p := range procsOf(work) {
			m.poolTable(w, filter(work, func(b *benchmark) bool { return b.procs == p }), cpus(p)+", leases",
				func(b *benchmark) int { return b.leases }, seconds,
				[]column{{"renew", "renew at once", "sec/op"}, {"spaced", "renew in time", "renew-sec/op"}, {"lease", "acquire", "acquire-sec/op"}, {"lease", "release", "release-sec/op"}, {"echo", "echo", "sec/op"}})
		}
	}
	if len(crowd) > 0 {
		w.WriteString("`BenchmarkPoolCrowd`: requests a second from more and more goroutines, each with a lease of its own; " +
			"to acquire a node and release it counts as one.\n\n")
		for _, p := range procsOf(crowd) {
			m.poolTable(w, filter(crowd, func(b *benchmark) bool { return b.procs == p }), cpus(p)+", goroutines",
				func(b *benchmark) int { return b.goroutines }, rate,
				[]column{{"renew", "renew at once", "calls/s"}, {"lease", "acquire and release", "calls/s"}, {"echo", "echo", "calls/s"}})
		}
	}
}

// column is one figure of a benchmark of pools: of an op, under a name, in a unit.
type column struct{ op, name, unit string }

// poolTable writes a row for each figure of each store, and a column for each number.
func (m *measurements) poolTable(w *strings.Builder, list []*benchmark, name string, of func(*benchmark) int, format func(float64) string, figures []column) {
	numbers := distinct(list, of)
	slices.Sort(numbers)
	t := table{left: 3}
	head := []string{"store", "used", name}
	for _, n := range numbers {
		head = append(head, strconv.Itoa(n))
	}
	t.add(head...)
	for _, place := range distinct(list, func(b *benchmark) string { return b.store + " " + b.via }) {
		store, via, _ := strings.Cut(place, " ")
		for _, c := range figures {
			row := []string{store, via, c.name}
			found := false
			for _, n := range numbers {
				cell := missing
				for _, b := range list {
					if b.store != store || b.via != via || b.op != c.op || of(b) != n {
						continue
					}
					if v, ok := b.median(c.unit); ok {
						cell, found = format(v), true
					}
				}
				row = append(row, cell)
			}
			if found {
				t.add(row...)
			}
		}
	}
	t.write(w)
}
