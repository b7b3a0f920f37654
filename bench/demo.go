package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// DemoConfig says how to play the demo. Out, ResultsDir and StartGuard are needed.
type DemoConfig struct {
	Out        io.Writer
	ResultsDir string // gets story.svg, story.png and story.json
	// StartGuard starts a guard in front of the server and returns where clients connect, host:port, and its process,
	// 0 when that is our own. stop ends it; Demo calls it once.
	StartGuard func(ctx context.Context, upstreamURL string) (addr string, pid int, stop func(), err error)
	// HTTP is the guard's HTTP address, which Stay prints; may be empty.
	HTTP string
	// Stay leaves server and guard running, and prints where, until ctx ends.
	Stay bool
	// Story replaces DemoStory when not nil.
	Story *scenario.Story
	// MaxConnections of the server; 0 is 100, PostgreSQL's default, which the workers run into.
	MaxConnections int
	Seed           uint64    // 0 is 1: everybody sees the same arrivals
	Log            io.Writer // the server's log; may be nil
}

// DemoStory is the story short enough to be watched twice: about 50 seconds. The operator is in a hurry for the same reason.
func DemoStory() scenario.Story {
	return scenario.Story{
		Warmup: 2 * time.Second, Before: 8 * time.Second, Stall: 22 * time.Second, After: 18 * time.Second,
		NFS: 20 * time.Millisecond, StallNFS: 5 * time.Second, Form: "mixed",
		Jobs: 60, Workers: 25, AddWorkers: 25, AddEvery: 2 * time.Second, MaxWorkers: 500,
		RetryScale: 0.05, JobWait: 30 * time.Second,
		Reads: 100, ReadCost: 5 * time.Millisecond, ReadWait: 2 * time.Second, Pumas: 20,
	}
}

const demoIntro = `The story, on a PostgreSQL of its own (max_connections %d), first direct and then through the guard, %.0f s each:
  %.0f web reads a second, and %.0f background jobs a second whose transactions wait for a file server.
  The file server stalls; jobs pile up; an operator adds workers; it comes back, and they all want the database.

`

