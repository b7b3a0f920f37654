package sim

import (
	"fmt"
	"testing"
	"time"

	"pgguard/pool/limit"
)

func frozen(n int) Law {
	return Law{Name: fmt.Sprint("frozen ", n), New: func(int, uint64) limit.Limit { return limit.Frozen(n) }}
}

func TestSweep(t *testing.T) {
	for _, c := range []*Curve{haas, mild, steep, two, flat, knee8, cliff8} {
		sc := stationary(c.Name, c, 2)
		begin := time.Now()
		total := 0
		for _, n := range []int{1, 2, 4, 8, 14, 20, 32, 45, 64, 100} {
			r := Simulate(sc, frozen(n), 0, 1)
			total += r.Statements
			p := r.Phases[1]
			fmt.Printf("%d:%.0f(p99 %.2f) ", n, float64(p.Good())/90, p.Class[0].times.quantile(.99))
		}
		fmt.Println(c.Name, total, time.Since(begin), float64(total)/time.Since(begin).Seconds()/1e6)
	}
}
