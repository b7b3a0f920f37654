package limit

import (
	"math"
	"testing"
)

// TestSlowerStatementsAreNoMoreWork: a server that does the same work whatever runs, seen from its first second on. What a
// statement costs is still being learned, and statements become slower with each step of growth.
func TestSlowerStatementsAreNoMoreWork(t *testing.T) {
	p := newPlant(NewAIMD(Config{}), 200)
	p.cores, p.level = 1, true
	for range 80 {
		d := p.step()
		if e := d.Evidence.Elasticity; math.Abs(e) > 0.05 {
			t.Fatalf("after %s at a limit of %d: e is %.2f, and nothing was gained", p.now.Sub(start), d.Limit, e)
		}
	}
}
