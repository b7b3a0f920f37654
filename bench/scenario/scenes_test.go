package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
	"pgguard/proxy/pgtest"
)

// play prepares and runs a scenario on a server without a proxy.
func playOn(t *testing.T, s Scenario, server *Server) report.Run {
	t.Helper()
	if err := s.Prepare(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), Env{URL: server.URL, Server: server, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// within fails unless the figure is there and from lo to hi.
func within(t *testing.T, r report.Run, name string, lo, hi float64) {
	t.Helper()
	if v, ok := r.Value(name); !ok || v < lo || v > hi {
		t.Errorf("%s: %v, %v; want %v to %v", name, v, ok, lo, hi)
	}
}

const second = time.Second

// TestScenes plays every scenario of clients side by side, very short, on one real server.
func TestScenes(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{Settings: map[string]string{
		"max_connections": "200", "deadlock_timeout": "1ms",
		// A row that is fought over is held for longer than deadlock_timeout, however fast the machine: commits take 20 ms.
		"fsync": "on", "synchronous_commit": "on", "commit_delay": "20000", "commit_siblings": "0",
	}})
	for _, c := range []struct {
		name string
		test func(*testing.T, *pgtest.Cluster, *Server)
	}{
		{"convoy counts readers, writers and deadlock checks", testConvoy},
		{"a siege's strangers come while clients work", testSiege},
		{"a storm's clients log in for each query", testStorm},
		{"neighbours are known by their names", testNeighbours},
		{"overload compares steps and ends its trigger", testOverload},
		{"healthy scenarios find no errors", testHealthy},
		{"a sweep measures every workload", testSweep},
		{"a restart tells who was hit where", testRestart},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, pg, &Server{URL: pg.URL("postgres")}) })
	}
}

func testConvoy(t *testing.T, _ *pgtest.Cluster, server *Server) {
	r := playOn(t, Convoy{
		Rows: 1, Workers: 12, Reads: 50, Readers: 4, ReadCost: time.Millisecond, Deadline: 2 * second,
		Pause: 10 * time.Millisecond, Warmup: 100 * time.Millisecond, Alone: second / 2, Beside: 1500 * time.Millisecond, After: second / 2,
	}, server)
	positive(t, r, "alone: readers goodput", "beside: readers p99", "beside: writers goodput", "after: readers goodput",
		"beside: waiting for a lock, most", "beside: deadlock checks, at least")
	if _, ok := r.Value("alone: writers goodput"); ok {
		t.Error("the writers are counted before they come")
	}
	within(t, r, "writers: logins tried", 12, 12)
	within(t, r, "beside: server connections, most", 13, 17)
	within(t, r, "beside: deadlocks", 0, 0)
	if c, ok := r.Curve(SeriesActive); !ok || len(c.Y) != 2 || len(r.Phases) != 3 || !r.Phases[1].Trouble {
		t.Errorf("series %+v, phases %+v", c, r.Phases)
	}
}

func testStorm(t *testing.T, _ *pgtest.Cluster, server *Server) {
	r := playOn(t, Storm{
		Clients: 4, Reads: 50, Steady: 4, ReadCost: time.Millisecond, Deadline: 2 * second, Pause: 10 * time.Millisecond,
		Warmup: 100 * time.Millisecond, Alone: second / 2, Beside: second, After: second / 2,
	}, server)
	positive(t, r, "alone: steady goodput", "beside: steady p99", "beside: storm goodput", "beside: logins")
	logins, _ := r.Value("beside: logins")
	answers, _ := r.Value("beside: storm goodput")
	if logins < answers || logins > answers+8 {
		t.Errorf("%v logins for %v answers a second", logins, answers)
	}
}

func testSiege(t *testing.T, _ *pgtest.Cluster, server *Server) {
	r := playOn(t, Siege{
		Clients: 2, Think: 10 * time.Millisecond, ReadCost: time.Millisecond, Deadline: 2 * second, Open: 10, Half: 10, Guesses: 20,
		Warmup: 100 * time.Millisecond, Alone: second / 2, Coming: second / 2, Beside: second, After: second / 2,
	}, server)
	positive(t, r, "alone: working goodput", "beside: working p99", "after: working goodput", "beside: strangers connected", "beside: guesses", "beside: working p99 of alone")
}

