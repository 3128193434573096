package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// command is what makes the output that this program reads.
const command = `for i in $(seq 10); do go test -run '^$' -bench 'Next|Fill|Goroutines|Sequence|Latency' -benchtime 100ms -cpu 1,2 -timeout 0; done`

// longCommand does the same for what takes many ticks to tell.
const longCommand = `go test -run '^$' -bench 'Fairness|Saturate' -benchtime 1s -cpu 1,2 -count 3 -timeout 0`

// poolCommand does the same for the pools.
const poolCommand = `for i in $(seq 3); do (cd ../.. && go test -run '^$' -bench Pool -benchtime 100ms -timeout 0 ./bench); done`

// missing stands where nothing was measured.
const missing = "–"

// markdown returns the page.
func (m *measurements) markdown() string {
	var w strings.Builder
	w.WriteString("# Benchmarks\n\n" +
		"Written by a program from the output of the benchmarks in `bench/peers`; do not edit.\n\n")
	m.summary(&w)
	m.machine(&w)
	m.singles(&w, "own", "Each at its default",
		"What the ceiling of each one's layout allows: where it is reached, the time is that of the layout and not of the code. This project has its default clock here.")
	m.singles(&w, "wide", "The sequence wide open",
		"What the code costs. Libraries whose sequence cannot be widened are missing here.")
	m.batches(&w)
	m.goroutines(&w)
	m.sequences(&w)
	m.latencies(&w)
	m.fairness(&w)
	m.saturated(&w)
	m.pools(&w)
	w.WriteString(larger)
	return w.String()
}

// peer says which module an implementation is from.
type peer struct{ impl, module string }

func peers() []peer {
	return []peer{
		{"bwmarrin", "github.com/bwmarrin/snowflake"},
		{"sonyflake2", "github.com/sony/sonyflake/v2"},
		{"godruoyi", "github.com/godruoyi/go-snowflake"},
		{"sno", "github.com/muyo/sno"},
		{"xid", "github.com/rs/xid"},
		{"ulid", "github.com/oklog/ulid/v2"},
		{"uuid-google-v4", "github.com/google/uuid"},
		{"uuid-google-v4-pool", "github.com/google/uuid"},
		{"uuid-google-v7", "github.com/google/uuid"},
		{"uuid-google-v7-pool", "github.com/google/uuid"},
		{"uuid-gofrs-v7", "github.com/gofrs/uuid/v5"},
		{"ksuid", "github.com/segmentio/ksuid"},
	}
}

func (m *measurements) machine(w *strings.Builder) {
	w.WriteString("## What was measured\n\n")
	t := table{left: 2}
	t.add("", "")
	for _, c := range []struct{ name, key string }{
		{"processor", "cpu"}, {"CPUs", "cpus"}, {"system", "goos"}, {"architecture", "goarch"}, {"Go", "go"},
	} {
		t.add(c.name, cmp.Or(m.config[c.key], "not recorded"))
	}
	t.add("commit", m.commits())
	t.add("runs of each", m.runs())
	t.write(w)

	fmt.Fprintf(w, "```sh\ncd bench/peers\n%s | tee bench.txt\n%s | tee long.txt\n%s | tee pools.txt\ngo run ./report -out ../../docs -readme ../../README.md bench.txt long.txt pools.txt\n```\n\n", command, longCommand, poolCommand)
	w.WriteString("Figures are medians, with the 95 % confidence interval of the median as ± where it is known. " +
		"Figures of one run can be compared. A difference means something if it exceeds the ± of both; " +
		"between two runs it does only if they were taken in turns on one quiet machine " +
		"(`go tool benchstat -ignore commit`, p below 0.05, and it repeats). Below 5 % even that is as often the place of the code in memory.\n\n")

	versions := map[string]string{}
	for module := range strings.FieldsSeq(m.config["modules"]) {
		path, version, _ := strings.Cut(module, "@")
		versions[path] = version
	}
	t = table{left: 3}
	t.add("name", "module", "version")
	for _, p := range peers() {
		if slices.ContainsFunc(m.list, func(b *benchmark) bool { return b.impl == p.impl }) {
			t.add(p.impl, p.module, cmp.Or(versions[p.module], "not recorded"))
		}
	}
	t.write(w)
	w.WriteString("`easyflake-STRATEGY-CLOCK` is this project. Each library is used as its documentation says, at its defaults but for the width of the sequence where that is said; " +
		"`-pool` is google/uuid after `EnableRandPool`, which it has to be told. " +
		"Three floors show what the hardware allows: `floor-counter` adds 1 to an atomic counter, " +
		"`floor-since` reads the system's monotonic clock by `time.Since`, which is all that the fastest of the libraries reads " +
		"(`time.Now` reads two clocks), and `floor-tsc` reads the processor's counter as a clock. " +
		"The coarse clock is below the floors of clocks, for it reads only what a goroutine has stored for it.\n\n")
}

