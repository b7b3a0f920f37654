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

// pinWatch looks at a guard's pinned clients; a target without metrics has none to look at.
type pinWatch struct {
	urls  []string
	first load.Metrics

	mu   sync.Mutex
	most float64      // pinned clients; guarded by mu
	last load.Metrics // guarded by mu
	err  error        // guarded by mu
}

// pinEvery is how often a pinWatch looks. A page of metrics costs the guard well under a millisecond.
const pinEvery = 500 * time.Millisecond

// watchPins takes the first look at the metrics at urls, of which there may be none.
func watchPins(ctx context.Context, urls []string) (*pinWatch, error) {
	p := &pinWatch{urls: urls}
	if len(urls) == 0 {
		return p, nil
	}
	m, err := load.ReadMetrics(ctx, urls...)
	p.first, p.last = m, m
	return p, err
}

// watch looks until ctx ends.
func (p *pinWatch) watch(ctx context.Context) {
	for len(p.urls) > 0 && load.Sleep(ctx, pinEvery) {
		m, err := load.ReadMetrics(ctx, p.urls...)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		if err == nil {
			p.last = m
			p.most = max(p.most, m.Sum(pinnedClients))
		} else if p.err == nil {
			p.err = err
		}
		p.mu.Unlock()
	}
}

// The guard's metrics looked at.
const (
	pinnedClients = "pgguard_pinned_clients"
	pinsTotal     = "pgguard_pins_total"
)

// report adds how many clients the first look found pinned.
func (p *pinWatch) report(r *report.Run, name string) {
	if len(p.urls) > 0 {
		r.Add(name, "clients", p.first.Sum(pinnedClients))
	}
}

// reportEnd adds the most pinned clients seen since, and how many began to be pinned, by reason. A look that failed makes
// the run doubtful.
func (p *pinWatch) reportEnd(r *report.Run) {
	if len(p.urls) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Add("pinned clients, most", "clients", p.most)
	before, after := p.first.By(pinsTotal, "reason"), p.last.By(pinsTotal, "reason")
	r.Add("pins while working", "", p.last.Sum(pinsTotal)-p.first.Sum(pinsTotal))
	for _, reason := range slices.Sorted(maps.Keys(after)) {
		if n := after[reason] - before[reason]; n > 0 {
			r.Add("pins while working, "+reason, "", n)
		}
	}
	if p.err != nil {
		r.Doubts = append(r.Doubts, fmt.Sprintf("pins were not always seen: %v", p.err))
	}
}
