package bench

import (
	"testing"

	"pgguard/bench/report"
)

func TestAddToDirectComparesWithinARepeatOnce(t *testing.T) {
	f := &report.File{}
	for repeat, values := range [][2]float64{{100, 130}, {200, 210}} {
		for i, target := range []string{"guard", "direct"} {
			r := report.Run{Target: target, Repeat: repeat}
			r.Add("one client: p50", "µs", values[1-i])
			f.Runs = append(f.Runs, r)
			addToDirect(f)
		}
	}
	for _, r := range f.Runs {
		n := 0
		for _, g := range r.Figures {
			if g.Name == "one client: p50, added to direct" {
				n++
				if want := []float64{30, 10}[r.Repeat]; g.Value != want {
					t.Errorf("repeat %d: %v added, want %v", r.Repeat, g.Value, want)
				}
			}
		}
		if want := map[string]int{"guard": 1, "direct": 0}[r.Target]; n != want {
			t.Errorf("%s has the figure %d times, want %d", r.Target, n, want)
		}
	}
}

func TestAddToDirectGivesRatiosOfWhatHasABar(t *testing.T) {
	f := &report.File{}
	for target, v := range map[string]float64{"direct": 20, "guard": 30} {
		r := report.Run{Target: target}
		r.Add("beside: web p99", "ms", v)
		r.Add("beside: bulk goodput", "1/s", v-20) // direct has none
		f.Runs = append(f.Runs, r)
	}
	addToDirect(f)
	for _, r := range f.Of("guard") {
		if v, ok := r.Value("beside: web p99, of direct"); !ok || v != 1.5 {
			t.Errorf("%v, %v, want 1.5", v, ok)
		}
		if v, ok := r.Value("beside: bulk goodput, of direct"); ok {
			t.Errorf("%v times nothing", v)
		}
	}
}
