package bench

import (
	"slices"

	"pgguard/bench/report"
)

// compared are the latencies that are also shown as what a target adds to a direct connection.
var compared = []string{"one client: p50", "one client: p99", "one client: mean"}

// ratios are the figures of scenarios whose bar is a direct connection, shown also as a multiple of it.
var ratios = []string{
	"beside: readers p50", "beside: readers p99", "beside: writers goodput",
	"beside: steady p99", "beside: logins", "beside: web p99", "beside: bulk goodput",
}

// addToDirect gives every run the difference or the ratio of its compared figures to the direct run of the same repeat,
// once both are there. A difference of two runs is noisier than either: read it with its spread.
func addToDirect(f *report.File) {
	for i := range f.Runs {
		r := &f.Runs[i]
		base := slices.IndexFunc(f.Runs, func(d report.Run) bool { return d.Target == "direct" && d.Repeat == r.Repeat })
		if base < 0 || r.Target == "direct" {
			continue
		}
		for _, name := range compared {
			setBeside(r, &f.Runs[base], name, ", added to direct", "µs", func(direct, own float64) float64 { return own - direct })
		}
		for _, name := range ratios {
			setBeside(r, &f.Runs[base], name, ", of direct", "×", func(direct, own float64) float64 { return own / direct })
		}
	}
}

// setBeside adds one figure that sets r beside the direct run, once, where both have what it needs.
func setBeside(r, direct *report.Run, name, suffix, unit string, compare func(direct, own float64) float64) {
	_, done := r.Value(name + suffix)
	a, ok1 := direct.Value(name)
	b, ok2 := r.Value(name)
	if ok1 && ok2 && !done && (unit != "×" || a > 0) {
		r.Add(name+suffix, unit, compare(a, b))
	}
}
