package scenario

import (
	"context"
	"fmt"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Names of the series of reads and writes; Spoken adds the protocol.
const (
	Reads  = "point reads"
	Writes = "short writes"
)

// Protocols are pgbench's, in the order of the tables.
var Protocols = []string{"simple", "extended", "prepared"}

// Spoken is the name of a script's figures by protocol; the simple one has none in it.
func Spoken(name, protocol string) string {
	if protocol == "simple" {
		return name
	}
	return name + " " + protocol
}

// result is one measurement of an engine.
type result struct {
	count    int64 // transactions
	took     time.Duration
	p50, p99 time.Duration
	failed   int64
}

// protocols measures one script by every protocol asked for.
func (s Steady) protocols(ctx context.Context, e Env, r *report.Run, name string, script script) error {
	for _, p := range s.Protocol {
		script.protocol = p
		if err := s.throughput(ctx, e, r, Spoken(name, p), script); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
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
		costs := startCosts(ctx, e)
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
		if each, ok := costs.finish(ctx, r, label, got.count); ok {
			cpu.X, cpu.Y = append(cpu.X, x), append(cpu.Y, each)
		}
	}
	r.Series = append(r.Series, tps, p99)
	if len(cpu.X) > 0 {
		r.Series = append(r.Series, cpu)
	}
	return nil
}

// costs measures what transactions cost the proxy and the server.
type costs struct {
	env           Env
	proxy, server time.Duration
	hasProxy      bool
	hasServer     bool
}

func startCosts(ctx context.Context, e Env) *costs {
	c := &costs{env: e}
	if p, err := load.ReadProcess(e.PIDs...); len(e.PIDs) > 0 && err == nil {
		c.proxy, c.hasProxy = p.CPU, true
	}
	c.server, c.hasServer = e.Server.CPU(ctx)
	return c
}

// finish adds the figures of count transactions; what cannot be seen has none. It returns the proxy's.
func (c *costs) finish(ctx context.Context, r *report.Run, label string, count int64) (proxy float64, ok bool) {
	if count == 0 {
		return 0, false
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(count) }
	if p, err := load.ReadProcess(c.env.PIDs...); c.hasProxy && err == nil {
		proxy, ok = each(p.CPU-c.proxy), true
		r.Add(label+"proxy CPU", "µs/transaction", proxy)
	}
	if now, seen := c.env.Server.CPU(ctx); seen && c.hasServer {
		r.Add(label+"server CPU", "µs/transaction", each(now-c.server))
	}
	return proxy, ok
}
