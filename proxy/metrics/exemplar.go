package metrics

import (
	"encoding/hex"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pgguard/proxy"
)

// Exemplars are traces that histograms point to: of each class the last exchange that was in one. Any goroutine may use them; nil has none.
type Exemplars struct {
	mu          sync.Mutex
	query, wait map[string]prometheus.Exemplar // guarded by mu, by class
}

// Took notes an exchange.
func (x *Exemplars) Took(s *proxy.Span) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.query == nil {
		x.query, x.wait = map[string]prometheus.Exemplar{}, map[string]prometheus.Exemplar{}
	}
	of := func(d time.Duration) prometheus.Exemplar {
		return prometheus.Exemplar{Value: d.Seconds(), Timestamp: s.Ended, Labels: prometheus.Labels{"trace_id": hex.EncodeToString(s.Trace[:]), "span_id": hex.EncodeToString(s.Parent[:])}}
	}
	until := s.Ended
	if !s.Started.IsZero() {
		until = s.Started
		x.query[s.Class] = of(s.Ended.Sub(s.Started))
	}
	if !s.Offered.IsZero() {
		x.wait[s.Class] = of(until.Sub(s.Offered))
	}
}

// with is a histogram of a class with the exemplar that there is for it.
func (x *Exemplars) with(d *prometheus.Desc, m prometheus.Metric, labels []string) prometheus.Metric {
	if x == nil || len(labels) == 0 {
		return m
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e, found := prometheus.Exemplar{}, false
	switch d {
	case queryTime:
		e, found = x.query[labels[0]]
	case queueWait:
		e, found = x.wait[labels[0]]
	}
	if !found {
		return m
	}
	return prometheus.MustNewMetricWithExemplars(m, e)
}
