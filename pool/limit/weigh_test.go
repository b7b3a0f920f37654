package limit

import (
	"math"
	"testing"
)

// TestSlowerStatementsAreNoMoreWork: a server that does the same work whatever runs, seen from its first second on. What a
// statement costs is still being learned, and statements become slower with each step of growth.
func TestSlowerStatementsAreNoMoreWork(t *testing.T) {
	p := &plant{now: start, cores: 1, level: true, factor: 1, demand: 200}
	p.law = NewAIMD(Config{})
	for range 80 {
		d := p.step()
		if e := d.Evidence.Elasticity; math.Abs(e) > 0.05 {
			t.Fatalf("after %s at a limit of %d: e is %.2f, and nothing was gained", p.now.Sub(start), d.Limit, e)
		}
	}
}
