package scenario

import (
	"context"
	"fmt"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Story is the incident: jobs that hold a transaction while they wait for a file server, a stall of that server, an
// operator who adds workers, and the release, when all of them come to the database at once beside the web's reads.
// The fields are settings; the tags are the command line's.
type Story struct {
	Warmup time.Duration `default:"3s" help:"Load before anything is counted."`
	Before time.Duration `default:"15s" help:"Length of the healthy phase."`
	Stall  time.Duration `default:"30s" help:"Length of the stall of the file server."`
	After  time.Duration `default:"20s" help:"Length of the phase after the release."`

	NFS      time.Duration `default:"20ms" help:"What the file server takes, normally."`
	StallNFS time.Duration `default:"5s" help:"What it takes in the stall; whoever waits at its end is released."`
	Form     string        `default:"mixed" enum:"begin,between,mixed" help:"Where the job waits for the file server: right after BEGIN, between statements, or half the jobs each."`

	Jobs       float64       `default:"60" help:"Jobs arriving per second."`
	Workers    int           `default:"25" help:"Workers at the start."`
	AddWorkers int           `default:"25" help:"Workers the operator adds at a time."`
	AddEvery   time.Duration `default:"10s" help:"How often the operator looks at the backlog."`
	MaxWorkers int           `default:"500" help:"Workers at most."`
	RetryScale float64       `default:"0.05" help:"Scale of Sidekiq's retry delays (count^4 + 15 seconds)."`
	JobWait    time.Duration `default:"30s" help:"Deadline of a statement in a job."`

	Reads    float64       `default:"100" help:"Web reads arriving per second."`
	ReadCost time.Duration `default:"5ms" help:"CPU a read costs the server; calibrated."`
	ReadWait time.Duration `default:"2s" help:"Deadline of a web read, from its arrival."`
	Pumas    int           `default:"20" help:"Threads of the web, and connections at most; as in Rails it opens only those it needs at once."`
}

// Application names as Sidekiq and Puma set them through ruby-pg.
const (
	sidekiqName = "sidekiq 7 app [0 of 25 busy]"
	pumaName    = "puma: cluster worker"
)

// phaseNames are the phases of a story, in order.
var phaseNames = [...]string{"before", "stall", "after"}

// Name returns "story".
func (Story) Name() string { return "story" }

// Prepare makes the tables and calibrates the read.
func (s Story) Prepare(ctx context.Context, server *Server) error {
	return server.Prepare(ctx, s.ReadCost)
}

// Length is how long a run takes.
func (s Story) Length() time.Duration { return s.Warmup + s.Before + s.Stall + s.After }

// Run plays the story once.
func (s Story) Run(ctx context.Context, e Env) (report.Run, error) {
	high, err := load.ParseURL(e.URL, pumaName)
	if err != nil {
		return report.Run{}, err
	}
	low, err := load.ParseURL(e.URL, sidekiqName)
	if err != nil {
		return report.Run{}, err
	}
	watch, err := load.Watch(ctx, e.Server.URL)
	if err != nil {
		return report.Run{}, err
	}
	began := time.Now()
	line := load.Timeline{Start: began.Add(s.Warmup), Phases: []time.Duration{s.Before, s.Stall, s.After}}
	room := int(2*(s.Jobs*s.Length().Seconds())) + 1000
	p := &play{
		Story: s, env: e, line: line, watch: watch,
		queue: newJobQueue(room, s.RetryScale),
		reads: make(chan time.Time, int(2*s.Reads*s.Length().Seconds())+1000),
		high:  load.NewClass(line, s.ReadWait), low: load.NewClass(line, 0),
		highCfg: high, lowCfg: low,
	}
	r := report.Run{Started: began, Zero: line.Start, Seed: e.Seed}
	m := startMeter(e.PIDs)
	lag := p.run(ctx, began)
	m.finish(&r, lag)
	if err := watch.Close(); err != nil {
		return r, err
	}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	p.report(&r)
	return r, nil
}

// report fills in what the play has counted.
func (p *play) report(r *report.Run) {
	p.reportReads(r)
	p.reportJobs(r)
	var at float64
	for i, name := range phaseNames {
		from, to := p.line.Begin(i), p.line.Begin(i+1)
		r.Add(name+": server connections, most", "", float64(p.watch.Max(from, to)))
		r.Phases = append(r.Phases, report.Phase{Name: name, From: at, To: at + to.Sub(from).Seconds(), Trouble: i == 1})
		at += to.Sub(from).Seconds()
	}
	p.reportConnections(r)
	r.Errors = map[string]int64{}
	for i, name := range phaseNames {
		for label, n := range p.high.Phase(i).Errors {
			r.Errors[fmt.Sprintf("%s, reads: %s", name, label)] += n
		}
		for label, n := range p.low.Phase(i).Errors {
			r.Errors[fmt.Sprintf("%s, jobs: %s", name, label)] += n
		}
	}
	n := int(p.line.End().Sub(p.line.Start).Seconds())
	r.Series = []report.Series{
		report.PerSecond(SeriesReads, "useful answers/s", p.high.PerSecond()),
		report.PerSecond(SeriesJobs, "jobs/s", p.low.PerSecond()),
		report.PerSecond(SeriesP99, "ms", p.high.P99PerSecond()),
		report.PerSecond(SeriesActive, "statements", p.watch.ActivePerSecond(p.line.Start, n)),
		report.PerSecond(SeriesServers, "connections", p.watch.PerSecond(p.line.Start, n)),
		report.PerSecond(SeriesBacklog, "jobs", p.backlog),
		report.PerSecond(SeriesWorkers, "workers", p.workers),
	}
}

// Names of the series, which charts choose by.
const (
	SeriesReads   = "web reads"
	SeriesJobs    = "jobs done"
	SeriesServers = "server connections"
	SeriesBacklog = "backlog"
	SeriesWorkers = "workers"
	SeriesGoodput = "goodput"
	SeriesP99     = "p99"                // of the web in a story, else of all
	SeriesActive  = "statements running" // in the server, whatever stands before it
)

// reportReads adds the web's figures; goodput after the first phase is a share of the first.
func (p *play) reportReads(r *report.Run) {
	base := p.high.Goodput(0)
	r.Add("before: web goodput", "reads/s", base)
	for i, name := range phaseNames {
		t := p.high.Phase(i)
		if i > 0 && base > 0 {
			r.Add(name+": web goodput", "% of before", 100*p.high.Goodput(i)/base)
		}
		r.Add(name+": web p50", "ms", ms(t.Quantile(0.5)))
		r.Add(name+": web p99", "ms", ms(t.Quantile(0.99)))
	}
	after := between(p.high.Ticks(), p.line, p.line.Begin(2), p.line.End())
	took, ok := RecoveryTime(after, base)
	if !ok {
		took = p.After
	}
	r.Add("after: web recovers in", "s", took.Seconds())
	r.Add("after: web recovered", "share", share(ok))
}

func (p *play) reportJobs(r *report.Run) {
	for i, name := range phaseNames {
		r.Add(name+": jobs done", "", float64(p.low.Phase(i).Useful))
		r.Add(name+": backlog, most", "jobs", p.mostBacklog(i))
	}
	// One second's arrivals waiting is an ordinary queue.
	cleared, ok := p.clearedAfter(int(p.Jobs))
	r.Add("after: backlog cleared in", "s", cleared.Seconds())
	r.Add("after: backlog cleared", "share", share(ok))
	r.Add("backlog at the end", "jobs", float64(p.lastBacklog))
	r.Add("workers, most", "", float64(p.mostWorkers))
}

func (p *play) reportConnections(r *report.Run) {
	for i, name := range phaseNames {
		a, b := p.marks[i], p.marks[i+1]
		r.Add(name+": logins tried", "", float64(b.attempts-a.attempts))
		r.Add(name+": logins failed", "", float64(b.failed-a.failed))
		r.Add(name+": connections closed by own deadline", "", float64(b.own-a.own))
		r.Add(name+": connections closed by the other side", "", float64(b.server-a.server))
	}
}

func share(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
