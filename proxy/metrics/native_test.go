package metrics

import (
	"math"
	"mime"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"pgguard/pool"
	"pgguard/proxy"
)

// scrape is what somebody is answered who accepts this.
func scrape(t *testing.T, st proxy.Stats, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(Registry(func() proxy.Stats { return st }, said, nil, "v1.2.3"), promhttp.HandlerOpts{}).ServeHTTP(w, r)
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	d := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
	found := map[string]*dto.MetricFamily{}
	for {
		var f dto.MetricFamily
		if err := d.Decode(&f); err != nil {
			break
		}
		found[f.GetName()] = &f
	}
	if len(found) == 0 {
		t.Fatalf("nothing came as %s", kind)
	}
	return found
}

// spread is a histogram of these durations.
func spread(durations ...time.Duration) proxy.Histogram {
	var counts [pool.HistogramSize]uint64
	sum := time.Duration(0)
	for _, d := range durations {
		counts[pool.HistogramBucket(d)]++
		sum += d
	}
	return pool.BucketsOf(counts, sum)
}

const asProtobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

// TestHistogramsAreNativeForWhoAsks: a scraper of protobuf is sent native and classic buckets, which agree; one of text the classic ones.
func TestHistogramsAreNativeForWhoAsks(t *testing.T) {
	st := sample()
	st.QueryTime = map[string]proxy.Histogram{"high": spread(time.Microsecond, 3*time.Millisecond, 3*time.Millisecond, 90*time.Millisecond, time.Second, time.Hour), "low": spread()}
	for _, m := range scrape(t, st, asProtobuf)["pgguard_query_seconds"].Metric {
		h := m.Histogram
		if len(h.Bucket) != 19 || h.GetSchema() != 2 || len(h.PositiveSpan) != 1 || math.Abs(h.GetZeroThreshold()-61.035e-6) > 1e-8 {
			t.Fatalf("%v", h)
		}
		all, at, n := h.GetZeroCount(), h.PositiveSpan[0].GetOffset(), int64(0)
		found := map[int32]int64{}
		for i, delta := range h.PositiveDelta {
			if n += delta; n > 0 {
				found[at+int32(i)] = n
			}
			all += uint64(n)
		}
		if int(h.PositiveSpan[0].GetLength()) != len(h.PositiveDelta) || all != h.GetSampleCount() {
			t.Errorf("%d of %d: %v", all, h.GetSampleCount(), h)
		}
		if m.Label[0].GetValue() != "high" {
			continue
		}
		for _, d := range []time.Duration{3 * time.Millisecond, 90 * time.Millisecond, time.Second} {
			if i := int32(math.Ceil(4 * math.Log2(d.Seconds()))); found[i] == 0 {
				t.Errorf("%v is not in bucket %d of %v", d, i, found)
			}
		}
		if h.GetZeroCount() != 1 || len(found) != 4 {
			t.Errorf("%d around zero, %v", h.GetZeroCount(), found)
		}
	}
	for _, m := range scrape(t, st, "text/plain")["pgguard_query_seconds"].Metric {
		if h := m.Histogram; h.Schema != nil || len(h.Bucket) < 19 {
			t.Errorf("%v", h)
		}
	}
}

// BenchmarkScrape is what a scrape costs once the snapshot is taken; proxy has one of that, with 10,000 clients.
func BenchmarkScrape(b *testing.B) {
	st := sample()
	for _, h := range []*map[string]proxy.Histogram{&st.QueryTime, &st.TransactionTime, &st.IdleInTransactionTime, &st.QueueWait} {
		*h = map[string]proxy.Histogram{"high": spread(time.Second, time.Millisecond), "low": spread(time.Second), "web": spread(time.Hour)}
	}
	for name, accept := range map[string]string{"text": "text/plain", "protobuf": asProtobuf} {
		h := promhttp.HandlerFor(Registry(func() proxy.Stats { return st }, said, nil, "v1.2.3"), promhttp.HandlerOpts{})
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		b.Run(name, func(b *testing.B) {
			for range b.N {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}

var _ prometheus.Metric = histogram{}

// TestHistogramsPointToTraces: where a class has had an exchange in a trace, its histograms name the last one, in OpenMetrics and in protobuf.
func TestHistogramsPointToTraces(t *testing.T) {
	st := sample()
	st.QueryTime = map[string]proxy.Histogram{"high": spread(3*time.Millisecond, time.Second), "low": spread(time.Second)}
	st.QueueWait = map[string]proxy.Histogram{"high": spread(2 * time.Millisecond)}
	at := time.Unix(1_800_000_000, 0)
	x := &Exemplars{}
	x.Took(&proxy.Span{Trace: [16]byte{0xaa}, Parent: [8]byte{0xbb}, Offered: at, Started: at.Add(2 * time.Millisecond), Ended: at.Add(5 * time.Millisecond), Class: "high"})
	families, err := Registry(func() proxy.Stats { return st }, said, x, "v1").Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, b := range m.GetHistogram().GetBucket() {
				if e := b.Exemplar; e != nil {
					found[f.GetName()+" "+m.Label[0].GetValue()] = e.GetValue()
					if e.GetValue() > b.GetUpperBound() || len(m.Histogram.Exemplars) != 1 || len(e.Label) != 2 {
						t.Errorf("%s: %v", f.GetName(), m)
					}
				}
			}
		}
	}
	if len(found) != 2 || found["pgguard_query_seconds high"] != 0.003 || found["pgguard_queue_wait_seconds high"] != 0.002 {
		t.Errorf("%v", found)
	}
}
