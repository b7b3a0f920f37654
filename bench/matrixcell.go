package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgguard/bench/matrix"
	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// entry is a contender and how it is started.
type entry struct {
	matrix.Contender
	target Target
}

// contenders are all for a cell but the one that is chosen there: the fixed limit in order of arrival.
func (g *grid) contenders(c matrix.Cell) []entry {
	var out []entry
	static := false // the fixed limits of one guard are enough to judge others by
	for _, t := range g.targets {
		switch t.Kind {
		case Direct:
			out = append(out, entry{matrix.Contender{Name: t.Name, Role: matrix.Direct}, t})
		case Address:
			out = append(out, entry{matrix.Contender{Name: t.Name, Role: matrix.Other}, t})
		case PgBouncer:
			for _, n := range sizesFor(g.pools, c.Guards) {
				one := t
				one.Pool, one.Fleet, one.Name = n/c.Guards, c.Guards, fmt.Sprintf("%s pool %d", t.Name, n)
				out = append(out, entry{matrix.Contender{Name: one.Name, Role: matrix.PgBouncer, Size: n}, one})
			}
		case Guard:
			one := t
			one.Fleet = c.Guards
			out = append(out, entry{matrix.Contender{Name: t.Name, Role: matrix.Judged}, one})
			if static {
				continue
			}
			static = true
			for _, n := range sizesFor(g.limits, c.Guards) {
				out = append(out, fixed(t, c.Guards, n, matrix.Static, "limit"))
			}
		}
	}
	return out
}

// fixed is a guard with a fixed limit of n, for all guards together.
func fixed(t Target, guards, n int, role matrix.Role, word string) entry {
	t.Config, t.Limit, t.Fleet, t.Name, t.fifo = "", n/guards, guards, fmt.Sprintf("%s %d", word, n), role == matrix.InOrder
	return entry{matrix.Contender{Name: t.Name, Role: role, Size: n}, t}
}

// sizesFor are the sizes that can be shared out evenly, as sums of what each of so many gets.
func sizesFor(sizes []int, guards int) []int {
	var out []int
	for _, n := range sizes {
		if n = max(n/guards, 1) * guards; !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// warmupOf is long enough for the first clients of a cell to give up, where that does not take more than twice the time.
func (g *grid) warmupOf(c matrix.Cell) time.Duration {
	return max(g.warmup, min(matrix.Millis(1000*c.Deadline), 2*g.warmup))
}

// regime is the cell's load.
func (g *grid) regime(m *matrix.Measured) scenario.Regime {
	return scenario.Regime{
		ReadCost: matrix.Millis(m.Cost), Writes: m.Writes / 100, HotRows: m.HotRows, Trip: matrix.Millis(m.RoundTrip), Workers: m.Workers,
		Rate: m.Rate, Deadline: matrix.Millis(1000 * m.Deadline), Pause: errorPause, Warmup: g.warmupOf(m.Cell), Time: g.time,
	}
}

// errorPause is a client's rest after an error, as in the other scenarios.
const errorPause = 100 * time.Millisecond

// cell measures one cell. The contenders take turns, from cell to cell and from repeat to repeat; the fixed limit in order of
// arrival is that which has the best goodput by then.
func (g *grid) cell(ctx context.Context, server *scenario.Server, m *matrix.Measured, place int) error {
	load := g.regime(m)
	if err := load.Prepare(ctx, server); err != nil {
		return err
	}
	m.ReadRows = load.Parts() * server.ReadRows
	m.ReadMillis = float64(load.Parts()) * float64(server.ReadCost) / float64(time.Millisecond)
	if m.Open {
		if err := g.setRate(ctx, server, m); err != nil {
			return err
		}
	}
	g.file.Cells = append(g.file.Cells, m)
	all := g.contenders(m.Cell)
	guard := all[slices.IndexFunc(all, func(e entry) bool { return e.Role == matrix.Judged })].target
	for repeat := range g.repeats {
		for i := range all {
			if err := g.one(ctx, server, m, all[(i+place+repeat)%len(all)], repeat); err != nil {
				return err
			}
		}
		if _, n := m.Best(matrix.Static); n > 0 && !hasRole(all, matrix.InOrder) {
			e := fixed(guard, m.Guards, n, matrix.InOrder, "in order, limit")
			if err := g.one(ctx, server, m, e, repeat); err != nil {
				return err
			}
			all = append(all, e)
		}
	}
	return nil
}

func hasRole(all []entry, r matrix.Role) bool {
	return slices.ContainsFunc(all, func(e entry) bool { return e.Role == r })
}

// one measures a contender once and saves all there is. Only what ends all measuring is an error.
func (g *grid) one(ctx context.Context, server *scenario.Server, m *matrix.Measured, e entry, repeat int) error {
	r, err := g.play(ctx, server, g.regime(m), e.target, repeat)
	if err != nil {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		m.Wrong = append(m.Wrong, fmt.Sprintf("%s, repeat %d: %v", e.Name, repeat+1, err))
		fmt.Fprintf(g.options.Progress, "failed: %s\n", m.Wrong[len(m.Wrong)-1])
	} else {
		m.Add(e.Contender, r)
		v, _ := r.Value(matrix.Goodput)
		fmt.Fprintf(g.options.Progress, "%s: %.0f useful/s\n", e.Name, v)
	}
	g.file.Written = time.Now()
	return g.save(g.file)
}

// play measures one target in one regime. It settles the server before only where the run before has not done so after it.
func (g *grid) play(ctx context.Context, server *scenario.Server, s scenario.Regime, t Target, repeat int) (report.Run, error) {
	o := g.options
	o.Scenario, o.settled = s, g.settled
	r, err := runOne(ctx, o, server, t, repeat)
	g.settled = err == nil
	return r, err
}

// setRate finds how many requests of the cell the server does when few clients ask it directly, in half the time of a run,
// and sets the arrivals by it. They are the same for all contenders.
func (g *grid) setRate(ctx context.Context, server *scenario.Server, m *matrix.Measured) error {
	s := g.regime(m)
	s.Rate, s.Workers = 0, askers(m.RoundTrip)
	s.Warmup, s.Time, s.Deadline = g.warmup/2, max(g.time/2, time.Second), 30*time.Second
	r, err := g.play(ctx, server, s, Target{Name: "rate", Kind: Direct}, 0)
	if err != nil {
		return fmt.Errorf("find the rate: %w", err)
	}
	v, _ := r.Value(matrix.Goodput)
	if m.Rate = v * m.Pressure(); m.Rate <= 0 {
		return errors.New("find the rate: the server answered nobody")
	}
	return nil
}

// askers is how many clients keep a small server busy over such a distance, and not much more.
func askers(tripMillis float64) int {
	switch {
	case tripMillis >= 10:
		return 96
	case tripMillis >= 1:
		return 32
	default:
		return 16
	}
}
