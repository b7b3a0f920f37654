package sim

import (
	"math"
	"sort"
)

// grid are the static limits among which the best is looked for, each about a fifth from the next.
var grid = []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 100}

// Best is the best static limit of one scenario and seed, phase by phase: what nobody can know beforehand.
type Best struct {
	Limit []int     // by phase
	Good  []float64 // answered in time
	P99   []float64 // of the high class, at that limit
	// Single is the best that one limit does in all graded phases together, as a share of Good.
	Single float64
}

// FindBest sweeps the grid.
func FindBest(sc *Scenario, seed uint64, limits []int) *Best {
	n := len(sc.Phases)
	b := &Best{Limit: make([]int, n), Good: make([]float64, n), P99: make([]float64, n)}
	var runs []*Result
	most := sc.Cap
	if most == 0 {
		most = 100
	}
	for _, l := range limits {
		if l > most {
			break
		}
		r := Simulate(sc, Static(l), 0, seed)
		runs = append(runs, r)
		for i := range r.Phases {
			if g := float64(r.Phases[i].Good()); g > b.Good[i] {
				b.Good[i], b.Limit[i], b.P99[i] = g, l, r.Phases[i].Class[0].times.quantile(0.99)
			}
		}
	}
	for _, r := range runs {
		b.Single = max(b.Single, b.ratio(r))
	}
	return b
}

// ratio is goodput by the best static limit's of the same phase, graded phases weighted by their length.
func (b *Best) ratio(r *Result) float64 {
	sum, length := 0.0, 0.0
	for i, p := range r.sc.Phases {
		if p.Graded && b.Good[i] > 0 {
			sum += p.Len * float64(r.Phases[i].Good()) / b.Good[i]
			length += p.Len
		}
	}
	return sum / length
}

// Grade is how one run did beside the best static limit.
type Grade struct {
	Ratio   float64
	Worst   float64 // the worst phase's ratio
	P99     float64 // high class, over the best static limit's; the worst graded phase
	Recover float64 // seconds, the longest; NaN: nothing to recover from; Inf: never
	Protect float64
	Brakes  int
	Spread  float64 // coefficient of variation of L in the last graded phase
	Changes float64 // of the limit in ten minutes of the graded phases
	Below   float64 // share of the graded phases' time in which goodput was below the best less a tenth
	Calm    float64 // our own goodput in the last phase by that in the first; NaN: not asked
	Faults  []string
}

// Judge compares a run with the best static limit.
func Judge(r *Result, b *Best) Grade {
	g := Grade{Ratio: b.ratio(r), Worst: math.Inf(1), Recover: math.NaN(), Protect: math.NaN(), Brakes: r.Brakes}
	for i, p := range r.sc.Phases {
		got := &r.Phases[i]
		if p.Graded && b.Good[i] > 0 {
			g.Worst = min(g.Worst, float64(got.Good())/b.Good[i])
			if b.P99[i] > 0 {
				g.P99 = max(g.P99, got.Class[0].times.quantile(0.99)/b.P99[i])
			}
			mean := got.MeanLimit()
			g.Spread = math.Sqrt(max(0, got.square/float64(max(1, got.steps))-mean*mean)) / max(mean, 1)
		}
		best := b.Good[i] / p.Len
		from, to := int(got.start), int(got.start+p.Len)
		if p.Recover {
			g.Recover = math.Max(zero(g.Recover), since(r, from, to, 5, 0.9*best))
		}
		if p.Protect {
			g.Protect = math.Max(zero(g.Protect), since(r, from, to, 2, 0.8*best))
		}
	}
	g.steadiness(r, b)
	if g.Calm = math.NaN(); r.sc.Calm > 0 {
		own := func(i int) float64 {
			return float64(r.Phases[i].Class[0].Good+r.Phases[i].Class[1].Good) / r.sc.Phases[i].Len
		}
		g.Calm = own(len(r.Phases)-1) / own(0)
	}
	g.Faults = faults(r, &g)
	return g
}

// steadiness counts changes of the limit and seconds of poor goodput in the graded phases.
func (g *Grade) steadiness(r *Result, b *Best) {
	const stretch = 5 // seconds: in one alone chance takes a tenth
	length, below := 0.0, 0.0
	for i, p := range r.sc.Phases {
		if !p.Graded {
			continue
		}
		from, to := r.Phases[i].start, r.Phases[i].start+p.Len
		length += p.Len
		for _, d := range r.Decisions {
			if d.At >= from && d.At < to {
				g.Changes++
			}
		}
		for t := int(from); t+stretch <= int(to); t++ {
			if r.goodput(t, t+stretch) < 0.9*b.Good[i]/p.Len {
				below++
			}
		}
	}
	g.Changes *= 600 / length
	g.Below = below / length
}

func zero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// since is how long after from goodput first was at least want over a stretch of seconds.
func since(r *Result, from, to, stretch int, want float64) float64 {
	for t := from; t+stretch <= to; t++ {
		if r.goodput(t, t+stretch) >= want {
			return float64(t - from)
		}
	}
	return math.Inf(1)
}

// The figures every law must reach (DESIGN.md, "What a law must reach").
const (
	mustRatio   = 0.85
	mustRecover = 15.0
	mustProtect = 5.0
	mustChanges = 10.0 // in ten minutes of a load that is steady
	mustBelow   = 0.05
)

// faults are the promises a run broke.
func faults(r *Result, g *Grade) []string {
	var out []string
	add := func(broken bool, what string) {
		if broken {
			out = append(out, what)
		}
	}
	must := r.sc.Must
	if must == 0 {
		must = mustRatio
	}
	add(g.Ratio < must, "ratio")
	add(r.sc.Steady && g.Changes > mustChanges, "hunts")
	add(r.sc.Steady && g.Below > mustBelow, "below the best")
	add(g.Calm < r.sc.Calm, "less than in calm")
	add(g.Recover > mustRecover, "recovery")
	add(g.Protect > mustProtect, "protection")
	add(r.OverCap, "cap")
	add(r.Stuck, "stuck")
	add(r.HeldUp > 0, "wait inside a transaction")
	for i, k := range classes() {
		add(r.Longest[i] > k.MaxWait.Seconds()+0.1, "wait of "+k.Name)
	}
	low, offered, refused, failed := 0, 0, 0, 0
	for i := range r.Phases {
		if r.sc.Phases[i].Graded {
			low += r.Phases[i].Class[1].Good
			offered += r.Phases[i].Class[1].Offered
			failed += r.Phases[i].Class[0].Failed
		}
		refused += r.Phases[i].Class[0].Refused + r.Phases[i].Class[1].Refused
	}
	add(offered > 0 && low == 0, "low class stands still")
	add(r.sc.Healthy && r.Brakes > 0, "brake while healthy")
	add(r.sc.Healthy && refused > 0, "refusal while healthy")
	add(r.sc.InTime && failed > 0, "not served, though all could be")
	return out
}

// median of a copy.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := append([]float64(nil), x...)
	sort.Float64s(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