// runs says how often each benchmark was run.
func (m *measurements) runs() string {
	return m.byName(func(b *benchmark) string {
		if n := len(b.values["sec/op"]); n != 1 {
			return strconv.Itoa(n)
		}
		return "once"
	})
}

// commits says which commit of this project was measured.
func (m *measurements) commits() string {
	return m.byName(func(b *benchmark) string { return cmp.Or(b.commit, "not recorded") })
}

// byName says what is the same for all benchmarks, or else for which ones it is what.
func (m *measurements) byName(of func(*benchmark) string) string {
	all := distinct(m.list, of)
	if len(all) == 1 {
		return all[0]
	}
	var parts []string
	for _, v := range all {
		list := filter(m.list, func(b *benchmark) bool { return of(b) == v })
		names := distinct(list, func(b *benchmark) string { return b.name })
		parts = append(parts, v+" ("+strings.Join(names, ", ")+")")
	}
	return strings.Join(parts, "; ")
}

// singles writes the tables of one layout. Rows of two layouts never meet: those
// without a sequence stand with each of them.
func (m *measurements) singles(w *strings.Builder, layout, title, what string) {
	list := m.compared(layout)
	if !slices.ContainsFunc(list, func(b *benchmark) bool { return b.layout == layout }) {
		return
	}
	procs := procsOf(list)
	fmt.Fprintf(w, "## One ID at a time: %s\n\n`BenchmarkNext`, `layout=%s`. %s "+
		"Those without a sequence (—) are the same in both tables.\n\n![%s](benchmarks-%s.svg)\n\n", lower(title), layout, what, title, layout)

	t := table{left: 2}
	head := []string{"implementation", "sequence"}
	for _, p := range procs {
		head = append(head, cpus(p), "±", "× counter", "× clock")
	}
	t.add(append(head, "allocations")...)
	for _, impl := range byTime(list) {
		t.add(m.single(list, impl, procs)...)
	}
	t.write(w)
	one := false
	for _, p := range procs {
		one = m.ratios(w, list, p) || one
	}
	if one {
		w.WriteString("One row stands for all strategies: each of them reaches the ceiling of its layout, and so do some of the peers. " +
			"The multiples are those of the layouts; the time of the code stands in the next part.\n\n")
	}
}

// single returns the row of an implementation.
func (m *measurements) single(list []*benchmark, impl string, procs []int) []string {
	row := []string{impl, "—"}
	allocs := missing
	for _, p := range procs {
		b := one(list, impl, p)
		s, ok := b.summary("sec/op")
		if !ok {
			row = append(row, missing, missing, missing, missing)
			continue
		}
		if b.layout != "none" {
			row[1] = b.layout
		}
		row = append(row, seconds(s.Center), s.PctRangeString(),
			ratio(b, one(list, "floor-counter", p)), ratio(b, one(list, "floor-since", p)))
		if a, ok := b.summary("allocs/op"); ok {
			allocs = fmt.Sprintf("%.0f", a.Center)
		}
	}
	return append(row, allocs)
}

// ratios writes how this project's times compare with each peer's, and says whether
// one row stands for all strategies.
func (m *measurements) ratios(w *strings.Builder, list []*benchmark, procs int) bool {
	ours := filter(list, func(b *benchmark) bool { return b.procs == procs && b.ours() })
	theirs := filter(list, func(b *benchmark) bool { return b.procs == procs && b.peer() })
	if len(ours) == 0 || len(theirs) == 0 {
		return false
	}
	fmt.Fprintf(w, "Time of this project's in multiples of each peer's, %s (below 1 is faster):\n\n", cpus(procs))
	t := table{}
	t.add(append([]string{""}, implsOf(theirs)...)...)
	all := capped(ours)
	if all {
		ours = ours[:1]
	}
	for _, b := range ours {
		row := []string{b.impl}
		if all {
			row[0] = "each strategy"
		}
		for _, p := range theirs {
			row = append(row, ratio(b, p))
		}
		t.add(row...)
	}
	t.write(w)
	return all
}

