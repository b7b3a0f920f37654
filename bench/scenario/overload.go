package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/report"

	"github.com/jackc/pgx/v5"
)

// Overload is goodput under deadlines: clients who give up, close their socket, log in again and try again, in numbers
// from what the machine can just use to many times that; and then a trigger that takes the machine's time away for a
// while. Does goodput stay flat, and does it come back by itself?
type Overload struct {
	Knee      int           `default:"25" help:"Clients at 1x: enough to keep the machine busy."`
	Times     []int         `default:"1,2,4,10,20,40" help:"Steps, in knees."`
	Step      time.Duration `default:"10s" help:"Length of a step."`
	ReadCost  time.Duration `default:"5ms" help:"CPU a read costs the server, on average; calibrated. Single ones cost from 0.6 to 1.4 of it."`
	Deadline  time.Duration `default:"2s" help:"How long a client waits for a read, connecting included."`
	Pause     time.Duration `default:"100ms" help:"A client's rest after an error; after a timeout it has none."`
	Warmup    time.Duration `default:"2s" help:"Load of the first step before anything is counted."`
	Trigger   string        `default:"burner" enum:"burner,index,none" help:"What takes the machine's time away: statements of another application that only compute, CREATE INDEX on another table, or nothing."`
	TriggerAt int           `default:"10" help:"Clients while the trigger acts, and before and after it, in knees."`
	TriggerBy int           `default:"8" help:"Connections of the trigger, direct to the server."`
	Calm      time.Duration `default:"10s" help:"Length of the phase before the trigger."`
	TriggerIs time.Duration `default:"20s" name:"trigger-for" help:"How long the trigger acts."`
	After     time.Duration `default:"25s" help:"Length of the phase after the trigger."`
}

// Name returns "overload".
func (Overload) Name() string { return "overload" }

// ballastSQL makes a table of no use but to have an index created on it.
const ballastSQL = `CREATE TABLE IF NOT EXISTS bench_ballast WITH (parallel_workers = 0) AS SELECT * FROM bench_timeline`

// Prepare makes the tables and calibrates.
func (s Overload) Prepare(ctx context.Context, server *Server) error {
	if err := server.Prepare(ctx, s.ReadCost); err != nil {
		return err
	}
	if err := server.Exec(ctx, ballastSQL); err != nil {
		return err
	}
	return server.PrepareCrunch(ctx)
}

// phases returns the steps and the trigger with what stands around it, and the number of clients in each.
func (s Overload) phases(pull func(ctx context.Context) error) (phases []phase, clients []int) {
	for _, n := range s.Times {
		phases = append(phases, phase{name: fmt.Sprintf("%dx", n), length: s.Step, trouble: n > s.Times[0]})
		clients = append(clients, n*s.Knee)
	}
	if s.Trigger == "none" {
		return phases, clients
	}
	n := s.TriggerAt * s.Knee
	phases = append(phases, phase{name: "calm", length: s.Calm},
		phase{name: "trigger", length: s.TriggerIs, trouble: true, do: pull}, phase{name: "after", length: s.After})
	return phases, append(clients, n, n, n)
}

// Run climbs, and pulls the trigger.
func (s Overload) Run(ctx context.Context, e Env) (report.Run, error) {
	side, closeSide, err := sideConns(ctx, e.Server.URL, s.TriggerBy)
	if err != nil {
		return report.Run{}, err
	}
	defer closeSide()
	phases, clients := s.phases(func(ctx context.Context) error { return trigger(ctx, side, e.Server, s.Trigger) })
	sc, err := newScene(e, s.Warmup, phases, group{
		name: "clients", app: pumaName, deadline: s.Deadline, pause: s.Pause, clients: clients,
		work: func(r *rand.Rand) []string { return overloadWork(r, e.Server.ReadRows) },
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	s.report(&r, sc)
	return r, nil
}

// overloadWork is a read of 0.6 to 1.4 times the rows.
func overloadWork(r *rand.Rand, rows int) []string {
	return []string{readSQL(r, max(int((0.6+0.8*r.Float64())*float64(rows)), 1))}
}

// recoveredFor is how long goodput must hold to have recovered from the trigger: a second may be luck.
const recoveredFor = 5 * time.Second

// report adds the figures that compare phases.
func (s Overload) report(r *report.Run, sc *scene) {
	c := sc.crowds[0]
	peak := 0.0
	for i := range s.Times {
		peak = max(peak, c.class.Goodput(i))
	}
	r.Add("peak goodput", "1/s", peak)
	for i, n := range s.Times {
		if n >= 10 && peak > 0 {
			r.Add(fmt.Sprintf("goodput at %dx", n), "% of peak", 100*c.class.Goodput(i)/peak)
		}
	}
	if s.Trigger == "none" {
		return
	}
	calm := len(s.Times)
	before := c.class.Goodput(calm)
	if before > 0 {
		r.Add("trigger: goodput", "% of calm", 100*c.class.Goodput(calm+1)/before)
		r.Add("after: goodput", "% of calm", 100*c.class.Goodput(calm+2)/before)
	}
	ticks := between(c.class.Ticks(), sc.line, sc.line.Begin(calm+2), sc.line.End())
	took, ok := recoveryTime(ticks, before, min(recoveredFor, s.After))
	if !ok {
		took = s.After
	}
	r.Add("recovers in", "s", took.Seconds())
	r.Add("recovered", "share", share(ok))
}

// cancelPatience bounds a cancel request to a server that is busy.
const cancelPatience = 5 * time.Second

// triggerStatement is how much a burner's statement computes: short, so that the trigger ends when it should.
const triggerStatement = 100 * time.Millisecond

// trigger has the connections take the machine's time until ctx ends, and waits until the server is done with them.
func trigger(ctx context.Context, conns []*pgx.Conn, s *Server, kind string) error {
	failed := make(chan error, len(conns))
	for i, conn := range conns {
		go func() { failed <- burn(ctx, conn, s, kind, i) }() // ends with ctx
	}
	var first error
	for range conns {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// burn is one connection of the trigger.
func burn(ctx context.Context, conn *pgx.Conn, s *Server, kind string, i int) error {
	sql := s.Crunch(triggerStatement)
	if kind == "index" {
		// Each has its own index. The table's lock for CREATE INDEX is shared; a rollback takes the index away.
		sql = fmt.Sprintf("BEGIN; CREATE INDEX bench_ballast_%d ON bench_ballast (body); ROLLBACK", i)
	}
	// Under load a statement takes many times what it takes alone: what runs at the end is cancelled.
	cancel := context.AfterFunc(ctx, func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
		defer stop()
		_ = conn.PgConn().CancelRequest(ctx) // then it ends by itself, a little later
	})
	defer cancel()
	for ctx.Err() == nil {
		if _, err := conn.Exec(context.WithoutCancel(ctx), sql); err != nil && ctx.Err() == nil {
			return fmt.Errorf("pull the trigger: %w", err)
		}
	}
	return nil
}
