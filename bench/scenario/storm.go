package scenario

import (
	"context"
	"math/rand/v2"
	"time"

	"pgguard/bench/report"
)

// Storm is clients who connect, ask one thing and leave, for ever, beside clients who stay connected.
type Storm struct {
	Clients  int           `default:"500" help:"Clients that come and go."`
	Reads    float64       `default:"100" help:"Reads of the steady clients arriving per second."`
	Steady   int           `default:"20" help:"Connections of the steady clients at most."`
	ReadCost time.Duration `default:"1ms" help:"CPU a read costs the server; calibrated."`
	Deadline time.Duration `default:"2s" help:"How long a client waits for a read, connecting included."`
	Pause    time.Duration `default:"100ms" help:"What a client that comes and goes waits after an error; after a timeout it has no rest."`
	Warmup   time.Duration `default:"2s" help:"Reads before anything is counted."`
	Alone    time.Duration `default:"8s" help:"Length of the phase in which the steady clients are alone."`
	Beside   time.Duration `default:"20s" help:"Length of the storm."`
	After    time.Duration `default:"8s" help:"Length of the phase after the storm."`
}

// Name returns "storm".
func (Storm) Name() string { return "storm" }

// Prepare makes the tables and calibrates the read.
func (s Storm) Prepare(ctx context.Context, server *Server) error {
	return server.Prepare(ctx, s.ReadCost)
}

// Run has the steady clients alone, beside the storm, and alone again.
func (s Storm) Run(ctx context.Context, e Env) (report.Run, error) {
	sc, err := newScene(e, s.Warmup, []phase{
		{name: "alone", length: s.Alone}, {name: "beside", length: s.Beside, trouble: true}, {name: "after", length: s.After},
	}, group{
		name: "steady", app: pumaName, deadline: s.Deadline, rate: s.Reads, clients: []int{s.Steady},
		work: func(r *rand.Rand) []string { return []string{readSQL(r, e.Server.ReadRows)} },
	}, group{
		name: "storm", app: "cron", deadline: s.Deadline, pause: s.Pause, clients: []int{0, s.Clients, 0}, leaves: true,
		work: func(*rand.Rand) []string { return []string{"SELECT 1"} },
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	storm := &sc.crowd("storm").conns
	r.Add("beside: logins", "1/s", float64(storm.Attempts.Load()-storm.LoginFailed.Load())/s.Beside.Seconds())
	return r, nil
}
