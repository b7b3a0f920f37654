// Command corpus makes the corpus of the judge out of psql scripts, such as src/test/regress/sql of PostgreSQL:
//
//	go run ./corpus DIR testdata/regress.sql.gz
//
// It keeps every statement the parser accepts, with the comments before it, and leaves out what is psql's.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: corpus DIR FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

// run writes the statements of the scripts in dir to file, each ended by a NUL.
func run(dir, file string) error {
	scripts, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	dropped := 0
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			return err
		}
		for _, statement := range split(withoutPsql(string(text))) {
			if _, err := pg.Parse(statement); err != nil || strings.Contains(statement, "\x00") {
				dropped++
				continue
			}
			if !seen[statement] {
				seen[statement] = true
				fmt.Fprintf(zip, "%s\x00", statement)
			}
		}
	}
	if err := zip.Close(); err != nil {
		return err
	}
	fmt.Printf("%d statements of %d scripts; %d that the parser does not accept\n", len(seen), len(scripts), dropped)
	return os.WriteFile(file, out.Bytes(), 0o644)
}

var (
	copyData = regexp.MustCompile(`(?ims)^(copy\s[^;]*from\s+stdin[^;]*;)[^\n]*\n.*?^\\\.$`)
	command  = regexp.MustCompile(`(?m)^\s*\\.*$`)
	send     = regexp.MustCompile(`(?m)\\(g|gset|gx|gexec|gdesc|crosstabview|bind|parse|watch)\b.*$`)
)

// withoutPsql takes data for COPY and psql's own commands out of a script. Commands that send a statement end it.
func withoutPsql(script string) string {
	script = copyData.ReplaceAllString(script, "$1")
	script = command.ReplaceAllString(script, "")
	return strings.ReplaceAll(send.ReplaceAllString(script, ";"), `\;`, ";")
}

// split cuts a script at the semicolons outside of parentheses and of the bodies of functions, as psql does.
func split(script string) []string {
	result, err := pg.Scan(script)
	if err != nil {
		return strings.SplitAfter(script, ";\n")
	}
	var statements []string
	var start, depth, begins, names int
	create, routine := false, false
	for _, token := range result.Tokens {
		names++
		switch token.Token {
		case pg.Token_ASCII_40:
			depth++
		case pg.Token_ASCII_41:
			depth--
		case pg.Token_CREATE:
			create = create || names == 1
		case pg.Token_FUNCTION, pg.Token_PROCEDURE:
			routine = routine || create && names <= 4
		case pg.Token_BEGIN_P, pg.Token_CASE:
			if routine && (begins > 0 || token.Token == pg.Token_BEGIN_P) {
				begins++
			}
		case pg.Token_END_P:
			begins = max(0, begins-1)
		case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
			names--
		case pg.Token_ASCII_59:
			if depth > 0 || begins > 0 {
				continue
			}
			statements = append(statements, strings.TrimSpace(script[start:token.Start]))
			start, names, depth, create, routine = int(token.End), 0, 0, false, false
		}
	}
	return statements
}
