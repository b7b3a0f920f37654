package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/report"
)

// Neighbours is many bulk workers with long statements beside a web of short ones. They say who they are only by the
// application_name that Puma and Sidekiq set.
type Neighbours struct {
	Workers      int           `default:"200" help:"Bulk workers, who work without a pause."`
	Shortest     time.Duration `default:"50ms" help:"CPU the shortest bulk statement costs the server."`
	Longest      time.Duration `default:"300ms" help:"CPU the longest bulk statement costs the server."`
	BulkDeadline time.Duration `default:"60s" help:"How long a bulk worker waits."`
	Reads        float64       `default:"100" help:"Web reads arriving per second."`
	Web          int           `default:"8" help:"Connections of the web at most."`
	ReadCost     time.Duration `default:"1ms" help:"CPU a web read costs the server; calibrated."`
	Deadline     time.Duration `default:"2s" help:"Deadline of a web read, from its arrival."`
	Pause        time.Duration `default:"100ms" help:"A bulk worker's rest after an error."`
	Warmup       time.Duration `default:"2s" help:"Reads before anything is counted."`
	Alone        time.Duration `default:"8s" help:"Length of the phase in which the web is alone."`
	Beside       time.Duration `default:"25s" help:"Length of the phase with the bulk workers."`
}

// Name returns "neighbours".
func (Neighbours) Name() string { return "neighbours" }

// Prepare makes the tables and calibrates both kinds of statements.
func (s Neighbours) Prepare(ctx context.Context, server *Server) error {
	if s.Longest < s.Shortest {
		return fmt.Errorf("the longest statement is shorter than the shortest")
	}
	if err := server.Prepare(ctx, s.ReadCost); err != nil {
		return err
	}
	return server.PrepareCrunch(ctx)
}

// Run has the web alone, and then beside the bulk workers.
func (s Neighbours) Run(ctx context.Context, e Env) (report.Run, error) {
	sc, err := newScene(e, s.Warmup, []phase{{name: "alone", length: s.Alone}, {name: "beside", length: s.Beside, trouble: true}}, group{
		name: "web", app: pumaName, deadline: s.Deadline, rate: s.Reads, clients: []int{s.Web},
		work: func(r *rand.Rand) []string { return []string{readSQL(r, e.Server.ReadRows)} },
	}, group{
		name: "bulk", app: sidekiqName, deadline: s.BulkDeadline, pause: s.Pause, clients: []int{0, s.Workers},
		work: func(r *rand.Rand) []string { return []string{e.Server.Crunch(anyOf(r, s.Shortest, s.Longest))} },
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	return r, nil
}

// anyOf is a random time from a to b.
func anyOf(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Float64()*float64(b-a))
}
