package bench

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/bench/matrix"
	"pgguard/proxy/pgtest"
)

// TestMainMeasuresAMatrix measures two cells with a guard that is built for it, one of them with four guards and with
// arrivals, and draws them anew from the file.
func TestMainMeasuresAMatrix(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "120"}})
	dir := t.TempDir()
	guard := filepath.Join(dir, "pgguard")
	if out, err := exec.Command("go", "build", "-o", guard, "pgguard/cmd/pgguard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "m.json")
	var out, log bytes.Buffer
	code := Main(t.Context(), []string{
		"matrix", "--server", pg.URL("postgres"), "--target", "direct", "--target", "guard=" + guard, "--limits", "8",
		"--only", "^pair (6|24)$", "--time", "600ms", "--warmup", "100ms", "--out", file, "--seed", "1",
	}, &out, &log)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	f, err := matrix.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Cells) != 2 || f.Programs["server"] == "" || f.Machine.Cores == 0 {
		t.Fatalf("%d cells, programs %v, machine %+v", len(f.Cells), f.Programs, f.Machine)
	}
	for _, m := range f.Cells {
		var roles []matrix.Role
		for _, c := range m.Contenders {
			roles = append(roles, c.Role)
			if s := m.Spread(c.Name, matrix.Goodput); s.Median <= 0 {
				t.Errorf("%s: %s answered nobody", m.Name, c.Name)
			}
		}
		for _, want := range []matrix.Role{matrix.Judged, matrix.Direct, matrix.Static, matrix.InOrder} {
			if !slices.Contains(roles, want) {
				t.Errorf("%s has nobody %s: %v", m.Name, want, roles)
			}
		}
		if m.Open != (m.Rate > 0) || m.ReadRows == 0 {
			t.Errorf("%s: rate %v, rows %d", m.Name, m.Rate, m.ReadRows)
		}
	}
	if n := len(matrix.Judge(f)); n != 2 {
		t.Errorf("%d verdicts", n)
	}
	g := &grid{
		targets: []Target{{Name: "guard", Kind: Guard, Path: guard}}, warmup: 100 * time.Millisecond, time: time.Second,
		options: Options{Server: pg.URL("postgres"), Repeats: 1, Progress: t.Output(), Log: t.Output()},
	}
	fit, err := g.measureFit(t.Context(), []float64{1.5}, []int{1, 2, 4})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := fit.Of(1.5); err != nil || u.Lambda < 10 || u.Lambda > 2000 || fit.Update <= 0 || len(fit.Statements[0].Points) != 3 {
		t.Errorf("fitted %+v, %v", fit, err)
	}
	redrawn := filepath.Join(dir, "again.json")
	if code := Main(t.Context(), []string{"matrix", "--from", file, "--out", redrawn}, &out, &log); code != 0 {
		t.Fatalf("draw anew: exit code %d\n%s", code, log.String())
	}
	for _, ext := range []string{".html", ".md"} {
		first, err := os.ReadFile(beside(file, ext))
		again, err2 := os.ReadFile(beside(redrawn, ext))
		if err != nil || err2 != nil || len(first) == 0 || !bytes.Equal(first, again) {
			t.Errorf("%s: %d and %d bytes, %v %v", ext, len(first), len(again), err, err2)
		}
	}
}

