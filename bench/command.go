package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pgguard/bench/report"
	"pgguard/bench/scenario"

	"github.com/alecthomas/kong"
)

// Exit codes of the program.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

type commandLine struct {
	Run      runCommand      `cmd:"" help:"Measure targets side by side, in turns."`
	Replay   replayCommand   `cmd:"" help:"Play the statements of a PostgreSQL's log again, against targets in turns."`
	Features featuresCommand `cmd:"" help:"Ask targets, feature by feature, for what a direct connection has."`
	Matrix   matrixCommand   `cmd:"" help:"Measure a guard in many regimes, each beside fixed limits, PgBouncer and a direct connection."`
	Demo     demoCommand     `cmd:"" help:"Show what the guard does: an overload of a private PostgreSQL, direct and guarded. About two minutes."`
	List     listCommand     `cmd:"" help:"List the scenarios."`
	Sim      simCommand      `cmd:"" help:"Play the simulated scenarios and compare laws with the best static limit."`
	Plot     plotCommand     `cmd:"" help:"Draw the results of a run as SVG and PNG."`
	Report   reportCommand   `cmd:"" help:"Write the results of runs as one page of HTML, with their charts."`
}

// measureFlags are those that all scenarios have.
type measureFlags struct {
	Target         []string `sep:"none" placeholder:"TARGET" help:"What to measure; repeat it. direct; pgbouncer[=PATH][,pool=N]; guard=PATH[,pool=N][,limit=N] or guard=PATH,config=FILE; NAME=URL[,pid=N]. Any may have ,name=NAME; fleet=N puts so many pgbouncers or guards before the server."`
	Repeats        int      `default:"3" help:"How often each target is measured."`
	Server         string   `placeholder:"URL" help:"Direct URL of the server, as a superuser."`
	StartServer    bool     `help:"Start a durable PostgreSQL for the run instead."`
	MaxConnections int      `default:"1200" help:"max_connections of the server that is started."`
	Out            string   `placeholder:"FILE" help:"Where to write the JSON. Default: bench/results/SCENARIO-TIME.json."`
	Seed           uint64   `help:"Seed of arrivals and choices; 0 draws one, and prints it."`
	Verbose        bool     `help:"Show the output of the programs that are started."`
}

// runCommand has the scenarios that make their own load.
type runCommand struct {
	measureFlags

	Steady steadyCommand `cmd:"" help:"What a proxy costs when nothing is wrong: throughput, added latency, logins, memory."`
	Spiral spiralCommand `cmd:"" help:"Workers stepped up to 1000 and back: what is left, and does it recover."`
	Story  storyCommand  `cmd:"" help:"A file server stalls, workers are added, the stall ends."`
	Rails  railsCommand  `cmd:"" help:"Many Rails-like clients on few server connections: what they get, and what pins them."`

	scenarioCommands
}

type (
	steadyCommand struct {
		scenario.Steady `embed:""`
	}
	spiralCommand struct {
		scenario.Spiral `embed:""`
	}
	storyCommand struct {
		scenario.Story `embed:""`
	}
	railsCommand struct {
		scenario.Rails `embed:""`
	}
	listCommand struct{}
	plotCommand struct {
		File string `arg:"" help:"JSON that run wrote."`
		Out  string `default:"." placeholder:"DIR" help:"Where to put the charts."`
	}
)

// session is what every command gets.
type session struct {
	ctx            context.Context
	args           []string
	stdout, stderr io.Writer
}

// usageError is a fault in the command line that the parser cannot see.
type usageError struct{ error }

// Main runs pgguard-bench with the arguments after the program's name and returns its exit code: 0, 1 failed, 2 usage.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli := commandLine{}
	done := false
	parser, err := kong.New(&cli, kong.Name("pgguard-bench"), kong.Description("Load harness of pgguard."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.Exit(func(int) { done = true }))
	if err != nil {
		panic(err) // the command line's definition is wrong
	}
	parsed, err := parser.Parse(args)
	if done {
		return exitFine // help was asked for and printed
	}
	if err == nil {
		err = parsed.Run(&session{ctx: ctx, args: args, stdout: stdout, stderr: stderr}, &cli.Run)
		if err == nil {
			return exitFine
		}
	} else {
		err = usageError{err}
	}
	fmt.Fprintf(stderr, "pgguard-bench: %v\n", err)
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitFailed
}

// Run is called by the parser.
func (c *steadyCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Steady) }

