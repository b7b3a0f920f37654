package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/bench/feature"
	"pgguard/bench/report"
	"pgguard/bench/scenario"
	"pgguard/proxy/pgtest"
)

// shortStory is the story in a few seconds, with little load: what is tested is the counting, not the machine.
func shortStory() *scenario.Story {
	s := DemoStory()
	s.Warmup, s.Before, s.Stall, s.After = 200*time.Millisecond, 700*time.Millisecond, 1200*time.Millisecond, 800*time.Millisecond
	s.StallNFS, s.AddEvery = 10*time.Second, 300*time.Millisecond
	s.Jobs, s.Reads, s.Workers, s.AddWorkers, s.MaxWorkers = 40, 40, 5, 5, 30
	s.ReadCost = time.Millisecond
	return &s
}

// relay is a guard that guards nothing: it passes bytes on.
func relay(t *testing.T, upstream string) (addr string, stop func()) {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", u.Host)
			if err != nil {
				c.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
				wg.Go(func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				})
			}
		}
	})
	return l.Addr().String(), func() {
		l.Close()
		wg.Wait()
	}
}

func TestDemoPlaysDirectThenGuardedAndDraws(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	stopped := false
	err := Demo(t.Context(), DemoConfig{
		Out: &out, ResultsDir: dir, Story: shortStory(), Seed: 7,
		StartGuard: func(_ context.Context, upstream string) (string, int, func(), error) {
			addr, stop := relay(t, upstream)
			return addr, 0, func() { stop(); stopped = true }, nil
		},
	})
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out.String())
	}
	if !stopped {
		t.Error("the guard was not stopped")
	}
	for _, want := range []string{"direct", "guard", "stall: web goodput", "In words", "failed logins", "DATABASE_URL=", "story.svg"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
	for _, name := range []string{"story.svg", "story.png", "story.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := report.Load(filepath.Join(dir, "story.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Runs {
		checkStory(t, r)
	}
}

// checkStory checks what must be true of every story that a healthy machine survives.
func checkStory(t *testing.T, r report.Run) {
	t.Helper()
	value := func(name string) float64 {
		v, ok := r.Value(name)
		if !ok {
			t.Errorf("%s has no figure %q", r.Target, name)
		}
		return v
	}
	if v := value("before: web goodput"); v < 20 || v > 60 {
		t.Errorf("%s: %v useful reads a second of 40 offered", r.Target, v)
	}
	if before, stall := value("before: backlog, most"), value("stall: backlog, most"); stall <= before {
		t.Errorf("%s: backlog %v in the stall, %v before: the stall holds nobody up", r.Target, stall, before)
	}
	if v := value("workers, most"); v <= 5 {
		t.Errorf("%s: %v workers: the operator added nobody", r.Target, v)
	}
	if v := value("after: jobs done"); v == 0 {
		t.Errorf("%s: no job was done after the release", r.Target)
	}
	if v := value("stall: server connections, most"); v < 6 {
		t.Errorf("%s: %v server connections seen", r.Target, v)
	}
}

func TestMainMeasuresASpiralAndPlotsIt(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	dir := t.TempDir()
	file := filepath.Join(dir, "spiral.json")
	var out, log bytes.Buffer
	code := Main(t.Context(), []string{
		"run", "spiral", "--server", pg.URL("postgres"), "--target", "second=" + pg.URL("postgres"),
		"--repeats", "1", "--seed", "3", "--out", file, "--steps", "2,8", "--step", "800ms", "--back", "1200ms", "--warmup", "200ms", "--read-cost", "1ms",
	}, &out, &log)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	f, err := report.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Targets(); len(got) != 1 || got[0] != "second" {
		t.Fatalf("targets %q", got)
	}
	for _, r := range f.Runs {
		if v, _ := r.Value("best goodput"); v <= 0 {
			t.Errorf("%s: no useful answers", r.Target)
		}
		if v, _ := r.Value("8 workers: server connections, most"); v < 8 || v > 12 {
			t.Errorf("%s: %v server connections with 8 workers", r.Target, v)
		}
	}
	out.Reset()
	if code := Main(t.Context(), []string{"plot", file, "--out", dir}, &out, &log); code != 0 {
		t.Fatalf("plot: exit code %d\n%s", code, log.String())
	}
	if info, err := os.Stat(filepath.Join(dir, "spiral.png")); err != nil || info.Size() == 0 {
		t.Errorf("no chart: %v", err)
	}
}

// TestMainTablesFeatures asks a server directly and through a relay, and a name for each kind of output.
func TestMainTablesFeatures(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{})
	addr, stop := relay(t, pg.URL("postgres"))
	defer stop()
	args := []string{
		"features", "--server", pg.URL("postgres"), "--only", "^(SET persists|DEALLOCATE ALL)$",
		"--target", "direct", "--target", "relay=postgres://postgres@" + addr + "/postgres?sslmode=disable",
	}
	for _, c := range []struct {
		more string
		want []string
	}{
		{"", []string{"prepared statements  DEALLOCATE ALL", "settings             SET persists", "relay", "2 of 2"}},
		{"--markdown", []string{"| feature | PostgreSQL ", "| relay |\n| --- | --- | --- |\n", "| SET persists | yes | yes |", "| **passed** | 2 of 2 | 2 of 2 |"}},
	} {
		var out, log bytes.Buffer
		if code := Main(t.Context(), append(args, strings.Fields(c.more)...), &out, &log); code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", c.more, code, out.String(), log.String())
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.more, want, out.String())
			}
		}
	}
}

