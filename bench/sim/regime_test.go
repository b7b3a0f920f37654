package sim

import (
	"math"
	"testing"
)

// fitted is a regime whose server does 500 statements a second alone, and the curve of two cores.
func fitted() Regime {
	return Regime{Lambda: 500, Sigma: 0.35, Kappa: 0.001, Update: 0.0002, Flush: 0.001, Clients: 64, Deadline: 10, Guards: 1, Warmup: 5, Time: 20}
}

// at is what n statements at once do on it.
func (g Regime) at(n float64) float64 { return g.Lambda * n / (1 + g.Sigma*(n-1) + g.Kappa*n*(n-1)) }

// TestARegimesServerIsTheFittedOne at every fixed limit, whoever is served first, and without a guard.
func TestARegimesServerIsTheFittedOne(t *testing.T) {
	g := fitted()
	for _, n := range []int{1, 4, 16} {
		for _, inOrder := range []bool{false, true} {
			r := g.Play(Contender{Law: Static(n), InOrder: inOrder}, 1)
			if want := g.at(float64(n)); math.Abs(r.Goodput-want) > 0.06*want || r.WritesP99 != 0 {
				t.Errorf("limit %d, in order %v: %+v, the curve says %.0f", n, inOrder, r, want)
			}
			if r.Least != float64(n) || r.Most != float64(n) {
				t.Errorf("limit %d is %v to %v", n, r.Least, r.Most)
			}
		}
	}
	direct := g.Play(Contender{Law: Static(2000), InOrder: true, Slots: 2000, Keeps: true}, 1)
	if want := g.at(64); math.Abs(direct.Goodput-want) > 0.06*want {
		t.Errorf("direct: %+v, the curve says %.0f", direct, want)
	}
}

// TestAPoolHoldsItsServersOverARoundTrip, in which a limit of as much lets others run.
func TestAPoolHoldsItsServersOverARoundTrip(t *testing.T) {
	g := fitted()
	g.Writes, g.Trip = 1, 0.02
	limit := g.Play(Contender{Law: Static(4), InOrder: true}, 1)
	pool := g.Play(Contender{Law: Static(4), InOrder: true, Slots: 4}, 1)
	if pool.Goodput > 4/(2*g.Trip) || limit.Goodput < 2*pool.Goodput {
		t.Errorf("a pool of 4: %+v; a limit of 4: %+v", pool, limit)
	}
	if limit.ReadsP99 != 0 || limit.WritesP99 < 2*g.Trip {
		t.Errorf("all write, over a distance: %+v", limit)
	}
}

// TestHotRowsAndTheDiskBoundWriters, and a deadline is kept.
func TestHotRowsAndTheDiskBoundWriters(t *testing.T) {
	g := fitted()
	g.Writes, g.Rows, g.Flush = 1, 1, 0.02
	r := g.Play(Contender{Law: Static(16)}, 1)
	if r.Goodput > 1/g.Flush {
		t.Errorf("%v writers a second commit %v one after another", r.Goodput, g.Flush)
	}
	g.Rows = 0
	if free := g.Play(Contender{Law: Static(16)}, 1); free.Goodput < 3*r.Goodput {
		t.Errorf("without a hot row %v, with one %v", free.Goodput, r.Goodput)
	}
	g = fitted()
	g.Clients, g.Deadline = 800, 0.1
	if late := g.Play(Contender{Law: Static(4), InOrder: true}, 1); late.TimedOut == 0 || late.ReadsP99 > 0.12 {
		t.Errorf("800 clients who wait for 100 ms: %+v", late)
	}
}

// TestAnOpenRegimeOffersItsRate, of which writes are their part.
func TestAnOpenRegimeOffersItsRate(t *testing.T) {
	g := fitted()
	g.Rate, g.Writes, g.Clients = 200, 0.3, 0
	r := g.Play(Contender{Law: Static(8)}, 1)
	if math.Abs(r.Goodput-200) > 20 || r.ReadsP99 == 0 || r.WritesP99 == 0 {
		t.Errorf("%+v", r)
	}
}
