package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Spiral is the collapse under too many workers: a closed loop of reads and of transactions on few rows, whose workers
// are stepped up far past what the machine can use, and back. Clients give up after a deadline, reconnect and try again.
type Spiral struct {
	Steps      []int         `default:"8,32,128,512,1000" help:"Workers, step by step; after the last it goes back to the first."`
	Step       time.Duration `default:"8s" help:"Length of a step."`
	Back       time.Duration `default:"10s" help:"Length of the last part, with the first number of workers again."`
	Warmup     time.Duration `default:"2s" help:"Load of the first step before anything is counted."`
	ReadShare  float64       `default:"0.7" help:"Share of reads; the rest are transactions on hot rows."`
	ReadCost   time.Duration `default:"5ms" help:"CPU a read costs the server; calibrated."`
	HotRows    int           `default:"10" help:"Rows the transactions fight for."`
	Deadline   time.Duration `default:"2s" help:"How long a client waits for a read or a transaction, connecting included."`
	ErrorPause time.Duration `default:"100ms" help:"What a client waits after an error before it tries again; after a timeout it does not wait."`
}

// Name returns "spiral".
func (Spiral) Name() string { return "spiral" }

// Prepare makes the tables and calibrates the read.
func (s Spiral) Prepare(ctx context.Context, server *Server) error {
	return server.Prepare(ctx, s.ReadCost)
}

// climb is one run of a spiral.
type climb struct {
	Spiral
	env   Env
	watch *load.Watcher
	line  load.Timeline
	class *load.Class
	conns load.Connections
}

// Run climbs and goes back once.
func (s Spiral) Run(ctx context.Context, e Env) (report.Run, error) {
	watch, err := load.Watch(ctx, e.Server.URL)
	if err != nil {
		return report.Run{}, err
	}
	began := time.Now()
	line := load.Timeline{Start: began.Add(s.Warmup)}
	for range s.Steps {
		line.Phases = append(line.Phases, s.Step)
	}
	line.Phases = append(line.Phases, s.Back)
	c := &climb{Spiral: s, env: e, watch: watch, line: line, class: load.NewClass(line, s.Deadline)}
	r := report.Run{Started: began, Zero: line.Start, Seed: e.Seed}
	m := startMeter(e.PIDs)
	if err := c.run(ctx); err != nil {
		return r, err
	}
	m.finish(&r, nil)
	if err := watch.Close(); err != nil {
		return r, err
	}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	c.report(&r)
	return r, nil
}

func (c *climb) run(parent context.Context) error {
	cfg, err := load.ParseURL(c.env.URL, "spiral")
	if err != nil {
		return err
	}
	ctx, stop := context.WithDeadline(parent, c.line.End())
	defer stop()
	crew := load.NewCrew(ctx, func(ctx context.Context, id int) {
		client := load.NewClient(cfg, &c.conns)
		defer client.Close()
		r := load.Rand(c.env.Seed, uint64(id))
		m := manner{class: c.class, deadline: c.Deadline, pause: c.ErrorPause}
		for ctx.Err() == nil {
			m.insist(ctx, client, spiralWork(r, c.env.Server.ReadRows, c.ReadShare, c.HotRows))
		}
	})
	defer crew.Close()
	crew.Resize(c.Steps[0])
	total := c.line.End().Sub(c.line.Start)
	for i := range c.line.Phases {
		if !load.Sleep(ctx, time.Until(c.line.Begin(i))) {
			return parent.Err()
		}
		workers := c.workers(i)
		crew.Resize(workers)
		for next := c.line.Begin(i); ctx.Err() == nil && time.Now().Before(c.line.Begin(i+1)); {
			c.env.progress(time.Since(c.line.Start), total, fmt.Sprintf("%4d workers  %6.1f useful/s  server connections %3d",
				workers, float64(c.class.Phase(i).Useful)/max(time.Since(c.line.Begin(i)).Seconds(), 0.1), c.watch.Last().Total))
			next = next.Add(500 * time.Millisecond)
			load.Sleep(ctx, time.Until(next))
		}
	}
	return parent.Err()
}

// workers returns how many there are in phase i; the phase after the last step has those of the first.
func (c *climb) workers(i int) int {
	if i == len(c.Steps) {
		return c.Steps[0]
	}
	return c.Steps[i]
}

// spiralWork is a read, or for the rest a transaction that writes one of few rows.
func spiralWork(r *rand.Rand, readRows int, readShare float64, hotRows int) []string {
	read := readSQL(r, readRows)
	if r.Float64() < readShare {
		return []string{read}
	}
	return []string{
		"BEGIN",
		fmt.Sprintf("SELECT posts FROM bench_accounts WHERE id = %d", 1+r.IntN(accountRows)),
		fmt.Sprintf("UPDATE bench_accounts SET posts = posts + 1 WHERE id = %d", 1+r.IntN(hotRows)),
		fmt.Sprintf("UPDATE bench_media SET seen = seen + 1 WHERE id = %d", 1+r.IntN(mediaRows)),
		"COMMIT",
	}
}

func (c *climb) report(r *report.Run) {
	best, peak := 0.0, 0.0
	r.Errors = map[string]int64{}
	at := 0.0
	for i, length := range c.line.Phases {
		name := fmt.Sprintf("%d workers", c.workers(i))
		if i == len(c.Steps) {
			name = "back to " + name
		}
		t, goodput := c.class.Phase(i), c.class.Goodput(i)
		r.Add(name+": goodput", "1/s", goodput)
		r.Add(name+": p50", "ms", ms(t.Quantile(0.5)))
		r.Add(name+": p99", "ms", ms(t.Quantile(0.99)))
		r.Add(name+": server connections, most", "", float64(c.watch.Max(c.line.Begin(i), c.line.Begin(i+1))))
		for label, n := range t.Errors {
			r.Errors[name+": "+label] += n
		}
		if i < len(c.Steps) && goodput > best {
			best, peak = goodput, float64(c.Steps[i])
		}
		r.Phases = append(r.Phases, report.Phase{Name: name, From: at, To: at + length.Seconds(), Trouble: i%2 == 1})
		at += length.Seconds()
	}
	last := len(c.Steps) - 1
	r.Add("best goodput", "1/s", best)
	r.Add("best at", "workers", peak)
	if best > 0 {
		r.Add(fmt.Sprintf("goodput at %d workers", c.Steps[last]), "% of best", 100*c.class.Goodput(last)/best)
	}
	back := between(c.class.Ticks(), c.line, c.line.Begin(last+1), c.line.End())
	took, ok := RecoveryTime(back, c.class.Goodput(0))
	if !ok {
		took = c.Back
	}
	r.Add("recovers in", "s", took.Seconds())
	r.Add("recovered", "share", share(ok))
	r.Add("logins tried", "", float64(c.conns.Attempts.Load()))
	r.Add("logins failed", "", float64(c.conns.LoginFailed.Load()))
	r.Add("connections closed by own deadline", "", float64(c.conns.OwnDeadline.Load()))
	r.Add("connections closed by the other side", "", float64(c.conns.ByServer.Load()))
	n := int(c.line.End().Sub(c.line.Start).Seconds())
	r.Series = []report.Series{
		report.PerSecond(SeriesGoodput, "useful answers/s", c.class.PerSecond()),
		report.PerSecond(SeriesP99, "ms", c.class.P99PerSecond()),
		report.PerSecond(SeriesActive, "statements", c.watch.ActivePerSecond(c.line.Start, n)),
		report.PerSecond(SeriesServers, "connections", c.watch.PerSecond(c.line.Start, n)),
	}
}
