package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/bench/matrix"
	"pgguard/bench/report"
	"pgguard/bench/scenario"
	"pgguard/bench/sim"
)

// fitWorkers keep a fixed limit busy at every size of the fit.
const fitWorkers = 64

// fit reads the server's fit, or measures it with the first guard and keeps it.
func (c *matrixCommand) fit(s *session) (*matrix.Fit, error) {
	if c.Fit == "" {
		return nil, usageError{errors.New("--sim needs --fit, the file of the fitted server; where it is missing it is measured")}
	}
	f, err := matrix.LoadFit(c.Fit)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	g, err := c.grid(s, nil)
	if err != nil {
		return nil, err
	}
	if f, err = g.measureFit(s.ctx, matrix.Factors[0].Values, matrix.FitSizes); err != nil {
		return nil, err
	}
	return f, f.Save(c.Fit)
}

// measureFit measures the server behind the first guard at fixed limits, statement by statement, and fits a curve to each.
func (g *grid) measureFit(ctx context.Context, costs []float64, sizes []int) (*matrix.Fit, error) {
	server, stop, err := g.startServer(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	f := &matrix.Fit{Machine: report.ThisMachine()}
	guard := g.targets[slices.IndexFunc(g.targets, func(t Target) bool { return t.Kind == Guard })]
	for _, cost := range costs {
		r := scenario.Regime{
			ReadCost: matrix.Millis(cost), Workers: fitWorkers, Deadline: time.Minute, Pause: errorPause, Warmup: g.warmup / 2, Time: max(g.time/2, time.Second),
		}
		if err := r.Prepare(ctx, server); err != nil {
			return nil, err
		}
		one := matrix.StatementFit{Cost: cost}
		for _, n := range sizes {
			run, err := g.play(ctx, server, r, fixed(guard, 1, n, matrix.InOrder, "fit").target, 0)
			if err != nil {
				return nil, fmt.Errorf("fit %g ms at %d: %w", cost, n, err)
			}
			v, _ := run.Value(matrix.Goodput)
			one.Points = append(one.Points, matrix.Point{N: n, PerSecond: v})
		}
		if one.Curve, err = matrix.FitUSL(one.Points); err != nil {
			return nil, fmt.Errorf("%g ms: %w", cost, err)
		}
		one.Error = one.Curve.Error(one.Points)
		fmt.Fprintf(g.options.Progress, "fitted %g ms: %.0f/s alone, σ %.3f, κ %.5f, off by %.1f %% on average\n",
			cost, one.Curve.Lambda, one.Curve.Sigma, one.Curve.Kappa, 100*one.Error)
		f.Statements = append(f.Statements, one)
	}
	update, flush, err := server.CommitCost(ctx)
	f.Written, f.Update, f.Flush = time.Now(), update.Seconds()*1000, flush.Seconds()*1000
	return f, err
}

// simulate plays the cells in the simulator, with the fitted server.
func (c *matrixCommand) simulate(s *session, cells []matrix.Cell) error {
	fit, err := c.fit(s)
	if err != nil {
		return err
	}
	f := &matrix.File{
		Command: masked(s.args), Written: time.Now(), Machine: fit.Machine, Seed: max(c.Seed, 1), Seconds: c.Time.Seconds(), Warmup: c.Warmup.Seconds(),
		Repeats: c.Repeats, Simulated: true, Cells: make([]*matrix.Measured, len(cells)),
	}
	if err := c.simulateAll(s.ctx, f, fit, cells, s.stderr); err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = "matrix-sim.json"
	}
	if err := saveMatrix(f, out); err != nil {
		return err
	}
	return writeMatrix(s.stdout, f, out)
}

