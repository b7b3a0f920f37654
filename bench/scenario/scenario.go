package scenario

import (
	"context"
	"os"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Env is what a scenario gets for one run on one target.
type Env struct {
	URL  string // where the clients connect; it names a host for each proxy
	PIDs []int  // the proxies' processes; empty: no proxy, or not ours to look at
	// Metrics are the URLs of the guards' metrics; empty for other targets.
	Metrics []string
	Server  *Server // the PostgreSQL behind the target
	Seed    uint64  // the same for every target of a repeat, so that all see the same arrivals
	// Progress, when not nil, is told about twice a second how far the run is. One goroutine calls it.
	Progress func(Progress)
}

// Progress is a moment of a run.
type Progress struct {
	Done, Total time.Duration
	Text        string
}

// Scenario is one kind of load. Run may be called many times, one after another.
type Scenario interface {
	// Name is the word on the command line.
	Name() string
	// Prepare makes the tables and calibrates; it is called once per server, before the first Run.
	Prepare(ctx context.Context, s *Server) error
	// Run measures one target. It leaves no connection and no goroutine behind.
	Run(ctx context.Context, e Env) (report.Run, error)
}

func (e Env) progress(done, total time.Duration, text string) {
	if e.Progress != nil {
		e.Progress(Progress{Done: min(done, total), Total: total, Text: text})
	}
}

// meter measures what a run costs the proxy and the generator.
type meter struct {
	pids        []int
	began       time.Time
	proxy, self load.Process
}

func startMeter(pids []int) *meter {
	m := &meter{pids: pids, began: time.Now()}
	m.proxy, _ = load.ReadProcess(pids...) // a process that cannot be read has no figures in finish
	m.self, _ = load.ReadProcess(os.Getpid())
	return m
}

// maxLag is how late arrivals may be at p99: a hundredth of the shortest deadline. Smaller doubts every run whose server
// fills the generator's cores too, larger makes the generator part of what is measured.
const maxLag = 20 * time.Millisecond

// finish adds the figures, and doubts a run whose generator was busy for more than 80 % of a core or later than maxLag.
func (m *meter) finish(r *report.Run, lag *load.Tally) {
	took := time.Since(m.began).Seconds()
	if p, err := load.ReadProcess(m.pids...); len(m.pids) > 0 && err == nil {
		r.Add("proxy CPU", "cores", (p.CPU-m.proxy.CPU).Seconds()/took)
		r.Add("proxy memory", "MiB", mib(p))
	}
	if p, err := load.ReadProcess(os.Getpid()); err == nil {
		cores := (p.CPU - m.self.CPU).Seconds() / took
		r.Add("generator CPU", "cores", cores)
		if cores > 0.8 {
			r.Doubts = append(r.Doubts, "the load generator used more than 80 % of a core")
		}
	}
	if lag != nil {
		late := lag.Quantile(0.99)
		r.Add("generator lag p99", "ms", ms(late))
		if late > maxLag {
			r.Doubts = append(r.Doubts, "arrivals were late by more than "+maxLag.String()+" at p99")
		}
	}
}

// mib is PSS where it can be read, else RSS.
func mib(p load.Process) float64 {
	if p.PSS > 0 {
		return float64(p.PSS) / (1 << 20)
	}
	return float64(p.RSS) / (1 << 20)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
