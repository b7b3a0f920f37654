package sql

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// normalised has texts and what Normal makes of them.
var normalised = [][2]string{
	{"SELECT 1", "SELECT $1"},
	{"select  *\n from t -- the one\n where a = 'it''s' and b=-1.5e3", "select * from t where a = $1 and b=$2"},
	{"SELECT a FROM t WHERE b = $2 AND c = 7", "SELECT a FROM t WHERE b = $2 AND c = $3"},
	{"SELECT E'a\\'b', $$c$$, $x$d$x$, U&'e', B'01', X'1F', N'f', 0x1F, 1_000, .5", "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10"},
	{"SELECT U&'d!0061t' UESCAPE '!'", "SELECT $1 UESCAPE $2"},
	{"SELECT 'a'\n  'b'", "SELECT $1"},
	{"SELECT NULL, TRUE, false", "SELECT NULL, TRUE, false"},
	{"SELECT a FROM t WHERE b IN (1, -2,3 ) AND c", "SELECT a FROM t WHERE b IN ($1 /*, ... */ ) AND c"},
	{"SELECT a FROM t WHERE b IN ($1, $2) AND c = $3", "SELECT a FROM t WHERE b IN ($4 /*, ... */) AND c = $3"},
	{"SELECT a FROM t WHERE b IN ('x')", "SELECT a FROM t WHERE b IN ($1)"},
	{"SELECT a FROM t WHERE b IN (1, c, 2)", "SELECT a FROM t WHERE b IN ($1, c, $2)"},
	{"SELECT a FROM t WHERE b IN (SELECT 1, 2)", "SELECT a FROM t WHERE b IN (SELECT $1, $2)"},
	{"SELECT 1FROM t", "SELECT $1 t"}, // letters glued to a number are part of it
	{"SELECT'a'FROM t WHERE a BETWEEN-1AND 2", "SELECT $1 FROM t WHERE a BETWEEN $2 $3"},
	{`SELECT "a b".c, x[1:2], a::numeric(10,2), b- 1, - -1, ARRAY['x'] @> '{y}' -- z`, `SELECT "a b".c, x[$1:$2], a::numeric($3,$4), b- $5, - $6, ARRAY[$7] @> $8`},
	{"ALTER ROLE app PASSWORD 'hunter2' VALID UNTIL '2027-01-01'", "ALTER ROLE app PASSWORD $1 VALID UNTIL $2"},
	{"CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'p')", "CREATE USER MAPPING FOR u SERVER s OPTIONS (user $1, password $2)"},
	{"SET app.token = hunter2; SET LOCAL x TO 'a', b, -1; set work_mem to default", "SET app.token = $1; SET LOCAL x TO $2, $3, $4; set work_mem to default"},
	{"ALTER ROLE app SET app.token TO hunter2", "ALTER ROLE app SET app.token TO $1"},
	{"ALTER ROLE app SET \"app\".\"token\" = \"hunter2\"", `ALTER ROLE app SET "app"."token" = $1`},
	{"ALTER TABLE t ALTER c SET DEFAULT x, RENAME TO y", "ALTER TABLE t ALTER c SET DEFAULT x, RENAME TO y"},
	{"UPDATE t SET a = b, c = 'd' WHERE e", "UPDATE t SET a = b, c = $1 WHERE e"},
	{"SET ROLE admin", "SET ROLE admin"},
	{"DO $$ BEGIN perform 'x'; END $$", "DO $1"},
	{"/* secret */ SELECT a /* /* b */ c */ FROM t", "SELECT a FROM t"},
	{`SELECT 'a\' OR b = 'hunter2'`, "SELECT…"},
	{"SELECT a, 'hunter2", "SELECT a,…"},
	{"SELECT a /* hunter2", "SELECT a…"},
	{"SELECT $a$ hunter2 $b$", "SELECT…"},
	{"SELECT a \x01 \u202e b", "SELECT a ? ? b"},
	{"", ""},
}

func TestNormalLeavesLiteralsOut(t *testing.T) {
	for _, c := range normalised {
		if got := Normal([]byte(c[0])); got != c[1] {
			t.Errorf("%q\n is %q\nnot %q", c[0], got, c[1])
		}
	}
}

func TestNormalIsShort(t *testing.T) {
	for _, text := range []string{
		"SELECT " + strings.Repeat("a, ", 10_000), `SELECT "` + strings.Repeat("é", 10_000) + `"`, strings.Repeat("(", 1<<20), "SELECT " + strings.Repeat("1, ", 10_000),
	} {
		if got := Normal([]byte(text)); len(got) > maxNormal+len("…") || !strings.HasSuffix(got, "…") {
			t.Errorf("%.20q: %d bytes, that end in %q", text, len(got), got[max(0, len(got)-8):])
		}
	}
}

// secret is in every literal of TestNormalTellsNoLiteral, and nowhere else.
const secret = "hunter2"