// simulateAll fills f.Cells, two cells at a time.
func (c *matrixCommand) simulateAll(ctx context.Context, f *matrix.File, fit *matrix.Fit, cells []matrix.Cell, progress io.Writer) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, simWorkers)
	lines := newProgress(progress, "sim")
	began := time.Now()
	for range simWorkers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(cells) {
					return
				}
				m, err := c.simulateCell(fit, cells[i], f.Seed)
				if err != nil {
					errs <- err
					return
				}
				f.Cells[i] = m
				if i%simWorkers == 0 {
					lines.show(scenario.Progress{Done: time.Since(began), Total: time.Since(began), Text: fmt.Sprintf("%d of %d cells", i+1, len(cells))})
				}
			}
		})
	}
	wg.Wait()
	lines.end()
	close(errs)
	return errors.Join(<-errs, ctx.Err())
}

// simWorkers is how many cells are simulated at once.
const simWorkers = 2

// simulateCell plays one cell with every seed.
func (c *matrixCommand) simulateCell(fit *matrix.Fit, cell matrix.Cell, seed uint64) (*matrix.Measured, error) {
	curve, err := fit.Of(cell.Cost)
	if err != nil {
		return nil, err
	}
	g := grid{warmup: c.Warmup}
	r := sim.Regime{
		Lambda: curve.Lambda, Sigma: curve.Sigma, Kappa: curve.Kappa, Update: fit.Update / 1000, Flush: fit.Flush / 1000,
		Writes: cell.Writes / 100, Rows: cell.HotRows, Trip: cell.RoundTrip / 1000, Clients: cell.Workers, Deadline: cell.Deadline,
		Guards: cell.Guards, Warmup: g.warmupOf(cell).Seconds(), Time: c.Time.Seconds(),
	}
	m := &matrix.Measured{Cell: cell, ReadMillis: 1000 / curve.Lambda}
	if cell.Open {
		few := r
		few.Clients, few.Guards, few.Deadline = askers(cell.RoundTrip), 1, 30
		m.Rate = few.Play(simDirect(), seed).Goodput * cell.Pressure()
		r.Rate = m.Rate
	}
	for i := range c.Repeats {
		play := func(k matrix.Contender, s sim.Contender) { m.Add(k, simRun(k.Name, i, r.Play(s, seed+uint64(i)))) }
		play(matrix.Contender{Name: "law", Role: matrix.Judged}, sim.Contender{Law: sim.AIMD("law", nil)})
		for _, n := range sizesFor(c.Limits, cell.Guards) {
			play(matrix.Contender{Name: fmt.Sprintf("limit %d", n), Role: matrix.Static, Size: n}, sim.Contender{Law: sim.Static(n / cell.Guards)})
			play(matrix.Contender{Name: fmt.Sprintf("in order, limit %d", n), Role: matrix.InOrder, Size: n}, sim.Contender{Law: sim.Static(n / cell.Guards), InOrder: true})
		}
		for _, n := range sizesFor(c.Pools, cell.Guards) {
			each := n / cell.Guards
			play(matrix.Contender{Name: fmt.Sprintf("pgbouncer pool %d", n), Role: matrix.PgBouncer, Size: n}, sim.Contender{Law: sim.Static(each), InOrder: true, Slots: each})
		}
		play(matrix.Contender{Name: "direct", Role: matrix.Direct}, simDirect())
	}
	return m, nil
}

// simDirect is nobody before the server: everything is let in, and nobody cancels.
func simDirect() sim.Contender {
	const all = 2000 // more than there are clients
	return sim.Contender{Law: sim.Static(all), InOrder: true, Slots: all, Keeps: true}
}

// simRun is a result as the matrix reads it.
func simRun(target string, repeat int, s sim.RegimeResult) report.Run {
	r := report.Run{Target: target, Repeat: repeat}
	r.Add(matrix.Goodput, "1/s", s.Goodput)
	if s.ReadsP99 > 0 {
		r.Add(matrix.ReadsP99, "ms", 1000*s.ReadsP99)
	}
	if s.WritesP99 > 0 {
		r.Add(matrix.WritesP99, "ms", 1000*s.WritesP99)
	}
	r.Add(matrix.Refused, "1/s", s.Refused)
	r.Add(matrix.TimedOut, "1/s", s.TimedOut)
	r.Add(matrix.LimitLeast, "", s.Least)
	r.Add(matrix.LimitMost, "", s.Most)
	r.Add(matrix.LimitChanges, "", float64(s.Changes))
	return r
}
