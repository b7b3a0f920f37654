package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// rules is a file of rules, as far as the tests look at it.
type rules struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr, For string
			Annotations              map[string]string
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parsed(t *testing.T) rules {
	t.Helper()
	var r rules
	if err := yaml.Unmarshal(read(t, "prometheus/rules.yaml"), &r); err != nil || len(r.Groups) != 2 {
		t.Fatalf("%d groups, %v", len(r.Groups), err)
	}
	return r
}

// metric finds names of metrics in an expression.
var metric = regexp.MustCompile(`pgguard[:_][a-z0-9_:]+`)

// TestRulesAndDashboardsNameMetricsThatThereAre: each name in the rules and the Grafana dashboard is one that pgguard shows, or a recording rule makes.
func TestRulesAndDashboardsNameMetricsThatThereAre(t *testing.T) {
	known := map[string]bool{}
	for _, line := range strings.Split(string(read(t, "../proxy/metrics/testdata/metrics.golden")), "\n") {
		if name, is := strings.CutPrefix(line, "# TYPE "); is {
			name, kind, _ := strings.Cut(name, " ")
			known[name] = true
			if kind == "histogram" {
				known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = true, true, true
			}
		}
	}
	var exprs []string
	for _, g := range parsed(t).Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				known[r.Record] = true
			}
			exprs = append(exprs, r.Expr)
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text := read(t, "grafana/pgguard.json")
	if err := json.Unmarshal(text, &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("%d panels, %v", len(board.Panels), err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	if len(exprs) < 30 {
		t.Fatalf("%d expressions", len(exprs))
	}
	for _, e := range exprs {
		for _, name := range metric.FindAllString(e, -1) {
			if !known[name] {
				t.Errorf("%s in %s is no metric", name, e)
			}
		}
	}
}

// TestEachAlertHasARunbook: it leads to a heading that says what to do, and each heading is led to.
func TestEachAlertHasARunbook(t *testing.T) {
	headings := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllSubmatch(read(t, "../docs/runbook.md"), -1) {
		headings[strings.ReplaceAll(strings.ToLower(string(h[1])), " ", "-")] = false
	}
	for _, g := range parsed(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			to, is := strings.CutPrefix(r.Annotations["runbook"], "docs/runbook.md#")
			if _, has := headings[to]; !is || !has || r.For == "" || r.Annotations["summary"] == "" {
				t.Errorf("%s: runbook %q, for %q", r.Alert, r.Annotations["runbook"], r.For)
			}
			headings[to] = true
		}
	}
	for h, used := range headings {
		if !used {
			t.Errorf("no alert leads to %s", h)
		}
	}
}
