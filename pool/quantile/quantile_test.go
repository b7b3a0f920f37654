package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestEstimateComesNearTheQuantile(t *testing.T) {
	const seed, n = 1, 20_000
	for _, q := range []float64{0.5, 0.9, 0.99} {
		random := rand.New(rand.NewPCG(seed, seed))
		e := Of(q)
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(math.Exp(random.NormFloat64()) * float64(5*time.Millisecond))
			e.Add(all[i])
		}
		slices.Sort(all)
		want := all[int(q*n)]
		if r := float64(e.Value()) / float64(want); r < 0.7 || r > 1.4 {
			t.Errorf("q=%v: %s, the samples' own is %s (seed %d)", q, e.Value(), want, seed)
		}
	}
}

func TestEstimateFollowsAndIsNotThrown(t *testing.T) {
	e := Of(0.5)
	if e.Value() != 0 || e.Count() != 0 {
		t.Error("something is known before the first sample")
	}
	for range 100 {
		e.Add(time.Millisecond)
	}
	e.Add(time.Hour)
	if v := e.Value(); v > 1100*time.Microsecond {
		t.Errorf("one hour among milliseconds makes it %s", v)
	}
	for range 100 {
		e.Add(100 * time.Millisecond)
	}
	if v := e.Value(); v != 100*time.Millisecond {
		t.Errorf("100 samples of 100 ms later it is %s", v)
	}
	e.Add(0)
	if v := e.Value(); v <= 0 || e.Count() != 202 {
		t.Errorf("%s after %d samples", v, e.Count())
	}
}