// Demo starts a PostgreSQL, plays the story on it direct and guarded, prints both side by side, and draws the chart.
// Nothing it started is left when it returns. It may be interrupted by ctx, whose error it then returns, but for Stay,
// which is meant to end that way.
func Demo(ctx context.Context, c DemoConfig) error {
	if c.MaxConnections == 0 {
		c.MaxConnections = 100
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	story := DemoStory()
	if c.Story != nil {
		story = *c.Story
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, demoIntro, c.MaxConnections, story.Length().Seconds(), story.Reads, story.Jobs)
	pg, err := startCluster(ctx, c.MaxConnections, c.Log)
	if err != nil {
		return err
	}
	defer pg.stop()
	server := &scenario.Server{URL: pg.url}
	if err := story.Prepare(ctx, server); err != nil {
		return err
	}
	f := &report.File{
		Scenario: story.Name(), Command: []string{"pgguard", "demo"}, Machine: report.ThisMachine(), Seed: c.Seed, Params: story,
		Calibration: calibration(server),
	}
	direct := live{url: pg.url, stop: func() {}}
	if err := c.play(ctx, f, story, server, "direct", direct); err != nil {
		return err
	}
	guard, err := c.startGuard(ctx, pg.url)
	if err != nil {
		return err
	}
	defer guard.stop()
	if c.HTTP != "" {
		fmt.Fprintf(c.Out, "\nNow through the guard. Watch it at http://%s/\n", c.HTTP)
	}
	if err := c.play(ctx, f, story, server, "guard", guard); err != nil {
		return err
	}
	if err := c.show(f); err != nil {
		return err
	}
	if c.Stay {
		fmt.Fprint(c.Out, stayText(pg.url, guard.url, c.HTTP))
		<-ctx.Done()
	}
	return nil
}

func (c DemoConfig) startGuard(ctx context.Context, upstream string) (live, error) {
	if c.StartGuard == nil {
		return live{}, errors.New("the demo was given no guard to start")
	}
	addr, pid, stop, err := c.StartGuard(ctx, upstream)
	if err != nil {
		return live{}, fmt.Errorf("start the guard: %w", err)
	}
	return live{url: through(upstream, addr), pids: []int{pid}, stop: stop}, nil
}

// play runs the story on one target and adds the run to f.
func (c DemoConfig) play(ctx context.Context, f *report.File, story scenario.Story, server *scenario.Server, name string, l live) error {
	lines := &narrator{lines: newProgress(c.Out, fmt.Sprintf("%-6s", name))}
	if name != "direct" {
		lines.web = c.HTTP
	}
	listening, stop := context.WithCancel(ctx)
	var ears sync.WaitGroup
	ears.Go(func() { lines.listen(listening) })
	before := report.Calibrate(calibrateFor)
	r, err := story.Run(ctx, scenario.Env{URL: l.url, PIDs: l.pids, Server: server, Seed: c.Seed, Progress: lines.show})
	stop()
	ears.Wait()
	lines.end()
	if err != nil {
		return fmt.Errorf("play the story %s: %w", name, err)
	}
	r.Target = name
	r.SetCalibration(before, report.Calibrate(calibrateFor))
	f.Runs, f.Written = append(f.Runs, r), time.Now()
	if name != "direct" {
		return nil
	}
	// The guard gets the server as the first run found it.
	return server.Settle(ctx)
}

// demoFigures are the rows of the demo's table.
var demoFigures = []string{
	"before: web goodput", "stall: web goodput", "after: web goodput", "before: web p99", "stall: web p99", "after: web p99",
	"before: jobs done", "stall: jobs done", "after: jobs done", "after: backlog, most", "after: backlog cleared in", "backlog at the end",
	"workers, most", "stall: server connections, most", "after: server connections, most",
	"stall: logins failed", "after: logins failed",
	"stall: connections closed by own deadline", "after: connections closed by own deadline",
	"proxy CPU", "proxy memory",
}

// show prints the table and how to use the guard, and writes chart and results.
func (c DemoConfig) show(f *report.File) error {
	s := report.Summarise(f)
	rows := s.Rows
	s.Rows = nil
	for _, name := range demoFigures {
		for _, r := range rows {
			if r.Name == name {
				s.Rows = append(s.Rows, r)
			}
		}
	}
	fmt.Fprintln(c.Out)
	if err := report.WriteTable(c.Out, s); err != nil {
		return err
	}
	if err := report.WriteErrors(c.Out, f); err != nil {
		return err
	}
	fmt.Fprint(c.Out, inWords(f))
	paths, err := storyChart.WriteFiles(f, c.ResultsDir, "story")
	if err != nil {
		return err
	}
	data := filepath.Join(c.ResultsDir, "story.json")
	if err := f.Save(data); err != nil {
		return err
	}
	fmt.Fprintln(c.Out)
	for _, p := range append(paths, data) {
		fmt.Fprintln(c.Out, p)
	}
	for _, r := range f.Runs {
		for _, d := range r.Doubts {
			fmt.Fprintf(c.Out, "doubtful: %s: %s\n", r.Target, d)
		}
	}
	fmt.Fprint(c.Out, useText)
	return nil
}

// inWords is what the table says, a line for each run.
func inWords(f *report.File) string {
	var b strings.Builder
	b.WriteString("\nIn words, from the stall to the end:\n")
	for i := range f.Runs {
		r := &f.Runs[i]
		sum := func(name string) float64 {
			stall, _ := r.Value("stall: " + name)
			after, _ := r.Value("after: " + name)
			return stall + after
		}
		p99, _ := r.Value("stall: web p99")
		fmt.Fprintf(&b, "  %-6s  %.0f failed logins, %.0f connections closed by a deadline; in the stall 99 of 100 web reads took less than %.0f ms\n",
			r.Target, sum("logins failed"), sum("connections closed by own deadline"), p99)
	}
	return b.String()
}

const useText = `
To put it before your own database, start
  pgguard serve --upstream postgres://USER:PASSWORD@DB-HOST:5432/DATABASE
and point the application at it:
  DATABASE_URL=postgres://USER:PASSWORD@127.0.0.1:6432/DATABASE
`

func stayText(server, guard, http string) string {
	s := "\nStill running, until you interrupt it:\n" +
		"  server  psql '" + server + "'\n" +
		"  guard   psql '" + guard + "'\n"
	if http != "" {
		s += "  look    http://" + http + "/\n  metrics http://" + http + "/metrics\n"
	}
	return s
}

func calibration(s *scenario.Server) report.Calibration {
	return report.Calibration{
		ReadRows: s.ReadRows, ReadMillis: float64(s.ReadCost) / float64(time.Millisecond), CrunchRounds: s.CrunchRate, Capacity: s.Capacity,
	}
}
