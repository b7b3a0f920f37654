package scenario

import (
	"context"
	"fmt"
	"time"

	"pgguard/bench/report"
)

// Steady measures what a proxy costs when nothing is wrong, part by part.
type Steady struct {
	Part     []string      `default:"reads,writes,latency,logins,idle" enum:"reads,writes,latency,logins,idle,prepared,texts" help:"Which parts to measure: reads, writes, latency, logins, idle, prepared, texts."`
	Protocol []string      `default:"simple" enum:"simple,extended,prepared" help:"How reads and writes are spoken, as pgbench -M."`
	Clients  []int         `default:"1,8,32,64,256,1000" help:"Numbers of clients of reads and writes."`
	Time     time.Duration `default:"5s" help:"Length of a measurement of reads, writes or latency; a fifth of it warms up before."`
	Engine   string        `default:"auto" enum:"auto,pgbench,go" help:"Who makes the load of reads and writes; auto takes pgbench when it is installed."`
	Idle     int           `default:"5000" help:"Idle clients of the memory part; only for targets with a process to look at."`
	Prepared int           `default:"2000" help:"Clients of the prepared part, each with 100 named statements."`
	Texts    int           `default:"1000000" help:"Distinct texts of the texts part."`
	Settle   time.Duration `default:"3s" help:"How long a proxy's buffers and garbage may settle before the memory part reads its memory."`
	Logins   time.Duration `default:"3s" help:"Length of the login part."`
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
			err = s.protocols(ctx, e, &r, Reads, readScript)
		case "writes":
			err = s.protocols(ctx, e, &r, Writes, writeScript)
		case "latency":
			err = s.latency(ctx, e, &r)
		case "logins":
			err = s.logins(ctx, e, &r)
		case "idle":
			err = s.idle(ctx, e, &r)
		case "prepared":
			err = s.prepared(ctx, e, &r)
		case "texts":
			err = s.texts(ctx, e, &r)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", part, err)
		}
	}
	return r, nil
}

// latency measures one client alone with our own generator; what a proxy adds is its figure less that of the direct target.
func (s Steady) latency(ctx context.Context, e Env, r *report.Run) error {
	script := readScript
	script.protocol = "simple"
	if _, err := runGo(ctx, e, script, 1, s.Time/5); err != nil {
		return err
	}
	t, _, err := tallyGo(ctx, e, script, 1, s.Time)
	if err != nil {
		return err
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	r.Add("one client: p50", "µs", us(t.Quantile(0.5)))
	r.Add("one client: p99", "µs", us(t.Quantile(0.99)))
	r.Add("one client: mean", "µs", us(t.Mean()))
	return nil
}
