package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule forbids imports, for a reason that its message gives.
type rule struct {
	packages  string // the importers, below pgguard/
	transient bool   // also what they import of this module, however far away
	forbidden string // import paths
	reason    string
}

const (
	pure = `pool/queue|pool/limit|pool/quantile|breaker|proxy/sql|proxy/translate|proxy/diagnosis`
	core = `pool|pool/.*|breaker|proxy|proxy/sock|proxy/upstream|proxy/instance|proxy/translate|proxy/library|proxy/wire|proxy/sql|proxy/auth|proxy/paper`
	rim  = `pgguard/proxy/(config|admin|metrics|otlp|console|dashboard|fleet|witness|diagnosis)(/.*)?`
)

var rules = []rule{
	{pure, true, `net(/.*)?|os(/.*)?|syscall|log(/.*)?|context`, "the core is pure: it takes now and values and returns values, so that tests and the simulator run it as it is"},
	{pure, true, `pgguard/(proxy|pool)`, "the core knows nobody above it"},
	{`proxy/translate`, false, `pgguard/.*/(sock|upstream|instance|library|auth)|pgguard/(pool|breaker).*|sync`, "translate is messages in, messages out: it imports wire and sql only, and is told the time"},
	{`pool|pool/.*`, true, `net(/.*)?`, "the pool lends what it is given and opens nothing itself"},
	{`pool|pool/.*|breaker`, true, `pgguard/proxy(/.*)?`, "imports point down: proxy uses pool, never the other way"},
	{`pool/.*`, false, `pgguard/pool`, "imports point down: pool uses queue and limit"},
	{`proxy/wire`, true, `net(/.*)?`, "wire frames bytes; it has no sockets"},
	{`proxy/(sock|upstream|instance|translate|library)`, true, `pgguard/proxy`, "imports point down: proxy uses its rooms, never the other way"},
	{`proxy/paper`, true, `pgguard/.*`, "paper reads files; it knows nothing of what is in them"},
	{`proxy/sock`, true, `pgguard/.*`, "sock moves bytes; it knows nothing of what they say"},
	{`proxy/upstream`, true, `pgguard/proxy/(sock|instance|translate|library|sql)`, "upstream logs in; it knows nothing of what is done with a connection"},
	{`proxy/instance`, true, `pgguard/proxy/sock`, "an instance lends connections; who reads and writes them is the proxy"},
	{`proxy/(wire|sql|auth)`, true, `pgguard/proxy(/(sock|upstream|instance|translate|library))?`, "imports point down: the rooms use wire, sql and auth"},
	{core, true, rim, "the rim imports the proxy and is never imported by it"},
	{core, true, `github.com/prometheus/.*`, "the core returns Stats; only the rim knows metrics"},
	{core, true, `pgguard/(bench|cmd)(/.*)?`, "imports point down: what ships does not know how it is measured"},
	{`proxy/(admin|metrics|otlp|console|dashboard|fleet|witness).*`, false, `pgguard/proxy/config`, "only cmd reads the configuration; the parts have their own Config"},
	{`bench|bench/.*`, false, rim + `|pgguard/proxy`, "bench runs the built program, as a user does"},
	{`cmd/pgguard`, true, `pgguard/bench(/.*)?|pgguard/proxy/pgtest|gonum.org/.*`, "what runs beside every application has no load and no charts in it; pgguard demo starts pgguard-bench"},
	{`.*`, false, `math/rand`, "math/rand/v2 is seeded by itself and faster"},
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
	Standard   bool
}

// packages returns this module's packages by import path.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Dir,Imports,GoFiles,Standard", "pgguard/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, "pgguard/") {
			found[p.ImportPath] = p
		}
	}
}

// reach returns every import of p with the path of packages that leads to it; across packages of this module if far.
func reach(all map[string]listed, p listed, far bool) map[string]string {
	found := map[string]string{}
	var walk func(p listed, via string)
	walk = func(p listed, via string) {
		for _, imported := range p.Imports {
			if _, seen := found[imported]; seen {
				continue
			}
			found[imported] = via
			if next, ours := all[imported]; ours && far {
				walk(next, via+" -> "+imported)
			}
		}
	}
	walk(p, p.ImportPath)
	return found
}

