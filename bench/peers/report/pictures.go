package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// picture is a file for the page.
type picture struct {
	file string
	svg  []byte
}

// pictures draws what was measured.
func (m *measurements) pictures() ([]picture, error) {
	var list []picture
	for _, d := range []struct {
		name string
		draw func() (*drawing, error)
	}{
		{"own", func() (*drawing, error) { return m.drawBars("own", "each at its default") }},
		{"wide", func() (*drawing, error) { return m.drawBars("wide", "sequence wide open") }},
		{"goroutines", m.drawGoroutines},
		{"sequence", m.drawSequences},
		{"latency", m.drawLatencies},
	} {
		drawing, err := d.draw()
		if err != nil {
			return nil, fmt.Errorf("drawing %s: %w", d.name, err)
		}
		if drawing == nil {
			continue
		}
		svg, err := drawing.svg()
		if err != nil {
			return nil, fmt.Errorf("drawing %s: %w", d.name, err)
		}
		list = append(list, picture{"benchmarks-" + d.name + ".svg", svg})
	}
	return list, nil
}

// drawing is a plot with its legend: beside it if that has one column, else below.
type drawing struct {
	plot   *plot.Plot
	legend legend
	height vg.Length // of both
	// side is what is written along the vertical axis. The plot itself would leave
	// out the wrong room for it where the axis is logarithmic.
	side string
}

func (d *drawing) svg() ([]byte, error) {
	canvas := vgsvg.New(width, d.height)
	c := draw.New(canvas)
	c.SetColor(background())
	c.Fill(c.Path())
	if d.legend.columns == 1 {
		const aside = 140
		d.plot.Draw(draw.Crop(c, 22, -aside-8, 8, -8))
		style := write(10, text.XCenter, text.YTop)
		style.Rotation = math.Pi / 2
		c.FillText(style, vg.Point{X: 8, Y: d.height / 2}, d.side)
		d.legend.draw(draw.Crop(c, width-aside, -4, 8, -34))
	} else {
		below := d.legend.height()
		d.plot.Draw(draw.Crop(c, 8, -8, below+12, -8))
		d.legend.draw(draw.Crop(c, 40, -20, 8, below+8-d.height))
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return anyFont(b.Bytes()), nil
}

// drawBars draws single IDs as bars, the floors above them, on as many processors each.
// Of this project's clocks it has the default and the coarse one.
func (m *measurements) drawBars(layout, what string) (*drawing, error) {
	all := m.compared(layout)
	if !slices.ContainsFunc(all, func(b *benchmark) bool { return b.layout == layout }) {
		return nil, nil //nolint:nilnil // nothing was measured, and so nothing is drawn
	}
	procs := procsOf(all)
	p := newPlot("Time for one ID, "+what, "time for one ID (log scale)")
	b := &bars{label: write(8.5, text.XLeft, text.YCenter)}
	var names []plot.Tick
	impls := slices.DeleteFunc(byTime(all), func(impl string) bool {
		return strings.HasSuffix(impl, "-system") ||
			strings.HasSuffix(impl, "-monotonic") && one(all, strings.Replace(impl, "-monotonic", "-tsc", 1), procs[0]) != nil
	})
	least, most := math.Inf(1), 0.0
	for _, impl := range impls {
		row := make([]bar, len(procs))
		for j, n := range procs {
			if v, ok := one(all, impl, n).median("sec/op"); ok {
				row[j] = bar{v, seconds(v), shade(impl, j, len(procs))}
				least, most = min(least, v), max(most, v)
			}
		}
		b.rows = append(b.rows, row)
	}
	for i, impl := range impls {
		names = append(names, plot.Tick{Value: b.middle(i), Label: cmp.Or(floorName(impl), impl) + " "})
	}
	p.Add(b)
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.Tick.Length = 0
	p.Y.Min, p.Y.Max = 0.4, float64(len(impls))+0.6

	d := &drawing{plot: p, legend: legend{columns: 3}}
	// It fills its columns one after the other.
	for _, of := range []struct{ name, impl string }{{"floors", "floor-"}, {"this project", "easyflake-"}, {"others", ""}} {
		for j, n := range procs {
			d.legend.add(of.name+", "+cpus(n), swatch{shade(of.impl, j, len(procs))})
		}
	}
	// Room for the values behind the bars.
	p.X.Min, p.X.Max = least/2, most*3
	logAxis(&p.X, seconds)
	d.height = 90 + d.legend.height() + vg.Length(len(impls)*(8+11*len(procs)))
	return d, nil
}

// floorName says what a floor is, or nothing of what is none.
func floorName(impl string) string {
	return map[string]string{
		"floor-counter": "only a counter",
		"floor-since":   "only time.Since",
		"floor-tsc":     "only the TSC",
	}[impl]
}

// shade returns the fill of the j-th of n bars: the more processors, the lighter.
func shade(impl string, j, n int) color.Color {
	dark, light := [3]float64{0xc4, 0x56, 0x00}, [3]float64{0xf3, 0xa8, 0x63}
	switch {
	case strings.HasPrefix(impl, "easyflake-"):
		dark, light = [3]float64{0x00, 0x59, 0x9c}, [3]float64{0x6c, 0xb6, 0xf0}
	case strings.HasPrefix(impl, "floor-"):
		dark, light = [3]float64{0x59, 0x63, 0x6e}, [3]float64{0xaf, 0xb8, 0xc1}
	}
	part := 0.0
	if n > 1 {
		part = float64(j) / float64(n-1)
	}
	mix := func(i int) uint8 { return uint8(dark[i] + part*(light[i]-dark[i])) }
	return color.RGBA{R: mix(0), G: mix(1), B: mix(2), A: 0xff}
}

// logAxis makes an axis logarithmic, with a label at each power of ten.
func logAxis(a *plot.Axis, label func(float64) string) {
	a.Scale = plot.LogScale{}
	a.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick {
		var ticks []plot.Tick
		for e := math.Floor(math.Log10(least)); e <= math.Ceil(math.Log10(most)); e++ {
			for i := 1; i < 10; i++ {
				t := plot.Tick{Value: math.Pow(10, e) * float64(i)}
				if i == 1 {
					// Powers of ten have one digit: "1 µs" and not "1.00 µs".
					t.Label = strings.Replace(strings.Replace(label(t.Value), ".00", "", 1), ".0", "", 1)
				}
				if t.Value >= least*0.999 && t.Value <= most*1.001 {
					ticks = append(ticks, t)
				}
			}
		}
		return ticks
	})
}

