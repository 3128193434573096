package main

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Pictures are 800 pixels wide where a page shows them at their own size: 96 pixels
// are an inch, and an inch has 72 points.
const width = 600 * vg.Length(1)

func rgb(hex uint32) color.Color {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xff}
}

// The pictures bring their own background, so that they read the same on a dark page.
func background() color.Color { return rgb(0xffffff) }
func ink() color.Color        { return rgb(0x24292f) }
func faint() color.Color      { return rgb(0xd8dee4) }

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func write(size vg.Length, h text.XAlignment, v text.YAlignment) text.Style {
	return text.Style{Color: ink(), Font: sans(size), XAlign: h, YAlign: v, Handler: plot.DefaultTextHandler}
}

// newPlot returns an empty picture in this program's style.
func newPlot(title, x string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = background()
	p.Title.Text = title
	p.Title.Padding = 8
	p.Title.TextStyle = write(13, text.XCenter, text.YTop)
	p.X.Label.Text = x
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle = write(10, a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign)
		a.Label.Padding = 4
		a.Tick.Label.Font, a.Tick.Label.Color = sans(9.5), ink()
		a.Color, a.Tick.Color = ink(), ink()
	}
	return p
}

// hue returns the colour of an implementation: that of this project's are cold and
// those of others' warm or grey.
func hue(impl string) color.Color {
	for _, h := range []struct {
		prefix string
		hex    uint32
	}{
		{"easyflake-sharded", 0x0072b2},
		{"easyflake-atomic", 0x56b4e9},
		{"easyflake-mutex", 0x009e73},
		{"bwmarrin", 0xd55e00},
		{"sonyflake", 0xe69f00},
		{"xid", 0x7f7f7f},
		{"ulid", 0xa8a800},
		{"uuid-google-v4-pool", 0x8b4513},
		{"uuid-google-v4", 0xb22222},
		{"uuid-google-v7-pool", 0xe377c2},
		{"uuid-google-v7", 0xf08080},
		{"uuid-gofrs", 0x9467bd},
		{"ksuid", 0x404040},
	} {
		if strings.HasPrefix(impl, h.prefix) {
			return rgb(h.hex)
		}
	}
	return rgb(0xaaaaaa)
}

// stroke returns the line of an implementation; this project's are the thick ones.
func stroke(impl string) draw.LineStyle {
	s := draw.LineStyle{Color: hue(impl), Width: 1.2}
	if strings.HasPrefix(impl, "easyflake-") {
		s.Width = 2.4
	}
	return s
}

// mark returns the points on the line of an implementation, the i-th in the picture:
// those who cannot tell two colours apart have their shapes.
func mark(impl string, i int) draw.GlyphStyle {
	shapes := []draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{},
	}
	return draw.GlyphStyle{Color: hue(impl), Radius: 3, Shape: shapes[i%len(shapes)]}
}

// anyFont makes a picture read well where the font that it was laid out in is
// missing: it names fonts of the same or a like shape, and says how wide each text
// has to become.
func anyFont(svg []byte) []byte {
	element := regexp.MustCompile(`<text (x="[^>]*font-size:([0-9.]+)px[^>]*>)([^<]*)</text>`)
	svg = element.ReplaceAllFunc(svg, func(found []byte) []byte {
		part := element.FindSubmatch(found)
		size, err := strconv.ParseFloat(string(part[2]), 64)
		if err != nil {
			return found
		}
		length := write(vg.Length(size), 0, 0).Width(html.UnescapeString(string(part[3])))
		return fmt.Appendf(nil, `<text textLength="%.5g" lengthAdjust="spacingAndGlyphs" %s%s</text>`, length.Points(), part[1], part[3])
	})
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}
