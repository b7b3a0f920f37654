package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/matrix"
	"pgguard/proxy/pgtest"
)

// TestRegimes plays a closed and an open loop, each in a second, on one real server.
func TestRegimes(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{})
	server := &Server{URL: pg.URL("postgres")}
	s := Regime{
		ReadCost: time.Millisecond, Writes: 0.5, HotRows: 2, Trip: 20 * time.Millisecond, Workers: 4, Deadline: 10 * second,
		Pause: 10 * time.Millisecond, Warmup: 300 * time.Millisecond, Time: 2 * second,
	}
	r := playOn(t, s, server)
	positive(t, r, matrix.Noise)
	within(t, r, matrix.Goodput, 4, 4/0.02)
	within(t, r, matrix.ReadsP99, 20, 10_000)  // a round trip
	within(t, r, matrix.WritesP99, 80, 10_000) // four
	within(t, r, matrix.Refused, 0, 0)
	within(t, r, matrix.TimedOut, 0, 0)
	within(t, r, "clients: logins tried", 4, 4)

	s.Writes, s.Trip, s.Rate, s.Workers = 0, 0, 60, 20
	r = playOn(t, s, server)
	within(t, r, matrix.Goodput, 20, 90)
	if _, ok := r.Value(matrix.WritesP99); ok {
		t.Error("writes of a regime without")
	}

	// Clients that give up are told from those that are refused, and what they leave behind is ended.
	s.Rate, s.Deadline, s.Workers, s.ReadCost = 0, 2*time.Millisecond, 5, 11*time.Millisecond
	r = playOn(t, s, server)
	within(t, r, matrix.Goodput, 0, 1)
	within(t, r, matrix.Refused, 0, 0)
	positive(t, r, matrix.TimedOut)
}

func TestRegimeWritesAsOftenAndWhereItSays(t *testing.T) {
	r := load.Rand(1, 1)
	for _, c := range []struct {
		writes  float64
		hotRows int
		table   string
	}{{0, 10, ""}, {0.3, 3, "bench_accounts"}, {1, 0, "bench_media"}} {
		s := Regime{Writes: c.writes, HotRows: c.hotRows}
		n := 0
		for range 1000 {
			work := s.work(r, 100)
			if len(work) == 1 {
				continue
			}
			n++
			if len(work) != 4 || !strings.Contains(work[2], "UPDATE "+c.table) || work[3] != "COMMIT" {
				t.Fatalf("%q", work)
			}
			if i := strings.LastIndexByte(work[2], ' '); c.hotRows > 0 && !slices.Contains([]string{"1", "2", "3"}, work[2][i+1:]) {
				t.Fatalf("%q is not one of %d rows", work[2], c.hotRows)
			}
		}
		if got := float64(n) / 1000; got < c.writes-0.05 || got > c.writes+0.05 {
			t.Errorf("%v of the requests write, want %v", got, c.writes)
		}
	}
}

// TestADearStatementIsOneTextOfManyReads, which the server takes.
func TestADearStatementIsOneTextOfManyReads(t *testing.T) {
	r := load.Rand(1, 1)
	for cost, want := range map[time.Duration]int{200 * time.Microsecond: 1, 5 * time.Millisecond: 1, 20 * time.Millisecond: 4} {
		s := Regime{ReadCost: cost}
		if got := strings.Count(s.statement(r, 100), "bench_timeline"); got != want || s.Parts() != want {
			t.Errorf("%v: %d reads in %d parts, want %d", cost, got, s.Parts(), want)
		}
	}
}

func TestStandardError(t *testing.T) {
	if got := standardError([]float64{2, 4, 4, 6}); got < 0.816 || got > 0.817 { // 1.633 by 2
		t.Errorf("%v", got)
	}
}
