package bench

import (
	"slices"

	"pgguard/bench/report"
)

// compared are the latencies that are also shown as what a target adds to a direct connection.
var compared = []string{"one client: p50", "one client: p99", "one client: mean"}

// addToDirect gives every run the difference of its compared figures to the direct run of the same repeat, once both
// are there. A difference of two runs is noisier than either: read it with its spread.
func addToDirect(f *report.File) {
	for i := range f.Runs {
		r := &f.Runs[i]
		base := slices.IndexFunc(f.Runs, func(d report.Run) bool { return d.Target == "direct" && d.Repeat == r.Repeat })
		if base < 0 || r.Target == "direct" {
			continue
		}
		for _, name := range compared {
			added := name + ", added to direct"
			_, done := r.Value(added)
			a, ok1 := f.Runs[base].Value(name)
			b, ok2 := r.Value(name)
			if ok1 && ok2 && !done {
				r.Add(added, "µs", b-a)
			}
		}
	}
}
