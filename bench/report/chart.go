package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a chart. At chartDPI it is 1000 by 900 pixels.
const (
	chartDPI    = 96
	chartWidth  = vg.Length(1000) * vg.Inch / chartDPI
	chartHeight = vg.Length(900) * vg.Inch / chartDPI
	headHeight  = vg.Length(58) * vg.Inch / chartDPI
	pixel       = vg.Inch / chartDPI
)

// Chart is what to draw: one panel per series name, all with the same x axis, one line per target.
type Chart struct {
	Title  string
	Panels []Panel
}

// Panel is one figure over time or over another setting.
type Panel struct {
	Series string // name of the series in the runs
	Dashed string // name of a second one, drawn dashed in the same colours; may be empty
	Label  string // of the y axis, with the unit
	LogX   bool   // for settings that are stepped by factors
}

// WriteFiles draws the chart as DIR/name.svg and DIR/name.png and returns both paths. It makes the directory when it is missing.
func (c Chart) WriteFiles(f *File, dir, name string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the chart's directory: %w", err)
	}
	img := vgimg.NewWith(vgimg.UseWH(chartWidth, chartHeight), vgimg.UseDPI(chartDPI))
	svg := vgsvg.New(chartWidth, chartHeight)
	var paths []string
	for _, out := range []struct {
		ext    string
		canvas vg.CanvasSizer
		writer io.WriterTo
	}{{"svg", svg, svg}, {"png", img, vgimg.PngCanvas{Canvas: img}}} {
		if err := c.draw(f, draw.New(out.canvas)); err != nil {
			return nil, fmt.Errorf("draw %s: %w", name, err)
		}
		path := filepath.Join(dir, name+"."+out.ext)
		if err := writeTo(path, out.writer); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func writeTo(path string, from io.WriterTo) error {
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	if _, err := from.WriteTo(w); err != nil {
		w.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return w.Close()
}

// draw lays out the head and, below it, the panels with their axes aligned.
func (c Chart) draw(f *File, dc draw.Canvas) error {
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	head := draw.Crop(dc, 0, 0, dc.Max.Y-dc.Min.Y-headHeight, 0)
	c.drawHead(f, head)
	body := draw.Crop(dc, 8*pixel, -14*pixel, 8*pixel, -headHeight)
	var plots [][]*plot.Plot
	for i, panel := range c.Panels {
		p, err := panel.plot(f, i == 0)
		if err != nil {
			return err
		}
		if i == len(c.Panels)-1 {
			p.X.Label.Text = c.xLabel(f)
		}
		plots = append(plots, []*plot.Plot{p})
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadY: 10 * pixel}
	for i, row := range plot.Align(plots, tiles, body) {
		plots[i][0].Draw(row[0])
	}
	return nil
}

// drawHead writes the title, and under it the name of every target behind a stroke of its colour.
func (c Chart) drawHead(f *File, dc draw.Canvas) {
	title := textStyle(17*pixel, color.Black)
	title.Font.Weight = 3 // bold
	dc.FillText(title, vg.Point{X: dc.Min.X + 14*pixel, Y: dc.Max.Y - 25*pixel}, c.Title)
	label := textStyle(14*pixel, color.Black)
	x, y := dc.Min.X+14*pixel, dc.Min.Y+8*pixel
	for i, name := range f.Targets() {
		stroke := draw.LineStyle{Color: targetColor(name, i), Width: 3 * pixel}
		dc.StrokeLine2(stroke, x, y+5*pixel, x+26*pixel, y+5*pixel)
		dc.FillText(label, vg.Point{X: x + 32*pixel, Y: y}, name)
		x += 32*pixel + label.Width(name) + 26*pixel
	}
}

func textStyle(size vg.Length, c color.Color) text.Style {
	f := font.From(plot.DefaultFont, size)
	f.Variant = "Sans"
	return text.Style{Color: c, Font: f, Handler: plot.DefaultTextHandler}
}

// plot makes the panel. The first one names the phases.
func (p Panel) plot(f *File, first bool) (*plot.Plot, error) {
	q := plot.New()
	styleAxes(q, p)
	top := 0.0
	for i, name := range f.Targets() {
		for _, l := range []struct {
			series string
			dashes []vg.Length
		}{{p.Series, nil}, {p.Dashed, []vg.Length{5 * pixel, 3 * pixel}}} {
			highest, err := addLine(q, f.Of(name), l.series, draw.LineStyle{Color: targetColor(name, i), Width: 2 * pixel, Dashes: l.dashes})
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", l.series, name, err)
			}
			top = max(top, highest)
		}
	}
	q.Y.Min, q.Y.Max = 0, max(top*1.15, 1)
	if len(f.Runs) > 0 && !p.LogX {
		if err := addPhases(q, f.Runs[0].Phases, first); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// addLine draws the median of the series over runs, if any has it, and returns its highest value.
func addLine(q *plot.Plot, runs []Run, series string, style draw.LineStyle) (top float64, err error) {
	curve, ok := MedianCurve(runs, series)
	if !ok {
		return 0, nil
	}
	points := make(plotter.XYs, len(curve.Y))
	for j := range points {
		points[j] = plotter.XY{X: curve.X[j], Y: curve.Y[j]}
		top = max(top, curve.Y[j])
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return 0, err
	}
	line.LineStyle = style
	q.Add(line)
	return top, nil
}

// xLabel names the axis that the panels share.
func (c Chart) xLabel(f *File) string {
	for _, p := range c.Panels {
		if curve, ok := MedianCurve(f.Runs, p.Series); ok {
			if curve.XUnit == "s" {
				return "time (s)"
			}
			return curve.XUnit
		}
	}
	return ""
}

func styleAxes(q *plot.Plot, p Panel) {
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 225}, color.Gray{Y: 238}
	q.Add(grid)
	q.Y.Label.Text = p.Label
	q.X.Tick.Marker, q.Y.Tick.Marker = plot.TickerFunc(roundTicks(8)), plot.TickerFunc(roundTicks(4))
	if p.LogX {
		q.X.Scale, q.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	for _, a := range []*plot.Axis{&q.X, &q.Y} {
		a.Label.TextStyle.Font.Size = 14 * pixel
		a.Label.TextStyle.Font.Variant = "Sans"
		a.Tick.Label.Font.Size = 12 * pixel
		a.Tick.Label.Font.Variant = "Sans"
		a.Padding = 0
	}
	q.Y.Label.Padding = 6 * pixel
}

// roundTicks returns a ticker with at most about n marks, at multiples of 1, 2 or 5 times a power of ten.
func roundTicks(n int) func(lo, hi float64) []plot.Tick {
	return func(lo, hi float64) []plot.Tick {
		if hi <= lo {
			return nil
		}
		step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
		for _, m := range []float64{1, 2, 5, 10} {
			if (hi-lo)/(m*step) <= float64(n) {
				step *= m
				break
			}
		}
		var ticks []plot.Tick
		for i := math.Ceil(lo / step); i*step <= hi; i++ {
			ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'g', 6, 64)})
		}
		return ticks
	}
}

