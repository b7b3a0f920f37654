package report

import "slices"

// Spread is the middle and the extremes of one figure over the repeats.
type Spread struct {
	Median, Min, Max float64
	N                int
}

// SpreadOf returns the spread of values; the median of an even number is the mean of the middle two. No values give the zero Spread.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Clone(values)
	slices.Sort(s)
	n := len(s)
	m := s[n/2]
	if n%2 == 0 {
		m = (s[n/2-1] + s[n/2]) / 2
	}
	return Spread{Median: m, Min: s[0], Max: s[n-1], N: n}
}

// Row is one figure of every target, in the order of Summary.Targets; N is zero where a target has no such figure.
type Row struct {
	Name, Unit string
	Cells      []Spread
}

// Summary sets the targets side by side.
type Summary struct {
	Targets []string
	Rows    []Row
}

// Summarise returns the spread of every figure of every target, in the order in which figures first appear.
func Summarise(f *File) Summary {
	s := Summary{Targets: f.Targets()}
	index := map[string]int{}
	for _, r := range f.Runs {
		for _, g := range r.Figures {
			if _, ok := index[g.Name]; !ok {
				index[g.Name] = len(s.Rows)
				s.Rows = append(s.Rows, Row{Name: g.Name, Unit: g.Unit})
			}
		}
	}
	for i := range s.Rows {
		for _, t := range s.Targets {
			var values []float64
			for _, r := range f.Runs {
				if v, ok := r.Value(s.Rows[i].Name); ok && r.Target == t {
					values = append(values, v)
				}
			}
			s.Rows[i].Cells = append(s.Rows[i].Cells, SpreadOf(values))
		}
	}
	return s
}

// MedianCurve returns, point by point, the median of the series of that name over runs; it is as long as the shortest
// of them. It reports whether any run has the series.
func MedianCurve(runs []Run, name string) (Series, bool) {
	var curves []Series
	for i := range runs {
		if c, ok := runs[i].Curve(name); ok && len(c.Y) > 0 {
			curves = append(curves, c)
		}
	}
	if len(curves) == 0 {
		return Series{}, false
	}
	out := curves[0]
	n := len(out.Y)
	for _, c := range curves {
		n = min(n, len(c.Y))
	}
	out.X = out.X[:n]
	out.Y = make([]float64, n)
	for i := range n {
		values := make([]float64, len(curves))
		for j, c := range curves {
			values[j] = c.Y[i]
		}
		out.Y[i] = SpreadOf(values).Median
	}
	return out, true
}
