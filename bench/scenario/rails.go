package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Rails is many clients that behave like Active Record 7.1 on few server connections: settings at connect, named prepared
// statements, short transactions.
type Rails struct {
	Clients    int           `default:"200" help:"Connections of the application."`
	Pool       int           `default:"8" help:"Most server connections of the proxies that are started."`
	Statements int           `default:"60" help:"Different prepared texts of the application; each client meets them in its own order."`
	Writes     float64       `default:"0.1" help:"Share of transactions whose third statement is an UPDATE."`
	Deallocate int           `default:"100" help:"A client drops one of its prepared statements every so many transactions; 0 never."`
	Warmup     time.Duration `default:"3s" help:"Load before measuring begins."`
	Time       time.Duration `default:"10s" help:"Length of the measurement."`
}

// Name returns "rails".
func (Rails) Name() string { return "rails" }

// Servers is what the proxies are started with.
func (r Rails) Servers() int { return r.Pool }

// Prepare makes pgbench's tables.
func (r Rails) Prepare(ctx context.Context, server *Server) error {
	return Steady{}.Prepare(ctx, server)
}

// railsWait bounds every statement and every login of a client; a healthy target never comes near it, and a request that
// reaches it counts as failed.
const railsWait = 30 * time.Second

// railsRun is one run of Rails.
type railsRun struct {
	Rails
	env    Env
	class  *load.Class // whole transactions
	conns  load.Connections
	errors labels // outside of transactions: set-up, DEALLOCATE
}

// Run connects all clients, then lets them work, and measures what they get, what it costs and what pins them.
func (s Rails) Run(ctx context.Context, e Env) (report.Run, error) {
	r := report.Run{Started: time.Now(), Seed: e.Seed}
	watch, err := load.Watch(ctx, e.Server.URL)
	if err != nil {
		return r, err
	}
	defer watch.Close()
	p := &railsRun{Rails: s, env: e}
	clients, err := p.connect(ctx)
	defer func() {
		for _, c := range clients {
			c.client.Quit()
		}
	}()
	if err != nil {
		return r, err
	}
	r.Add("all clients connected in", "s", time.Since(r.Started).Seconds())
	pins, err := watchPins(ctx, e.Metrics)
	if err != nil {
		return r, err
	}
	pins.report(&r, "pinned after connect")
	if err := p.work(ctx, clients, pins, &r); err != nil {
		return r, err
	}
	r.Add("server connections, most", "", float64(watch.Max(r.Started, time.Now())))
	pins.reportEnd(&r)
	r.Errors = p.errors.all()
	for label, n := range p.class.Phase(1).Errors {
		r.Errors["transactions: "+label] += n
	}
	return r, ctx.Err()
}

// connect logs every client in, a few at a time, and has it say what Active Record says then.
func (p *railsRun) connect(ctx context.Context) ([]*railsClient, error) {
	cfg, err := load.ParseURL(p.env.URL, "bin/rails")
	if err != nil {
		return nil, err
	}
	clients := make([]*railsClient, p.Clients)
	for i := range clients {
		clients[i] = newRailsClient(p, load.NewClient(cfg, &p.conns), i)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed error
	var once sync.Once
	for range loginClients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(clients) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := clients[i].setUp(ctx); err != nil {
					once.Do(func() { failed = fmt.Errorf("client %d of %d: %w", i+1, len(clients), err) })
					return
				}
			}
		})
	}
	wg.Wait()
	return clients, failed
}

// work runs all clients through warm-up and measurement and adds the figures.
func (p *railsRun) work(ctx context.Context, clients []*railsClient, pins *pinWatch, r *report.Run) error {
	line := load.Timeline{Start: time.Now(), Phases: []time.Duration{p.Warmup, p.Time}}
	p.class = load.NewClass(line, 0)
	ctx, cancel := context.WithDeadline(ctx, line.End())
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.live(ctx) })
	}
	wg.Go(func() { pins.watch(ctx) })
	load.Sleep(ctx, p.Warmup)
	costs, self := startCosts(ctx, p.env), startMeter(nil)
	for load.Sleep(ctx, time.Second/2) {
		p.env.progress(time.Since(line.Start), p.Warmup+p.Time, fmt.Sprintf("%d transactions", p.class.Phase(1).Useful))
	}
	t := p.class.Phase(1)
	r.Add("throughput", "transactions/s", p.class.Goodput(1))
	r.Add("p50", "ms", ms(t.Quantile(0.5)))
	r.Add("p99", "ms", ms(t.Quantile(0.99)))
	r.Add("failed", "transactions", float64(t.Offered-t.Useful))
	costs.finish(context.WithoutCancel(ctx), r, "", t.Offered)
	self.finish(r, nil)
	wg.Wait()
	return nil
}

// labels counts failures by label. The zero value is ready; any goroutine may use it.
type labels struct {
	mu    sync.Mutex
	count map[string]int64 // guarded by mu
}

func (l *labels) add(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == nil {
		l.count = map[string]int64{}
	}
	l.count[what+": "+load.Label(err)]++
}

// all returns a copy, never nil.
func (l *labels) all() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]int64{}
	for k, n := range l.count {
		out[k] = n
	}
	return out
}
