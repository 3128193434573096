package main

import (
	"fmt"
	"slices"
	"strings"
)

// The promises of an ID's order and freshness: what may be compared with what.
func exact(b *benchmark) bool  { return b.ours() && !strings.HasSuffix(b.impl, "-coarse") }
func coarse(b *benchmark) bool { return b.ours() && strings.HasSuffix(b.impl, "-coarse") }

// strict says whether IDs increase across all goroutines, on an exact clock: the same
// promise as that of peers with a sequence.
func strict(b *benchmark) bool { return exact(b) && !strings.Contains(b.impl, "-sharded-") }

// summary writes what there is to know for who has a minute.
func (m *measurements) summary(w *strings.Builder) {
	var tables strings.Builder
	m.shortWide(&tables)
	m.shortOwn(&tables)
	m.bars(&tables)
	if tables.Len() > 0 {
		w.WriteString("## In short\n\n" + tables.String())
	}
}

// shortWide compares each peer with the fastest of this project, and with the fastest
// that promises its order.
func (m *measurements) shortWide(w *strings.Builder) {
	list := m.compared("wide")
	kinds := []struct {
		name string
		fits func(*benchmark) bool
	}{{"fastest", exact}, {"strict", strict}, {"coarse", coarse}}
	procs := procsOf(list)
	peers := peersByTime(list)
	if len(peers) == 0 || !slices.ContainsFunc(list, func(b *benchmark) bool { return b.ours() && b.layout == "wide" }) {
		return
	}
	w.WriteString("What the code costs: one ID with the sequence wide open, and this project's in multiples of it (below 1 is faster). " +
		"**Fastest** is of all strategies on an exact clock; **strict** of Mutex and Atomic, whose IDs increase across all goroutines, " +
		"as those of bwmarrin and Sonyflake do and those of Sharded within a tick do not; **coarse** is of all strategies on a clock that is up to 1 ms behind.\n\n")
	t := table{}
	head := []string{""}
	for _, p := range procs {
		head = append(head, cpus(p), "fastest", "strict", "coarse")
	}
	t.add(head...)
	ours := []string{"*this project*"}
	for _, p := range procs {
		ours = append(ours, "")
		for _, k := range kinds {
			b := fastest(list, func(b *benchmark) bool { return b.procs == p && k.fits(b) })
			if b == nil {
				ours = append(ours, missing)
				continue
			}
			v, _ := b.median("sec/op")
			ours = append(ours, seconds(v)+" "+strings.TrimPrefix(b.impl, "easyflake-"))
		}
	}
	t.add(ours...)
	for _, peer := range peers {
		row := []string{peer}
		for _, p := range procs {
			b := one(list, peer, p)
			row = append(row, time(b))
			for _, k := range kinds {
				row = append(row, ratio(fastest(list, func(b *benchmark) bool { return b.procs == p && k.fits(b) }), b))
			}
		}
		t.add(row...)
	}
	t.write(w)
}

// shortOwn compares what each one's default layout allows.
func (m *measurements) shortOwn(w *strings.Builder) {
	list := filter(m.compared("own"), func(b *benchmark) bool { return b.layout == "own" })
	peers := peersByTime(list)
	procs := procsOf(list)
	if len(peers) == 0 || !slices.ContainsFunc(list, (*benchmark).ours) {
		return
	}
	w.WriteString("What each one's default layout allows. That is a choice of its maker, and says nothing of the code: " +
		"this project's has 256 IDs in a millisecond for each of 256 nodes, and with any other layout it has that one's ceiling.\n\n")
	t := table{}
	head := []string{""}
	for _, p := range procs {
		head = append(head, cpus(p), "this project, × it")
	}
	t.add(head...)
	own := []string{"*this project*"}
	for _, p := range procs {
		own = append(own, time(fastest(list, func(b *benchmark) bool { return b.procs == p && b.ours() })), "")
	}
	t.add(own...)
	for _, peer := range peers {
		row := []string{peer}
		for _, p := range procs {
			b := one(list, peer, p)
			row = append(row, time(b), ratio(fastest(list, func(b *benchmark) bool { return b.procs == p && b.ours() }), b))
		}
		t.add(row...)
	}
	t.write(w)
}

