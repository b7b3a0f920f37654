package bench

import (
	"fmt"
	"os"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// reportCommand writes what runs have measured as a page.
type reportCommand struct {
	Files []string `arg:"" name:"file" help:"JSON that run, or replay, wrote; several for a page of all."`
	Out   string   `default:"report.html" placeholder:"FILE" help:"Where to write the page."`
}

// Run is called by the parser.
func (c *reportCommand) Run(s *session) error {
	var sections []report.Section
	for _, path := range c.Files {
		f, err := results(path)
		if err != nil {
			return err
		}
		one := report.Section{File: f}
		for _, chart := range charts(f) {
			one.Charts = append(one.Charts, chart.Chart)
		}
		sections = append(sections, one)
	}
	page, err := report.Page(sections)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, page, 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	fmt.Fprintln(s.stdout, c.Out)
	return nil
}

// results reads a file that was written by run, in the form in which it is drawn.
func results(path string) (*report.File, error) {
	f, err := report.Load(path)
	if err == nil && f.Scenario == (scenario.Sweep{}).Name() {
		f = report.BySize(f, sweepFigures...)
	}
	return f, err
}
