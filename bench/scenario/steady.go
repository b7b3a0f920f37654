package scenario

import (
	"context"
	"fmt"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Steady measures what a proxy costs when nothing is wrong, part by part.
type Steady struct {
	Part    []string      `default:"reads,writes,latency,logins,idle" enum:"reads,writes,latency,logins,idle" help:"Which parts to measure."`
	Clients []int         `default:"1,8,32,64,256,1000" help:"Numbers of clients of reads and writes."`
	Time    time.Duration `default:"5s" help:"Length of a measurement of reads, writes or latency; a fifth of it warms up before."`
	Engine  string        `default:"auto" enum:"auto,pgbench,go" help:"Who makes the load of reads and writes; auto takes pgbench when it is installed."`
	Idle    int           `default:"5000" help:"Idle clients of the memory part; only for targets with a process to look at."`
	Settle  time.Duration `default:"3s" help:"How long a proxy's buffers and garbage may settle before the memory part reads its memory."`
	Logins  time.Duration `default:"3s" help:"Length of the login part."`
}

// Name returns "steady".
func (Steady) Name() string { return "steady" }

// steadyScale is pgbench's scale: 300,000 accounts, which stay in memory.
const steadyScale = 3

// steadySQL makes pgbench's tables when they are missing, so that both engines use the same.
const steadySQL = `
CREATE TABLE IF NOT EXISTS pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 100);
CREATE TABLE IF NOT EXISTS pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 100);
CREATE TABLE IF NOT EXISTS pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
CREATE TABLE IF NOT EXISTS pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
INSERT INTO pgbench_branches SELECT i, 0 FROM generate_series(1, %[1]d) i WHERE NOT EXISTS (SELECT FROM pgbench_branches);
INSERT INTO pgbench_tellers SELECT i, (i - 1) / 10 + 1, 0 FROM generate_series(1, 10 * %[1]d) i WHERE NOT EXISTS (SELECT FROM pgbench_tellers);
INSERT INTO pgbench_accounts SELECT i, (i - 1) / 100000 + 1, 0, '' FROM generate_series(1, 100000 * %[1]d) i WHERE NOT EXISTS (SELECT FROM pgbench_accounts);
ANALYZE pgbench_branches; ANALYZE pgbench_tellers; ANALYZE pgbench_accounts`

// Prepare makes the tables.
func (s Steady) Prepare(ctx context.Context, server *Server) error {
	return server.Exec(ctx, fmt.Sprintf(steadySQL, steadyScale))
}

// Run measures every part on one target.
func (s Steady) Run(ctx context.Context, e Env) (report.Run, error) {
	r := report.Run{Started: time.Now(), Seed: e.Seed}
	for i, part := range s.Part {
		e.progress(time.Duration(i)*s.Time, time.Duration(len(s.Part))*s.Time, part)
		var err error
		switch part {
		case "reads":
			err = s.throughput(ctx, e, &r, "point reads", readScript)
		case "writes":
			err = s.throughput(ctx, e, &r, "short writes", writeScript)
		case "latency":
			err = s.latency(ctx, e, &r)
		case "logins":
			err = s.logins(ctx, e, &r)
		case "idle":
			err = s.idle(ctx, e, &r)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", part, err)
		}
	}
	return r, nil
}

// result is one measurement of an engine.
type result struct {
	count    int64 // transactions
	took     time.Duration
	p50, p99 time.Duration
	failed   int64
}

// throughput measures one script at every number of clients.
func (s Steady) throughput(ctx context.Context, e Env, r *report.Run, name string, script script) error {
	run, err := s.engine()
	if err != nil {
		return err
	}
	tps := report.Series{Name: name, Unit: "transactions/s", XUnit: "clients"}
	p99 := report.Series{Name: name + " p99", Unit: "ms", XUnit: "clients"}
	cpu := report.Series{Name: name + " proxy CPU", Unit: "µs/transaction", XUnit: "clients"}
	for _, n := range s.Clients {
		if _, err := run(ctx, e, script, n, s.Time/5); err != nil {
			return err
		}
		before, beforeErr := load.ReadProcess(e.PID)
		got, err := run(ctx, e, script, n, s.Time)
		if err != nil {
			return err
		}
		label := fmt.Sprintf("%s, %d clients: ", name, n)
		rate := float64(got.count) / got.took.Seconds()
		r.Add(label+"throughput", "1/s", rate)
		r.Add(label+"p50", "ms", ms(got.p50))
		r.Add(label+"p99", "ms", ms(got.p99))
		if got.failed > 0 {
			r.Add(label+"failed", "", float64(got.failed))
		}
		x := float64(n)
		tps.X, tps.Y = append(tps.X, x), append(tps.Y, rate)
		p99.X, p99.Y = append(p99.X, x), append(p99.Y, ms(got.p99))
		after, err := load.ReadProcess(e.PID)
		if e.PID != 0 && beforeErr == nil && err == nil && got.count > 0 {
			each := float64((after.CPU - before.CPU).Microseconds()) / float64(got.count)
			r.Add(label+"proxy CPU", "µs/transaction", each)
			cpu.X, cpu.Y = append(cpu.X, x), append(cpu.Y, each)
		}
	}
	r.Series = append(r.Series, tps, p99)
	if len(cpu.X) > 0 {
		r.Series = append(r.Series, cpu)
	}
	return nil
}

// latency measures one client alone with our own generator; what a proxy adds is its figure less that of the direct target.
func (s Steady) latency(ctx context.Context, e Env, r *report.Run) error {
	if _, err := runGo(ctx, e, readScript, 1, s.Time/5); err != nil {
		return err
	}
	t, _, err := tallyGo(ctx, e, readScript, 1, s.Time)
	if err != nil {
		return err
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	r.Add("one client: p50", "µs", us(t.Quantile(0.5)))
	r.Add("one client: p99", "µs", us(t.Quantile(0.99)))
	r.Add("one client: mean", "µs", us(t.Mean()))
	return nil
}
