package breaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestDialsStories runs testdata/dials/*.txt. Each line of a report is one login: its time since the start and "ok" or "failed";
// the answer is what it changed and whether the breaker is open after it.
func TestDialsStories(t *testing.T) {
	datadriven.Walk(t, "testdata/dials", func(t *testing.T, path string) {
		var b Dials
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var at string
			d.ScanArgs(t, "at", &at)
			after, err := time.ParseDuration(at)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			if d.Cmd != "ok" && d.Cmd != "failed" {
				d.Fatalf(t, "unknown command")
			}
			change := b.Report(d.Cmd == "ok", start.Add(after))
			state := "closed"
			if b.Open() {
				state = "open"
			}
			if change == None {
				return state + "\n"
			}
			return fmt.Sprintf("%s: %s\n", state, change)
		})
	})
}
