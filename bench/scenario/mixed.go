package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5"
)

// Mixed is a healthy application whose statements are unlike: short reads and writes, and now and then a report of
// seconds, from the same clients. Nothing is wrong, so that whatever a guard does about it is wrong.
type Mixed struct {
	For        time.Duration `default:"2m" help:"How long; an hour says more."`
	Reads      float64       `default:"200" help:"Statements arriving per second."`
	Writes     float64       `default:"0.1" help:"Share of statements that write."`
	Reports    float64       `default:"0.001" help:"Share of statements that are reports."`
	ReadCost   time.Duration `default:"1ms" help:"CPU a read costs the server; calibrated."`
	Shortest   time.Duration `default:"1s" help:"CPU the shortest report costs the server."`
	Longest    time.Duration `default:"3s" help:"CPU the longest report costs the server."`
	Clients    int           `default:"20" help:"Connections for reads and writes at most."`
	Reporters  int           `default:"10" help:"Connections for reports at most."`
	Deadline   time.Duration `default:"2s" help:"Deadline of a read or a write, from its arrival."`
	ReportWait time.Duration `default:"60s" help:"Deadline of a report."`
	Checkpoint time.Duration `default:"1m" help:"How often a CHECKPOINT is made."`
	Warmup     time.Duration `default:"5s" help:"Load before anything is counted."`
}

// Name returns "mixed".
func (Mixed) Name() string { return "mixed" }

// Prepare makes the tables and calibrates.
func (s Mixed) Prepare(ctx context.Context, server *Server) error {
	if err := server.Prepare(ctx, s.ReadCost); err != nil {
		return err
	}
	return server.PrepareCrunch(ctx)
}

// Run plays it once.
func (s Mixed) Run(ctx context.Context, e Env) (report.Run, error) {
	side, closeSide, err := sideConns(ctx, e.Server.URL, 1)
	if err != nil {
		return report.Run{}, err
	}
	defer closeSide()
	sc, err := newScene(e, s.Warmup, []phase{{name: "mixed", length: s.For, do: func(ctx context.Context) error {
		return checkpoints(ctx, side[0], s.Checkpoint)
	}}}, group{
		name: "short", app: pumaName, deadline: s.Deadline, rate: s.Reads * (1 - s.Reports), clients: []int{s.Clients},
		work: func(r *rand.Rand) []string { return s.short(r, e.Server.ReadRows) },
	}, group{
		name: "reports", app: pumaName, deadline: s.ReportWait, rate: s.Reads * s.Reports, clients: []int{s.Reporters},
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

// short is a read or a write.
func (s Mixed) short(r *rand.Rand, readRows int) []string {
	if r.Float64() < s.Writes {
		return []string{fmt.Sprintf("UPDATE bench_media SET seen = seen + 1 WHERE id = %d", 1+r.IntN(mediaRows))}
	}
	return []string{readSQL(r, readRows)}
}

// checkpoints makes one now and then, until ctx ends; stock settings would have one every five minutes.
func checkpoints(ctx context.Context, conn *pgx.Conn, every time.Duration) error {
	for load.Sleep(ctx, every) {
		if _, err := conn.Exec(context.WithoutCancel(ctx), "CHECKPOINT"); err != nil {
			return fmt.Errorf("make a checkpoint: %w", err)
		}
	}
	return nil
}