// kept writes a secret, with whatever is around it, as a literal or a comment of some form.
func kept() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		around := rapid.StringOfN(rapid.RuneFrom([]rune(`'"\$/*-;,() 9aéE`+"\n\t\x01")), 0, 8, -1)
		plain := around.Draw(t, "before") + secret + around.Draw(t, "after")
		quoted := "'" + strings.ReplaceAll(strings.ReplaceAll(plain, `\`, ""), "'", "''") + "'"
		escaped := strings.NewReplacer(`\`, `\\`, "'", rapid.SampledFrom([]string{`\'`, "''"}).Draw(t, "quote")).Replace(plain)
		switch rapid.IntRange(0, 12).Draw(t, "form") {
		case 0, 1:
			return quoted
		case 2:
			return "E'" + escaped + "'"
		case 3:
			return "$q$" + strings.ReplaceAll(plain, "$", "") + "$q$"
		case 4:
			return "$$" + strings.ReplaceAll(plain, "$", "") + "$$"
		case 5:
			return "U&" + quoted
		case 6:
			return "N" + quoted
		case 7:
			return "B" + quoted
		case 8:
			return "X" + quoted
		case 9:
			return "'a'\n" + quoted
		case 10:
			return "/* " + strings.NewReplacer("*/", "", "/*", "", "*", "").Replace(plain) + " */"
		case 11:
			return "-- " + strings.ReplaceAll(plain, "\n", "") + "\n"
		}
		return "1" + secret
	})
}

// around has what a statement has beside literals.
var around = []string{
	"SELECT", "FROM", "t", "WHERE a =", "IN (", ")", ",", "VALUES (", "ALTER ROLE app PASSWORD", "SET x.y =", "SET x TO", "e", "u", "-", "+", "BETWEEN", "$1", ";",
	"||", "::text", "[", "]", ".", "/* c */", "AND", "x", "CREATE FUNCTION f() RETURNS int AS", "COPY t FROM PROGRAM", "NULL", `"Quoted"`, "é",
}

// TestNormalTellsNoLiteral: whatever a text has around its literals, and wherever it is cut, as PostgreSQL cuts what it shows of a long one.
func TestNormalTellsNoLiteral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(1, 20).Draw(t, "pieces") {
			if rapid.Bool().Draw(t, "literal") {
				text.WriteString(kept().Draw(t, "kept"))
			} else {
				text.WriteString(rapid.SampledFrom(around).Draw(t, "around"))
			}
			text.WriteString(rapid.SampledFrom([]string{" ", "\n", " ", "/**/"}).Draw(t, "glue"))
		}
		whole := text.String()
		cut := whole[:rapid.IntRange(0, len(whole)).Draw(t, "cut")]
		for _, of := range []string{whole, cut} {
			if got := Normal([]byte(of)); strings.Contains(got, secret) {
				t.Fatalf("%q is %q", of, got)
			}
		}
	})
}

// TestNormalTellsNoValueOfASetting however it is written.
func TestNormalTellsNoValueOfASetting(t *testing.T) {
	for _, set := range []string{"SET", "SET LOCAL", "set session", "/* a */ SET", "BEGIN; SET", "ALTER ROLE app SET", "ALTER SYSTEM SET", "ALTER DATABASE d SET", "CREATE FUNCTION f() RETURNS int SET"} {
		for _, name := range []string{"token", "app.token", `"App" . "token"`} {
			for _, is := range []string{"=", " TO ", " to\n"} {
				for _, value := range []string{"hunter2", `"hunter2"`, "'hunter2'", "a, hunter2", "-1, hunter2", "E'hunter2'", `U&"hunter2"`} {
					text := fmt.Sprintf("%s %s%s%s", set, name, is, value)
					if got := Normal([]byte(text)); strings.Contains(got, secret) || !strings.Contains(strings.ToLower(got), "token") {
						t.Errorf("%q is %q", text, got)
					}
				}
			}
		}
	}
}

// FuzzNormal holds that what is left of any bytes has no literal and no comment, and is fit to be shown.
func FuzzNormal(f *testing.F) {
	for _, c := range normalised {
		f.Add([]byte(c[0]))
	}
	for _, line := range sameFingerprint {
		f.Add([]byte(line[0]))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Normal(text)
		if got != Shown(got, len(got)) || len(got) > maxNormal+2*len("…") {
			t.Errorf("%q is %q", text, got)
		}
		n := normal{sequence: sequence{lexemes: lexemes{p: text}}}
		n.write()
		for l := (lexemes{p: n.out}); l.any() && !l.broken; {
			if l.kind.literal() || l.kind == kindNumber || l.kind == kindComment && !strings.HasPrefix(folded[1:], string(l.text)) {
				t.Fatalf("%q is %q, with %q", text, got, l.text)
			}
		}
	})
}
