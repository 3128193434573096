package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// legend says what is what, beside or below the plot and never upon it.
type legend struct {
	entries []entry
	columns int
}

type entry struct {
	name   string
	thumbs []plot.Thumbnailer
}

// lineHeight is the height of an entry.
const lineHeight = 16 * vg.Length(1)

func (l *legend) add(name string, thumbs ...plot.Thumbnailer) {
	l.entries = append(l.entries, entry{name, thumbs})
}

// height returns how much room it takes.
func (l *legend) height() vg.Length {
	return lineHeight * vg.Length((len(l.entries)+l.columns-1)/l.columns)
}

// draw fills the columns one after the other, from the top.
func (l *legend) draw(c draw.Canvas) {
	if len(l.entries) == 0 {
		return
	}
	rows := (len(l.entries) + l.columns - 1) / l.columns
	column := c.Size().X / vg.Length(l.columns)
	style := write(9.5, text.XLeft, text.YCenter)
	for i, e := range l.entries {
		left := c.Min.X + column*vg.Length(i/rows)
		middle := c.Max.Y - lineHeight*(vg.Length(i%rows)+0.5)
		thumb := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: left, Y: middle - 4}, Max: vg.Point{X: left + 24, Y: middle + 4},
		}}
		for _, t := range e.thumbs {
			t.Thumbnail(&thumb)
		}
		c.FillText(style, vg.Point{X: left + 30, Y: middle}, e.name)
	}
}

// swatch is a filled rectangle in the legend.
type swatch struct{ fill color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.fill, []vg.Point{
		{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y},
	})
}
