package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestFrozenStories runs testdata/frozen/*.txt:
//
//	frozen N                          makes a limit that never moves
//	observe at=1s elapsed=5ms running=N [times=1]   finished statements and then a step; answers its decision
func TestFrozenStories(t *testing.T) {
	datadriven.Walk(t, "testdata/frozen", func(t *testing.T, path string) {
		var l Limit
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "frozen":
				var n int
				if _, err := fmt.Sscan(d.CmdArgs[0].Key, &n); err != nil {
					d.Fatalf(t, "%v", err)
				}
				l = Frozen(n)
				return fmt.Sprintf("limit %d\n", l.Current())
			case "observe":
				return observe(t, l, start, d)
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

func observe(t *testing.T, l Limit, start time.Time, d *datadriven.TestData) string {
	var at, elapsed string
	times, s := 1, Sample{}
	d.ScanArgs(t, "at", &at)
	d.ScanArgs(t, "elapsed", &elapsed)
	d.ScanArgs(t, "running", &s.Running)
	d.MaybeScanArgs(t, "times", &times)
	after, err1 := time.ParseDuration(at)
	held, err2 := time.ParseDuration(elapsed)
	if err1 != nil || err2 != nil {
		d.Fatalf(t, "%v %v", err1, err2)
	}
	s.Now, s.Elapsed = start.Add(after), held
	for range times {
		l.Observe(s)
	}
	got := l.Step(s.Now, Signals{Run: float64(s.Running) / 4, Bound: 250 * time.Millisecond})
	if got.Limit != l.Current() {
		t.Errorf("decision says %d, the limit is %d", got.Limit, l.Current())
	}
	if got.Reason == "" {
		return fmt.Sprintf("limit %d\n", got.Limit)
	}
	return fmt.Sprintf("limit %d: %s\n", got.Limit, got.Reason)
}
