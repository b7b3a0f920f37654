//go:build !race

package sim

import "testing"

// served runs a scenario and returns how many were served in time in its graded phase, how many were not, and the 99th percentile.
func served(sc *Scenario, law Law, seeds uint64) (good, failed, refused int, p99 float64) {
	var all histogram
	for seed := uint64(1); seed <= seeds; seed++ {
		p := &Simulate(sc, law, 0, seed).Phases[1]
		good, failed, refused = good+p.Class[0].Good, failed+p.Class[0].Failed, refused+p.Class[0].Refused
		for i, n := range p.Class[0].times {
			all[i] += n
		}
	}
	return good, failed, refused, all.quantile(0.99)
}

// TestLineIsNoWorseThanOrderOfArrival: where in order of arrival everybody is served in time, as many are, in little more time, and nobody is
// refused; with the discipline before, it fails.
func TestLineIsNoWorseThanOrderOfArrival(t *testing.T) {
	t.Parallel()
	found := false
	convoy := workers(128)
	convoy.Name, convoy.Rows = "128 workers before two hot rows", 2
	for _, sc := range []*Scenario{workers(32), workers(128), workers(512), workers(1000), convoy} {
		with := func(line Line) Law { l := Static(16); l.Line = line; return l }
		good, failed, _, p99 := served(sc, with(Plain), 3)
		if failed > 0 {
			t.Fatalf("%s: in order of arrival %d of %d are not served in time: the scenario says nothing", sc.Name, failed, good)
		}
		g, f, r, p := served(sc, with(InTime), 3)
		if f+r > 0 || float64(g) < 0.97*float64(good) || p > 1.3*p99 {
			t.Errorf("%s: %d served, %d failed, %d refused, p99 %.2f s; in order of arrival %d and %.2f s", sc.Name, g, f, r, p, good, p99)
		}
		t.Logf("%s: %d served, %d failed, %d refused, p99 %.3f s; in order of arrival %d and %.3f s", sc.Name, g, f, r, p, good, p99)
		g, f, r, p = served(sc, with(Hasty), 3)
		t.Logf("%s: before: %d served, %d failed, %d refused, p99 %.3f s", sc.Name, g, f, r, p)
		found = found || f+r > 0 || p > 1.3*p99
	}
	if !found {
		t.Error("no step finds the discipline before out")
	}
}
