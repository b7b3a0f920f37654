package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/report"

	"github.com/jackc/pgx/v5"
)

// Sweep is one workload that does not change, for targets whose size is frozen: the run limit of a guard, the pool of
// another proxy. Whoever starts the targets starts one for each of Sizes. It shows whether the workload has a knee on this
// machine, and which size an adaptive limit has to be measured against.
type Sweep struct {
	Workload string        `default:"spiral" enum:"spiral,story,overload" help:"Whose clients: of the spiral or of overload, as a closed loop of the workers below, or the story with a stall of the time below."`
	Sizes    []int         `default:"1,2,3,4,6,8,12,16,24,32,64" help:"Run limits of guards, pool sizes of PgBouncers."`
	Workers  int           `default:"250" help:"Workers of spiral or overload."`
	ReadCost time.Duration `default:"5ms" help:"CPU a read costs the server; calibrated."`
	Deadline time.Duration `default:"2s" help:"How long a client waits, connecting included."`
	Pause    time.Duration `default:"100ms" help:"A client's rest after an error; after a timeout it has none."`
	Warmup   time.Duration `default:"3s" help:"Load before anything is counted."`
	Time     time.Duration `default:"10s" help:"Length of a measurement."`
}

// Figures of a sweep, and names of its series over the size.
const (
	SweepGoodput    = "goodput"
	SweepThroughput = "throughput"
	SweepP50        = "p50"
	SweepP99        = "p99"
)

// Name returns "sweep".
func (Sweep) Name() string { return "sweep" }

// Prepare makes the tables and calibrates the read.
func (s Sweep) Prepare(ctx context.Context, server *Server) error {
	if len(s.Sizes) == 0 {
		return errors.New("a sweep needs sizes")
	}
	return server.Prepare(ctx, s.ReadCost)
}

// Run measures one target of one size.
func (s Sweep) Run(ctx context.Context, e Env) (report.Run, error) {
	side, closeSide, err := sideConns(ctx, e.Server.URL, 1)
	if err != nil {
		return report.Run{}, err
	}
	defer closeSide()
	done := &commits{conn: side[0]}
	if s.Workload == "story" {
		return s.story(ctx, e, done)
	}
	return s.loop(ctx, e, done)
}

// loop is the workload of spiral or overload.
func (s Sweep) loop(ctx context.Context, e Env, done *commits) (report.Run, error) {
	work := func(r *rand.Rand) []string { return overloadWork(r, e.Server.ReadRows) }
	if s.Workload == "spiral" {
		work = func(r *rand.Rand) []string { return spiralWork(r, e.Server.ReadRows, 0.7, 10) } // Spiral's own defaults
	}
	sc, err := newScene(e, s.Warmup, []phase{{name: s.Workload, length: s.Time, do: done.count}}, group{
		name: "workers", app: pumaName, deadline: s.Deadline, pause: s.Pause, clients: []int{s.Workers}, work: work,
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	t := sc.crowds[0].class.Phase(0)
	r.Add(SweepGoodput, "1/s", sc.crowds[0].class.Goodput(0))
	r.Add(SweepThroughput, "1/s", done.perSecond)
	r.Add(SweepP50, "ms", ms(t.Quantile(0.5)))
	r.Add(SweepP99, "ms", ms(t.Quantile(0.99)))
	sc.report(&r)
	return r, nil
}

// story plays the story; its useful answers are those of the web and the jobs together, its latencies the web's after
// the release.
func (s Sweep) story(ctx context.Context, e Env, done *commits) (report.Run, error) {
	story := Story{
		Warmup: s.Warmup, Before: s.Time / 2, Stall: s.Time, After: s.Time,
		NFS: 20 * time.Millisecond, StallNFS: 5 * time.Second, Form: "mixed",
		Jobs: 60, Workers: 25, AddWorkers: 25, AddEvery: 2 * time.Second, MaxWorkers: 500, RetryScale: 0.05, JobWait: 30 * time.Second,
		Reads: 100, ReadCost: s.ReadCost, ReadWait: s.Deadline, Pumas: 20,
	}
	counted := make(chan error, 1)
	counting, stop := context.WithCancel(ctx)
	defer stop()
	go func() { counted <- done.count(counting) }() // ends with counting
	r, err := story.Run(ctx, e)
	stop()
	if err := errors.Join(err, <-counted); err != nil {
		return r, err
	}
	useful := 0.0
	for _, name := range []string{SeriesReads, SeriesJobs} {
		curve, _ := r.Curve(name) // a story has both
		for _, y := range curve.Y {
			useful += y
		}
	}
	p50, _ := r.Value("after: web p50")
	p99, _ := r.Value("after: web p99")
	r.Add(SweepGoodput, "1/s", useful/(story.Length()-story.Warmup).Seconds())
	r.Add(SweepThroughput, "1/s", done.perSecond)
	r.Add(SweepP50, "ms", p50)
	r.Add(SweepP99, "ms", p99)
	return r, nil
}

// commits counts the transactions that the server has done, for clients that have left as well.
type commits struct {
	conn      *pgx.Conn
	perSecond float64
}

// count counts until ctx ends. The server's own count is up to a second old, and our looks are in it.
func (c *commits) count(ctx context.Context) error {
	side := context.WithoutCancel(ctx)
	look := func() (n int64, at time.Time, err error) {
		err = c.conn.QueryRow(side, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").Scan(&n)
		if err != nil {
			err = fmt.Errorf("count transactions: %w", err)
		}
		return n, time.Now(), err
	}
	before, began, err := look()
	if err != nil {
		return err
	}
	<-ctx.Done()
	after, ended, err := look()
	c.perSecond = float64(after-before) / ended.Sub(began).Seconds()
	return err
}