func peersByTime(list []*benchmark) []string {
	return byTime(filter(list, (*benchmark).peer))
}

// time writes the median of a benchmark.
func time(b *benchmark) string {
	v, ok := b.median("sec/op")
	if !ok {
		return missing
	}
	return seconds(v)
}

// bars writes the limits that this project has set itself, and what was measured.
func (m *measurements) bars(w *strings.Builder) {
	t := table{left: 1}
	t.add("bar, in multiples of the fastest peer with a sequence", "limit", "measured")
	wide := m.compared("wide")
	for _, bar := range []struct {
		name  string
		fits  func(*benchmark) bool
		limit map[int]float64
	}{
		{"fastest strategy on an exact clock", exact, map[int]float64{1: 0.45, 2: 0.20}},
		{"fastest on the coarse clock", coarse, map[int]float64{1: 0.15, 2: 0.09}},
	} {
		for _, p := range procsOf(wide) {
			b := fastest(wide, func(b *benchmark) bool { return b.procs == p && bar.fits(b) })
			t.bar(bar.name+", "+cpus(p), bar.limit[p], b, "sec/op", m.fastestWide(p))
		}
	}
	fill := m.named("Fill")
	for _, p := range procsOf(fill) {
		b := least(fill, "sec/id", func(b *benchmark) bool { return b.procs == p })
		t.bar("an ID of a Fill of 256, "+cpus(p), 0.02, b, "sec/id", m.fastestWide(p))
	}
	m.saturatedBars(&t)
	if len(t.rows) > 1 {
		w.WriteString("The bars that this project sets itself; what misses its limit is bold.\n\n")
		t.write(w)
	}
}

// bar adds how a benchmark's figure compares with the time of a peer. What was not
// measured, or has no limit, is left out.
func (t *table) bar(name string, limit float64, b *benchmark, unit string, peer *benchmark) {
	v, ok := b.median(unit)
	base, has := peer.median("sec/op")
	if !ok || !has || limit == 0 {
		return
	}
	t.add(name, fmt.Sprintf("%.2f", limit), judged(v/base, limit, times(v/base)+" ("+b.impl+", of "+peer.impl+")"))
}

// judged returns a figure, bold where it is past its limit.
func judged(v, limit float64, text string) string {
	if v > limit {
		return "**" + text + "**"
	}
	return text
}

// saturatedBars adds what a layout costs while it is used up.
func (m *measurements) saturatedBars(t *table) {
	for _, bar := range []struct{ layout, peer, name string }{
		{"twitter", "bwmarrin", "bwmarrin's own layout, used up"},
		{"sonyflake2", "", "Sonyflake's own layout, used up"},
	} {
		list := m.where("Saturate", func(b *benchmark) bool { return b.layout == bar.layout })
		ours := filter(list, (*benchmark).ours)
		rates := values(ours, "%rate")
		if len(rates) == 0 {
			continue
		}
		t.add(bar.name+": of its rate", "", percent(slices.Min(rates))+" to "+percent(slices.Max(rates)))
		if bar.peer == "" {
			if cpu := values(ours, "%cpu"); len(cpu) > 0 {
				most := slices.Max(cpu)
				t.add(bar.name+": CPU, of one", "5 %", judged(most, 5, fmt.Sprintf("%.1f %% at most", most)))
			}
			continue
		}
		for _, strategy := range distinct(ours, func(b *benchmark) string { return b.impl }) {
			var parts []float64
			for _, b := range filter(ours, func(b *benchmark) bool { return b.impl == strategy }) {
				for _, p := range list {
					v, ok := b.median("%cpu")
					base, has := p.median("%cpu")
					if p.impl == bar.peer && p.procs == b.procs && p.goroutines == b.goroutines && ok && has {
						parts = append(parts, v/base)
					}
				}
			}
			if len(parts) > 0 {
				most := slices.Max(parts)
				t.add(bar.name+": CPU, of "+bar.peer+"'s", "0.20", judged(most, 0.2, times(slices.Min(parts))+" to "+times(most)+" ("+strategy+")"))
			}
		}
	}
}

// values returns the medians of a unit.
func values(list []*benchmark, unit string) []float64 {
	var all []float64
	for _, b := range list {
		if v, ok := b.median(unit); ok {
			all = append(all, v)
		}
	}
	return all
}
