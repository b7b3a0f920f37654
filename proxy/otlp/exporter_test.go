package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pgguard/proxy"
)

// collector keeps what it is sent.
type collector struct {
	*httptest.Server
	status atomic.Int32

	mu   sync.Mutex
	sent map[string][]string // guarded by mu, by path
}

func newCollector(t *testing.T) *collector {
	c := &collector{sent: map[string][]string{}}
	c.status.Store(http.StatusOK)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v: %s, %v", r.Method, r.URL, r.Header, body, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent[r.URL.Path] = append(c.sent[r.URL.Path], string(body))
		w.WriteHeader(int(c.status.Load()))
	}))
	t.Cleanup(c.Close)
	return c
}

// got is what has come at a path so far.
func (c *collector) got(path string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[path]
}

// families are one metric of each kind.
func families() ([]*dto.MetricFamily, error) {
	r := prometheus.NewRegistry()
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "done_total", Help: "What is done."}, []string{"class"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "now"})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic", Buckets: []float64{1, 2}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native", NativeHistogramBucketFactor: 1.19, Buckets: []float64{1, 2}})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "summary"})
	r.MustRegister(count, gauge, classic, native, summary)
	count.WithLabelValues("high").Add(7)
	gauge.Set(3)
	for _, x := range []float64{0.5, 1.5, 1.5, 9} {
		classic.Observe(x)
		native.Observe(x)
	}
	return r.Gather()
}

func TestMetricsInOpenTelemetrysForms(t *testing.T) {
	all, err := families()
	if err != nil {
		t.Fatal(err)
	}
	e := New(Config{})
	e.began = time.Unix(100, 0)
	found := map[string]metric{}
	for _, m := range e.metrics(all, time.Unix(200, 5)) {
		found[m.Name] = m
	}
	if m := found["done_total"]; m.Sum == nil || !m.Sum.Monotonic || m.Sum.Temporality != 2 || *m.Sum.Points[0].Value != 7 || m.Sum.Points[0].Attributes[0] != text("class", "high") ||
		m.Sum.Points[0].Start != "100000000000" || m.Sum.Points[0].Time != "200000000005" || m.Description != "What is done." {
		t.Errorf("%+v", m)
	}
	if m := found["now"]; m.Gauge == nil || *m.Gauge.Points[0].Value != 3 {
		t.Errorf("%+v", m)
	}
	if m := found["classic"]; m.Histogram == nil || fmt.Sprint(m.Histogram.Points[0].Counts, m.Histogram.Points[0].Bounds) != "[1 2 1] [1 2]" || m.Histogram.Points[0].Count != "4" {
		t.Errorf("%+v", m)
	}
	m := found["native"]
	if m.Exponential == nil || len(found) != 4 {
		t.Fatalf("%+v", found)
	}
	p := m.Exponential.Points[0]
	base := math.Exp2(math.Exp2(-float64(*p.Scale)))
	for _, x := range []float64{0.5, 1.5, 9} { // each lies in the bucket above base^index
		i := int(math.Ceil(math.Log(x)/math.Log(base))) - 1 - int(p.Positive.Offset)
		if i < 0 || i >= len(p.Positive.Counts) || p.Positive.Counts[i] == "0" {
			t.Errorf("%v is not in place %d of %+v", x, i, p.Positive)
		}
	}
	if *p.Sum != 12.5 || p.Count != "4" || p.Zero != "0" {
		t.Errorf("%+v", p)
	}
}

// exchange is one that waited 20 ms and ran for 5.
func exchange() proxy.Span {
	at := time.Unix(1000, 0)
	return proxy.Span{Trace: [16]byte{0: 0xaa, 15: 1}, Parent: [8]byte{0: 0xbb, 7: 2}, Offered: at, Started: at.Add(20 * time.Millisecond), Ended: at.Add(25 * time.Millisecond),
		Class: "high", Upstream: "db:5432"}
}

