package sim

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// kept are the best static limits, written by `pgguard-bench sim --best bench/sim/testdata/best.json`.
func kept(t *testing.T) *Run {
	t.Helper()
	b, err := LoadBests("testdata/best.json")
	if err != nil || len(b.of) == 0 {
		t.Fatalf("no best static limits: %v", err)
	}
	return &Run{Seeds: 1, Workers: 1, Bests: b}
}

func TestSameSeedSameRun(t *testing.T) {
	sc := Stories()[4]
	a, b := Simulate(sc, AIMD("", nil), 0, 7), Simulate(sc, AIMD("", nil), 0, 7)
	if !reflect.DeepEqual(a.Seconds, b.Seconds) || !reflect.DeepEqual(a.Limits, b.Limits) {
		t.Error("two runs of one seed differ")
	}
	if c := Simulate(sc, AIMD("", nil), 0, 8); reflect.DeepEqual(a.Seconds, c.Seconds) {
		t.Error("two seeds give one run")
	}
}

// TestServerFollowsItsCurve: with n statements at all times, the work done is C(n).
func TestServerFollowsItsCurve(t *testing.T) {
	for _, n := range []int{1, 8, 20, 50} {
		sc := stationary("", haas, 0)
		sc.Groups = []Group{{Name: "web", Clients: 200, Think: 0.0001, Work: []Statement{{First: 3, Last: 3, Kind: 'r'}}}}
		r := Simulate(sc, Static(n), 0, 1)
		mean := 2 * 0.0005 * math.Pow(60, float64(3*37%numFingerprints)/(numFingerprints-1))
		got := float64(r.Phases[1].Good()) / sc.Phases[1].Len * mean
		want := haas.table[n] * float64(n)
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%d statements at once: work %.2f in each second, the curve says %.2f", n, got, want)
		}
	}
}

// TestProcessorSharingIsFair: in an open queue before one processor the mean time is demand / (1 - load).
func TestProcessorSharingIsFair(t *testing.T) {
	one := knee("one", 1, maxRunning, 1)
	demand := 2 * 0.0005 // fingerprint 0 with Scale 2
	sc := &Scenario{Cap: 1000, Groups: []Group{{Name: "open", Rate: 0.7 / demand, Work: []Statement{{Kind: 'r'}}}},
		Phases: []Phase{{Len: 20, Curve: one}, {Len: 200, Curve: one}}}
	r := Simulate(sc, Static(1000), 0, 1)
	sum, n := 0.0, 0.0
	for i, k := range r.Phases[1].Class[0].times {
		sum += float64(k) * math.Pow(10, (float64(i)+0.5)/20-5)
		n += float64(k)
	}
	if got, want := sum/n, demand/0.3; math.Abs(got-want) > 0.1*want {
		t.Errorf("mean time %.2f ms, theory says %.2f", got*1000, want*1000)
	}
}

// TestDiskServesEightAtOnce: reads of 4 ms, eight at a time, are 2,000 a second.
func TestDiskServesEightAtOnce(t *testing.T) {
	sc := &Scenario{Scale: 0.01, Groups: []Group{{Name: "readers", Clients: 60, Think: 0.0001, Work: []Statement{{Kind: 'd'}}}},
		Phases: []Phase{{Len: 10, Curve: knee8}, {Len: 20, Curve: knee8}}}
	if got := float64(Simulate(sc, Static(50), 0, 1).Phases[1].Good()) / 20; math.Abs(got-2000) > 60 {
		t.Errorf("%.0f reads a second", got)
	}
}

func TestEventsComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h events
		last := math.Inf(-1)
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			if len(h) == 0 || rapid.Bool().Draw(t, "push") {
				h.push(event{at: max(last, 0) + rapid.Float64Range(0, 10).Draw(t, "after")})
				continue
			}
			if e := h.pop(); e.at < last {
				t.Fatalf("%v after %v", e.at, last)
			} else {
				last = e.at
			}
		}
	})
}

func TestTablesNameEveryLawAndMutant(t *testing.T) {
	r := kept(t)
	r.Match = "hot rows, 8 workers"
	var out strings.Builder
	r.WriteTables(&out)
	for _, law := range append(Laws(), Mutants()...) {
		if !strings.Contains(out.String(), law.Name) {
			t.Errorf("%s is not in the tables", law.Name)
		}
	}
}
