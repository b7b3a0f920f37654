package sql

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fragments are pieces of SQL that matter to the scanner, whole tokens and broken ones.
var fragments = []string{
	"BEGIN", "COMMIT", "ROLLBACK", "START", "TRANSACTION", "WORK", "READ ONLY", "ISOLATION LEVEL", "REPEATABLE", "NOT",
	"DEFERRABLE", "AND NO CHAIN", "TO", "SELECT", "INSERT INTO", "UPDATE", "DELETE", "WITH", "AS", "INTO", "FOR", "SHARE",
	"SET", "LOCAL", "CREATE", "TEMP", "TABLE", "PREPARE", "EXECUTE", "DECLARE", "HOLD", "EXPLAIN", "ANALYZE", "LISTEN",
	"t", "users", "e", "E", "u", "U&", "n", "x", "é", "pg_temp", "pg_catalog", "now", "count", "f", "set_config",
	"pg_advisory_lock", "nextval", "true", "'", "''", "'a'", `'a\'`, `E'\''`, "\"", `"a"`, `"pg_advisory_lock"`, "$", "$$",
	"$a$", "$1", "1", "1.5e3", "(", ")", ",", ".", ";", "-", "--", "/", "/*", "*/", "*", "&", "=", "\\", " ", "  ", "\n",
	"\r", "\t", "\v", "\x00", "\xff", strings.Repeat("long_name_", 7),
}

// text generates SQL of a sort.
func text() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom(fragments), 0, 24).Draw(t, "fragments")
		glue := rapid.SampledFrom([]string{"", " ", " ", "/**/"}).Draw(t, "glue")
		return strings.Join(parts, glue)
	})
}

// TestScanTakesAnyChunking compares every text cut at random with the same text whole. On failure rapid prints the seed
// and the smallest text that fails.
func TestScanTakesAnyChunking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(text().Draw(t, "text"))
		whole := Scan(text)
		var s Scanner
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "cut")
			s.Feed(rest[:n])
			rest = rest[n:]
			if n == 0 { // at least one byte, so that this ends
				s.Feed(rest[:1])
				rest = rest[1:]
			}
		}
		if cut := s.Result(); cut != whole {
			t.Fatalf("%q cut gives %s, whole %s", text, describe(cut), describe(whole))
		}
		if again := s.Result(); again != whole {
			t.Fatalf("%q: Result gives %s, then %s", text, describe(whole), describe(again))
		}
		s.Reset()
		if s != (Scanner{}) {
			t.Fatal("Reset leaves something")
		}
	})
}

// TestScanOfTwoTextsIsBoth joins two texts with a semicolon: what one of them may do, both may, if the first ends where it
// seems to and neither has bytes that make comments count as a statement.
func TestScanOfTwoTextsIsBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := text().Draw(t, "first"), text().Draw(t, "second")
		var s Scanner
		s.Feed([]byte(first + " ;"))
		if s.text.state != ground || s.stmt != (statement{}) || doubtful([]byte(first+second)) {
			// the semicolon is in a string, a comment, parentheses, or the body of a function
			return
		}
		a, b, both := Scan([]byte(first)), Scan([]byte(second)), Scan([]byte(first+" ;"+second))
		if both.Statements != a.Statements+b.Statements {
			t.Fatalf("%d and %d statements make %d", a.Statements, b.Statements, both.Statements)
		}
		if want := a.Residue | b.Residue; both.Residue != want {
			t.Fatalf("residue %s, want %s", both.Residue, want)
		}
		if want := a.Undo | b.Undo; both.Undo != want {
			t.Fatalf("undo %s, want %s", both.Undo, want)
		}
		if both.Ddl != (a.Ddl || b.Ddl) || both.Currval != (a.Currval || b.Currval) || both.Sets != (a.Sets || b.Sets) {
			t.Fatalf("%s and %s make %s", describe(a), describe(b), describe(both))
		}
		if both.Ask != (a.Ask || b.Ask) || both.TxControl != (a.TxControl || b.TxControl) {
			t.Fatalf("%s and %s make %s", describe(a), describe(b), describe(both))
		}
		if a.Statements > 0 && b.Statements > 0 && both.ReadOnly != (a.ReadOnly && b.ReadOnly) {
			t.Fatalf("%s and %s make %s", describe(a), describe(b), describe(both))
		}
	})
}

// TestResultNeverSaysTwoThings checks what no text may break.
func TestResultNeverSaysTwoThings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Scan([]byte(text().Draw(t, "text")))
		if fault := contradiction(r); fault != "" {
			t.Fatalf("%s: %s", describe(r), fault)
		}
	})
}

// contradiction names what in r cannot be, or returns "".
func contradiction(r Result) string {
	switch {
	case (r.First == Empty) != (r.Statements == 0):
		return "the empty query is the one without statements"
	case r.PlainBegin && !r.Deferrable:
		return "a plain BEGIN is deferrable"
	case r.Deferrable && (r.First != Begin || r.Statements != 1 || !r.TxControl):
		return "deferrable is one BEGIN"
	case r.PlainEnd && (r.First != Commit && r.First != Rollback || r.Statements != 1 || !r.TxControl):
		return "a plain end is one COMMIT or ROLLBACK"
	case (r.Deferrable || r.PlainEnd) && (r.Ask || r.Residue|r.Undo != 0 || r.Ddl || r.ReadOnly):
		return "BEGIN, COMMIT and ROLLBACK leave nothing"
	case r.ReadOnly && (r.Ask || r.Residue|r.Undo != 0 || r.Ddl || r.TxControl || r.Statements == 0):
		return "reading leaves nothing"
	case r.Currval && r.Residue&Sequence == 0:
		return "currval is about sequences"
	case (r.Residue|r.Undo)&Setting != 0 && !r.Sets, r.Sets && r.ReadOnly && r.First != Explain:
		return "what changes a setting sets it"
	case r.Residue&(Setting|AdvisoryLock)&^r.Undo != 0:
		return "what sets a setting changes one"
	case r.Ambiguous && (!r.Ask || !r.TxControl || !r.Ddl || !r.Sets || !r.Currval || r.Residue&r.Undo != AllResidue):
		return "the ambiguous is the worst"
	case r.Ambiguous && (r.ReadOnly || r.Deferrable || r.PlainEnd):
		return "the ambiguous is not sure"
	}
	return ""
}
