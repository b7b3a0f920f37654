package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTrace(t *testing.T) {
	first, _ := strconv.Atoi(os.Getenv("FIRST"))
	seeds, _ := strconv.Atoi(os.Getenv("SEEDS"))
	for _, sc := range append(Stories(), Curves()...) {
		w := os.Getenv("W")
		if w != "" && !strings.Contains(sc.Name, w) {
			continue
		}
		for seed := uint64(1); seed <= uint64(max(1, seeds)); seed++ {
			begin := time.Now()
			b := oracle(sc, seed)
			law := AIMD("aimd", nil)
			if os.Getenv("M") == "SLOPE" {
				law = Slope("SLOPE")
			}
			for _, m := range Mutants() {
				if m.Name == os.Getenv("M") {
					law = m
				}
			}
			r := Simulate(sc, law, first, seed)
			g := Judge(r, b)
			fmt.Printf("%2d %-22s ratio %.3f worst %.3f p99 %.2f rec %.0f prot %.0f brakes %d cv %.2f single %.2f %v", sc.Number, sc.Name, g.Ratio, g.Worst, g.P99, g.Recover, g.Protect, g.Brakes, g.Spread, b.Single, g.Faults)
			for i := range sc.Phases {
				fmt.Printf(" %s:%.0f/%.0f@%.0f/%d", sc.Phases[i].Name, float64(r.Phases[i].Good())/sc.Phases[i].Len, b.Good[i]/sc.Phases[i].Len, r.Phases[i].MeanLimit(), b.Limit[i])
			}
			fmt.Println(" ", time.Since(begin).Round(10*time.Millisecond))
			if os.Getenv("T") != "" {
				for _, d := range r.Decisions {
					fmt.Printf("%6.2f %3d %-16s %-8s e %.2f±%.2f R %.2f goal %.2f N %.1f W %.2f B %.2f\n", d.At, d.Limit, d.Reason, d.Evidence.Mode, d.Evidence.Elasticity, d.Evidence.Error, d.Evidence.Slowdown, d.Evidence.Goal, d.Evidence.Running, d.Evidence.Work, d.Evidence.Blocked)
				}
			}
		}
	}
}

var oracles *Bests

func oracle(sc *Scenario, seed uint64) *Best {
	if os.Getenv("NOBEST") != "" {
		return FindBest(sc, seed, grid[:1])
	}
	if oracles == nil {
		oracles, _ = LoadBests("/tmp/law-best.json")
	}
	b := oracles.Of(sc, seed)
	oracles.Save("/tmp/law-best.json")
	return b
}
