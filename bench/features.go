package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pgguard/bench/feature"
	"pgguard/bench/load"
	"pgguard/bench/report"
)

// featuresCommand holds the flags of `features`.
type featuresCommand struct {
	Target      []string `sep:"none" placeholder:"TARGET" help:"What to ask; repeat it. As in run."`
	Server      string   `placeholder:"URL" help:"Direct URL of the server, as a superuser. Its tables, role and databases feature_* are made anew."`
	StartServer bool     `help:"Start a PostgreSQL for it instead. Only then are features tried that restart it."`
	Only        string   `placeholder:"REGEXP" help:"Only the features whose name matches."`
	Markdown    bool     `help:"Print the table as Markdown, with the reasons in it."`
	Verbose     bool     `help:"Show the output of the programs that are started."`
}

// featureCell is what one target made of one feature.
type featureCell struct {
	feature.Result
	pins []string // why a guard kept a client on its server
}

// featureTable is every feature with a cell for each target.
type featureTable struct {
	targets  []Target
	versions []string
	features []feature.Feature
	cells    [][]featureCell // by feature, then target
}

// Run is called by the parser.
func (c *featuresCommand) Run(s *session) error {
	targets, err := parseTargets(c.Target)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(targets, func(t Target) bool { return t.Fleet > 1 }) {
		return usageError{errors.New("features asks one proxy: no fleet=N")}
	}
	if (c.Server == "") != c.StartServer {
		return usageError{errServer}
	}
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return usageError{err}
	}
	log := io.Discard
	if c.Verbose {
		log = s.stderr
	}
	var own feature.Demoter
	if c.StartServer {
		pg, err := startCluster(s.ctx, featureConnections, log)
		if err != nil {
			return err
		}
		defer pg.stop()
		c.Server, own = pg.url, pg.pg
	}
	t := &featureTable{targets: targets}
	for _, f := range feature.All() {
		if only.MatchString(f.Name) && (own != nil || !f.NeedsOwnServer()) {
			t.features = append(t.features, f)
		}
	}
	if len(t.features) == 0 {
		return usageError{fmt.Errorf("no feature matches %q", c.Only)}
	}
	if err := t.fill(s.ctx, c.Server, own, s.stderr, log); err != nil {
		return err
	}
	write := t.write
	if c.Markdown {
		write = t.writeMarkdown
	}
	if err := write(s.stdout); err != nil {
		return err
	}
	return t.verdict()
}

// featureConnections is max_connections of the server that is started: neighbours, clients and what proxies keep for
// themselves, directly and through a proxy.
const featureConnections = 100

var errServer = errors.New("give --server URL or --start-server, one of them")

// fill tries every feature on every target. A proxy is started for each, so that what one feature leaks does not spoil the
// next.
func (t *featureTable) fill(ctx context.Context, server string, own feature.Demoter, progress, log io.Writer) error {
	b, err := feature.NewBench(ctx, server)
	if err != nil {
		return err
	}
	b.Own(own)
	for _, target := range t.targets {
		t.versions = append(t.versions, target.version(ctx, b.Version()))
	}
	for i, f := range t.features {
		fmt.Fprintf(progress, "%d/%d %s\n", i+1, len(t.features), f.Name)
		var row []featureCell
		for _, target := range t.targets {
			cell, err := tryFeature(ctx, b, f, target, server, log)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", f.Name, target.Name, err)
			}
			row = append(row, cell)
		}
		t.cells = append(t.cells, row)
	}
	return nil
}

func tryFeature(ctx context.Context, b *feature.Bench, f feature.Feature, target Target, server string, log io.Writer) (featureCell, error) {
	l, err := target.start(ctx, server, wish{servers: feature.Servers, queueWait: feature.QueueWait, users: feature.Users}, log)
	if err != nil {
		return featureCell{}, err
	}
	defer l.stop()
	r, err := b.Run(ctx, l.url, f)
	cell := featureCell{Result: r}
	if err != nil || len(l.metrics) == 0 {
		return cell, err
	}
	m, err := load.ReadMetrics(ctx, l.metrics...)
	if err != nil {
		// A guard that has died in the feature has failed it, and the others are still to be asked.
		if cell.Wrong == "" {
			cell.Wrong = err.Error()
		}
		return cell, nil
	}
	cell.pins = slices.Sorted(maps.Keys(m.By("pgguard_pins_total", "reason")))
	return cell, nil
}

// verdict returns an error when a guard lacks a feature, or the server itself, which makes the answers of all others
// doubtful. What another proxy lacks is only shown.
func (t *featureTable) verdict() error {
	var errs []error
	for i, target := range t.targets {
		if target.Kind != Guard && target.Kind != Direct {
			continue
		}
		if passed := t.passed(i); passed < len(t.features) {
			errs = append(errs, fmt.Errorf("%s lacks %d of %d features", target.Name, len(t.features)-passed, len(t.features)))
		}
	}
	return errors.Join(errs...)
}

// passed counts the features that target i has.
func (t *featureTable) passed(i int) int {
	n := 0
	for _, row := range t.cells {
		if row[i].Wrong == "" {
			n++
		}
	}
	return n
}

// write prints yes and no, and below the reasons.
func (t *featureTable) write(w io.Writer) error {
	head := append([]string{"", "feature"}, t.versions...)
	rows := [][]string{head}
	var reasons strings.Builder
	group := ""
	for i, f := range t.features {
		line := []string{"", f.Name}
		if f.Group != group {
			group = f.Group
			line[0] = group
		}
		for j, cell := range t.cells[i] {
			line = append(line, cell.short())
			if cell.Wrong != "" {
				fmt.Fprintf(&reasons, "%s: %s: %s\n", t.versions[j], f.Name, cell.Wrong)
			}
		}
		rows = append(rows, line)
	}
	rows = append(rows, append([]string{"", "passed"}, t.totals()...))
	if err := report.WriteGrid(w, rows); err != nil {
		return err
	}
	if reasons.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s", reasons.String())
	return err
}

// writeMarkdown prints the table with the reasons in its cells.
func (t *featureTable) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	line := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(append([]string{"feature"}, t.versions...)...)
	line(slices.Repeat([]string{"---"}, len(t.versions)+1)...)
	group := ""
	for i, f := range t.features {
		if f.Group != group {
			group = f.Group
			line(append([]string{"**" + group + "**"}, make([]string, len(t.versions))...)...)
		}
		cells := []string{markdown(f.Name)}
		for _, cell := range t.cells[i] {
			text := cell.short()
			if cell.Wrong != "" {
				text += ": " + markdown(cell.Wrong)
			}
			cells = append(cells, text)
		}
		line(cells...)
	}
	line(append([]string{"**passed**"}, t.totals()...)...)
	_, err := io.WriteString(w, b.String())
	return err
}

// totals is how many features each target has.
func (t *featureTable) totals() []string {
	var out []string
	for i := range t.targets {
		out = append(out, fmt.Sprintf("%d of %d", t.passed(i), len(t.features)))
	}
	return out
}

// short is yes or no, and in brackets why a guard pinned: what works is not all there is to know.
func (c featureCell) short() string {
	text := "yes"
	if c.Wrong != "" {
		text = "no"
	}
	if len(c.pins) > 0 {
		text += " (pins: " + strings.Join(c.pins, ", ") + ")"
	}
	return text
}

// markdown keeps a text inside its cell, and from being read as markup.
func markdown(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "*", `\*`, "<", "&lt;").Replace(s)
}
