package metrics

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"pgguard/pool"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/metrics.golden")

// sample has something in every field that is shown.
func sample() proxy.Stats {
	h := proxy.Histogram{Bounds: []float64{0.001, 1}, Counts: []uint64{2, 5}, Count: 6, Sum: 7.5}
	by := func() map[string]proxy.Histogram { return map[string]proxy.Histogram{"high": h} }
	return proxy.Stats{
		Draining:    true,
		Clients:     map[string]int{"idle": 90, "active": 7, "waiting": 3},
		Pinned:      map[string]int{"prepared": 2},
		Refusals:    map[proxy.ReasonClass]uint64{{Reason: "queue_full", Class: "low"}: 4},
		WouldRefuse: map[proxy.ReasonClass]uint64{{Reason: "wait", Class: "low"}: 5},
		Pins:        map[string]uint64{"prepared": 11},
		Cancels:     map[string]uint64{"sent": 12, "unknown": 1},
		Panics:      1,
		Queries:     map[string]uint64{"high": 1000, "low": 200},
		Bytes:       map[string]uint64{"in": 3000, "out": 40000},
		QueryTime:   by(), TransactionTime: by(), IdleInTransactionTime: by(), QueueWait: by(),
		LoginTime: h,
		Pools: []instance.Stats{{
			Name: "db:5432",
			Stats: pool.Stats{
				Servers: map[string]int{"idle": 3, "active": 7, "opening": 1, "closing": 0},
				Cap:     97, Limit: 10, Running: 6, Changes: 4,
				Logins:  map[string]uint64{"ok": 20, "failed": 2, "refused": 1},
				Classes: []pool.ClassStats{{Name: "high", Waiting: 3}, {Name: "low", Waiting: 8}},
			},
			Breaker: "open", BreakerMoves: map[string]uint64{"open": 2, "closed": 1}, Up: true,
		}},
	}
}

// said is what a witness says of it.
func said() Said {
	return Said{Verdicts: []diagnosis.Verdict{{State: diagnosis.Locks, Database: "db:5432"}}, Incidents: 3, LinesLost: 7}
}

// page returns what a scrape of c shows.
func page(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestScrapeShowsEveryMetric(t *testing.T) {
	const golden = "testdata/metrics.golden"
	got := page(t, New(sample, said, nil))
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for _, d := range all {
		name := strings.Split(d.String(), `"`)[1]
		if !strings.Contains(got, "# TYPE "+name+" ") {
			t.Errorf("%s has no sample although every field is set", name)
		}
	}
}

func TestMetricsAreNamedAsPrometheusWantsThem(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(page(t, New(sample, said, nil)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestEmptyStatsCanBeScraped(t *testing.T) {
	got := page(t, New(func() proxy.Stats { return proxy.Stats{} }, func() Said { return Said{} }, nil))
	if !strings.Contains(got, "pgguard_draining 0") {
		t.Errorf("got:\n%s", got)
	}
}

func TestRegistryHasVersionRuntimeAndProcess(t *testing.T) {
	families, err := Registry(sample, said, nil, "v1.2.3").Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, name := range []string{"pgguard_build_info", "pgguard_clients", "go_goroutines"} {
		if !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestRefusalsThatNeverOccurAreNoSeries: what may come to any class is there from the start; the rest of reasons by classes only once it has occurred.
func TestRefusalsThatNeverOccurAreNoSeries(t *testing.T) {
	st := proxy.Stats{Refusals: map[proxy.ReasonClass]uint64{
		{Reason: "wait", Class: "low"}: 0, {Reason: "protocol", Class: "low"}: 0, {Reason: "pinned", Class: "high"}: 2,
	}}
	got := page(t, New(func() proxy.Stats { return st }, said, nil))
	for want, is := range map[string]bool{`reason="wait"} 0`: true, `reason="protocol"`: false, `reason="pinned"} 2`: true} {
		if strings.Contains(got, want) != is {
			t.Errorf("%s: %v, want %v in\n%s", want, !is, is, got)
		}
	}
}
