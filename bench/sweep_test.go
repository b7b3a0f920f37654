package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

func TestASweepStartsOneTargetForEachSize(t *testing.T) {
	targets, err := sized([]Target{
		{Name: "direct"}, {Name: "guard", Kind: Guard, Path: "/g"}, {Name: "pgbouncer", Kind: PgBouncer},
	}, []int{2, 8})
	if err != nil {
		t.Fatal(err)
	}
	want := []Target{
		{Name: "direct"},
		{Name: "guard limit=2", Kind: Guard, Path: "/g", Limit: 2, of: "guard", size: 2},
		{Name: "guard limit=8", Kind: Guard, Path: "/g", Limit: 8, of: "guard", size: 8},
		{Name: "pgbouncer pool=2", Kind: PgBouncer, Pool: 2, of: "pgbouncer", size: 2},
		{Name: "pgbouncer pool=8", Kind: PgBouncer, Pool: 8, of: "pgbouncer", size: 8},
	}
	if len(targets) != len(want) {
		t.Fatalf("%+v", targets)
	}
	for i := range want {
		if targets[i] != want[i] {
			t.Errorf("got %+v, want %+v", targets[i], want[i])
		}
	}
}

func TestGuardConfigHoldsWhatIsWished(t *testing.T) {
	for want, w := range map[string]wish{
		"":                                       {},
		"pool: {limit: 4}\n":                     {limit: 4},
		"pool: {max_servers: 8, limit: 4}\n":     {servers: 8, limit: 4},
		"classes: [{name: all, max_wait: 2s}]\n": {queueWait: 2},
		"pool: {limit: 4}\nclasses: [{name: all, max_wait: 60s, interactive: false}]\n": {limit: 4, queueWait: 60, fifo: true},
	} {
		if got := guardConfig(w); got != want {
			t.Errorf("%+v: %q, want %q", w, got, want)
		}
	}
}

// TestASweepIsShownOverItsSizes: tables name the best size, and the chart is drawn.
func TestASweepIsShownOverItsSizes(t *testing.T) {
	f := &report.File{Scenario: "sweep"}
	for repeat := range 2 {
		for _, c := range []struct {
			name, of            string
			size                int
			goodput, throughput float64
			p99                 float64
		}{
			{"guard limit=2", "guard", 2, 90, 95, 10}, {"guard limit=4", "guard", 4, 99, 99, 20},
			{"guard limit=8", "guard", 8, 100, 100, 40}, {"guard limit=16", "guard", 16, 50, 100, 5}, {"direct", "", 0, 70, 90, 50},
		} {
			r := report.Run{Target: c.name, Of: c.of, Size: c.size, Repeat: repeat}
			r.Add(scenario.SweepGoodput, "1/s", c.goodput)
			r.Add(scenario.SweepThroughput, "1/s", c.throughput)
			r.Add(scenario.SweepP99, "ms", c.p99)
			f.Runs = append(f.Runs, r)
		}
	}
	var out bytes.Buffer
	if err := writeFigures(&out, f); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"best static size of guard: 4\n", "goodput, size 16", "70 (70–70)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "size of direct") {
		t.Error("direct has a best size")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "sweep.json")
	if err := f.Save(file); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	var log bytes.Buffer
	if code := Main(t.Context(), []string{"plot", file, "--out", dir}, &out, &log); code != 0 {
		t.Fatalf("plot: exit code %d\n%s", code, log.String())
	}
	if info, err := os.Stat(filepath.Join(dir, "sweep.png")); err != nil || info.Size() == 0 {
		t.Errorf("no chart: %v", err)
	}
	by := report.BySize(f, scenario.SweepGoodput)
	if c, ok := by.Runs[0].Curve(scenario.SweepGoodput); !ok || len(c.X) != 4 || c.X[3] != 16 || c.Y[3] != 50 {
		t.Errorf("guard over sizes: %+v", c)
	}
	if c, ok := by.Runs[1].Curve(scenario.SweepGoodput); !ok || len(c.X) != 4 || c.Y[0] != 70 || c.Y[3] != 70 {
		t.Errorf("direct over sizes: %+v", c)
	}
}

// TestControlLeavesOutWhatNobodyMeasured: a file without a guard has no panels of one.
func TestControlLeavesOutWhatNobodyMeasured(t *testing.T) {
	f := &report.File{Scenario: "overload", Runs: []report.Run{{Target: "direct", Series: []report.Series{
		report.PerSecond("clients", "1/s", []float64{1, 2}), report.PerSecond(scenario.SeriesActive, "", []float64{3, 4}),
	}}}}
	if got := charts(f); len(got) != 1 || len(got[0].Panels) != 2 {
		t.Errorf("%+v", got)
	}
	f.Runs = append(f.Runs, report.Run{Target: "guard", Series: []report.Series{
		report.PerSecond(scenario.SeriesLimit, "", []float64{5, 6}), report.PerSecond(scenario.SeriesRunning, "", []float64{5, 6}),
	}})
	got := charts(f)
	if len(got[0].Panels) != 3 || got[0].Panels[2].Dashed != scenario.SeriesLimit {
		t.Errorf("%+v", got)
	}
	if _, err := got[0].WriteFiles(f, t.TempDir(), "x"); err != nil {
		t.Error(err)
	}
}