// point is a value of an implementation, at a place of the other axis.
type point struct{ x, y float64 }

// lines adds a line of each implementation, in the order of their ends.
func (d *drawing) lines(names []string, points map[string][]point) error {
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: faint(), Width: 0.6}
	grid.Vertical = grid.Horizontal
	d.plot.Add(grid)
	order := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return len(points[n]) == 0 })
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Compare(points[b][len(points[b])-1].y, points[a][len(points[a])-1].y)
	})
	for _, name := range order {
		xys := make(plotter.XYs, len(points[name]))
		for i, pt := range points[name] {
			xys[i] = plotter.XY{X: pt.x, Y: pt.y}
		}
		line, marks, err := plotter.NewLinePoints(xys)
		if err != nil {
			return err
		}
		line.LineStyle = stroke(name)
		marks.GlyphStyle = mark(name, slices.Index(names, name))
		d.plot.Add(line, marks)
		d.legend.add(name, line, marks)
	}
	return nil
}

// collect returns the points of some benchmarks by implementation; value says where
// they lie, or that they do not.
func collect(list []*benchmark, value func(*benchmark) (point, bool)) map[string][]point {
	points := map[string][]point{}
	for _, b := range list {
		if pt, ok := value(b); ok {
			points[b.impl] = append(points[b.impl], pt)
		}
	}
	for _, p := range points {
		slices.SortFunc(p, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	}
	return points
}

// onMost returns the benchmarks of a name on the most processors, and how many these
// are.
func (m *measurements) onMost(name string) ([]*benchmark, int) {
	// Of those at their defaults only the ceiling would be to see.
	all := m.where(name, func(b *benchmark) bool { return b.layout != "own" })
	if len(all) == 0 {
		return nil, 0
	}
	procs := slices.Max(procsOf(all))
	return filter(all, func(b *benchmark) bool { return b.procs == procs }), procs
}

func (m *measurements) drawGoroutines() (*drawing, error) {
	list, procs := m.onMost("Goroutines")
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing was measured, and so nothing is drawn
	}
	p := newPlot("IDs a second over goroutines, "+cpus(procs), "goroutines (log scale)")
	d := &drawing{plot: p, side: "IDs a second (log scale)", legend: legend{columns: 1}, height: 360}
	points := collect(list, func(b *benchmark) (point, bool) {
		v, ok := b.median("ids/s")
		return point{float64(b.goroutines), v}, ok && b.goroutines > 0
	})
	if err := d.lines(implsOf(list), points); err != nil {
		return nil, err
	}
	logAxis(&p.Y, rate)
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = numbers(list, func(b *benchmark) int { return b.goroutines })
	widen(&p.Y)
	return d, nil
}

