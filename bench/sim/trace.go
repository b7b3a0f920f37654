package sim

import (
	"fmt"
	"io"
)

// Trace plays one scenario and writes every change of the limit with what it was made from, and the phases.
func (r *Run) Trace(w io.Writer, sc *Scenario, law Law, first int, seed uint64) {
	b := r.Bests.Of(sc, seed)
	res := Simulate(sc, law, first, seed)
	g := Judge(res, b)
	fmt.Fprintf(w, "%s, %s, seed %d: ratio %.3f, recovery %s s, brakes %d, broken: %v\n", sc.Title(), law.Name, seed, g.Ratio, figure(g.Recover, 0), g.Brakes, g.Faults)
	for i, p := range sc.Phases {
		got := &res.Phases[i]
		fmt.Fprintf(w, "  %-8s from %4.0f s: %7.1f/s with L %5.1f; best %7.1f/s with L %d\n", p.Name, got.start, float64(got.Good())/p.Len, got.MeanLimit(), b.Good[i]/p.Len, b.Limit[i])
	}
	for _, d := range res.Decisions {
		e := d.Evidence
		fmt.Fprintf(w, "%7.2f %3d %-17s %-8s e %5.2f±%.2f  R %5.2f  goal %5.2f  N %5.1f  W %6.2f  B %.2f\n", d.At, d.Limit, d.Reason, e.Mode, e.Elasticity, e.Error, e.Slowdown, e.Goal, e.Running, e.Work, e.Blocked)
	}
}

// TraceAll traces AIMD in every scenario that matches.
func (r *Run) TraceAll(w io.Writer, seed uint64) {
	for _, sc := range r.scenarios(append(append(Stories(), Curves()...), Cells()...)) {
		r.Trace(w, sc, AIMD("AIMD", nil), sc.First, seed)
	}
}
