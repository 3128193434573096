package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bars draws a group of horizontal bars for each row, the first one on top, from the
// edge of the picture: on a log scale there is no zero to start from. It writes its
// value behind each.
type bars struct {
	rows  [][]bar
	label draw.TextStyle
}

type bar struct {
	value float64 // none if 0
	text  string
	fill  color.Color
}

// middle returns where the i-th row is on the axis.
func (p *bars) middle(i int) float64 { return float64(len(p.rows) - i) }

// Plot implements plot.Plotter.
func (p *bars) Plot(c draw.Canvas, plt *plot.Plot) {
	x, y := plt.Transforms(&c)
	for i, row := range p.rows {
		thick := 0.8 / float64(len(row))
		for j, b := range row {
			if b.value <= 0 {
				continue
			}
			top := p.middle(i) + 0.4 - float64(j)*thick
			left, right := x(plt.X.Min), x(b.value)
			c.FillPolygon(b.fill, []vg.Point{
				{X: left, Y: y(top)}, {X: right, Y: y(top)}, {X: right, Y: y(top - thick)}, {X: left, Y: y(top - thick)},
			})
			c.FillText(p.label, vg.Point{X: right + 3, Y: y(top - thick/2)}, b.text)
		}
	}
}
