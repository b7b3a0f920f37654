package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is what is known of one driver.
type row struct {
	driver   driver
	missing  string // why it was not run
	optional bool   // it may be missing
	direct   *result
	guard    *result
}

// report prints one run as soon as it is over.
func (r *row) report(target string, res *result) {
	fmt.Printf("%-16s %-6s %s in %v", r.driver.name, target, res.tally, res.took.Round(time.Millisecond))
	if res.noise != "" {
		fmt.Printf("; neighbours: %s", res.noise)
	}
	fmt.Println()
	if !res.ok() {
		fmt.Printf("  see %s\n", res.log)
	}
	for _, t := range res.trouble {
		fmt.Printf("  %s\n", t)
	}
}

// ok reports whether the driver passed, which takes as many tests through the guard as directly.
func (r *row) ok(directOnly bool) bool {
	if r.missing != "" {
		return r.optional
	}
	if directOnly {
		return r.direct.ok()
	}
	return r.direct.ok() && r.guard.ok() && r.direct.tally == r.guard.tally
}

// printTable prints every driver's results and a closing line, and reports whether all passed.
func printTable(out io.Writer, rows []row, directOnly bool) bool {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ndriver\tdirect\tguard\t")
	passed, failed, notRun := 0, 0, 0
	for _, r := range rows {
		direct, guard, verdict := "-", "-", "passed"
		if r.direct != nil {
			direct = r.direct.String()
		}
		if r.guard != nil {
			guard = r.guard.String()
		}
		switch {
		case r.missing != "":
			verdict = "NOT RUN: " + r.missing
		case !r.ok(directOnly):
			verdict = "FAILED"
		}
		switch {
		case !r.ok(directOnly):
			failed++
		case r.missing != "":
			notRun++
		default:
			passed++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.driver.name, direct, guard, verdict)
	}
	_ = w.Flush() // to standard output
	fmt.Fprintf(out, "drivers: %d passed, %d failed", passed, failed)
	if notRun > 0 {
		fmt.Fprintf(out, ", %d skipped", notRun)
	}
	fmt.Fprintln(out)
	return failed == 0
}
