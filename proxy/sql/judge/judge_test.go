package judge

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"pgguard/proxy/sql"
)

// judge compares the scanner with the parser.
type judge struct {
	functions map[string][]string
	corpus    []string
}

func newJudge(t testing.TB) *judge {
	t.Helper()
	return &judge{functions: readFunctions(t), corpus: readCorpus(t)}
}

// readCorpus returns the statements of PostgreSQL's regression tests.
func readCorpus(t testing.TB) []string {
	t.Helper()
	file, err := os.Open("testdata/regress.sql.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	corpus := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	if len(corpus) < 30_000 {
		t.Fatalf("the corpus has %d statements", len(corpus))
	}
	return corpus
}

// faults returns what the scanner says of a text that its tree does not bear out; ok is false if the parser refuses the
// text.
func (j *judge) faults(text string) (faults []string, ok bool) {
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, false
	}
	r := sql.Scan([]byte(text))
	if r.Ambiguous { // everything is suspected
		return nil, true
	}
	n := len(tree.Stmts)
	if r.Statements != n && !(r.Statements == 1 && n == 0 && r.First == sql.Other) {
		faults = append(faults, fmt.Sprintf("%d statements, want %d", r.Statements, n))
	}
	var all truth
	for i, raw := range tree.Stmts {
		t := j.truthOf(raw.Stmt)
		if first := command(r); i == 0 && first != t.command {
			faults = append(faults, fmt.Sprintf("the first command is %s, want %s", first, t.command))
		}
		all.add(t)
	}
	if r.Ask && strings.Contains(strings.ToUpper(text), `U&"`) { // the name of a function may be in escapes
		all.residue, all.undo, all.sets, all.currval = 0, 0, false, false
	}
	faults = append(faults, all.unsuspected(r)...)
	if r.ReadOnly && (all.writes || n == 0) {
		faults = append(faults, "ReadOnly")
	}
	if r.Deferrable && !(n == 1 && all.deferrable) || r.PlainBegin && !(n == 1 && all.plainBegin) {
		faults = append(faults, "Deferrable or PlainBegin")
	}
	if r.PlainEnd && !(n == 1 && all.plainEnd) {
		faults = append(faults, "PlainEnd")
	}
	if n == 1 {
		faults = append(faults, targetFaults(text, tree.Stmts[0].Stmt)...)
	}
	return append(faults, settingFaults(text, tree)...), true
}

// command is the first command of r as selectCommand has it.
func command(r sql.Result) sql.Command {
	if r.First == sql.Values || r.First == sql.Table {
		return sql.Select
	}
	return r.First
}

// targetFaults compares Target and DiscardsAll with the tree of the only statement of a text.
func targetFaults(text string, statement *pg.Node) (faults []string) {
	want, all, command := "", false, sql.Other
	switch n := statement.Node.(type) {
	case *pg.Node_PrepareStmt:
		want, command = n.PrepareStmt.Name, sql.Prepare
	case *pg.Node_ExecuteStmt:
		want, command = n.ExecuteStmt.Name, sql.Execute
	case *pg.Node_DeallocateStmt:
		want, command = n.DeallocateStmt.Name, sql.Deallocate
		all = n.DeallocateStmt.Isall
	}
	c, name, gotAll, ok := sql.Target([]byte(text))
	switch {
	case command == sql.Other && ok:
		faults = append(faults, fmt.Sprintf("Target is %s %q", c, name))
	case command == sql.Other:
	case !ok:
		if !strings.Contains(strings.ToUpper(text), `U&"`) {
			faults = append(faults, "no Target")
		}
	case c != command || string(name) != want || gotAll != all:
		faults = append(faults, fmt.Sprintf("Target is %s %q all=%t, want %s %q all=%t", c, name, gotAll, command, want, all))
	}
	discard := statement.GetDiscardStmt() != nil && statement.GetDiscardStmt().Target == pg.DiscardMode_DISCARD_ALL
	if sql.DiscardsAll([]byte(text)) != discard {
		faults = append(faults, fmt.Sprintf("DiscardsAll is %t", !discard))
	}
	return faults
}

// settingFaults compares CustomSettings with the names in the tree.
func settingFaults(text string, tree *pg.ParseResult) (faults []string) {
	var got []string
	if sql.CustomSettings([]byte(text), func(name []byte) { got = append(got, string(name)) }) {
		return nil
	}
	want := func(name string) {
		name = strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, name)
		if strings.Contains(name, ".") && !slices.Contains(got, name) {
			faults = append(faults, fmt.Sprintf("CustomSettings lacks %q", name))
		}
	}
	for _, raw := range tree.Stmts {
		want(raw.Stmt.GetVariableSetStmt().GetName())
		walk(raw.ProtoReflect(), func(m protoreflect.Message) {
			n, ok := m.Interface().(*pg.FuncCall)
			if !ok || last(n.Funcname) != "set_config" || len(n.Args) == 0 {
				return
			}
			if n.Args[0].GetAConst() == nil {
				faults = append(faults, "CustomSettings is not opaque")
			}
			want(n.Args[0].GetAConst().GetSval().GetSval())
		})
	}
	return faults
}

func TestScannerSuspectsAllThatTheParserSeesInTheCorpus(t *testing.T) {
	j := newJudge(t)
	faulty, suspected, reads := 0, 0, 0
	for _, text := range j.corpus {
		faults, ok := j.faults(text)
		if !ok {
			t.Fatalf("the parser refuses %q", text)
		}
		if len(faults) > 0 {
			if faulty++; faulty <= 50 {
				t.Errorf("%s\n%.300s", strings.Join(faults, "; "), text)
			}
		}
		r := sql.Scan([]byte(text))
		if r.Ask || r.Residue != 0 {
			suspected++
		}
		if r.ReadOnly {
			reads++
		}
	}
	if reads < 12_000 {
		t.Errorf("of %d statements the scanner knows only %d to read", len(j.corpus), reads)
	}
	t.Logf("%d statements: %d under-suspected or else at fault, %d suspected, %d known to read only", len(j.corpus), faulty, suspected, reads)
}

// TestScannerSeesWhereStatementsEnd joins the statements of the corpus in hundreds.
func TestScannerSeesWhereStatementsEnd(t *testing.T) {
	j := newJudge(t)
	for group := range slices.Chunk(j.corpus, 100) {
		text := strings.Join(group, "\n;")
		tree, err := pg.Parse(text)
		if err != nil {
			t.Fatalf("the parser refuses what begins with %.80q: %v", group[0], err)
		}
		if r := sql.Scan([]byte(text)); !r.Ambiguous && r.Statements != len(tree.Stmts) {
			t.Errorf("%d statements, want %d, from %.80q on", r.Statements, len(tree.Stmts), group[0])
		}
	}
}
