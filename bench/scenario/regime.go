package scenario

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/matrix"
	"pgguard/bench/report"
)

// Regime is one load that does not change: a cell of the matrix. A read is one statement; a write is a transaction with
// that statement, the update of a row, and a commit that waits for the disk. Clients that give up close their socket.
type Regime struct {
	ReadCost time.Duration // CPU of the statement; calibrated
	Writes   float64       // share of the requests that write
	HotRows  int           // rows the writes fight for; 0: one of so many that they hardly meet
	Trip     time.Duration // between client and proxy
	Workers  int           // closed loop: clients; open loop: connections at most
	Rate     float64       // open loop: arrivals a second; 0 is a closed loop
	Deadline time.Duration // for a read or a whole transaction, connecting included
	Pause    time.Duration // closed loop: a client's rest after an error; after a timeout it has none
	Warmup   time.Duration // load before anything is counted
	Time     time.Duration // that is counted
}

// Name returns "regime".
func (Regime) Name() string { return "regime" }

// Prepare makes the tables and calibrates the statement.
func (s Regime) Prepare(ctx context.Context, server *Server) error {
	if s.HotRows > accountRows {
		return fmt.Errorf("there are %d rows to fight for", accountRows)
	}
	return server.Prepare(ctx, s.ReadCost/time.Duration(s.Parts()))
}

// partMost is how much of a statement one stretch of rows may cost: a core sorts up to ten million rows a second, and the
// table has room for stretches of 75,000.
const partMost = 5 * time.Millisecond

// Parts is of how many reads, each of Server.ReadRows, the statement consists.
func (s Regime) Parts() int { return max(1, int((s.ReadCost+partMost-1)/partMost)) }

// statement is one text of that many reads.
func (s Regime) statement(r *rand.Rand, readRows int) string {
	if s.Parts() == 1 {
		return readSQL(r, readRows)
	}
	var reads []string
	for range s.Parts() {
		reads = append(reads, "("+readSQL(r, readRows)+")")
	}
	return strings.Join(reads, " UNION ALL ")
}

// work is a read or a write.
func (s Regime) work(r *rand.Rand, readRows int) []string {
	read := s.statement(r, readRows)
	if r.Float64() >= s.Writes {
		return []string{read}
	}
	write := fmt.Sprintf("UPDATE bench_media SET seen = seen + 1 WHERE id = %d", 1+r.IntN(mediaRows))
	if s.HotRows > 0 {
		write = fmt.Sprintf("UPDATE bench_accounts SET posts = posts + 1 WHERE id = %d", 1+r.IntN(s.HotRows))
	}
	return []string{"BEGIN", read, write, "COMMIT"}
}

// Run measures one target.
func (s Regime) Run(ctx context.Context, e Env) (report.Run, error) {
	heard := served{deadline: s.Deadline, reads: load.NewTally(), writes: load.NewTally()}
	g := group{
		name: "clients", app: "regime", deadline: s.Deadline, pause: s.Pause, clients: []int{s.Workers}, rate: s.Rate, trip: s.Trip,
		work: func(r *rand.Rand) []string { return s.work(r, e.Server.ReadRows) }, hear: heard.hear,
	}
	sc, err := newScene(e, s.Warmup, []phase{{name: "regime", length: s.Time}}, g)
	if err != nil {
		return report.Run{}, err
	}
	heard.line = sc.line
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	s.report(&r, sc.crowds[0])
	heard.report(&r)
	sc.report(&r)
	if e.URL != e.Server.URL {
		return r, nil
	}
	// The statements that clients have left behind would run on for minutes where there were many.
	return r, e.Server.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'regime'")
}

// report adds what the matrix judges by.
func (s Regime) report(r *report.Run, c *crowd) {
	t := c.class.Phase(0)
	timedOut := t.Errors[load.Timeout] + t.Errors[load.ConnectTimeout] + t.Errors[load.Late] + t.Errors[load.Queued]
	r.Add(matrix.Goodput, "1/s", c.class.Goodput(0))
	if seconds := c.class.PerSecond(); len(seconds) > 1 {
		r.Add(matrix.Noise, "1/s", standardError(seconds))
	}
	r.Add(matrix.Refused, "1/s", float64(t.Offered-t.Useful-timedOut)/s.Time.Seconds())
	r.Add(matrix.TimedOut, "1/s", float64(timedOut)/s.Time.Seconds())
}

// standardError is the standard error of the mean of values, of which there are at least two.
func standardError(values []float64) float64 {
	n := float64(len(values))
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		squares += (v - sum/n) * (v - sum/n)
	}
	return math.Sqrt(squares / (n - 1) / n)
}

// served are the latencies of those who got a useful answer, apart by what they wanted. Who got none is counted elsewhere.
type served struct {
	line     load.Timeline
	deadline time.Duration

	mu            sync.Mutex
	reads, writes *load.Tally // guarded by mu
}

// hear counts one try.
func (s *served) hear(work []string, intended, finished time.Time, err error) {
	if err != nil || finished.Sub(intended) > s.deadline || s.line.Phase(finished) < 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.reads
	if len(work) > 1 {
		t = s.writes
	}
	t.Note(intended, finished, 0, nil)
}

// report adds the figures of the kinds that there were.
func (s *served) report(r *report.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range []struct {
		name  string
		tally *load.Tally
	}{{matrix.ReadsP99, s.reads}, {matrix.WritesP99, s.writes}} {
		if k.tally.Useful > 0 {
			r.Add(k.name, "ms", ms(k.tally.Quantile(0.99)))
		}
	}
}