// Run is called by the parser.
func (c *spiralCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Spiral) }

// Run is called by the parser.
func (c *storyCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Story) }

// Run is called by the parser.
func (c *railsCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Rails) }

// Run is called by the parser.
func (listCommand) Run(s *session) error {
	_, err := fmt.Fprint(s.stdout, `steady      what a proxy costs when nothing is wrong: throughput, added latency, logins, memory
spiral      workers stepped up to 1000 and back: what is left, and does it recover
story       a file server stalls, an operator adds workers, the stall ends
rails       many Rails-like clients on few server connections: what they get, and what pins them
`+scenarioList+`and, by a command of its own:
matrix      regimes of every kind, each beside fixed limits, PgBouncer and direct: is the guard anywhere below the best
`)
	return err
}

// Run is called by the parser.
func (c *plotCommand) Run(s *session) error {
	f, err := results(c.File)
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(filepath.Base(c.File), filepath.Ext(c.File))
	for _, chart := range charts(f) {
		name := base
		if chart.suffix != "" {
			name += "-" + chart.suffix
		}
		paths, err := chart.WriteFiles(f, c.Out, name)
		if err != nil {
			return err
		}
		for _, p := range paths {
			fmt.Fprintln(s.stdout, p)
		}
	}
	return nil
}

// options turns the flags into Options, or says what is wrong with them.
func (r *measureFlags) options(sc scenario.Scenario) (Options, error) {
	o := Options{Scenario: sc, Repeats: r.Repeats, Server: r.Server, MaxConnections: r.MaxConnections, Seed: r.Seed}
	switch {
	case (r.Server == "") != r.StartServer:
		return o, usageError{errServer}
	case r.Repeats < 1:
		return o, usageError{errors.New("--repeats must be at least 1")}
	}
	var err error
	if o.Targets, err = parseTargets(r.Target); err != nil {
		return o, err
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()>>33 + 1
	}
	return o, nil
}

// parseTargets reads every --target; two may not have one name.
func parseTargets(texts []string) ([]Target, error) {
	if len(texts) == 0 {
		return nil, usageError{errors.New("no --target")}
	}
	names := map[string]bool{}
	var targets []Target
	for _, text := range texts {
		t, err := ParseTarget(text)
		if err != nil {
			return nil, usageError{err}
		}
		if names[t.Name] {
			return nil, usageError{fmt.Errorf("two targets are named %q; add ,name=NAME", t.Name)}
		}
		names[t.Name] = true
		targets = append(targets, t)
	}
	return targets, nil
}

// measure runs the scenario, prints the tables and writes the file.
func (r *measureFlags) measure(s *session, sc scenario.Scenario) error {
	o, err := r.options(sc)
	if err != nil {
		return err
	}
	if sw, ok := sc.(scenario.Sweep); ok {
		if o.Targets, err = sized(o.Targets, sw.Sizes); err != nil {
			return usageError{err}
		}
	}
	out := r.Out
	if out == "" {
		out = filepath.Join("bench", "results", sc.Name()+"-"+time.Now().UTC().Format("20060102-150405")+".json")
	}
	o.Command = masked(s.args)
	o.Save = func(f *report.File) error { return f.Save(out) }
	o.Progress = s.stderr
	if r.Verbose {
		o.Log = s.stderr
	}
	fmt.Fprintf(s.stderr, "%s: %d targets, %d repeats, seed %d\n", sc.Name(), len(o.Targets), o.Repeats, o.Seed)
	f, runErr := Run(s.ctx, o)
	if f != nil && len(f.Runs) > 0 {
		if err := writeFigures(s.stdout, f); err != nil {
			return err
		}
		if err := report.WriteErrors(s.stdout, f); err != nil {
			return err
		}
		fmt.Fprintf(s.stdout, "\n%s\n", out)
	}
	return runErr
}

// masked returns the command line without the passwords in its URLs.
func masked(args []string) []string {
	out := []string{filepath.Base(os.Args[0])}
	for _, a := range args {
		out = append(out, maskURL(a))
	}
	return out
}

// maskURL replaces the password of the first URL in s.
func maskURL(s string) string {
	start := strings.Index(s, "://")
	if start < 0 {
		return s
	}
	rest := s[start+3:]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	colon := strings.IndexByte(rest, ':')
	if at < 0 || colon < 0 || colon > at {
		return s
	}
	return s[:start+3] + rest[:colon] + ":xxxxx" + rest[at:]
}
