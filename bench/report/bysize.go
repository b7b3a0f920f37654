package report

import (
	"fmt"
	"slices"
)

// of is the name of the target without its size.
func (r *Run) of() string {
	if r.Of != "" {
		return r.Of
	}
	return r.Target
}

// sizesOf returns the sizes that a sweep has, from the least.
func sizesOf(f *File) []int {
	var sizes []int
	for _, r := range f.Runs {
		if r.Size > 0 && !slices.Contains(sizes, r.Size) {
			sizes = append(sizes, r.Size)
		}
	}
	slices.Sort(sizes)
	return sizes
}

// atSize returns the runs of a target at a size; one without a size is the same at all sizes.
func atSize(f *File, of string, size int) []Run {
	var runs []Run
	for _, r := range f.Runs {
		if r.of() == of && (r.Size == size || r.Size == 0) {
			runs = append(runs, r)
		}
	}
	return runs
}

// BySize returns a sweep with the sizes of a target put together: one run for each target, with a series over the size
// of the median of each of the figures. A file that is no sweep has no runs left.
func BySize(f *File, figures ...string) *File {
	out := *f
	out.Runs = nil
	s := SummariseSizes(f, figures...)
	sizes := sizesOf(f)
	for i, target := range s.Targets {
		r := Run{Target: target}
		for j, name := range figures {
			curve := Series{Name: name, XUnit: "size"}
			for k, size := range sizes {
				row := s.Rows[j*len(sizes)+k]
				if c := row.Cells[i]; c.N > 0 {
					curve.Unit = row.Unit
					curve.X, curve.Y = append(curve.X, float64(size)), append(curve.Y, c.Median)
				}
			}
			r.Series = append(r.Series, curve)
		}
		out.Runs = append(out.Runs, r)
	}
	return &out
}

// SummariseSizes sets the targets of a sweep side by side, without their sizes: a row for each figure at each size, in
// this order. It has no targets when the file is no sweep.
func SummariseSizes(f *File, figures ...string) Summary {
	s := Summary{}
	sizes := sizesOf(f)
	for i := range f.Runs {
		if name := f.Runs[i].of(); len(sizes) > 0 && !slices.Contains(s.Targets, name) {
			s.Targets = append(s.Targets, name)
		}
	}
	for _, name := range figures {
		for _, size := range sizes {
			row := Row{Name: fmt.Sprintf("%s, size %d", name, size)}
			for _, target := range s.Targets {
				runs := atSize(f, target, size)
				row.Cells = append(row.Cells, spreadIn(runs, name))
				for i := range runs {
					if g := slices.IndexFunc(runs[i].Figures, func(g Figure) bool { return g.Name == name }); g >= 0 {
						row.Unit = runs[i].Figures[g].Unit
					}
				}
			}
			s.Rows = append(s.Rows, row)
		}
	}
	return s
}

// BestSize returns the size of a target in a sweep with the best median of the figure goodput; of those within tie of it,
// the one with the least median of the figure latency. It reports whether the target has any size.
func BestSize(f *File, target, goodput, latency string, tie float64) (size int, ok bool) {
	median := func(size int, figure string) float64 {
		var runs []Run
		for _, r := range f.Runs {
			if r.Of == target && r.Size == size {
				runs = append(runs, r)
			}
		}
		return spreadIn(runs, figure).Median
	}
	top, least := 0.0, 0.0
	for _, n := range sizesOf(f) {
		top = max(top, median(n, goodput))
	}
	for _, n := range sizesOf(f) {
		if g := median(n, goodput); g == 0 || g < top*(1-tie) {
			continue
		}
		if l := median(n, latency); !ok || l < least {
			size, least, ok = n, l, true
		}
	}
	return size, ok
}

// spreadIn is the spread of a figure over those runs that have it.
func spreadIn(runs []Run, figure string) Spread {
	var values []float64
	for i := range runs {
		if v, ok := runs[i].Value(figure); ok {
			values = append(values, v)
		}
	}
	return SpreadOf(values)
}
