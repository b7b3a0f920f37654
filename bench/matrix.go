package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/matrix"
	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// matrixCommand holds the flags of `matrix`.
type matrixCommand struct {
	Target         []string      `sep:"none" placeholder:"TARGET" help:"Whom to measure; repeat it. As in run. A guard is judged, and the first one is measured with each of --limits as well; PgBouncer with each of --pools."`
	Limits         []int         `default:"2,4,8,16,32" help:"Fixed limits of the same guard, of all guards of a cell together; --limits= leaves them out."`
	Pools          []int         `default:"20" help:"Sizes of PgBouncer's pool, of all PgBouncers of a cell together. With --pools 5,10,20,40,80 it is also measured at its best."`
	Cells          int           `help:"Only so many cells, from the front of the design: those of the table first, then those with the most new pairs. 0 is the whole design; beyond it others are drawn, from a fixed seed."`
	Only           string        `placeholder:"REGEXP" help:"Only the cells whose name or description matches; --list prints them."`
	Time           time.Duration `default:"8s" help:"Length of a measurement."`
	Warmup         time.Duration `default:"4s" help:"Load before anything is counted; up to twice that where the deadline is longer."`
	Repeats        int           `default:"1" help:"How often each contender is measured in each cell."`
	Server         string        `placeholder:"URL" help:"Direct URL of the server, as a superuser."`
	StartServer    bool          `help:"Start a durable PostgreSQL for it instead."`
	MaxConnections int           `default:"1200" help:"max_connections of the server that is started."`
	Out            string        `placeholder:"FILE" help:"Where to write the JSON; the page and the table go beside it, as .html and .md. Default: bench/results/matrix-TIME.json."`
	Seed           uint64        `help:"Seed of arrivals and choices; 0 draws one, and prints it."`
	From           []string      `placeholder:"FILE" help:"Measure nothing: judge what was written earlier, the cells of several files together, and write page and table anew to --out."`
	Sim            bool          `help:"Play the cells in the simulator, --repeats seeds each, on the server of --fit: the law beside the same contenders."`
	Fit            string        `placeholder:"FILE" help:"With --sim: the server that was fitted. Where the file is missing the server is measured behind the first guard at fixed limits from 1 to 32, four minutes, and the file is written."`
	List           bool          `help:"Print the cells, and how long they would take, and stop."`
	Verbose        bool          `help:"Show the output of the programs that are started."`
}

// Run is called by the parser.
func (c *matrixCommand) Run(s *session) error {
	if len(c.From) > 0 {
		return c.redraw(s)
	}
	cells, err := c.cells()
	if err != nil {
		return err
	}
	if c.List {
		for _, cell := range cells {
			fmt.Fprintf(s.stdout, "%-10s  %s\n", cell.Name, cell)
		}
		g := grid{cells: cells, targets: listTargets, limits: c.Limits, pools: c.Pools, time: c.Time, warmup: c.Warmup, repeats: c.Repeats}
		fmt.Fprintf(s.stdout, "%d cells; one guard, PgBouncer and direct take about %s\n", len(cells), g.estimate().Round(time.Minute))
		return nil
	}
	if c.Sim {
		return c.simulate(s, cells)
	}
	g, err := c.grid(s, cells)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = filepath.Join("bench", "results", "matrix-"+time.Now().UTC().Format("20060102-150405")+".json")
	}
	g.save = func(f *matrix.File) error { return saveMatrix(f, out) }
	fmt.Fprintf(s.stderr, "matrix: %d cells, about %s, seed %d\n", len(cells), g.estimate().Round(time.Minute), g.options.Seed)
	runErr := g.run(s.ctx)
	return errors.Join(writeMatrix(s.stdout, g.file, out), runErr)
}

// listTargets are those whose time --list tells.
var listTargets = []Target{{Kind: Direct}, {Kind: PgBouncer}, {Kind: Guard}}

// cells are those that the flags leave of the design.
func (c *matrixCommand) cells() ([]matrix.Cell, error) {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return nil, usageError{err}
	}
	var cells []matrix.Cell
	for _, cell := range matrix.Design(c.Cells) {
		if only.MatchString(cell.Name) || only.MatchString(cell.String()) {
			cells = append(cells, cell)
		}
	}
	switch {
	case len(cells) == 0:
		return nil, usageError{fmt.Errorf("no cell matches %q", c.Only)}
	case slices.ContainsFunc(append(slices.Clone(c.Limits), c.Pools...), func(n int) bool { return n < 1 }):
		return nil, usageError{errors.New("--limits and --pools must be at least 1")}
	case c.Cells < 0 || c.Repeats < 1:
		return nil, usageError{errors.New("--cells must not be negative, and --repeats be at least 1")}
	case c.Cells > 0 && c.Cells < len(cells):
		cells = cells[:c.Cells]
	}
	return cells, nil
}