func TestSpansOfAnExchange(t *testing.T) {
	s := exchange()
	got := appendSpans(nil, &s)
	if len(got) != 2 || got[0].TraceID != "aa000000000000000000000000000001" || got[0].Parent != "bb00000000000002" || got[1].Parent != got[0].SpanID || len(got[0].SpanID) != 16 ||
		got[0].Start != "1000000000000" || got[0].End != "1000025000000" || got[1].Start != "1000000000000" || got[1].End != "1000020000000" || got[0].Status != nil {
		t.Errorf("%+v", got)
	}
	s.Offered = time.Time{}
	if got = appendSpans(nil, &s); len(got) != 1 || got[0].Start != "1000020000000" {
		t.Errorf("that did not wait: %+v", got)
	}
	s = exchange()
	s.Started = time.Time{}
	if got = appendSpans(nil, &s); len(got) != 2 || got[0].Status == nil || got[1].End != got[0].End {
		t.Errorf("refused: %+v", got)
	}
}

// awaits waits until something is so.
func awaits(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not %s", what)
		}
	}
}

// TestExporterSends spans and metrics, at its end what is left, and says once that a collector does not take them, and once that it does again.
func TestExporterSends(t *testing.T) {
	c := newCollector(t)
	spans := make(chan proxy.Span, MostWaiting)
	var log bytes.Buffer // read when Run has ended
	var took atomic.Int64
	e := New(Config{URL: c.URL + "/", Interval: 10 * time.Millisecond, Gather: families, Spans: spans, Version: "v9", Instance: "here",
		Took: func(*proxy.Span) { took.Add(1) }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	for range mostSpans {
		spans <- exchange()
	}
	sent := func() int { return strings.Count(strings.Join(c.got("/v1/traces"), ""), `"name":"pgguard exchange"`) }
	awaits(t, "sent", func() bool { return sent() == mostSpans && len(c.got("/v1/metrics")) > 1 }) // all of them: what is refused is lost
	c.status.Store(http.StatusServiceUnavailable)
	n := len(c.got("/v1/metrics"))
	awaits(t, "refused", func() bool { return len(c.got("/v1/metrics")) > n+3 })
	c.status.Store(http.StatusOK)
	n = len(c.got("/v1/metrics"))
	awaits(t, "sent again", func() bool { return len(c.got("/v1/metrics")) > n+3 })
	spans <- exchange()
	awaits(t, "taken", func() bool { return took.Load() == mostSpans+1 })
	stop()
	<-done
	all := strings.Join(c.got("/v1/traces"), "")
	if n := sent(); n != mostSpans+1 || !strings.Contains(all, `{"key":"service.name","value":{"stringValue":"pgguard"}}`) {
		t.Errorf("%d spans", n)
	}
	if strings.Count(log.String(), "does not take metrics") != 1 || strings.Count(log.String(), "takes metrics again") != 1 {
		t.Error(log.String())
	}
}

// TestWhatIsUnderWayAtTheEndIsSent: spans that were being sent, and those that wait to be taken, are sent at the end, and nothing is said against a collector that had not answered yet.
func TestWhatIsUnderWayAtTheEndIsSent(t *testing.T) {
	var took atomic.Int64
	came := make(chan struct{})
	var first sync.Once
	c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		held := false
		first.Do(func() { held = true })
		if held {
			close(came)
			<-r.Context().Done()
			return
		}
		took.Add(int64(strings.Count(string(body), `"name":"pgguard exchange"`)))
	}))
	defer c.Close()
	spans := make(chan proxy.Span, MostWaiting)
	var log bytes.Buffer // read when Run has ended
	e := New(Config{URL: c.URL, Interval: time.Hour, Gather: families, Spans: spans, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	for range mostSpans {
		spans <- exchange()
	}
	<-came
	more := MostWaiting - len(spans)
	for range more {
		spans <- exchange()
	}
	left := len(spans)
	stop()
	<-done
	if n := took.Load(); n < int64(left) || n != int64(mostSpans+more) {
		t.Errorf("%d spans are sent, want %d, of which %d waited to be taken", n, mostSpans+more, left)
	}
	if log.Len() > 0 {
		t.Errorf("it is said: %s", log.String())
	}
}