// capped says whether these all take as long as their one layout makes them wait.
func capped(list []*benchmark) bool {
	v := values(list, "sec/op")
	return len(v) > 1 && list[0].layout == "own" && slices.Max(v) <= 1.05*slices.Min(v)
}

// ratio returns how many times as long b takes as base.
func ratio(b, base *benchmark) string {
	v, ok := b.median("sec/op")
	over, has := base.median("sec/op")
	if !ok || !has {
		return missing
	}
	return times(v / over)
}

// byTime returns the implementations, the floors first and then from the fastest
// on, by the fewest processors that they were measured on.
func byTime(list []*benchmark) []string {
	impls := implsOf(list)
	time := map[string]float64{}
	floor := map[string]int{}
	for _, b := range slices.Backward(list) {
		if v, ok := b.median("sec/op"); ok && b.procs == procsOf(list)[0] {
			time[b.impl] = v
		}
		if !b.floor() {
			floor[b.impl] = 1
		}
	}
	slices.SortStableFunc(impls, func(a, b string) int {
		return cmp.Or(cmp.Compare(floor[a], floor[b]), cmp.Compare(time[a], time[b]))
	})
	return impls
}

func (m *measurements) batches(w *strings.Builder) {
	list := m.named("Fill")
	if len(list) == 0 {
		return
	}
	w.WriteString("## By the batch\n\n`BenchmarkFill`, `layout=wide`: the time for one ID where 256 are made at once, " +
		"and in multiples of a single ID of the fastest peer whose sequence is wide open too.\n\n")
	procs := procsOf(list)
	t := table{}
	head := []string{"implementation"}
	for _, p := range procs {
		head = append(head, cpus(p), "× peer")
	}
	t.add(head...)
	for _, impl := range implsOf(list) {
		row := []string{impl}
		for _, p := range procs {
			v, ok := one(list, impl, p).median("sec/id")
			if !ok {
				row = append(row, missing, missing)
				continue
			}
			row = append(row, seconds(v))
			base, ok := m.fastestWide(p).median("sec/op")
			if ok {
				row = append(row, times(v/base))
			} else {
				row = append(row, missing)
			}
		}
		t.add(row...)
	}
	t.write(w)
}

// fastestWide returns the fastest peer that reads the time and enforces a sequence
// for each ID: the one to beat.
func (m *measurements) fastestWide(procs int) *benchmark {
	return fastest(m.compared("wide"), func(b *benchmark) bool {
		return b.peer() && b.layout == "wide" && b.procs == procs
	})
}

func (m *measurements) goroutines(w *strings.Builder) {
	list := m.named("Goroutines")
	if len(list) == 0 {
		return
	}
	w.WriteString("## More and more goroutines\n\n`BenchmarkGoroutines`: IDs a second of all goroutines together, " +
		"sequences wide open.\n\n![IDs a second over goroutines](benchmarks-goroutines.svg)\n\n")
	pivot(w, list, "goroutines", func(b *benchmark) int { return b.goroutines })
}

func (m *measurements) sequences(w *strings.Builder) {
	list := m.named("Sequence")
	if len(list) == 0 {
		return
	}
	w.WriteString("## Wider and wider sequences\n\n`BenchmarkSequence`: IDs a second of layouts with ticks of 1 ms. " +
		"A layout with s sequence bits has 1000 · 2^s of them.\n\n![IDs a second over sequence bits](benchmarks-sequence.svg)\n\n")
	pivot(w, list, "sequence bits", func(b *benchmark) int { return b.sequence })
}

// pivot writes IDs a second, with a column for each value of a number, and a table
// for each number of processors.
func pivot(w *strings.Builder, list []*benchmark, name string, of func(*benchmark) int) {
	columns := distinct(list, of)
	slices.Sort(columns)
	for _, p := range procsOf(list) {
		t := table{}
		head := []string{cpus(p) + ", " + name}
		for _, c := range columns {
			head = append(head, strconv.Itoa(c))
		}
		t.add(head...)
		for _, impl := range implsOf(list) {
			row := []string{impl}
			for _, c := range columns {
				cell := missing
				for _, b := range list {
					if v, ok := b.median("ids/s"); ok && b.impl == impl && b.procs == p && of(b) == c {
						cell = rate(v)
					}
				}
				row = append(row, cell)
			}
			t.add(row...)
		}
		t.write(w)
	}
}

