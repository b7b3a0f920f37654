package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTable prints the summary: a line per figure, a column per target; each cell is the median and, with more than one repeat, (min–max).
func WriteTable(w io.Writer, s Summary) error { return WriteGrid(w, summaryRows(s)) }

// summaryRows are the cells of the table, the heading first.
func summaryRows(s Summary) [][]string {
	rows := [][]string{append([]string{"figure", "unit"}, s.Targets...)}
	for _, r := range s.Rows {
		line := []string{r.Name, r.Unit}
		for _, c := range r.Cells {
			line = append(line, Cell(c))
		}
		rows = append(rows, line)
	}
	return rows
}

// Cell formats a spread: "-" without values, the median alone for one, else "median (min–max)".
func Cell(s Spread) string {
	switch s.N {
	case 0:
		return "-"
	case 1:
		return Number(s.Median)
	default:
		return fmt.Sprintf("%s (%s–%s)", Number(s.Median), Number(s.Min), Number(s.Max))
	}
}

// Number formats a value with about three significant digits and no exponent.
func Number(v float64) string {
	a := math.Abs(v)
	switch {
	case v == math.Trunc(v) && a < 1e15:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// WriteGrid prints rows in columns; the first row is the heading, the first two columns are left-aligned, the others right.
func WriteGrid(w io.Writer, rows [][]string) error {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for n, r := range rows {
		var b strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				b.WriteString("  ")
			}
			if i < 2 {
				b.WriteString(c + pad)
			} else {
				b.WriteString(pad + c)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
		if n == 0 {
			total := 2 * (len(width) - 1)
			for _, x := range width {
				total += x
			}
			if _, err := fmt.Fprintln(w, strings.Repeat("─", total)); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteErrors prints the failed requests of every target by phase, class and label, summed over the repeats. It prints nothing when there are none.
func WriteErrors(w io.Writer, f *File) error {
	rows := errorRows(f)
	if rows == nil {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return WriteGrid(w, rows)
}

// errorRows are the cells of that table, the heading first; nil if nothing has failed.
func errorRows(f *File) [][]string {
	targets := f.Targets()
	sums := map[string][]int64{}
	for _, r := range f.Runs {
		for k, n := range r.Errors {
			if sums[k] == nil {
				sums[k] = make([]int64, len(targets))
			}
			sums[k][slices.Index(targets, r.Target)] += n
		}
	}
	if len(sums) == 0 {
		return nil
	}
	rows := [][]string{append([]string{"failed requests", ""}, targets...)}
	for _, k := range slices.Sorted(maps.Keys(sums)) {
		line := []string{k, ""}
		for _, n := range sums[k] {
			line = append(line, fmt.Sprint(n))
		}
		rows = append(rows, line)
	}
	return rows
}
