package load

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"

	"github.com/jackc/pgx/v5/pgconn"
)

var t0 = time.Unix(1_700_000_000, 0)

func TestTallyCountsOnlyTimelyAnswersAsUseful(t *testing.T) {
	const deadline = 2 * time.Second
	tally := NewTally()
	for _, c := range []struct {
		took   time.Duration
		err    error
		useful bool
	}{
		{100 * time.Millisecond, nil, true},
		{deadline, nil, true},
		{deadline + time.Millisecond, nil, false},
		{time.Millisecond, &Error{Label: "53400", Kept: true, err: errors.New("shed")}, false},
		{deadline, Fail(Timeout), false},
	} {
		if got := tally.Note(t0, t0.Add(c.took), deadline, c.err); got != c.useful {
			t.Errorf("%v, %v: useful %v, want %v", c.took, c.err, got, c.useful)
		}
	}
	if tally.Offered != 5 || tally.Useful != 2 {
		t.Errorf("%d useful of %d, want 2 of 5", tally.Useful, tally.Offered)
	}
	for _, label := range []string{Late, "53400", Timeout} {
		if tally.Errors[label] != 1 {
			t.Errorf("%s counted %d times: %v", label, tally.Errors[label], tally.Errors)
		}
	}
}

func TestTallyGivesARefusalAtLeastTheDeadlineAsLatency(t *testing.T) {
	tally := NewTally()
	for range 10 {
		tally.Note(t0, t0.Add(time.Microsecond), 2*time.Second, Fail("53400"))
	}
	if p50 := tally.Quantile(0.5); p50 < 1990*time.Millisecond {
		t.Errorf("p50 of requests that were all refused at once is %v", p50)
	}
}

func TestTallyMergeEqualsCountingTogether(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := Rand(seed, 0)
	one, two, all := NewTally(), NewTally(), NewTally()
	for i := range 2000 {
		took := time.Duration(r.IntN(3000)) * time.Millisecond
		var err error
		if r.IntN(10) == 0 {
			err = Fail(Closed)
		}
		part := one
		if i%3 == 0 {
			part = two
		}
		part.Note(t0, t0.Add(took), time.Second, err)
		all.Note(t0, t0.Add(took), time.Second, err)
	}
	one.Merge(two)
	if one.Offered != all.Offered || one.Useful != all.Useful || one.Errors[Closed] != all.Errors[Closed] || one.Errors[Late] != all.Errors[Late] {
		t.Errorf("merged %+v, together %+v", one, all)
	}
	for _, q := range []float64{0.1, 0.5, 0.99, 1} {
		if a, b := one.Quantile(q), all.Quantile(q); a != b {
			t.Errorf("quantile %v: merged %v, together %v", q, a, b)
		}
	}
}

func TestClassPutsARequestWhereItEnded(t *testing.T) {
	line := Timeline{Start: t0, Phases: []time.Duration{2 * time.Second, 3 * time.Second}}
	c := NewClass(line, time.Second)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	c.Note(at(-0.5), at(-0.1), nil)      // before the start
	c.Note(at(-0.5), at(0.1), nil)       // phase 0
	c.Note(at(1.5), at(2.1), nil)        // phase 1
	c.Note(at(2.5), at(4.9), nil)        // phase 1, late
	c.Note(at(4), at(4.5), Fail(Closed)) // phase 1, failed
	c.Note(at(4.5), at(5), nil)          // after the end
	if a, b := c.Phase(0), c.Phase(1); a.Useful != 1 || b.Useful != 1 || b.Offered != 3 {
		t.Errorf("phase 0 %+v, phase 1 %+v", a, b)
	}
	if got := c.PerSecond(); len(got) != 5 || got[0] != 1 || got[2] != 1 || got[4] != 0 {
		t.Errorf("per second %v", got)
	}
	if got := c.Goodput(0); got != 0.5 {
		t.Errorf("goodput %v, want 0.5", got)
	}
}

func TestClassKeepsAQuantileOfEachSecond(t *testing.T) {
	c := NewClass(Timeline{Start: t0, Phases: []time.Duration{4 * time.Second}}, time.Second)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	c.Note(at(0.1), at(0.2), nil)
	c.Note(at(2.1), at(2.11), nil)
	c.Note(at(2.2), at(2.7), nil)
	c.Note(at(3.2), at(3.3), Fail(Closed)) // weighs its deadline
	got := c.P99PerSecond()
	want := []float64{100, 0, 500, 1000}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] < want[i]*0.99 || got[i] > want[i]*1.01 {
			t.Errorf("second %d: %v ms, want %v", i, got[i], want[i])
		}
	}
}

