package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/metrics"
	"pgguard/proxy/otlp"
	"pgguard/proxy/witness"
)

// traces are the spans of statements that are in a trace, if anybody wants them; the zero value: nobody does.
type traces struct {
	spans     chan proxy.Span
	exemplars *metrics.Exemplars
}

// newTraces is what a configuration asks for.
func newTraces(f *config.File) (t traces) {
	if f.Exemplars {
		t.exemplars = &metrics.Exemplars{}
	}
	if f.Exemplars || f.OTLP.URL != "" {
		t.spans = make(chan proxy.Span, otlp.MostWaiting)
	}
	return t
}

// registry has everything that is in /metrics.
func (s *service) registry(see *witness.Witness) *prometheus.Registry {
	return metrics.Registry(s.guard.Stats, func() metrics.Said {
		return metrics.Said{Verdicts: see.Verdicts(), Incidents: uint64(see.Begun()), LinesLost: see.Lost()}
	}, s.traces.exemplars, versionName())
}

// export sends metrics and spans, and notes exemplars, until stop is called. It does nothing if nobody wants them.
func (s *service) export(see *witness.Witness) (stop func()) {
	if s.traces.spans == nil {
		return func() {}
	}
	host, _ := os.Hostname() // and the process: there may be another guard on it, or the one that this takes over from
	c := otlp.Config{
		URL: s.file.OTLP.URL, Interval: max(time.Second, s.file.OTLP.Interval.Std()), Gather: s.registry(see).Gather, Spans: s.traces.spans,
		Version: versionName(), Instance: fmt.Sprintf("%s:%d", host, os.Getpid()), Log: s.log,
	}
	if s.traces.exemplars != nil {
		c.Took = s.traces.exemplars.Took
	}
	e := otlp.New(c)
	return beside(func(ctx context.Context) { e.Run(ctx) })
}
