package sim

import (
	"math"

	"pgguard/pool/limit"
)

// bins of the latency histogram: 20 to a decade from 10 µs to 1,000 s.
const bins = 160

// histogram counts times in bins of a constant ratio.
type histogram [bins]int32

func (h *histogram) add(t float64) {
	i := int(20 * (math.Log10(max(t, 1e-5)) + 5))
	h[min(i, bins-1)]++
}

// quantile returns the upper edge of the bin the quantile falls in, or 0 of nothing.
func (h *histogram) quantile(q float64) float64 {
	total := 0
	for _, n := range h {
		total += int(n)
	}
	if total == 0 {
		return 0
	}
	rest := int(math.Ceil(q * float64(total)))
	for i, n := range h {
		if rest -= int(n); rest <= 0 {
			return math.Pow(10, float64(i+1)/20-5)
		}
	}
	return 0
}

// ClassCount is what became of one class's requests.
type ClassCount struct {
	Offered, Good, Failed, Refused int
	times                          histogram
}

// PhaseResult is one phase of one run.
type PhaseResult struct {
	start   float64
	Class   [2]ClassCount
	kinds   [2]histogram // of those answered, Work and Alt
	strange int          // strangers' statements answered
	limits  float64      // sum of L over steps
	steps   int
	square  float64
}

// Result is one run.
type Result struct {
	sc         *Scenario
	Phases     []PhaseResult
	at         int
	Seconds    []int32    // requests answered in time, by second
	Limits     []float32  // L of the first sidecar, by step
	Decisions  []Decision // changes of the first sidecar
	Statements int
	Brakes     int
	OverCap    bool
	Longest    [2]float64 // longest wait in the queue that ended in a grant
	HeldUp     int        // statements that waited for the guard inside a transaction
	Stuck      bool       // somebody waited for ever
	look       struct {
		offered, failed, low int
		slow                 float64
	}
}

// Decision is a change of the limit and when.
type Decision struct {
	At float64
	limit.Decision
}

func newResult(sc *Scenario) *Result {
	return &Result{sc: sc, Phases: make([]PhaseResult, len(sc.Phases)), Seconds: make([]int32, int(sc.length())+2)}
}

func (r *Result) enter(n int, now float64) { r.at = n; r.Phases[n].start = now }

func (r *Result) class(c int) *ClassCount { return &r.Phases[min(r.at, len(r.Phases)-1)].Class[c] }

func (r *Result) offered(c int) { r.class(c).Offered++; r.look.offered++ }

func (r *Result) answered(c int, took float64) {
	k := r.class(c)
	k.Good++
	k.times.add(took)
	if c == 1 {
		r.look.low++
		r.look.slow += took
	}
}

// heard notes how long a client waited for the answer to one of its two kinds of transactions.
func (r *Result) heard(alt bool, took float64) {
	kind := 0
	if alt {
		kind = 1
	}
	r.Phases[min(r.at, len(r.Phases)-1)].kinds[kind].add(took)
}

func (r *Result) failed(c int) { r.class(c).Failed++; r.look.failed++ }

func (r *Result) refused(c int) { r.class(c).Refused++ }

func (r *Result) granted(c uint8, waited float64) { r.Longest[c] = max(r.Longest[c], waited) }

func (r *Result) slots(n, limit int) { r.OverCap = r.OverCap || n > limit }

func (r *Result) strange() { r.Phases[min(r.at, len(r.Phases)-1)].strange++ }

func (r *Result) statement() { r.Statements++ }

// decided notes the law's answer.
func (r *Result) decided(now float64, car int, d limit.Decision) {
	if d.Reason == limit.ReasonBrake {
		r.Brakes++
	}
	if car != 0 {
		return
	}
	p := &r.Phases[min(r.at, len(r.Phases)-1)]
	p.limits += float64(d.Limit)
	p.square += float64(d.Limit * d.Limit)
	p.steps++
	r.Limits = append(r.Limits, float32(d.Limit))
	if d.Reason != "" {
		r.Decisions = append(r.Decisions, Decision{now, d})
	}
}

// sinceLastLook is what the operator sees: are jobs late, are there errors.
func (r *Result) sinceLastLook() (late, errors bool) {
	l := r.look
	r.look.offered, r.look.failed, r.look.low, r.look.slow = 0, 0, 0, 0
	return l.low == 0 || l.slow/float64(l.low) > 2, float64(l.failed) > 0.2*float64(l.offered)
}

// MeanLimit is the average of L over a phase.
func (p *PhaseResult) MeanLimit() float64 { return p.limits / float64(max(1, p.steps)) }

// Good is how many requests of both classes were answered in time, and of strangers' statements: the server's work is
// for all.
func (p *PhaseResult) Good() int { return p.Class[0].Good + p.Class[1].Good + p.strange }

// goodput is the requests answered in time for each second between two times.
func (r *Result) goodput(from, to int) float64 {
	sum := 0
	for i := max(0, from); i < min(to, len(r.Seconds)); i++ {
		sum += int(r.Seconds[i])
	}
	return float64(sum) / float64(max(1, to-from))
}

// finish looks whether somebody was forgotten.
func (m *sim) finish() {
	for _, s := range m.all {
		if s.state == token && m.now-s.asked > 60 {
			m.result.Stuck = true
		}
		if s.state == waiting && m.now-s.queued > classes()[s.class].MaxWait.Seconds()+0.1 {
			m.result.Stuck = true
		}
	}
}