func TestWatcherAveragesRunningStatementsBySecond(t *testing.T) {
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	w := &Watcher{samples: []Sample{{at(-100), 9, 9}, {at(100), 9, 2}, {at(600), 9, 5}, {at(2100), 9, 1}, {at(3000), 9, 8}}}
	got := w.ActivePerSecond(t0, 3)
	if len(got) != 3 || got[0] != 3.5 || got[1] != 3.5 || got[2] != 1 {
		t.Errorf("%v, want 3.5 3.5 1", got)
	}
}

func TestOpenKeepsItsScheduleAndRepeatsItForASeed(t *testing.T) {
	arrivals := func() []time.Duration {
		start := time.Now().Add(-time.Second) // the first second is overdue: it must come at once, not be left out
		ctx, cancel := context.WithCancel(t.Context())
		var got []time.Duration
		Open(ctx, start, 500, Rand(5, 1), func(at time.Time) {
			got = append(got, at.Sub(start))
			if len(got) == 550 {
				cancel()
			}
		})
		return got
	}
	a, b := arrivals(), arrivals()
	if len(a) != 550 || len(b) != 550 {
		t.Fatalf("%d and %d arrivals", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("arrival %d at %v and %v", i, a[i], b[i])
		}
	}
	if last := a[549]; last < 900*time.Millisecond || last > 1300*time.Millisecond {
		t.Errorf("550 arrivals at 500/s end at %v", last)
	}
}

func TestCrewEndsTheNewestAndWaitsAtClose(t *testing.T) {
	var working atomic.Int64
	var highest atomic.Int64
	c := NewCrew(t.Context(), func(ctx context.Context, id int) {
		working.Add(1)
		defer working.Add(-1)
		highest.Store(max(highest.Load(), int64(id)))
		<-ctx.Done()
	})
	until := func(n int64) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); working.Load() != n; {
			if time.Now().After(end) {
				t.Fatalf("%d work, want %d", working.Load(), n)
			}
			Sleep(t.Context(), time.Millisecond)
		}
	}
	c.Resize(7)
	until(7)
	c.Resize(3)
	until(3)
	if c.Size() != 3 {
		t.Errorf("size %d, want 3", c.Size())
	}
	c.Close()
	if working.Load() != 0 {
		t.Error("Close did not wait")
	}
}

func TestParseStatCopesWithAnyProcessName(t *testing.T) {
	got, err := parseStat([]byte("12 (a) b (c)) S 1 12 12 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 1 1 1"))
	if err != nil || got != 2*time.Second {
		t.Errorf("got %v, %v; want 2s", got, err)
	}
	for _, bad := range []string{"", "12 (x) S 1", "12 (x) S 1 1 1 1 1 1 1 1 1 1 a b"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestLoginLabelsNameTheCause(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&pgconn.PgError{Code: "53300", Severity: "FATAL"}, "login 53300"},
		{os.ErrDeadlineExceeded, ConnectTimeout},
		{context.DeadlineExceeded, ConnectTimeout},
		{errors.New("connection refused"), ConnectFailed},
	} {
		if got := loginLabel(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestParseMetricsAddsUpByLabel(t *testing.T) {
	m, err := parseMetrics(strings.NewReader(`# HELP pins_total Pins.
# TYPE pins_total counter
pins_total{database="a b",reason="listen"} 2
pins_total{database="c",reason="listen"} 3
pins_total{database="c",reason="cursor"} 0
pins_total_other 100
clients 7
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Sum("pins_total"); got != 5 {
		t.Errorf("sum %v, want 5", got)
	}
	if got := m.By("pins_total", "reason"); len(got) != 1 || got["listen"] != 5 {
		t.Errorf("by reason %v", got)
	}
	if got := m.Sum("clients"); got != 7 {
		t.Errorf("clients %v, want 7", got)
	}
	for _, bad := range []string{"novalue\n", "name x\n"} {
		if _, err := parseMetrics(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestTreeCPUSeesWhatEndedBackendsDid: the time of a backend is in the sum while it lives and after it has ended.
func TestTreeCPUSeesWhatEndedBackendsDid(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	pid, err := Postmaster(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := TreeCPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	const busy = 200 * time.Millisecond
	conn, err := ConnectSide(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 300000)"); err != nil {
			t.Fatal(err)
		}
		alive, err := TreeCPU(pid)
		if err != nil {
			t.Fatal(err)
		}
		if alive-before >= busy {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a backend that worked for ten seconds: %v", alive-before)
		}
	}
	conn.Close(t.Context())
	for end := time.Now().Add(10 * time.Second); ; Sleep(t.Context(), 10*time.Millisecond) {
		children, err := TreeCPU(pid)
		if err != nil || children-before < busy {
			t.Fatalf("after it ended: %v, %v", children-before, err)
		}
		ended, err := familyOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		if ended >= busy {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the ended backend is not in the postmaster's sum")
		}
	}
}
