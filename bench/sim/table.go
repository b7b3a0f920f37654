package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"

	"pgguard/pool/limit"
)

// Bests remembers the best static limits, by scenario and seed: they depend on the world and not on any law, and are
// most of the work.
type Bests struct {
	mu sync.Mutex
	of map[string]*Best // guarded by mu
}

func bestKey(sc *Scenario, seed uint64) string {
	name := sc.World
	if name == "" {
		name = sc.Name
	}
	return fmt.Sprintf("%s %d", name, seed)
}

// LoadBests reads what Save wrote; a file that does not exist holds nothing.
func LoadBests(path string) (*Bests, error) {
	b := &Bests{of: map[string]*Best{}}
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	return b, json.Unmarshal(data, &b.of)
}

// Save writes everything to a file.
func (b *Bests) Save(path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, err := json.Marshal(b.of)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Of returns the best static limit, swept now if it is not known.
func (b *Bests) Of(sc *Scenario, seed uint64) *Best {
	key := bestKey(sc, seed)
	b.mu.Lock()
	found := b.of[key]
	b.mu.Unlock()
	if found != nil {
		return found
	}
	limits := sc.Grid
	if limits == nil {
		limits = grid
	}
	found = FindBest(sc, seed, limits)
	b.mu.Lock()
	b.of[key] = found
	b.mu.Unlock()
	return found
}

// Grades runs a law through a scenario with seeds 1 to n.
func (b *Bests) Grades(sc *Scenario, law Law, seeds int) []Grade {
	out := make([]Grade, seeds)
	for i := range out {
		seed := uint64(i + 1)
		out[i] = Judge(Simulate(sc, law, sc.First, seed), b.Of(sc, seed))
	}
	return out
}

// pick returns one figure of every grade.
func pick(grades []Grade, f func(Grade) float64) []float64 {
	out := make([]float64, 0, len(grades))
	for _, g := range grades {
		if x := f(g); !math.IsNaN(x) {
			out = append(out, x)
		}
	}
	return out
}

func least(x []float64) float64 {
	m := math.Inf(1)
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

func most(x []float64) float64 {
	m := math.NaN()
	for _, v := range x {
		if math.IsNaN(m) || v > m {
			m = v
		}
	}
	return m
}

func ratioOf(g Grade) float64 { return g.Ratio }

// figure prints a number, or a dash where there is none.
func figure(x float64, digits int) string {
	switch {
	case math.IsNaN(x):
		return "-"
	case math.IsInf(x, 1):
		return "never"
	}
	return fmt.Sprintf("%.*f", digits, x)
}

// Run is what WriteTables is asked to do.
type Run struct {
	Seeds   int
	Match   string // part of a scenario's name; empty: all
	Robust  bool
	Workers int
	Bests   *Bests
}

func (r *Run) scenarios(of []*Scenario) []*Scenario {
	var out []*Scenario
	for _, sc := range of {
		if strings.Contains(sc.Name, r.Match) {
			out = append(out, sc)
		}
	}
	return out
}

// each calls f for every scenario, several at a time.
func (r *Run) each(of []*Scenario, f func(i int, sc *Scenario)) {
	var wg sync.WaitGroup
	work := make(chan int)
	for range max(1, r.Workers) {
		wg.Add(1)
		go func() { // ends when work is closed
			defer wg.Done()
			for i := range work {
				f(i, of[i])
			}
		}()
	}
	for i := range of {
		work <- i
	}
	close(work)
	wg.Wait()
}

// WriteTables plays everything and writes what came out as Markdown tables.
func (r *Run) WriteTables(w io.Writer) {
	r.writeLaws(w)
	r.writeConvergence(w)
	r.writeMutants(w)
	if r.Robust {
		r.writeRobustness(w)
	}
}

// Laws are the contenders: ours first.
func Laws() []Law {
	return append([]Law{AIMD("AIMD", nil), AIMD("AIMD, goal only", func(t *limit.Tuning) { t.NoProbe = true })}, Yardsticks()...)
}

func (r *Run) writeLaws(w io.Writer) {
	all := r.scenarios(append(append(Stories(), Curves()...), Cells()...))
	laws := Laws()
	grades := make([][][]Grade, len(all))
	r.each(all, func(i int, sc *Scenario) {
		for _, law := range laws {
			grades[i] = append(grades[i], r.Bests.Grades(sc, law, r.Seeds))
		}
	})
	fmt.Fprintf(w, "## Ratio to the best static limit of each phase: median / least of %d seeds\n\n| scenario | one static |", r.Seeds)
	for _, law := range laws {
		fmt.Fprintf(w, " %s |", law.Name)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(laws)))
	for i, sc := range all {
		single := make([]float64, r.Seeds)
		for s := range single {
			single[s] = r.Bests.Of(sc, uint64(s+1)).Single
		}
		fmt.Fprintf(w, "| %s | %.2f |", sc.Title(), median(single))
		for k := range laws {
			x := pick(grades[i][k], ratioOf)
			fmt.Fprintf(w, " %.2f / %.2f |", median(x), least(x))
		}
		fmt.Fprintln(w)
	}
	for _, stories := range []bool{true, false} {
		name := "**numbered scenarios**"
		if !stories {
			name = "**all**"
		}
		fmt.Fprintf(w, "| %s | |", name)
		for k := range laws {
			var x []float64
			for i, sc := range all {
				if sc.Number > 0 || !stories {
					x = append(x, pick(grades[i][k], ratioOf)...)
				}
			}
			fmt.Fprintf(w, " **%.3f / %.3f** |", median(x), least(x))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n## AIMD beyond the ratio: the worst of %d seeds\n\n| scenario | worst phase | p99 high, by best static's | recovery s | protection s | brakes | CV of L | broken promises |\n|---|---|---|---|---|---|---|---|\n", r.Seeds)
	for i, sc := range all {
		g := grades[i][0]
		var faults []string
		for s := range g {
			for _, f := range g[s].Faults {
				faults = append(faults, fmt.Sprintf("%s (seed %d)", f, s+1))
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", sc.Title(),
			figure(least(pick(g, func(g Grade) float64 { return g.Worst })), 2), figure(most(pick(g, func(g Grade) float64 { return g.P99 })), 2),
			figure(most(pick(g, func(g Grade) float64 { return g.Recover })), 0), figure(most(pick(g, func(g Grade) float64 { return g.Protect })), 0),
			figure(most(pick(g, func(g Grade) float64 { return float64(g.Brakes) })), 0), figure(most(pick(g, func(g Grade) float64 { return g.Spread })), 2),
			strings.Join(faults, ", "))
	}
}

// Title is the scenario's number and name.
func (sc *Scenario) Title() string {
	switch {
	case sc.Cell:
		return "cell: " + sc.Name
	case sc.Number == 0:
		return "curve: " + sc.Name
	}
	return fmt.Sprintf("%d %s", sc.Number, sc.Name)
}

// firsts are the limits from which a law must find its way.
var firsts = []int{1, 2, 5, 20, 50, 100}

// convergence is how long a law needs from a first limit until goodput stays near the best for 10 s; the median of seeds.
func (r *Run) convergence(sc *Scenario, law Law, first int) float64 {
	var x []float64
	for seed := uint64(1); seed <= uint64(r.Seeds); seed++ {
		b := r.Bests.Of(sc, seed)
		res := Simulate(sc, law, first, seed)
		x = append(x, since(res, 0, int(sc.length()), 10, 0.95*b.Good[1]/sc.Phases[1].Len))
	}
	return median(x)
}

func (r *Run) writeConvergence(w io.Writer) {
	all := r.scenarios(Curves())
	rows := make([]string, len(all))
	r.each(all, func(i int, sc *Scenario) {
		for _, law := range Laws()[:1] {
			rows[i] += fmt.Sprintf("| %s, %s |", law.Name, sc.Name)
			for _, first := range firsts {
				rows[i] += " " + figure(r.convergence(sc, law, first), 0) + " |"
			}
			rows[i] += "\n"
		}
	})
	fmt.Fprintf(w, "\n## Seconds from a first limit until goodput stays at 0.95 of the best for 10 s: median of %d seeds\n\n| first limit |", r.Seeds)
	for _, f := range firsts {
		fmt.Fprintf(w, " %d |", f)
	}
	fmt.Fprintf(w, "\n|---|%s\n%s", strings.Repeat("---|", len(firsts)), strings.Join(rows, ""))
}

// Failures are the promises that a law breaks and AIMD does not, by scenario.
func (r *Run) Failures(law Law, of []*Scenario, seeds int) []string {
	out := make([]string, len(of))
	r.each(of, func(i int, sc *Scenario) {
		known := map[string]bool{}
		for _, g := range r.Bests.Grades(sc, AIMD("", nil), seeds) {
			for _, f := range g.Faults {
				known[f] = true
			}
		}
		var names []string
		for _, g := range r.Bests.Grades(sc, law, seeds) {
			for _, f := range g.Faults {
				if !known[f] {
					known[f] = true
					names = append(names, f)
				}
			}
		}
		if len(names) > 0 {
			out[i] = fmt.Sprintf("%s (%s)", sc.Title(), strings.Join(names, ", "))
		}
	})
	var failed []string
	for _, s := range out {
		if s != "" {
			failed = append(failed, s)
		}
	}
	return failed
}

func (r *Run) writeMutants(w io.Writer) {
	fmt.Fprintf(w, "\n## Mutants and where they are found out\n\n| mutant | promises broken that AIMD keeps |\n|---|---|\n")
	all := r.scenarios(append(Stories(), Cells()...))
	for _, law := range Mutants() {
		failed := r.Failures(law, all, min(2, r.Seeds))
		text := strings.Join(failed, "; ")
		if text == "" {
			text = "none"
		}
		fmt.Fprintf(w, "| %s | %s |\n", law.Name, text)
	}
}
