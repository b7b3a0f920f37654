package scenario

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"pgguard/bench/report"
)

// Diurnal is a healthy day in minutes: load that rises from nothing to a good part of what the machine can do and falls
// to little, again and again. Nothing is wrong, so that whatever a guard does about it is wrong.
type Diurnal struct {
	For      time.Duration `default:"4m" help:"How long; an hour says more."`
	Period   time.Duration `default:"2m" help:"Length of a day."`
	High     float64       `default:"0.6" help:"The busiest moment, as a share of capacity."`
	Low      float64       `default:"0.05" help:"The quietest moment but the start, which has no load at all."`
	Capacity float64       `default:"0" help:"Reads per second the machine can do; 0 measures it on the idle server, directly."`
	ReadCost time.Duration `default:"1ms" help:"CPU a read costs the server; calibrated."`
	Clients  int           `default:"40" help:"Connections at most."`
	Deadline time.Duration `default:"2s" help:"Deadline of a read, from its arrival."`
}

// Name returns "diurnal".
func (Diurnal) Name() string { return "diurnal" }

// Prepare makes the tables, calibrates, and measures the capacity unless it is given.
func (s Diurnal) Prepare(ctx context.Context, server *Server) error {
	if err := server.Prepare(ctx, s.ReadCost); err != nil {
		return err
	}
	if s.Capacity > 0 {
		server.Capacity = s.Capacity
		return nil
	}
	return server.PrepareCapacity(ctx)
}

// level is the share of capacity at a time since the start: a cosine between Low and High, but that the first half day
// begins at nothing.
func (s Diurnal) level(at time.Duration) float64 {
	low := s.Low
	if at < s.Period/2 {
		low = 0
	}
	return low + (s.High-low)*(1-math.Cos(2*math.Pi*at.Seconds()/s.Period.Seconds()))/2
}

// Run plays it once.
func (s Diurnal) Run(ctx context.Context, e Env) (report.Run, error) {
	most := max(s.High, s.Low)
	sc, err := newScene(e, 0, []phase{{name: "day", length: s.For}}, group{
		name: "reads", app: pumaName, deadline: s.Deadline, rate: most * e.Server.Capacity, clients: []int{s.Clients},
		shape: func(at time.Duration) float64 { return s.level(at) / most },
		work:  func(r *rand.Rand) []string { return []string{readSQL(r, e.Server.ReadRows)} },
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	r.Add("capacity", "reads/s", e.Server.Capacity)
	return r, nil
}