// addPhases shades the phases with trouble, rules off all others, and names them when asked to.
func addPhases(q *plot.Plot, phases []Phase, names bool) error {
	labels := plotter.XYLabels{}
	for _, ph := range phases {
		q.X.Min, q.X.Max = min(q.X.Min, ph.From), max(q.X.Max, ph.To)
		corners := plotter.XYs{{X: ph.From, Y: 0}, {X: ph.From, Y: q.Y.Max}, {X: ph.To, Y: q.Y.Max}, {X: ph.To, Y: 0}}
		area, err := plotter.NewPolygon(corners)
		if err != nil {
			return fmt.Errorf("phase %s: %w", ph.Name, err)
		}
		area.Color = color.NRGBA{A: 0}
		if ph.Trouble {
			area.Color = color.NRGBA{R: 120, G: 120, B: 140, A: 34}
		}
		area.LineStyle = draw.LineStyle{Color: color.Gray{Y: 190}, Width: pixel / 2}
		q.Add(area)
		labels.XYs = append(labels.XYs, plotter.XY{X: (ph.From + ph.To) / 2, Y: q.Y.Max * 0.985})
		labels.Labels = append(labels.Labels, ph.Name)
	}
	if !names || len(phases) == 0 {
		return nil
	}
	l, err := plotter.NewLabels(labels)
	if err != nil {
		return fmt.Errorf("name the phases: %w", err)
	}
	for i := range l.TextStyle {
		l.TextStyle[i].Font.Size, l.TextStyle[i].Font.Variant = 12*pixel, "Sans"
		l.TextStyle[i].Color = color.Gray{Y: 80}
		l.TextStyle[i].XAlign, l.TextStyle[i].YAlign = text.XCenter, text.YTop
	}
	q.Add(l)
	return nil
}

// others are the colours of targets without one of their own; with those of targetColor they can be told apart by
// people who do not see red and green alike (Okabe and Ito's set).
var others = []color.Color{
	color.NRGBA{R: 204, G: 121, B: 167, A: 255}, color.NRGBA{R: 230, G: 159, B: 0, A: 255},
	color.NRGBA{R: 86, G: 180, B: 233, A: 255}, color.NRGBA{A: 255},
}

// targetColor gives the usual targets the same colour in every chart.
func targetColor(name string, i int) color.Color {
	switch name {
	case "direct":
		return color.NRGBA{R: 213, G: 94, A: 255}
	case "pgbouncer":
		return color.NRGBA{G: 114, B: 178, A: 255}
	case "guard":
		return color.NRGBA{G: 158, B: 115, A: 255}
	default:
		return others[i%len(others)]
	}
}