func testNeighbours(t *testing.T, _ *pgtest.Cluster, server *Server) {
	s := Neighbours{
		Workers: 3, Shortest: 20 * time.Millisecond, Longest: 60 * time.Millisecond, BulkDeadline: 60 * second,
		Reads: 50, Web: 4, ReadCost: time.Millisecond, Deadline: 2 * second, Alone: second / 2, Beside: 2 * second,
	}
	if err := s.Prepare(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	names := make(chan map[string]bool, 1)
	go func() { names <- seenNames(t.Context(), server.URL, 2) }()
	r := playOn(t, s, server)
	positive(t, r, "alone: web goodput", "beside: web p99", "beside: bulk goodput", "beside: bulk p50")
	within(t, r, "beside: bulk p50", 15, 5000) // it computes for at least 20 ms, as found by the best of many
	if seen := <-names; !seen[pumaName] || !seen[sidekiqName] {
		t.Errorf("seen %v", seen)
	}
}

// seenNames looks at the server until it has seen n names of clients, or for ten seconds.
func seenNames(ctx context.Context, url string, n int) map[string]bool {
	seen := map[string]bool{}
	conn, err := load.ConnectSide(ctx, url)
	if err != nil {
		return seen
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for end := time.Now().Add(10 * second); len(seen) < n && time.Now().Before(end); load.Sleep(ctx, 20*time.Millisecond) {
		rows, err := conn.Query(ctx, "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'pgguard-bench'")
		if err != nil {
			return seen
		}
		for rows.Next() {
			var name string
			if rows.Scan(&name) == nil {
				seen[name] = true
			}
		}
	}
	return seen
}

func testRestart(t *testing.T, pg *pgtest.Cluster, server *Server) {
	server.Restart = func() error { // away for long enough to be felt, however fast the machine starts it
		if err := pg.Shutdown("fast"); err != nil {
			return err
		}
		time.Sleep(5 * load.Tick)
		return pg.StartAgain()
	}
	r := playOn(t, Restart{
		Clients: 8, Think: 20 * time.Millisecond, Deadline: 2 * second, Pause: 50 * time.Millisecond,
		Warmup: 100 * time.Millisecond, Before: second, After: 6 * second,
	}, server)
	positive(t, r, "before: clients goodput", "longest time without a success", "server away", "clients: connections closed by the other side")
	within(t, r, "recovered", 1, 1)
	between, _ := r.Value("of them hit before they had done anything")
	inside, _ := r.Value("clients hit in a transaction")
	if between+inside != 8 {
		t.Errorf("%v clients hit between transactions and %v in one, of 8", between, inside)
	}
	within(t, r, "failed at BEGIN", 1, 1000)
	if err := (Restart{}).Prepare(t.Context(), &Server{URL: server.URL}); err == nil {
		t.Error("a server that is not ours is restarted")
	}
}

func testOverload(t *testing.T, _ *pgtest.Cluster, server *Server) {
	r := playOn(t, Overload{
		Knee: 1, Times: []int{1, 10}, Step: second, ReadCost: time.Millisecond, Deadline: 2 * second, Pause: 10 * time.Millisecond,
		Trigger: "burner", TriggerAt: 4, TriggerBy: 2, Calm: second, TriggerIs: second, After: second,
	}, server)
	positive(t, r, "1x: clients goodput", "peak goodput", "goodput at 10x", "trigger: goodput", "after: goodput")
	within(t, r, "goodput at 10x", 5, 100)
	within(t, r, "trigger: server connections, most", 4, 6)
	within(t, r, "10x: server connections, most", 9, 14)
	within(t, r, "recovers in", 0, 1)
	ctx, cancel := context.WithTimeout(t.Context(), second)
	defer cancel()
	conns, closeAll, err := sideConns(ctx, server.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	if err := trigger(ctx, conns, server, "index"); err != nil {
		t.Errorf("create indexes: %v", err)
	}
}

func testHealthy(t *testing.T, _ *pgtest.Cluster, server *Server) {
	r := playOn(t, Mixed{
		For: 2 * second, Reads: 100, Writes: 0.2, Reports: 0.05, ReadCost: time.Millisecond, Shortest: 50 * time.Millisecond,
		Longest: 100 * time.Millisecond, Clients: 4, Reporters: 4, Deadline: 2 * second, ReportWait: 10 * second, Checkpoint: second,
	}, server)
	positive(t, r, "mixed: short goodput", "mixed: reports goodput", "mixed: reports p50")
	within(t, r, "mixed: short failed", 0, 0)
	within(t, r, "mixed: reports failed", 0, 0)
	r = playOn(t, Diurnal{
		For: 2 * second, Period: 2 * second, High: 0.6, Low: 0.05, Capacity: 200, ReadCost: time.Millisecond, Clients: 4, Deadline: 2 * second,
	}, server)
	within(t, r, "day: reads failed", 0, 0)
	within(t, r, "day: reads goodput", 30, 90) // half of 120 on average
	if err := server.PrepareCapacity(t.Context()); err != nil || server.Capacity < 10 {
		t.Errorf("capacity %v, %v", server.Capacity, err)
	}
}

func testSweep(t *testing.T, _ *pgtest.Cluster, server *Server) {
	for _, workload := range []string{"overload", "spiral", "story"} {
		r := playOn(t, Sweep{
			Workload: workload, Sizes: []int{1}, Workers: 4, ReadCost: time.Millisecond, Deadline: 2 * second,
			Pause: 10 * time.Millisecond, Warmup: 100 * time.Millisecond, Time: second,
		}, server)
		positive(t, r, SweepGoodput, SweepThroughput, SweepP50, SweepP99)
	}
}

func TestDiurnalLevels(t *testing.T) {
	s := Diurnal{Period: 4 * second, High: 0.6, Low: 0.1}
	for at, want := range map[time.Duration]float64{0: 0, second: 0.3, 2 * second: 0.6, 3 * second: 0.35, 4 * second: 0.1, 6 * second: 0.6, 8 * second: 0.1} {
		if got := s.level(at); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}

func TestArrivalsThatFindNoPlaceAreFailures(t *testing.T) {
	line := load.Timeline{Start: time.Now(), Phases: []time.Duration{10 * second}}
	c, err := newCrowd(group{name: "web", rate: 1000, deadline: time.Millisecond, clients: []int{1}, work: func(*rand.Rand) []string { return nil }},
		Env{URL: "postgres://h/d", Seed: 1}, 0, line)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.shape = func(at time.Duration) float64 {
		if at >= 2*second {
			cancel()
			return 0
		}
		return 1
	}
	c.arrive(ctx, line.Start.Add(-second)) // nobody serves; 3,000 are due within two seconds
	if n := c.class.Phase(0).Errors[load.Queued]; n < 1500 || n > 2500 || len(c.arrivals) != cap(c.arrivals) {
		t.Errorf("%d without a place, %d of %d wait", n, len(c.arrivals), cap(c.arrivals))
	}
}

func TestRestartHitTellsBetweenFromInside(t *testing.T) {
	h := &restartHit{clients: make([]restartClient, 3)}
	steps := []func(int, error){h.listen(0), h.listen(1), h.listen(2)}
	lost := errors.New("lost")
	steps[0](0, lost)            // before the restart: nobody's business
	steps[1](0, nil)             // in a transaction
	steps[2](0, nil)             // in one …
	steps[2](hotWorkCommit, nil) // … and out of it
	if err := h.restart(&Server{Restart: func() error { return nil }}); err != nil {
		t.Fatal(err)
	}
	steps[0](0, nil)
	steps[0](1, lost) // whoever answered BEGIN, nothing had been done
	steps[0](0, lost)
	steps[1](1, lost)
	steps[2](0, nil)
	steps[2](1, nil)
	steps[2](2, lost) // it had done something
	var r report.Run
	h.report(&r)
	within(t, r, "clients between transactions at the restart", 2, 2)
	within(t, r, "of them hit before they had done anything", 1, 1)
	within(t, r, "clients hit in a transaction", 2, 2)
	within(t, r, "failed at BEGIN", 1, 1)
	within(t, r, "failed at the first statement", 2, 2)
	within(t, r, "failed later", 1, 1)
}

func TestLongestZero(t *testing.T) {
	for _, c := range []struct {
		ticks []int64
		want  time.Duration
	}{{nil, 0}, {[]int64{1, 2}, 0}, {[]int64{0, 1, 0, 0, 1, 0}, 2 * load.Tick}, {[]int64{1, 0, 0, 0}, 3 * load.Tick}} {
		if got := longestZero(c.ticks); got != c.want {
			t.Errorf("%v: %v, want %v", c.ticks, got, c.want)
		}
	}
}

// TestGuardWatchKeepsLimitAndCounters looks at a page whose limit moves and that fails once.
func TestGuardWatchKeepsLimitAndCounters(t *testing.T) {
	var looks atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := looks.Add(1)
		if n == 2 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "pgguard_limit{database=\"d\"} %d\npgguard_running{database=\"d\"} 2\npgguard_queue_length{database=\"d\",class=\"high\"} 3\n", n)
		fmt.Fprintf(w, "pgguard_queue_length{database=\"d\",class=\"low\"} 4\npgguard_refusals_total{reason=\"wait\",class=\"low\"} %d\npgguard_limit_changes_total{database=\"d\"} %d\n", 10*n, n)
	}))
	defer page.Close()
	g, err := WatchGuard(t.Context(), []string{page.URL})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * second); looks.Load() < 4; load.Sleep(t.Context(), 10*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not look")
		}
	}
	g.Close()
	g.Close()
	r := report.Run{Started: time.Now().Add(-time.Minute)}
	g.Report(&r)
	limit, _ := r.Curve(SeriesLimit)
	waiting, _ := r.Curve(SeriesWaiting)
	if len(limit.Y) == 0 || limit.Y[0] != 3 || limit.X[0] < 50 || len(waiting.Y) != len(limit.Y) || waiting.Y[0] != 7 {
		t.Errorf("limit %+v, waiting %+v", limit, waiting)
	}
	within(t, r, "guard: limit, least", 3, 3)
	within(t, r, "guard: refusals, wait", 20, 40)
	within(t, r, "guard: limit changes", 2, 4)
	if len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "1 times") {
		t.Errorf("doubts %q", r.Doubts)
	}
	none, err := WatchGuard(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	none.Close()
	none.Report(&r)
}
