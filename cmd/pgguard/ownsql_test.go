package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOwnSQLNamesItsSchemas: whoever may create something in a schema of a session's search_path can have what is not qualified there
// mean what he likes, and PostgreSQL prefers his operator to its own wherever that fits the types better (CVE-2018-1058). SQL of the guard's own is
// run by sessions with search_paths of others, so that every operator, function, type and relation in it is pg_catalog's by name.
func TestOwnSQLNamesItsSchemas(t *testing.T) {
	texts := 0
	for _, root := range []string{"../../proxy", "."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && slices.Contains([]string{"conformance", "pgtest", "pgbouncer", "testdata"}, d.Name()) {
				return filepath.SkipDir // they connect by themselves, or tell what PgBouncer asks
			}
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			for at, text := range ownSQL(f) {
				texts++
				for _, fault := range bareNames(text) {
					t.Errorf("%s: %s in %q", files.Position(at), fault, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if texts < 25 {
		t.Errorf("%d texts were found, there are more", texts)
	}
}

// isSQL finds texts that PostgreSQL is sent.
var isSQL = regexp.MustCompile(`^(?i)(\s|--.*\n)*(select|with|set|begin;|create (schema|function))\s|pg_catalog\.`)

// ownSQL returns the texts of a file that are SQL, those that are put together as one, with ” for what is not constant in them.
func ownSQL(f *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		text, whole := pieces(e)
		if whole && isSQL.MatchString(text) {
			found[e.Pos()] = text
		}
		return !whole // what is in calls between the pieces has no SQL that is not whole by itself
	})
	return found
}

// pieces returns a constant text, or a sum of some; ok: it has one.
func pieces(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text, true
		}
	case *ast.BinaryExpr:
		x, isX := pieces(e.X)
		y, isY := pieces(e.Y)
		if e.Op != token.ADD || !isX && !isY {
			return "", false
		}
		if !isX {
			x = "''"
		}
		if !isY {
			y = "''"
		}
		return x + y, true
	}
	return "", false
}

// sqlToken finds the parts of a text: a comment, a literal, a quoted name, a word, a number or parameter, a cast, an operator, anything else.
var sqlToken = regexp.MustCompile(`--[^\n]*|[eE]?'(?:[^'\\]|''|\\.)*'|"[^"]*"|[A-Za-z_][A-Za-z_0-9]*|\$?[0-9]+|\$\$|%\[?\d*\]?[sdq]|::|[-+*/<>=~!@#%^&|?]+|\S`)

// What may stand before a parenthesis, or is not about names although it looks so.
var (
	sqlSyntax = strings.Fields("select from as where and or not any all some exists array values filter over coalesce when then else with on by union operator extract out")
	// Grammar that means an operator or a function by its bare name.
	sqlMeaning = strings.Fields("like ilike similar between in nullif cast overlay position trim overlaps natural using")
)

var (
	sqlWord     = regexp.MustCompile(`^[A-Za-z_]`)
	sqlOperator = regexp.MustCompile(`^[-+*/<>=~!@#%^&|?]+$`)
)

// bareNames says what of a text PostgreSQL looks for in the search_path.
func bareNames(text string) (faults []string) {
	var tokens []string
	for _, s := range sqlToken.FindAllString(text, -1) {
		if !strings.HasPrefix(s, "--") && s != "$$" {
			tokens = append(tokens, s)
		}
	}
	at := func(i int) string {
		if i < 0 || i >= len(tokens) {
			return ""
		}
		return strings.ToLower(tokens[i])
	}
	refuse := func(i int, what string) { faults = append(faults, fmt.Sprintf("%s %s", what, tokens[i])) }
	for i := range tokens {
		s, before, next := at(i), at(i-1), at(i+1)
		switch {
		case s == "::":
			if next != "pg_catalog" || at(i+2) != "." {
				refuse(i+1, "type")
			}
		case sqlOperator.MatchString(s):
			qualified := before == "." && at(i-2) == "pg_catalog" && at(i-3) == "(" && at(i-4) == "operator"
			star := s == "*" && slices.Contains([]string{"select", "(", "."}, before)
			sign := s == "-" && slices.Contains([]string{"select", "(", ","}, before)
			if !qualified && !star && !sign && !(s == "=" && (at(i-2) == "set" || at(i-2) == "local")) {
				refuse(i, "operator")
			}
		case !sqlWord.MatchString(s) || before == ".":
		case slices.Contains(sqlMeaning, s) && next != ".", s == "distinct" && next == "from", s == "case" && next != "when":
			refuse(i, "grammar")
		case strings.HasPrefix(s, "pg_") && next != "." && s != "pg_temp" && s != "pg_catalog":
			refuse(i, "name")
		case next == "(" && !slices.Contains(sqlSyntax, s) && !slices.Contains([]string{"as", "recursive", "function", "exists"}, before):
			refuse(i, "function")
		}
	}
	return faults
}

// TestBareNamesAreSeen: the check of texts finds each kind of name that PostgreSQL looks for in the search_path.
func TestBareNamesAreSeen(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT a = 1":                                      "operator =",
		"SELECT a OPERATOR(pg_catalog.=) b || c":            "operator ||",
		"SELECT a OPERATOR(=) b":                            "operator =",
		"SELECT a OPERATOR(public.=) b":                     "operator =",
		"SELECT a LIKE 'b%'":                                "grammar LIKE",
		"SELECT a NOT IN (1, 2)":                            "grammar IN",
		"SELECT a IS DISTINCT FROM b":                       "grammar DISTINCT",
		"SELECT CASE a WHEN 1 THEN 2 END":                   "grammar CASE",
		"SELECT a BETWEEN b AND c":                          "grammar BETWEEN",
		"SELECT a::text":                                    "type text",
		"SELECT a::pg_catalog.text":                         "",
		"SELECT count(*)":                                   "function count",
		"SELECT pg_catalog.count(*)":                        "",
		"SELECT a FROM pg_settings":                         "name pg_settings",
		"SELECT a FROM pg_catalog.pg_class, pg_proc":        "name pg_proc",
		"SELECT a FROM pg_catalog.pg_class JOIN b USING(c)": "grammar USING",
		"SELECT -1, coalesce(a, '= now()') FROM (SELECT 1) AS f (a) WHERE a IS NULL AND NOT EXISTS (SELECT)": "",
	} {
		if got := strings.Join(bareNames(text), ", "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