func (m *measurements) drawSequences() (*drawing, error) {
	list, procs := m.onMost("Sequence")
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing was measured, and so nothing is drawn
	}
	p := newPlot("IDs a second over sequence bits, ticks of 1 ms, "+cpus(procs), "sequence bits")
	d := &drawing{plot: p, side: "IDs a second (log scale)", legend: legend{columns: 1}, height: 360}
	points := collect(list, func(b *benchmark) (point, bool) {
		v, ok := b.median("ids/s")
		return point{float64(b.sequence), v}, ok && b.sequence > 0
	})
	if err := d.lines(implsOf(list), points); err != nil {
		return nil, err
	}
	var ceiling plotter.XYs
	bits := distinct(list, func(b *benchmark) int { return b.sequence })
	slices.Sort(bits)
	for _, s := range bits {
		ceiling = append(ceiling, plotter.XY{X: float64(s), Y: 1000 * math.Exp2(float64(s))})
	}
	line, err := plotter.NewLine(ceiling)
	if err != nil {
		return nil, err
	}
	line.LineStyle = draw.LineStyle{Color: ink(), Width: 1.2, Dashes: []vg.Length{5, 3}}
	p.Add(line)
	d.legend.add("the layout's ceiling", line)
	logAxis(&p.Y, rate)
	p.X.Tick.Marker = numbers(list, func(b *benchmark) int { return b.sequence })
	widen(&p.Y)
	return d, nil
}

func (m *measurements) drawLatencies() (*drawing, error) {
	list, procs := m.onMost("Latency")
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing was measured, and so nothing is drawn
	}
	p := newPlot("Time of a single call, "+cpus(procs), "so many of the calls took no longer")
	d := &drawing{plot: p, side: "time of a call (log scale)", legend: legend{columns: 1}, height: 360}
	points := map[string][]point{}
	var ticks []plot.Tick
	for i, q := range quantiles() {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: q.name})
		for _, b := range list {
			if v, ok := b.median(q.unit); ok {
				points[b.impl] = append(points[b.impl], point{float64(i), v})
			}
		}
	}
	if err := d.lines(implsOf(list), points); err != nil {
		return nil, err
	}
	logAxis(&p.Y, seconds)
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	widen(&p.Y)
	return d, nil
}

// numbers puts a tick at each number that was measured.
func numbers(list []*benchmark, of func(*benchmark) int) plot.Ticker {
	var ticks []plot.Tick
	for _, n := range distinct(list, of) {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	return plot.ConstantTicks(ticks)
}

// widen extends a log axis so that it has a labelled tick at each end.
func widen(a *plot.Axis) {
	a.Min = math.Pow(10, math.Floor(math.Log10(a.Min)))
	a.Max = math.Pow(10, math.Ceil(math.Log10(a.Max)))
}
