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

// TestSurgeIsToldAndKept: of 1,000 workers who come at once to a server that does 400 a second, those who cannot be served within their 2 s are told
// so; few wait until they give up, which costs them their connection.
func TestSurgeIsToldAndKept(t *testing.T) {
	t.Parallel()
	to := func(n int) func(g *Group) { return func(g *Group) { g.Clients = n } }
	sc := &Scenario{Name: "surge", Groups: []Group{{Name: "web", Clients: 250, Think: 0.0005, Work: []Statement{{First: 3, Last: 3, Kind: 'r', Long: 0.005}}, Patience: 2}}, Phases: []Phase{
		{Name: "many", Len: 10, Curve: cores2}, {Name: "surge", Len: 7, Curve: cores2, After: to(1000)}}}
	for seed := uint64(1); seed <= 3; seed++ {
		p := &Simulate(sc, Static(12), 0, seed).Phases[1].Class[0]
		left := p.Failed - p.Refused
		if left > p.Refused/4 || p.Good < 0.95*400*7 {
			t.Errorf("seed %d: %d are served, %d are told, and %d give up", seed, p.Good, p.Refused, left)
		}
		t.Logf("seed %d: %d are served, %d are told, and %d give up", seed, p.Good, p.Refused, left)
	}
}
