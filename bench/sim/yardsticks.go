package sim

import (
	"math"
	"sort"
	"time"

	"pgguard/pool/limit"
)

// Yardsticks are limiters that a team would otherwise take from a library, written from their published laws with their
// published defaults, on raw elapsed time. They are here for comparison and nowhere else.
func Yardsticks() []Law {
	return []Law{
		{Name: "Gradient2", New: func(first int, _ uint64) limit.Limit { return &gradient2{l: start(first, 20)} }},
		{Name: "Vegas", New: func(first int, seed uint64) limit.Limit { return &vegas{l: start(first, 20), jitter: 0.75} }},
		{Name: "failsafe", New: func(first int, _ uint64) limit.Limit { return &failsafe{l: start(first, 20)} }},
	}
}

func start(first int, otherwise float64) float64 {
	if first > 0 {
		return float64(first)
	}
	return otherwise
}

// log10 as the libraries take it: at least 1.
func log10(l float64) float64 { return max(1, math.Log10(l)) }

func decision(l float64) limit.Decision { return limit.Decision{Limit: max(1, int(l))} }

// gradient2 is Netflix's: the ratio of a long to a short average, tolerance 1.5, smoothing 0.2, limits 20 to 200.
type gradient2 struct {
	l, long float64
	n       int
}

func (g *gradient2) Current() int   { return max(1, int(g.l)) }
func (g *gradient2) Refund(int) int { return 0 }

func (g *gradient2) Observe(s limit.Sample) {
	short := s.Elapsed.Seconds()
	if g.n++; g.n <= 10 {
		g.long += (short - g.long) / float64(g.n)
	} else {
		g.long += (short - g.long) * 2 / 601
	}
	if g.long/short > 2 {
		g.long *= 0.95
	}
	if float64(s.Running) < g.l/2 {
		return
	}
	grad := max(0.5, min(1, 1.5*g.long/short))
	g.l = max(20, min(200, 0.8*g.l+0.2*(g.l*grad+4)))
}

func (g *gradient2) Step(time.Time, limit.Signals) limit.Decision { return decision(g.l) }

// vegas is Netflix's: a queue estimated from the least time ever seen, which a probe forgets now and then.
type vegas struct {
	l, least, jitter float64
	n                int
}

func (v *vegas) Current() int   { return max(1, int(v.l)) }
func (v *vegas) Refund(int) int { return 0 }

func (v *vegas) Observe(s limit.Sample) {
	rtt := s.Elapsed.Seconds()
	if v.n++; float64(v.n) > v.jitter*30*v.l {
		v.n, v.least = 0, rtt
		v.jitter = 0.5 + math.Mod(v.jitter*7.31+0.17, 0.5)
		return
	}
	if v.least == 0 || rtt < v.least {
		v.least = rtt
		return
	}
	queue, log := math.Ceil(v.l*(1-v.least/rtt)), log10(v.l)
	switch {
	case s.Kind == limit.Failed:
		v.l -= log
	case float64(2*s.Running) < v.l:
	case queue <= log:
		v.l += 6 * log
	case queue < 3*log:
		v.l += log
	case queue > 6*log:
		v.l -= log
	}
	v.l = max(1, min(1000, v.l))
}

func (v *vegas) Step(time.Time, limit.Signals) limit.Decision { return decision(v.l) }

// failsafe is failsafe-go's adaptive limiter: the 90th percentile of a window, a median filter, two averages, a queue
// as in Vegas, and correlations over 50 windows. Limits 1 to 200.
type failsafe struct {
	l                float64
	times            []float64
	since            time.Time
	most             int
	filter           []float64
	recent, base     float64
	windows          int
	inflight, rtt, x []float64 // of the last 50 windows
}

func (f *failsafe) Current() int   { return max(1, int(f.l)) }
func (f *failsafe) Refund(int) int { return 0 }

func (f *failsafe) Observe(s limit.Sample) {
	if s.Kind == limit.Failed {
		return
	}
	f.times = append(f.times, s.Elapsed.Seconds())
	f.most = max(f.most, s.Running)
}

func (f *failsafe) Step(now time.Time, _ limit.Signals) limit.Decision {
	if f.since.IsZero() {
		f.since = now
	}
	if d := now.Sub(f.since); d < time.Second || (len(f.times) < 50 && d < 30*time.Second) || len(f.times) == 0 {
		return decision(f.l)
	}
	sort.Float64s(f.times)
	p90 := f.times[len(f.times)*9/10]
	f.filter = last(append(f.filter, p90), 5)
	mid := median(f.filter)
	if f.windows++; f.windows <= 10 {
		f.recent, f.base = mid, f.base+(mid-f.base)/float64(f.windows)
	} else {
		f.recent += (mid - f.recent) * 2 / 6
		f.base += (mid - f.base) * 2 / 11
	}
	f.inflight = last(append(f.inflight, float64(f.most)), 50)
	f.rtt = last(append(f.rtt, p90), 50)
	f.x = last(append(f.x, float64(f.most)/p90), 50)
	f.update()
	f.times, f.most, f.since = f.times[:0], 0, now
	return decision(f.l)
}

func (f *failsafe) update() {
	log := log10(f.l)
	queue := math.Ceil(f.l * (1 - f.base/f.recent))
	full := float64(f.most) >= f.l
	thr, lat := correlation(f.inflight, f.x), correlation(f.inflight, f.rtt)
	mean, dev := moments(f.x)
	switch {
	case queue > 6*log, full && thr < 0, full && thr < 0.3 && lat > 0.5, full && dev/mean < 0.2 && lat > 0.5:
		f.l -= log
	case queue < 3*log && f.l < 5*float64(f.most):
		f.l += log
	}
	f.l = max(1, min(200, f.l))
}

func last(x []float64, n int) []float64 {
	if len(x) > n {
		return append(x[:0], x[len(x)-n:]...)
	}
	return x
}

func moments(x []float64) (mean, dev float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		dev += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(dev)
}

func correlation(x, y []float64) float64 {
	mx, dx := moments(x)
	my, dy := moments(y)
	if dx == 0 || dy == 0 {
		return 0
	}
	c := 0.0
	for i := range x {
		c += (x[i] - mx) * (y[i] - my) / float64(len(x))
	}
	return c / (dx * dy)
}