// grid turns the flags into what is to be measured, or says what is wrong with them.
func (c *matrixCommand) grid(s *session, cells []matrix.Cell) (*grid, error) {
	if (c.Server == "") != c.StartServer {
		return nil, usageError{errServer}
	}
	targets, err := parseTargets(c.Target)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if t.Fleet > 0 || t.Limit > 0 || t.Pool > 0 {
			return nil, usageError{fmt.Errorf("target %q: the matrix sets fleet, limit and pool itself", t.Name)}
		}
	}
	if !hasKind(targets, Guard) {
		return nil, usageError{errors.New("no --target guard=PATH to judge")}
	}
	log := io.Discard
	if c.Verbose {
		log = s.stderr
	}
	seed := c.Seed
	if seed == 0 {
		seed = rand.Uint64()>>33 + 1
	}
	return &grid{
		cells: cells, targets: targets, limits: c.Limits, pools: c.Pools, time: c.Time, warmup: c.Warmup, repeats: c.Repeats,
		options: Options{Server: c.Server, MaxConnections: c.MaxConnections, Seed: seed, Repeats: c.Repeats, Progress: s.stderr, Log: log},
		file: &matrix.File{
			Command: masked(s.args), Written: time.Now(), Machine: report.ThisMachine(), Seed: seed,
			Seconds: c.Time.Seconds(), Warmup: c.Warmup.Seconds(), Repeats: c.Repeats,
		},
	}, nil
}

func hasKind(targets []Target, k Kind) bool {
	for _, t := range targets {
		if t.Kind == k {
			return true
		}
	}
	return false
}

// redraw judges files that were written earlier.
func (c *matrixCommand) redraw(s *session) error {
	if c.Out == "" {
		return usageError{errors.New("--from needs --out")}
	}
	f, err := matrix.Load(c.From[0])
	if err != nil {
		return err
	}
	for _, path := range c.From[1:] {
		more, err := matrix.Load(path)
		if err != nil {
			return err
		}
		f.Cells = append(f.Cells, more.Cells...)
	}
	if err := saveMatrix(f, c.Out); err != nil {
		return err
	}
	return writeMatrix(s.stdout, f, c.Out)
}

// saveMatrix writes the JSON, and beside it the page and the table.
func saveMatrix(f *matrix.File, out string) error {
	return errors.Join(f.Save(out), f.SavePage(beside(out, ".html")), f.SaveMarkdown(beside(out, ".md")))
}

func beside(path, ext string) string { return strings.TrimSuffix(path, filepath.Ext(path)) + ext }

// writeMatrix prints what the verdicts come to, and where the rest is.
func writeMatrix(w io.Writer, f *matrix.File, out string) error {
	if len(f.Cells) == 0 {
		return nil
	}
	if err := f.WriteVerdicts(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n%s\n", out, beside(out, ".md"), beside(out, ".html"))
	return err
}

// grid measures cells one after another.
type grid struct {
	cells        []matrix.Cell
	targets      []Target
	limits       []int
	pools        []int
	time, warmup time.Duration
	repeats      int
	options      Options // of each run, but for the scenario
	file         *matrix.File
	save         func(*matrix.File) error
	settled      bool // the last run has left the server at rest
}

// runOverhead is what a run takes beside its load: to settle the server, to start and stop a proxy, to look at the machine's
// speed.
const runOverhead = 3 * time.Second

// estimate is how long all of it takes.
func (g *grid) estimate() time.Duration {
	var sum time.Duration
	for _, c := range g.cells {
		each := g.warmupOf(c) + g.time + runOverhead
		n := len(g.contenders(c))
		if len(g.limits) > 0 {
			n++ // the best of them in order of arrival
		}
		sum += time.Duration(g.repeats*n) * each
		if c.Open {
			sum += each / 2
		}
	}
	return sum
}

// run measures every cell, and saves what there is after each run. A run that fails is noted, and the others go on.
func (g *grid) run(ctx context.Context) error {
	server, stop, err := g.startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := g.versions(ctx, server); err != nil {
		return err
	}
	wrong := 0
	for i, cell := range g.cells {
		fmt.Fprintf(g.options.Progress, "%d/%d %s: %s\n", i+1, len(g.cells), cell.Name, cell)
		m := &matrix.Measured{Cell: cell}
		if err := g.cell(ctx, server, m, i); err != nil {
			return fmt.Errorf("%s: %w", cell.Name, err)
		}
		wrong += len(m.Wrong)
	}
	if wrong > 0 {
		return fmt.Errorf("%d runs failed; the table says which", wrong)
	}
	return nil
}

// startServer returns the server behind all contenders. stop ends it, if it was started for this.
func (g *grid) startServer(ctx context.Context) (s *scenario.Server, stop func(), err error) {
	if err := raiseFiles(); err != nil {
		return nil, nil, err
	}
	if g.options.Server != "" {
		return &scenario.Server{URL: g.options.Server}, func() {}, nil
	}
	c, err := startCluster(ctx, g.options.MaxConnections, g.options.Log)
	if err != nil {
		return nil, nil, err
	}
	return &scenario.Server{URL: c.url}, c.stop, nil
}

// versions notes which programs are measured.
func (g *grid) versions(ctx context.Context, server *scenario.Server) error {
	conn, err := load.ConnectSide(ctx, server.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var number int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&number); err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	g.file.Programs = map[string]string{"server": Target{Kind: Direct}.version(ctx, number)}
	for _, t := range g.targets {
		g.file.Programs[t.Name] = t.version(ctx, number)
	}
	return nil
}
