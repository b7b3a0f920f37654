package matrix

import (
	"fmt"

	"pgguard/bench/report"
)

// Sizes of the picture, in pixels.
const (
	tileWidth  = 88
	tileHeight = 34
	leftWidth  = 150
	headHeight = 44
)

// picture is the matrix: a row for each statement and share of writes, a column for each loop and number of workers. Cells
// that differ in other factors only stand side by side in their place.
type picture struct {
	Width, Height int
	Rows, Columns []label
	Places        []box // places, measured or not
	Boxes         []box
}

type label struct {
	X, Y int
	Text string
}

// box is a cell in the picture.
type box struct {
	X, Y, W, H   int
	TX, TY       int
	ID           string
	Colour       Colour
	Late         bool
	Short, Title string
}

// span is the range of ratios that the strip shows; what is outside stands at its edge.
const (
	leastRatio = 0.4
	mostRatio  = 1.3
)

// pictureOf places the verdicts.
func pictureOf(verdicts []Verdict) picture {
	costs, shares := Factors[cost].Values, Factors[writes].Values
	loops, crowds := Factors[loop].Values, Factors[workers].Values
	p := picture{
		Width:  leftWidth + len(loops)*len(crowds)*tileWidth + 2,
		Height: headHeight + len(costs)*len(shares)*tileHeight + 2,
	}
	for i := range len(costs) * len(shares) {
		c, w := costs[i/len(shares)], shares[i%len(shares)]
		p.Rows = append(p.Rows, label{leftWidth - 10, headHeight + i*tileHeight + tileHeight/2 + 4,
			Factors[cost].Text(c) + ", " + Factors[writes].Text(w) + " writes"})
		for j := range len(loops) * len(crowds) {
			l, n := loops[j/len(crowds)], crowds[j%len(crowds)]
			if i == 0 {
				x := leftWidth + j*tileWidth + tileWidth/2
				p.Columns = append(p.Columns, label{x, 16, Factors[loop].Text(l)}, label{x, 34, Factors[workers].Text(n)})
			}
			place := box{X: leftWidth + j*tileWidth, Y: headHeight + i*tileHeight, W: tileWidth, H: tileHeight}
			p.Places = append(p.Places, place)
			var here []Verdict
			for _, v := range verdicts {
				if at := v.Cell.Values(); at[cost] == c && at[writes] == w && at[loop] == l && at[workers] == n {
					here = append(here, v)
				}
			}
			p.Boxes = append(p.Boxes, boxes(place, here)...)
		}
	}
	return p
}

// boxes shares a place out among cells.
func boxes(place box, here []Verdict) []box {
	var out []box
	for i, v := range here {
		w := (place.W - 3) / len(here)
		b := box{
			X: place.X + 2 + i*w, Y: place.Y + 2, W: w - 1, H: place.H - 3, ID: v.Cell.anchor(), Colour: v.Colour, Late: v.Late(),
			Short: share(v.Ratio), Title: v.title(),
		}
		b.TX, b.TY = b.X+b.W/2, b.Y+b.H/2+4
		if len(here) > 3 {
			b.Short = "" // no room for it
		}
		out = append(out, b)
	}
	return out
}

// title is what is shown of a cell on hover.
func (v Verdict) title() string {
	m := v.Cell
	text := fmt.Sprintf("%s: %s\n%s: %s useful/s, p99 of reads %s ms, of writes %s ms, refused %s/s, timed out %s/s\nbest of all: %s, %s useful/s; ratio %s",
		m.Name, m.Cell, v.Guard, m.Shown(v.Guard, Goodput), m.Shown(v.Guard, ReadsP99), m.Shown(v.Guard, WritesP99),
		m.Shown(v.Guard, Refused), m.Shown(v.Guard, TimedOut), v.Best, m.Shown(v.Best, Goodput), share(v.Ratio))
	if v.InOrder != "" {
		text += fmt.Sprintf("\np99 %s times that of %s", ratio(v.P99), v.InOrder)
	}
	return text
}

// strip shows the ratios of all cells that have a value of a factor, value by value.
type strip struct {
	Width, Height int
	Lines         []stripLine
	Marks         []label // ratios, with their places
}

type stripLine struct {
	Y           int
	Text        string
	First       bool // of its factor
	Median      int  // place
	HasMedian   bool
	MedianRatio string
	Dots        []box
}

// Sizes of the strip.
const (
	stripWidth = 640
	stripLeft  = 150
	stripRow   = 17
	stripHead  = 22
)

// placeOf is where a ratio stands in the strip.
func placeOf(r float64) int {
	share := (min(max(r, leastRatio), mostRatio) - leastRatio) / (mostRatio - leastRatio)
	return stripLeft + int(share*(stripWidth-stripLeft-12))
}

func stripOf(verdicts []Verdict) strip {
	s := strip{Width: stripWidth + 60}
	for _, r := range []float64{0.5, 0.75, YellowFrom, GreenFrom, 1, 1.25} {
		s.Marks = append(s.Marks, label{X: placeOf(r), Y: 12, Text: number(r)})
	}
	for i, f := range Factors {
		for j, value := range f.Values {
			line := stripLine{Y: stripHead + stripRow*len(s.Lines) + stripRow/2, Text: f.Name + " " + f.Text(value), First: j == 0}
			var ratios []float64
			for _, v := range verdicts {
				if v.Cell.Values()[i] != value {
					continue
				}
				ratios = append(ratios, v.Ratio)
				line.Dots = append(line.Dots, box{X: placeOf(v.Ratio), ID: v.Cell.anchor(), Colour: v.Colour, Title: v.title()})
			}
			if len(ratios) > 0 {
				m := report.SpreadOf(ratios).Median
				line.Median, line.HasMedian, line.MedianRatio = placeOf(m), true, share(m)
			}
			s.Lines = append(s.Lines, line)
		}
	}
	s.Height = stripHead + stripRow*len(s.Lines) + 4
	return s
}
