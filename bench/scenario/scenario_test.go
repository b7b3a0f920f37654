package scenario

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
	"pgguard/proxy/pgtest"
)

func TestOperatorAddsOnlyWhileTheBacklogGrows(t *testing.T) {
	o := Operator{Step: 25, Max: 60}
	workers := 25
	for i, c := range []struct{ backlog, want int }{
		{0, 25},   // nothing waits
		{20, 25},  // fewer jobs than workers
		{100, 50}, // it grows
		{100, 50}, // it does not
		{90, 50},  // it shrinks
		{200, 60}, // it grows, up to the most
		{300, 60},
	} {
		if workers = o.Decide(workers, c.backlog); workers != c.want {
			t.Fatalf("decision %d at backlog %d: %d workers, want %d", i, c.backlog, workers, c.want)
		}
	}
}

func TestRecoveryTimeWantsAWholeGoodSecond(t *testing.T) {
	ticks := func(values ...int64) (out []int64) {
		for _, v := range values {
			for range 10 {
				out = append(out, v)
			}
		}
		return out
	}
	for _, c := range []struct {
		name  string
		ticks []int64
		want  time.Duration
		ok    bool
	}{
		{"at once", ticks(10, 10), 0, true},
		{"after two seconds", ticks(0, 0, 10, 10), 2 * time.Second, true},
		{"nine tenths are enough", ticks(5, 9, 9), time.Second, true},
		{"never", ticks(8, 8, 8), 0, false},
		{"one good moment is not a second", []int64{100}, 0, false},
		{"nothing", nil, 0, false},
	} {
		got, ok := RecoveryTime(c.ticks, 100)
		if ok != c.ok || got > c.want || got < c.want-100*time.Millisecond {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestRetryDelayIsSidekiqsScaled(t *testing.T) {
	for tries, want := range []time.Duration{1500 * time.Millisecond, 1600 * time.Millisecond, 3100 * time.Millisecond} {
		if got := retryDelay(tries, 0.1); got.Round(time.Millisecond) != want {
			t.Errorf("after %d failures %v, want %v", tries+1, got, want)
		}
	}
}

func TestJobQueueCountsDelayedJobsAsBacklog(t *testing.T) {
	q := newJobQueue(10, 0.001)
	q.push(job{id: 1})
	j, ok := q.take(t.Context())
	if !ok || q.backlog() != 0 {
		t.Fatalf("took %+v, %v; backlog %d", j, ok, q.backlog())
	}
	q.retry(j)
	if q.backlog() != 1 {
		t.Errorf("backlog %d while the job waits for its retry", q.backlog())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if j, ok = q.take(ctx); !ok || j.tries != 1 {
		t.Errorf("retried %+v, %v", j, ok)
	}
}

func TestStallReleasesAllWaitersAtItsEnd(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	s := Story{NFS: 20 * time.Millisecond, StallNFS: 5 * time.Second}
	p := play{Story: s, line: load.Timeline{Start: start, Phases: []time.Duration{10 * time.Second, 20 * time.Second, 10 * time.Second}}}
	for at, want := range map[time.Duration]time.Duration{
		5 * time.Second:  20 * time.Millisecond,
		12 * time.Second: 5 * time.Second,
		29 * time.Second: time.Second + 20*time.Millisecond,
		31 * time.Second: 20 * time.Millisecond,
	} {
		if got := p.fileServer(start.Add(at)); got != want {
			t.Errorf("at %v it takes %v, want %v", at, got, want)
		}
	}
}

func TestWebPoolPrefersTheConnectionUsedLast(t *testing.T) {
	a, b := &load.Client{}, &load.Client{}
	w := webPool{idle: []*load.Client{a, b}}
	first := w.take()
	second := w.take()
	if first != b || second != a {
		t.Fatal("not last in, first out")
	}
	// Neither has a connection, so both go to the bottom.
	w.give(first)
	w.give(second)
	if w.take() != first {
		t.Error("a client without a connection is on top")
	}
}

func TestParsePgbench(t *testing.T) {
	const out = `transaction type: multiple scripts
number of transactions actually processed: 1200
number of failed transactions: 3 (0.250%)
latency average = 0.8 ms
tps = 600.000000 (without initial connection time)
`
	r, err := parsePgbench(out)
	if err != nil || r.count != 1200 || r.took != 2*time.Second || r.failed != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := parsePgbench("pgbench: error: connection refused\n"); err == nil {
		t.Error("output without a summary is accepted")
	}
	log := filepath.Join(t.TempDir(), "log.1")
	if err := os.WriteFile(log, []byte("0 1 100 0 1 2\n0 2 300 0 1 2\n0 3 200 0 1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p50, p99, err := pgbenchQuantiles([]string{log})
	if err != nil || p50 != 200*time.Microsecond || p99 != 300*time.Microsecond {
		t.Errorf("%v, %v, %v", p50, p99, err)
	}
}

// TestSteadyMeasuresEveryPart runs every part, very short, on a real server.
func TestSteadyMeasuresEveryPart(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	server := &Server{URL: pg.URL("postgres")}
	s := Steady{
		Part: []string{"reads", "writes", "latency", "logins", "idle", "prepared", "texts"}, Prepared: 5, Texts: 1000, Protocol: Protocols, Clients: []int{1, 4},
		Time: 200 * time.Millisecond, Engine: "go", Idle: 20, Settle: 100 * time.Millisecond, Logins: 200 * time.Millisecond,
	}
	if err := s.Prepare(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), Env{URL: pg.URL("postgres"), PIDs: []int{os.Getpid()}, Server: server, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	positive(t, r, "point reads, 4 clients: throughput", "point reads, 4 clients: p99", "short writes, 1 clients: throughput",
		"point reads, 4 clients: proxy CPU", "point reads, 4 clients: server CPU", "point reads extended, 4 clients: throughput",
		"point reads prepared, 4 clients: p50", "short writes prepared, 4 clients: throughput", "one client: p50", "logins", "memory with 20 idle clients",
		"5 clients: memory with the statements", "distinct texts", "memory after 1000 distinct texts")
	if v, _ := r.Value("logins: p99"); v < 0.1 {
		t.Errorf("a login takes %v ms", v)
	}
	if c, ok := r.Curve("point reads"); !ok || len(c.X) != 2 || c.X[1] != 4 {
		t.Errorf("curve %+v, %v", c, ok)
	}
}

// TestRailsCountsWorkPinsAndErrors runs Rails on a server without a proxy, beside a page of metrics such as a guard has.
func TestRailsCountsWorkPinsAndErrors(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	server := &Server{URL: pg.URL("postgres")}
	var looks atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := looks.Add(1)
		fmt.Fprintf(w, "# TYPE pgguard_pins_total counter\npgguard_pinned_clients{reason=\"listen\"} %d\npgguard_pins_total{reason=\"listen\"} %d\n", n%2, n)
	}))
	defer page.Close()
	s := Rails{Clients: 6, Pool: 2, Statements: 5, Writes: 0.5, Deallocate: 2, Warmup: 200 * time.Millisecond, Time: 1200 * time.Millisecond}
	if err := s.Prepare(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), Env{URL: pg.URL("postgres"), PIDs: []int{os.Getpid()}, Metrics: []string{page.URL}, Server: server, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	positive(t, r, "throughput", "p99", "server CPU", "proxy CPU", "pinned after connect", "pinned clients, most", "pins while working, listen")
	if v, _ := r.Value("server connections, most"); v < 6 || v > 7 {
		t.Errorf("%v server connections for 6 clients", v)
	}
	if v, ok := r.Value("failed"); !ok || v != 0 || len(r.Errors) != 0 {
		t.Errorf("%v failed, errors %v", v, r.Errors)
	}
}

// TestRailsNamesWhatFails breaks the application's table in the middle of a run.
func TestRailsNamesWhatFails(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	server := &Server{URL: pg.URL("postgres")}
	s := Rails{Clients: 2, Pool: 2, Statements: 5, Deallocate: 1, Warmup: time.Millisecond, Time: 600 * time.Millisecond}
	if err := s.Prepare(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), "ALTER TABLE pgbench_accounts RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), Env{URL: pg.URL("postgres"), Server: server, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors["transactions: 42P01"] == 0 {
		t.Errorf("errors %v", r.Errors)
	}
}

func positive(t *testing.T, r report.Run, names ...string) {
	t.Helper()
	for _, name := range names {
		if v, ok := r.Value(name); !ok || v <= 0 {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
}
