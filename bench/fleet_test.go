package bench

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/proxy/pgtest"
)

// TestAFleetIsOneTarget starts two guards before one server: clients take them in turn and stay, and their processes and
// metrics are seen together.
func TestAFleetIsOneTarget(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{})
	guard := filepath.Join(t.TempDir(), "pgguard")
	if out, err := exec.Command("go", "build", "-o", guard, "pgguard/cmd/pgguard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	target, err := ParseTarget("guard=" + guard + ",pool=4,fleet=2")
	if err != nil {
		t.Fatal(err)
	}
	l, err := target.start(t.Context(), pg.URL("postgres"), wish{}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer l.stop()
	cfg, err := load.ParseURL(l.url, "fleet")
	if err != nil {
		t.Fatal(err)
	}
	var conns load.Connections
	for range 6 {
		c := load.NewClient(cfg, &conns)
		defer c.Close()
		for range 2 {
			if _, err := c.Exec(t.Context(), "SELECT 1", time.Now().Add(10*time.Second)); err != nil {
				t.Fatal(err)
			}
			c.Quit() // and comes back to the same
		}
		if err := c.Connect(t.Context(), time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	var each []float64
	for _, url := range l.metrics {
		m, err := load.ReadMetrics(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		each = append(each, m.Sum("pgguard_clients"))
	}
	if !slices.Equal(each, []float64{3, 3}) {
		t.Errorf("clients of each guard: %v", each)
	}
	all, err := load.ReadMetrics(t.Context(), l.metrics...)
	if err != nil || all.Sum("pgguard_clients") != 6 {
		t.Errorf("clients of all: %v, %v", all.Sum("pgguard_clients"), err)
	}
	both, err := load.ReadProcess(l.pids...)
	one, err1 := load.ReadProcess(l.pids[0])
	if err != nil || err1 != nil || both.RSS <= one.RSS {
		t.Errorf("%d and %d bytes, %v %v", both.RSS, one.RSS, err, err1)
	}
}
