package bench

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"time"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// Options of a Run.
type Options struct {
	Scenario scenario.Scenario
	Targets  []Target
	Repeats  int
	// Server is the direct URL of a superuser. Empty: a durable PostgreSQL is started for the run.
	Server string
	// MaxConnections of the server that is started.
	MaxConnections int
	Seed           uint64
	Command        []string
	// Save is called after every run with all there is so far, so that a broken-off command keeps its results; may be nil.
	Save func(*report.File) error
	// Progress gets lines for people; Log the output of the programs that are started. Both may be nil.
	Progress, Log io.Writer

	settled bool // the server is at rest already: the run before has left it so
}

// Run measures all targets Repeats times, in turns: A B C, B C A, … Each run meets a settled server and proxies
// started for it. On an error it returns what was measured until then.
func Run(ctx context.Context, o Options) (*report.File, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if err := raiseFiles(); err != nil {
		return nil, err
	}
	f := &report.File{
		Scenario: o.Scenario.Name(), Command: o.Command, Written: time.Now(),
		Machine: report.ThisMachine(), Seed: o.Seed, Params: o.Scenario,
	}
	server := &scenario.Server{URL: o.Server}
	if o.Server == "" {
		c, err := startCluster(ctx, o.MaxConnections, o.Log)
		if err != nil {
			return f, err
		}
		defer c.stop()
		server.URL, server.Restart = c.url, func() error { return c.pg.Restart("fast") }
	}
	if err := o.Scenario.Prepare(ctx, server); err != nil {
		return f, err
	}
	f.Calibration = calibration(server)
	for repeat := range o.Repeats {
		for i := range o.Targets {
			t := o.Targets[(i+repeat)%len(o.Targets)]
			r, err := runOne(ctx, o, server, t, repeat)
			if err != nil {
				return f, fmt.Errorf("%s, repeat %d: %w", t.Name, repeat+1, err)
			}
			f.Runs = append(f.Runs, r)
			f.Written = time.Now()
			addToDirect(f)
			if o.Save == nil {
				continue
			}
			if err := o.Save(f); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

// calibrateFor is how long the machine's speed is measured before and after a run.
const calibrateFor = 300 * time.Millisecond

// runOne measures one target once.
func runOne(ctx context.Context, o Options, server *scenario.Server, t Target, repeat int) (report.Run, error) {
	if !o.settled {
		if err := server.Settle(ctx); err != nil {
			return report.Run{}, err
		}
	}
	var w wish
	if limited, ok := o.Scenario.(interface{ Servers() int }); ok {
		w.servers = limited.Servers()
	}
	if asked, ok := o.Scenario.(interface{ Users() map[string]string }); ok {
		w.secrets = asked.Users()
	}
	l, err := t.start(ctx, server.URL, w, o.Log)
	if err != nil {
		return report.Run{}, err
	}
	defer l.stop()
	lines := newProgress(o.Progress, fmt.Sprintf("%s %d/%d", t.Name, repeat+1, o.Repeats))
	guard, err := scenario.WatchGuard(ctx, l.metrics)
	if err != nil {
		return report.Run{}, err
	}
	defer guard.Close()
	before := report.Calibrate(calibrateFor)
	r, err := o.Scenario.Run(ctx, scenario.Env{
		URL: l.url, PIDs: l.pids, Metrics: l.metrics, Server: server, Seed: o.Seed + uint64(repeat), Progress: lines.show,
	})
	lines.end()
	if err != nil {
		return r, err
	}
	guard.Close()
	guard.Report(&r)
	l.stop()
	if err := server.Settle(ctx); err != nil {
		return r, err
	}
	r.Target, r.Repeat, r.Of, r.Size = t.Name, repeat, t.of, t.size
	r.SetCalibration(before, report.Calibrate(calibrateFor))
	for _, d := range r.Doubts {
		fmt.Fprintf(o.Progress, "%s %d/%d: doubtful: %s\n", t.Name, repeat+1, o.Repeats, d)
	}
	return r, nil
}

// raiseFiles lifts the limit of open files to what the system allows, for us and for the programs we start.
func raiseFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