// quantiles returns the units of BenchmarkLatency, as benchfmt tidies them, with
// what they are called.
func quantiles() []struct{ unit, name string } {
	return []struct{ unit, name string }{
		{"p50-sec", "50 %"},
		{"p90-sec", "90 %"},
		{"p99-sec", "99 %"},
		{"p99.9-sec", "99.9 %"},
		{"p99.99-sec", "99.99 %"},
		{"max-sec", "max"},
	}
}

func (m *measurements) latencies(w *strings.Builder) {
	list := m.named("Latency")
	if len(list) == 0 {
		return
	}
	w.WriteString("## The time of a single call\n\n`BenchmarkLatency`: each call timed by itself; so much per cent of them took no longer. " +
		"One reading of the clock is in each: `floor-nothing` has only that.\n\n![Time of a single call](benchmarks-latency.svg)\n\n")
	for _, part := range byLayout(list) {
		part.title(w)
		for _, p := range procsOf(part.list) {
			t := table{left: 2}
			head := []string{cpus(p), "layout"}
			for _, q := range quantiles() {
				head = append(head, q.name)
			}
			t.add(head...)
			for _, b := range part.list {
				if b.procs == p {
					t.add(latency(b)...)
				}
			}
			t.write(w)
		}
	}
}

// latency returns the row of a benchmark.
func latency(b *benchmark) []string {
	row := []string{b.impl, b.layout}
	for _, q := range quantiles() {
		cell := missing
		if s, ok := b.summary(q.unit); ok {
			cell = seconds(s.Center)
		}
		row = append(row, cell)
	}
	return row
}

// part is what may stand in one table.
type part struct {
	own  bool
	list []*benchmark
}

func (p part) title(w *strings.Builder) {
	if p.own {
		w.WriteString("Those whose sequence cannot be widened, at their defaults, and not to be compared with the others:\n\n")
	}
}

// byLayout parts those that are at their defaults from the others.
func byLayout(list []*benchmark) []part {
	wide := func(b *benchmark) bool { return b.layout != "own" }
	var parts []part
	if l := filter(list, wide); len(l) > 0 {
		parts = append(parts, part{list: l})
	}
	if l := filter(list, func(b *benchmark) bool { return !wide(b) }); len(l) > 0 {
		parts = append(parts, part{own: true, list: l})
	}
	return parts
}

func (m *measurements) fairness(w *strings.Builder) {
	list := m.named("Fairness")
	if len(list) == 0 {
		return
	}
	w.WriteString("## Fairness\n\n`BenchmarkFairness`: what the slowest and the fastest goroutine got, in per cent of an even share.\n\n")
	for _, part := range byLayout(list) {
		part.title(w)
		each(w, part.list, "slowest", "%slowest", "fastest", "%fastest")
	}
}

func (m *measurements) saturated(w *strings.Builder) {
	list := m.named("Saturate")
	if len(list) == 0 {
		return
	}
	w.WriteString("## CPU while a layout is used up\n\n`BenchmarkSaturate`: more IDs are asked for than the layout has. " +
		"The rate is in per cent of what it has, the time of all CPUs in per cent of one.\n\n")
	// A table for each layout, for they are not to be compared.
	for _, l := range distinct(list, func(b *benchmark) string { return b.layout }) {
		each(w, filter(list, func(b *benchmark) bool { return b.layout == l }), "rate", "%rate", "CPU", "%cpu")
	}
}

// each writes two percentages of each benchmark, with a column for each number of
// processors.
func each(w *strings.Builder, list []*benchmark, name1, unit1, name2, unit2 string) {
	procs := procsOf(list)
	t := table{left: 2}
	head := []string{"implementation", "layout", "goroutines"}
	for _, p := range procs {
		head = append(head, name1+", "+cpus(p), name2+", "+cpus(p))
	}
	t.add(head...)
	for _, b := range list {
		if b.procs != procs[0] {
			continue
		}
		row := []string{b.impl, b.layout, strconv.Itoa(b.goroutines)}
		for _, p := range procs {
			first, second := missing, missing
			for _, o := range list {
				if o.impl != b.impl || o.layout != b.layout || o.goroutines != b.goroutines || o.procs != p {
					continue
				}
				if s, ok := o.summary(unit1); ok {
					first = percent(s.Center)
				}
				if s, ok := o.summary(unit2); ok {
					second = percent(s.Center)
				}
			}
			row = append(row, first, second)
		}
		t.add(row...)
	}
	t.write(w)
}

// lower returns text as it stands within a sentence.
func lower(text string) string { return strings.ToLower(text[:1]) + text[1:] }