func TestMatrixContenders(t *testing.T) {
	g := &grid{
		targets: []Target{
			{Name: "direct"}, {Name: "pgbouncer", Kind: PgBouncer}, {Name: "guard", Kind: Guard, Path: "/g"}, {Name: "old", Kind: Guard, Path: "/o"},
		},
		limits: []int{2, 4, 9}, pools: []int{20},
	}
	for guards, want := range map[int]string{
		1: "direct, pgbouncer pool 20: 1 of 20, guard, limit 2: 1 of 2, limit 4: 1 of 4, limit 9: 1 of 9, old",
		4: "direct, pgbouncer pool 20: 4 of 5, guard, limit 4: 4 of 1, limit 8: 4 of 2, old", // each has the same
	} {
		var got []string
		for _, e := range g.contenders(matrix.Cell{Guards: guards}) {
			text := e.Name
			if n := e.target.Limit + e.target.Pool; n > 0 {
				text += ": " + matrix.Factors[7].Text(float64(e.target.Fleet)) + " of " + matrix.Factors[7].Text(float64(n))
			}
			if e.Role == matrix.Judged && e.target.Fleet != guards {
				t.Errorf("%s: %d guards, want %d", e.Name, e.target.Fleet, guards)
			}
			if e.target.Name != e.Name {
				t.Errorf("%q is started as %q", e.Name, e.target.Name)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%d guards:\ngot  %s\nwant %s", guards, text, want)
		}
	}
	e := fixed(Target{Name: "guard", Kind: Guard, Path: "/g", Config: "x"}, 4, 8, matrix.InOrder, "in order, limit")
	if e.Name != "in order, limit 8" || e.target != (Target{Name: "in order, limit 8", Kind: Guard, Path: "/g", Limit: 2, Fleet: 4, fifo: true}) {
		t.Errorf("%+v", e)
	}
}

// TestMatrixWarmsUpUntilSomebodyGivesUp, or for twice the time.
func TestMatrixWarmsUpUntilSomebodyGivesUp(t *testing.T) {
	g := &grid{warmup: 4 * time.Second}
	for deadline, want := range map[float64]time.Duration{1: 4 * time.Second, 5: 5 * time.Second, 30: 8 * time.Second} {
		if got := g.warmupOf(matrix.Cell{Deadline: deadline}); got != want {
			t.Errorf("deadline %v s: %v, want %v", deadline, got, want)
		}
	}
}

func TestMatrixUsage(t *testing.T) {
	for args, want := range map[string]int{
		"--list":                                0,
		"--target guard=x":                      2, // no server
		"--target direct --server postgres://x": 2, // nobody to judge
		"--target guard=x,limit=3 --server postgres://x":        2, // a limit beside the matrix's
		"--target guard=x --server postgres://x --only nothing": 2,
		"--target guard=x --server postgres://x --only (":       2,
		"--target guard=x --server postgres://x --repeats 0":    2,
		"--sim":                            2, // no fit
		"--sim --fit /does/not/exist.json": 2, // nor anybody to measure
		"--list --limits 0":                2,
		"--list --limits=":                 0,
		"--from x.json":                    2, // nowhere to write
		"--from /does/not/exist.json --out x.json":                  1,
		"--target guard=x --server postgres://127.0.0.1:1/x?user=n": 1, // nobody there
	} {
		var out, log bytes.Buffer
		if got := Main(t.Context(), append([]string{"matrix"}, strings.Fields(args)...), &out, &log); got != want {
			t.Errorf("%s: exit code %d, want %d: %s", args, got, want, log.String())
		}
	}
	var out, log bytes.Buffer
	if code := Main(t.Context(), []string{"matrix", "--list", "--cells", "5", "--only", "table|writes 100"}, &out, &log); code != 0 {
		t.Fatal(log.String())
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 7 || !strings.HasPrefix(lines[3], "table 1000") || !strings.HasPrefix(lines[4], "pair 1 ") {
		t.Errorf("%s", out.String())
	}
}

// TestMainSimulatesAMatrix plays three cells on a made-up server, and the same figures come out twice.
func TestMainSimulatesAMatrix(t *testing.T) {
	dir := t.TempDir()
	fit := matrix.Fit{Update: 0.2, Flush: 1}
	for _, cost := range matrix.Factors[0].Values {
		fit.Statements = append(fit.Statements, matrix.StatementFit{Cost: cost, Curve: matrix.USL{Lambda: 1000 / (cost + 0.3), Sigma: 0.4, Kappa: 0.001}})
	}
	file := filepath.Join(dir, "fit.json")
	if err := fit.Save(file); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, name := range []string{"a.json", "b.json"} {
		path := filepath.Join(dir, name)
		var out, log bytes.Buffer
		if code := Main(t.Context(), []string{
			"matrix", "--sim", "--fit", file, "--out", path, "--only", "^(table 32|pair (5|18))$", "--time", "2s", "--warmup", "1s", "--repeats", "2", "--limits", "4,16",
		}, &out, &log); code != 0 {
			t.Fatalf("exit code %d\n%s", code, log.String())
		}
		f, err := matrix.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range matrix.Judge(f) {
			if v.Guard != "law" || v.Good.N != 2 || v.Ratio < 0.2 || v.Ratio > 1.5 {
				t.Errorf("%s: %+v", v.Cell.Name, v)
			}
		}
		f.Command, f.Written = nil, time.Time{}
		if len(f.Cells) != 3 || !f.Simulated {
			t.Fatalf("%+v", f)
		}
		var b bytes.Buffer
		if err := f.WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, b.String())
	}
	if texts[0] != texts[1] {
		t.Errorf("one seed, two answers:\n%s\n%s", texts[0], texts[1])
	}
}
