package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// guardEvery is how often a GuardWatch looks: a limit that moves faster than that is seen in limit_changes_total. A page
// of metrics costs the guard well under a millisecond.
const guardEvery = time.Second

// guardSample is one look at the guards.
type guardSample struct {
	at    time.Time
	sums  map[string]float64 // by metric, over all labels
	wrong bool               // one of them did not answer
}

// guardSeries are the metrics kept as series, with their units. A counter is kept as its growth a second.
var guardSeries = []struct {
	series, metric, unit string
	counter              bool
}{
	{SeriesLimit, "pgguard_limit", "statements", false},
	{SeriesRunning, "pgguard_running", "statements", false},
	{SeriesWaiting, "pgguard_queue_length", "statements", false},
	{SeriesRefused, "pgguard_refusals_total", "refusals/s", true},
}

// Counters of a guard whose growth over a run is a figure, by reason or state where they have one.
var guardCounters = []struct{ name, metric, label string }{
	{"guard: limit changes", "pgguard_limit_changes_total", ""},
	{"guard: refusals", "pgguard_refusals_total", "reason"},
	{"guard: breaker transitions", "pgguard_breaker_transitions_total", "state"},
}

// Names of the series of a guard.
const (
	SeriesLimit   = "guard: limit"
	SeriesRunning = "guard: running"
	SeriesWaiting = "guard: waiting"
	SeriesRefused = "guard: refused"
)

// GuardWatch looks at the metrics of guards once a second until Close, and adds them up. Any goroutine may use it.
type GuardWatch struct {
	urls   []string
	cancel context.CancelFunc
	done   chan struct{}
	first  load.Metrics

	mu      sync.Mutex
	samples []guardSample // guarded by mu
	last    load.Metrics  // guarded by mu
}

// WatchGuard begins to look at the pages at urls; without one it looks at nothing and reports nothing.
func WatchGuard(ctx context.Context, urls []string) (*GuardWatch, error) {
	g := &GuardWatch{urls: urls, cancel: func() {}, done: make(chan struct{})}
	if len(urls) == 0 {
		close(g.done)
		return g, nil
	}
	m, err := load.ReadMetrics(ctx, urls...)
	if err != nil {
		return nil, err
	}
	g.first, g.last = m, m
	ctx, g.cancel = context.WithCancel(ctx)
	go func() { // ends with ctx, which Close ends
		defer close(g.done)
		for {
			g.look(ctx)
			if !load.Sleep(ctx, guardEvery) {
				return
			}
		}
	}()
	return g, nil
}

// look adds a sample.
func (g *GuardWatch) look(ctx context.Context) {
	m, err := load.ReadMetrics(ctx, g.urls...)
	s := guardSample{at: time.Now(), wrong: err != nil, sums: map[string]float64{}}
	for _, k := range guardSeries {
		s.sums[k.metric] = m.Sum(k.metric)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	g.samples = append(g.samples, s)
	if err == nil {
		g.last = m
	}
}

// Close takes a last look and stops. It may be called more than once.
func (g *GuardWatch) Close() {
	g.cancel()
	<-g.done
}

// Report adds the series, counted from the run's second zero, and the figures. Looks that failed make the run doubtful:
// a guard that cannot be asked for its state under load is a fault of its own.
func (g *GuardWatch) Report(r *report.Run) {
	if len(g.urls) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	zero, wrong := r.Zero, 0
	if zero.IsZero() {
		zero = r.Started
	}
	for _, s := range g.samples {
		if s.wrong {
			wrong++
		}
	}
	for _, k := range guardSeries {
		r.Series = append(r.Series, report.Series{Name: k.series, Unit: k.unit, XUnit: "s"})
		curve := &r.Series[len(r.Series)-1]
		before := guardSample{sums: map[string]float64{k.metric: g.first.Sum(k.metric)}}
		for _, s := range g.samples {
			y := s.sums[k.metric]
			if k.counter && !before.at.IsZero() {
				y = (y - before.sums[k.metric]) / s.at.Sub(before.at).Seconds()
			} else if k.counter {
				y = 0
			}
			if s.wrong {
				continue
			}
			before = s
			if x := s.at.Sub(zero).Seconds(); x >= 0 {
				curve.X, curve.Y = append(curve.X, x), append(curve.Y, y)
			}
		}
	}
	g.figuresLocked(r)
	if wrong > 0 {
		r.Doubts = append(r.Doubts, fmt.Sprintf("the guard's metrics could not be read %d times of %d", wrong, len(g.samples)))
	}
}

func (g *GuardWatch) figuresLocked(r *report.Run) {
	if limit, ok := r.Curve(SeriesLimit); ok && len(limit.Y) > 0 {
		r.Add("guard: limit, least", "", slices.Min(limit.Y))
		r.Add("guard: limit, most", "", slices.Max(limit.Y))
	}
	for _, k := range guardCounters {
		r.Add(k.name, "", g.last.Sum(k.metric)-g.first.Sum(k.metric))
		if k.label == "" {
			continue
		}
		before, after := g.first.By(k.metric, k.label), g.last.By(k.metric, k.label)
		for _, value := range slices.Sorted(maps.Keys(after)) {
			if n := after[value] - before[value]; n > 0 {
				r.Add(k.name+", "+value, "", n)
			}
		}
	}
}
