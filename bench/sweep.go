package bench

import (
	"fmt"
	"io"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// sweepFigures are what a sweep shows over the sizes.
var sweepFigures = []string{scenario.SweepGoodput, scenario.SweepThroughput, scenario.SweepP50, scenario.SweepP99}

// sized returns the targets of a sweep: a guard once for each run limit, a PgBouncer once for each pool size, and what has
// no size as it is.
func sized(targets []Target, sizes []int) ([]Target, error) {
	var out []Target
	for _, t := range targets {
		if t.Kind != Guard && t.Kind != PgBouncer {
			out = append(out, t)
			continue
		}
		if t.Config != "" || t.Limit > 0 || t.Kind == PgBouncer && t.Pool > 0 {
			return nil, fmt.Errorf("target %q has a size of its own, which a sweep sets", t.Name)
		}
		for _, n := range sizes {
			one, what := t, "limit"
			if t.Kind == Guard {
				one.Limit = n
			} else {
				one.Pool, what = n, "pool"
			}
			one.Name, one.of, one.size = fmt.Sprintf("%s %s=%d", t.Name, what, n), t.Name, n
			out = append(out, one)
		}
	}
	return out, nil
}

// sweepTie is how much goodput a size may lack to be as good as the best: less is within the noise of a run.
const sweepTie = 0.03

// writeFigures prints the tables of a file; of a sweep, a table over the sizes and the best one of each target.
func writeFigures(w io.Writer, f *report.File) error {
	s := report.SummariseSizes(f, sweepFigures...)
	if len(s.Targets) == 0 {
		return report.WriteTable(w, report.Summarise(f))
	}
	if err := report.WriteTable(w, s); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, target := range s.Targets {
		size, ok := report.BestSize(f, target, scenario.SweepGoodput, scenario.SweepP99, sweepTie)
		if !ok {
			continue
		}
		if _, err := fmt.Fprintf(w, "best static size of %s: %d\n", target, size); err != nil {
			return err
		}
	}
	return nil
}