// TestVerdictBlamesGuardsOnly: another proxy may lack features, a guard and the server itself may not.
func TestVerdictBlamesGuardsOnly(t *testing.T) {
	no := featureCell{Result: feature.Result{Wrong: "ERROR 26000 a|b"}}
	for _, c := range []struct {
		kind Kind
		want string
	}{{PgBouncer, ""}, {Address, ""}, {Guard, "x lacks 1 of 2 features"}, {Direct, "x lacks 1 of 2 features"}} {
		table := featureTable{
			targets: []Target{{Name: "x", Kind: c.kind}}, versions: []string{"X 1"},
			features: []feature.Feature{{Group: "g", Name: "one"}, {Group: "g", Name: "two"}},
			cells:    [][]featureCell{{{pins: []string{"listen"}}}, {no}},
		}
		got := ""
		if err := table.verdict(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("kind %d: %q, want %q", c.kind, got, c.want)
		}
		var out bytes.Buffer
		if err := table.writeMarkdown(&out); err != nil {
			t.Fatal(err)
		}
		want := "| feature | X 1 |\n| --- | --- |\n| **g** |  |\n| one | yes (pins: listen) |\n| two | no: ERROR 26000 a\\|b |\n| **passed** | 1 of 2 |\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	}
}

func TestPgBouncerPreparesSince121(t *testing.T) {
	for version, want := range map[string]bool{"PgBouncer 1.18.0": false, "PgBouncer 1.21.0": true, "PgBouncer 1.25.2": true, "PgBouncer 2.0": true, "": false} {
		if got := pgbouncerPrepares(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestMainExitCodes(t *testing.T) {
	for _, c := range []struct {
		args string
		want int
	}{
		{"list", 0},
		{"--help", 0},
		{"dance", 2},
		{"run story --server postgres://x", 2}, // no target
		{"run story --target direct", 2},       // no server
		{"run story --target direct --server postgres://x --start-server", 2},      // two servers
		{"run story --target guard --server postgres://x", 2},                      // no path
		{"run story --target direct --target direct --server postgres://x", 2},     // one name twice
		{"run story --target direct --repeats 0 --server postgres://x", 2},         // nothing to do
		{"run story --target direct --server postgres://127.0.0.1:1/x?user=no", 1}, // nobody there
		{"features --server postgres://x", 2},                                      // no target
		{"features --target pgbouncer,fleet=2 --server postgres://x", 2},           // it asks one
		{"features --target direct", 2},                                            // no server
		{"features --target direct --server postgres://x --only (", 2},
		{"features --target direct --server postgres://127.0.0.1:1/x?user=no", 1}, // nobody there
		{"plot /does/not/exist.json", 1},
		{"run sweep --target guard=x,limit=3 --server postgres://x", 2},              // a size beside the sweep's
		{"run restart --target direct --server postgres://127.0.0.1:1/x?user=no", 1}, // not ours to restart
	} {
		var out, log bytes.Buffer
		if got := Main(t.Context(), strings.Fields(c.args), &out, &log); got != c.want {
			t.Errorf("%s: exit code %d, want %d: %s", c.args, got, c.want, log.String())
		}
	}
}

func TestResultsHoldNoPassword(t *testing.T) {
	args := masked([]string{"run", "--server", "postgres://app:sec:ret@db/x?a=b@c", "--target", "a=postgres://u:secret@h:1/d,pid=3", "--out", "x:y@z"})
	b, err := json.Marshal(args[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := `["run","--server","postgres://app:xxxxx@db/x?a=b@c","--target","a=postgres://u:xxxxx@h:1/d,pid=3","--out","x:y@z"]`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		text string
		want Target
	}{
		{"direct", Target{Name: "direct", Kind: Direct}},
		{"pgbouncer,pool=64,name=wide", Target{Name: "wide", Kind: PgBouncer, Pool: 64}},
		{"pgbouncer=/opt/pgbouncer", Target{Name: "pgbouncer", Kind: PgBouncer, Path: "/opt/pgbouncer"}},
		{"guard=/bin/pgguard,pool=8", Target{Name: "guard", Kind: Guard, Path: "/bin/pgguard", Pool: 8}},
		{"guard=/bin/pgguard,limit=4,pool=90,name=static", Target{Name: "static", Kind: Guard, Path: "/bin/pgguard", Pool: 90, Limit: 4}},
		{"guard=/bin/pgguard,fleet=3", Target{Name: "guard", Kind: Guard, Path: "/bin/pgguard", Fleet: 3}},
		{"pgbouncer,pool=5,fleet=2", Target{Name: "pgbouncer", Kind: PgBouncer, Pool: 5, Fleet: 2}},
		{"guard=/bin/pgguard", Target{Name: "guard", Kind: Guard, Path: "/bin/pgguard"}},
		{"guard=/bin/pgguard,config=a.yaml,name=frozen", Target{Name: "frozen", Kind: Guard, Path: "/bin/pgguard", Config: "a.yaml"}},
		{"odyssey=postgres://h:1/d?a=b,pid=12", Target{Name: "odyssey", Kind: Address, URL: "postgres://h:1/d?a=b", PID: 12}},
	} {
		got, err := ParseTarget(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "guard", "x=y", "direct,pid=3", "pgbouncer,pool=0", "a=postgres://h,pool=3", "direct,name=", "guard=x,pool=3,config=y", "guard=x,limit=3,config=y", "pgbouncer,limit=3", "direct,fleet=2", "guard=x,fleet=0"} {
		if got, err := ParseTarget(bad); err == nil {
			t.Errorf("%q is accepted: %+v", bad, got)
		}
	}
}

func TestProgressPrintsALineEveryFiveSecondsOffATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "x")
	for ms := 0; ms <= 11_000; ms += 500 {
		p.show(scenario.Progress{Done: time.Duration(ms) * time.Millisecond, Total: 12 * time.Second})
	}
	p.end()
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want 3:\n%s", n, out.String())
	}
}
