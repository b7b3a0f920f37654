package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Section is one file of results in a page, with its charts.
type Section struct {
	File   *File
	Charts []Chart
}

// section is what the template shows of one.
type section struct {
	Scenario, About, Command string
	Doubts                   []string
	Charts                   []template.HTML
	Head                     []string
	Rows, Errors             [][]string
}

// Page returns the results as one page of HTML that needs nothing else: where they come from, the charts, the figures of all targets side by side, and what failed.
func Page(sections []Section) ([]byte, error) {
	var shown []section
	for _, s := range sections {
		one, err := s.show()
		if err != nil {
			return nil, err
		}
		shown = append(shown, one)
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, shown); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

func (s Section) show() (section, error) {
	f := s.File
	out := section{Scenario: f.Scenario, About: f.about(), Command: strings.Join(f.Command, " "), Errors: errorRows(f)}
	grid := summaryRows(Summarise(f))
	out.Head, out.Rows = grid[0], grid[1:]
	for _, r := range f.Runs {
		for _, d := range r.Doubts {
			out.Doubts = append(out.Doubts, fmt.Sprintf("%s, repeat %d: %s", r.Target, r.Repeat, d))
		}
	}
	for _, c := range s.Charts {
		svg, err := c.svg(f)
		if err != nil {
			return out, err
		}
		out.Charts = append(out.Charts, svg)
	}
	return out, nil
}

// about says when and where.
func (f *File) about() string {
	m := f.Machine
	parts := []string{f.Written.UTC().Format("2006-01-02 15:04 UTC"), fmt.Sprintf("%d cores", m.Cores)}
	for _, p := range []string{m.Model, strings.TrimSpace(m.OS + " " + m.Kernel), m.Arch} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// svg draws the chart for a page. The drawing escapes what it is told to write.
func (c Chart) svg(f *File) (template.HTML, error) {
	canvas := vgsvg.New(chartWidth, chartHeight)
	if err := c.draw(f, draw.New(canvas)); err != nil {
		return "", fmt.Errorf("draw %s: %w", c.Title, err)
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %s: %w", c.Title, err)
	}
	text := b.String()
	_, drawing, found := strings.Cut(text, "<svg")
	if !found {
		return "", fmt.Errorf("draw %s: it is no drawing", c.Title)
	}
	return template.HTML("<svg" + drawing), nil
}
