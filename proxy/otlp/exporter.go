package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"pgguard/proxy"
)

const (
	// flushEvery is how long a span waits to be sent with others.
	flushEvery = 2 * time.Second
	// mostSpans is how many are sent at once, at most; and MostWaiting how many may wait to be taken.
	mostSpans   = 500
	MostWaiting = 2000
	// sendLimit is how long a collector may take.
	sendLimit = 5 * time.Second
)

// Config is everything an Exporter is told.
type Config struct {
	// URL is the collector's, to which /v1/metrics and /v1/traces are added.
	URL string
	// Interval is how often metrics are sent.
	Interval time.Duration
	// Gather returns the metrics; a prometheus.Registry does.
	Gather func() ([]*dto.MetricFamily, error)
	// Spans are what becomes of statements that are in a trace.
	Spans <-chan proxy.Span
	// Took is told each span before it is sent; nil: nobody is.
	Took func(*proxy.Span)
	// Version is the program's, and Instance which guard this is.
	Version, Instance string
	Log               *slog.Logger
}

// Exporter sends what its Config has.
type Exporter struct {
	cfg      Config
	resource resource
	client   http.Client
	began    time.Time
	failing  map[string]bool // by what was sent: the last time it could not be
}

// New returns an Exporter. It does no IO.
func New(c Config) *Exporter {
	c.URL = strings.TrimSuffix(c.URL, "/")
	return &Exporter{cfg: c, began: time.Now(), failing: map[string]bool{}, client: http.Client{Timeout: sendLimit}, resource: resource{Attributes: []attribute{
		text("service.name", "pgguard"), text("service.version", c.Version), text("service.instance.id", c.Instance),
	}}}
}

// Run sends until ctx ends, and then what is left of spans. Without a URL it only takes them.
func (e *Exporter) Run(ctx context.Context) {
	flush, metrics := time.NewTicker(flushEvery), time.NewTicker(e.cfg.Interval)
	defer flush.Stop()
	defer metrics.Stop()
	var spans []span
	for {
		select {
		case <-ctx.Done():
			for n := len(e.cfg.Spans); n > 0; n-- {
				spans = e.take(spans, <-e.cfg.Spans)
			}
			e.sendSpans(context.WithoutCancel(ctx), spans)
			return
		case s := <-e.cfg.Spans:
			if spans = e.take(spans, s); len(spans) < mostSpans {
				continue
			}
		case <-flush.C:
		case now := <-metrics.C:
			e.sendMetrics(ctx, now)
			continue
		}
		if e.sendSpans(ctx, spans) { // else ctx has ended under it
			spans = spans[:0]
		}
	}
}

// take puts the spans of an exchange to the others.
func (e *Exporter) take(spans []span, s proxy.Span) []span {
	if e.cfg.Took != nil {
		e.cfg.Took(&s)
	}
	return appendSpans(spans, &s)
}

// send posts a message, and logs when the collector begins to fail, or takes messages again. false: ctx has ended before it was told whether it does.
func (e *Exporter) send(ctx context.Context, what string, message any) bool {
	if e.cfg.URL == "" {
		return true
	}
	err := e.post(ctx, "/v1/"+what, message)
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil && !e.failing[what]:
		e.cfg.Log.Warn("the collector does not take "+what+"; what cannot be sent is dropped", "error", err)
	case err == nil && e.failing[what]:
		e.cfg.Log.Info("the collector takes " + what + " again")
	}
	e.failing[what] = err != nil
	return true
}

func (e *Exporter) post(ctx context.Context, path string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}
