package matrix

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"pgguard/bench/report"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template shows.
type page struct {
	About    string
	Programs []string
	Guards   []guardPage
	Cells    []cellPage
	Limits   [3]string // ratios: green from, yellow from; p99 most
}

// guardPage is one judged guard.
type guardPage struct {
	Total    Total
	Least    string
	Median   string
	P99      string
	Picture  picture
	Strip    strip
	Verdicts []verdictLine
}

// verdictLine is a row of the table.
type verdictLine struct {
	ID                            string
	Values                        []string
	Name, Good, Best, Its         string
	Ratio, P99                    string
	Colour                        Colour
	Late                          bool
	Reads, Writes, Refused, Timed string
}

// cellPage is one cell with all its contenders.
type cellPage struct {
	ID, Name, About string
	Rows            [][]string
	Notes           []string
}

// WritePage returns a page that needs nothing else: the pictures, the table, and every contender of every cell.
func (f *File) WritePage() ([]byte, error) {
	p := page{About: f.about(), Limits: [3]string{ratio(GreenFrom), ratio(YellowFrom), report.Number(P99Most)}}
	for name, version := range f.Programs {
		p.Programs = append(p.Programs, name+": "+version)
	}
	slices.Sort(p.Programs)
	verdicts := Judge(f)
	for _, t := range Totals(verdicts) {
		own := verdicts[:t.Cells]
		verdicts = verdicts[t.Cells:]
		g := guardPage{Total: t, Least: share(t.Ratio.Min), Median: share(t.Ratio.Median), Picture: pictureOf(own), Strip: stripOf(own), P99: "-"}
		if t.P99.N > 0 {
			g.P99 = ratio(t.P99.Median) + ", most " + ratio(t.P99.Max)
		}
		for _, v := range own {
			g.Verdicts = append(g.Verdicts, lineOf(v))
		}
		p.Guards = append(p.Guards, g)
	}
	for _, m := range f.Cells {
		p.Cells = append(p.Cells, m.page())
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

// SavePage writes the page.
func (f *File) SavePage(path string) error {
	b, err := f.WritePage()
	if err != nil {
		return err
	}
	return write(path, b)
}

// anchor is the cell's place in the page.
func (m *Measured) anchor() string { return strings.ReplaceAll(m.Name, " ", "-") }

func lineOf(v Verdict) verdictLine {
	m := v.Cell
	l := verdictLine{
		ID: m.anchor(), Name: m.Name, Good: m.Shown(v.Guard, Goodput), Best: v.Best, Its: m.Shown(v.Best, Goodput), Ratio: share(v.Ratio),
		P99: v.ShownP99(), Colour: v.Colour, Late: v.Late(), Reads: m.Shown(v.Guard, ReadsP99), Writes: m.Shown(v.Guard, WritesP99),
		Refused: m.Shown(v.Guard, Refused), Timed: m.Shown(v.Guard, TimedOut),
	}
	for i, value := range m.Values() {
		l.Values = append(l.Values, Factors[i].Text(value))
	}
	return l
}

func (m *Measured) page() cellPage {
	c := cellPage{ID: m.anchor(), Name: m.Name, About: m.about(), Notes: m.Notes()}
	for _, k := range m.Contenders {
		line := []string{k.Name}
		for _, figure := range []string{Goodput, ReadsP99, WritesP99, Refused, TimedOut} {
			line = append(line, m.Shown(k.Name, figure))
		}
		c.Rows = append(c.Rows, line)
	}
	return c
}

// FactorNames are the columns of the table that say in what cells differ.
func (page) FactorNames() []string {
	var names []string
	for _, f := range Factors {
		names = append(names, f.Name)
	}
	return names
}