// broken returns a line for each import that r forbids.
func (r rule) broken(all map[string]listed) []string {
	importers := regexp.MustCompile(`^pgguard/(` + r.packages + `)$`)
	forbidden := regexp.MustCompile(`^(` + r.forbidden + `)$`)
	var lines []string
	for path, p := range all {
		if !importers.MatchString(path) {
			continue
		}
		for imported, via := range reach(all, p, r.transient) {
			if forbidden.MatchString(imported) {
				lines = append(lines, via+" imports "+imported+": "+r.reason)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestImportsPointDown(t *testing.T) {
	all := packages(t)
	for _, path := range []string{"pgguard/proxy", "pgguard/proxy/sock", "pgguard/proxy/upstream", "pgguard/proxy/instance",
		"pgguard/proxy/wire", "pgguard/proxy/sql", "pgguard/pool", "pgguard/pool/queue"} {
		if len(all[path].Imports) == 0 {
			t.Errorf("%s is not found: the rules about it hold nothing", path)
		}
	}
	for _, r := range rules {
		for _, line := range r.broken(all) {
			t.Error(line)
		}
	}
}

func TestRulesFindWhatTheyForbid(t *testing.T) {
	all := map[string]listed{
		"pgguard/pool/queue":   {ImportPath: "pgguard/pool/queue", Imports: []string{"time", "pgguard/breaker"}},
		"pgguard/breaker":      {ImportPath: "pgguard/breaker", Imports: []string{"net/http"}},
		"pgguard/proxy":        {ImportPath: "pgguard/proxy", Imports: []string{"net", "pgguard/proxy/admin"}},
		"pgguard/proxy/admin":  {ImportPath: "pgguard/proxy/admin", Imports: []string{"net/http", "pgguard/proxy"}},
		"pgguard/bench/report": {ImportPath: "pgguard/bench/report", Imports: []string{"pgguard/proxy/pgtest"}},
	}
	var got []string
	for _, r := range rules {
		for _, line := range r.broken(all) {
			got = append(got, line[:strings.Index(line, ": ")])
		}
	}
	want := []string{
		"pgguard/breaker imports net/http",
		"pgguard/pool/queue -> pgguard/breaker imports net/http",
		"pgguard/pool/queue -> pgguard/breaker imports net/http",
		"pgguard/proxy imports pgguard/proxy/admin",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// clock holds what reads or waits for the clock.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// impure returns a line for each use of the clock and each goroutine in a file.
func impure(fset *token.FileSet, f *ast.File) []string {
	var lines []string
	at := func(n ast.Node, what string) {
		lines = append(lines, fset.Position(n.Pos()).String()+": "+what)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at(n, "the core starts no goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && slices.Contains(clock, n.Sel.Name) {
				at(n, "time."+n.Sel.Name+": the core reads no clock; take now as an argument")
			}
		}
		return true
	})
	return lines
}

func TestPureCodeReadsNoClock(t *testing.T) {
	isPure := regexp.MustCompile(`^pgguard/(` + pure + `)$`)
	for path, p := range packages(t) {
		if !isPure.MatchString(path) {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range impure(fset, f) {
				t.Error(line)
			}
		}
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", "package x\nimport \"time\"\nfunc f() { go f(); _ = time.Now() }", 0)
	if err != nil || len(impure(fset, f)) != 2 {
		t.Errorf("an impure file is not noticed: %v %v", impure(fset, f), err)
	}
}

func TestTopLevelHasNoOtherCodeDirectory(t *testing.T) {
	known := []string{"cmd", "proxy", "pool", "breaker", "bench", "deploy"}
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || slices.Contains(known, e.Name()) {
			continue
		}
		code, err := filepath.Glob(filepath.Join("../..", e.Name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"bin", "docs", "examples"}, e.Name()) || len(code) > 0 {
			t.Errorf("%s/ at the top: code belongs into one of %s", e.Name(), strings.Join(known, ", "))
		}
	}
}
