package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"pgguard/pool/limit"
)

func frozen(n int) Law {
	return Law{Name: fmt.Sprint("frozen ", n), New: func(int, uint64) limit.Limit { return limit.Frozen(n) }}
}

func aimd() Law {
	return Law{Name: "aimd", New: func(first int, _ uint64) limit.Limit { return limit.NewAIMD(limit.Config{First: first}) }}
}

func TestTrace(t *testing.T) {
	first, _ := strconv.Atoi(os.Getenv("FIRST"))
	for _, c := range []*Curve{haas, mild, steep, two, flat, knee8, cliff8} {
		if w := os.Getenv("W"); w != "" && w != c.Name {
			continue
		}
		sc := stationary(c.Name, c, 2)
		begin := time.Now()
		r := Simulate(sc, aimd(), first, 1)
		p := r.Phases[1]
		fmt.Printf("%s %.0f mean %.1f brakes %d %v start %.0f\n", c.Name, float64(p.Good())/90, p.MeanLimit(), r.Brakes, time.Since(begin), r.goodput(0, 30))
		if os.Getenv("W") != "" {
			for _, d := range r.Decisions {
				fmt.Printf("%6.2f %3d %-16s %-8s e %.2f±%.2f R %.2f goal %.2f N %.1f W %.2f B %.2f\n", d.At, d.Limit, d.Reason, d.Evidence.Mode, d.Evidence.Elasticity, d.Evidence.Error, d.Evidence.Slowdown, d.Evidence.Goal, d.Evidence.Running, d.Evidence.Work, d.Evidence.Blocked)
			}
		}
	}
}
