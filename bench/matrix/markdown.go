package matrix

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"pgguard/bench/report"
)

// WriteMarkdown prints the machine, the totals, a line for each cell, and a table of all contenders for each.
func (f *File) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Matrix\n\n%s\n\n", f.about())
	verdicts := Judge(f)
	row(&b, "guard", "cells", "green", "yellow", "red", "goodput of the best: least", "median", "p99 of best in order: median", "most", "cells above "+report.Number(P99Most), "worst cell")
	rule(&b, 11)
	for _, t := range Totals(verdicts) {
		row(&b, t.Guard, num(t.Cells), num(t.Green), num(t.Yellow), num(t.Red), share(t.Ratio.Min), share(t.Ratio.Median),
			ratio(t.P99.Median), ratio(t.P99.Max), fmt.Sprintf("%d of %d", t.Late, t.P99.N), t.Worst)
	}
	b.WriteString("\n")
	row(&b, "cell", "regime", "guard", "goodput /s", "best of all", "its goodput /s", "ratio", "verdict", "p99 of best in order")
	rule(&b, 9)
	for _, v := range verdicts {
		row(&b, v.Cell.Name, v.Cell.String(), v.Guard, v.Cell.Shown(v.Guard, Goodput), v.Best, v.Cell.Shown(v.Best, Goodput),
			share(v.Ratio), string(v.Colour), v.ShownP99())
	}
	for _, m := range f.Cells {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", m.Name, m.about())
		row(&b, "contender", "goodput /s", "reads p99 ms", "writes p99 ms", "refused /s", "timed out /s")
		rule(&b, 6)
		for _, c := range m.Contenders {
			line := []string{c.Name}
			for _, figure := range []string{Goodput, ReadsP99, WritesP99, Refused, TimedOut} {
				line = append(line, m.Shown(c.Name, figure))
			}
			row(&b, line...)
		}
		for _, text := range m.Notes() {
			fmt.Fprintf(&b, "\n%s\n", text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func rule(b *strings.Builder, n int) { b.WriteString(strings.Repeat("|---", n) + "|\n") }

func num(n int) string { return fmt.Sprint(n) }

func ratio(v float64) string { return fmt.Sprintf("%.2f", v) }

// share is a ratio of goodput rounded down, so that what is shown as 0.90 is not below it.
func share(v float64) string { return ratio(math.Floor(v*100+1e-9) / 100) }

// about says where the figures come from.
func (f *File) about() string {
	m := f.Machine
	how := fmt.Sprintf("%g s counted after %g s, %d times, contenders in turns; seed %d", f.Seconds, f.Warmup, f.Repeats, f.Seed)
	if f.Simulated {
		how = fmt.Sprintf("simulated: %g s counted after %g s, %d seeds; seed %d", f.Seconds, f.Warmup, f.Repeats, f.Seed)
	}
	return fmt.Sprintf("%s. %d cores, %s, Linux %s, %s. %s", f.Written.UTC().Format("2006-01-02 15:04"), m.Cores, m.Model, m.Kernel, m.Go, how)
}

// about is the regime and what was fitted to the server.
func (m *Measured) about() string {
	text := fmt.Sprintf("%s. A statement sorts %d rows, which took %.2f ms on the idle server.", m.Cell, m.ReadRows, m.ReadMillis)
	if m.ReadRows == 0 {
		text = fmt.Sprintf("%s. A statement takes %.2f ms alone.", m.Cell, m.ReadMillis)
	}
	if m.Open {
		text += fmt.Sprintf(" %.0f arrivals a second, %g times what the server does directly.", m.Rate, m.Pressure())
	}
	return text
}

// Shown is a figure of a contender as people read it: "-" without one. Of one run's goodput it says the standard error over
// its seconds, of several runs the least and the most.
func (m *Measured) Shown(contender, figure string) string {
	s := m.Spread(contender, figure)
	if s.N == 1 && figure == Goodput {
		if e := m.Spread(contender, Noise); e.N == 1 {
			return fmt.Sprintf("%s ± %s", report.Number(s.Median), report.Number(e.Median))
		}
	}
	return report.Cell(s)
}

// ShownP99 is the ratio of p99 and to whom.
func (v Verdict) ShownP99() string {
	if v.InOrder == "" {
		return "-"
	}
	return ratio(v.P99) + " (" + v.InOrder + ")"
}

// Notes are what became of the guards' limits, the doubts about a cell's runs, each with those whom it concerns, and the runs that failed.
func (m *Measured) Notes() []string {
	var doubts []string
	who := map[string][]string{}
	for _, r := range m.Runs {
		for _, d := range r.Doubts {
			if who[d] == nil {
				doubts = append(doubts, d)
			}
			if !slices.Contains(who[d], r.Target) {
				who[d] = append(who[d], r.Target)
			}
		}
	}
	var out []string
	for _, c := range m.Contenders {
		least, most := m.Spread(c.Name, LimitLeast), m.Spread(c.Name, LimitMost)
		if c.Role == Judged && least.N > 0 {
			out = append(out, fmt.Sprintf("%s: limit from %s to %s, changed %s times.", c.Name, report.Number(least.Min), report.Number(most.Max),
				report.Cell(m.Spread(c.Name, LimitChanges))))
		}
	}
	for _, d := range doubts {
		out = append(out, fmt.Sprintf("Doubtful: %s: %s.", d, strings.Join(who[d], "; ")))
	}
	for _, w := range m.Wrong {
		out = append(out, "Failed: "+w+".")
	}
	return out
}

// SaveMarkdown writes what WriteMarkdown prints.
func (f *File) SaveMarkdown(path string) error {
	var b bytes.Buffer
	if err := f.WriteMarkdown(&b); err != nil {
		return err
	}
	return write(path, b.Bytes())
}

// WriteVerdicts prints a line for each cell and the totals, in columns.
func (f *File) WriteVerdicts(w io.Writer) error {
	verdicts := Judge(f)
	rows := [][]string{{"cell", "regime", "guard", "goodput /s", "best", "its /s", "ratio", "verdict", "p99 of in order"}}
	for _, v := range verdicts {
		rows = append(rows, []string{
			v.Cell.Name, v.Cell.String(), v.Guard, report.Cell(v.Good), v.Best, report.Cell(v.Most), share(v.Ratio), string(v.Colour), v.ShownP99(),
		})
	}
	if err := report.WriteGrid(w, rows); err != nil {
		return err
	}
	for _, t := range Totals(verdicts) {
		if _, err := fmt.Fprintf(w, "%s: %d green, %d yellow, %d red; of the best of all least %s (%s), median %s; p99 of in order median %.2f, most %.2f, above %g in %d of %d\n",
			t.Guard, t.Green, t.Yellow, t.Red, share(t.Ratio.Min), t.Worst, share(t.Ratio.Median), t.P99.Median, t.P99.Max, P99Most, t.Late, t.P99.N); err != nil {
			return err
		}
	}
	return nil
}
