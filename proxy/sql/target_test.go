package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTargetNamesThePreparedStatement(t *testing.T) {
	long := strings.Repeat("a", 62)
	for _, tt := range []struct {
		text    string
		command Command
		name    string // "-" for ok = false
		all     bool
	}{
		{"DEALLOCATE a7", Deallocate, "a7", false},
		{"deallocate prepare A7;", Deallocate, "a7", false},
		{`DEALLOCATE "A""7" ; /* x */ ;`, Deallocate, `A"7`, false},
		{"/* DEALLOCATE b */ ; DEALLOCATE -- c\n PREPARE /* d */ e", Deallocate, "e", false},
		{"DEALLOCATE ALL", Deallocate, "", true},
		{"DEALLOCATE PREPARE all ;", Deallocate, "", true},
		{`DEALLOCATE "all"`, Deallocate, "all", false},
		{"DEALLOCATE prepare", Deallocate, "prepare", false},
		{"DEALLOCATE prepare;", Deallocate, "prepare", false},
		{"DEALLOCATE PREPARE prepare", Deallocate, "prepare", false},
		{"DEALLOCATE Straße", Deallocate, "straße", false},
		{"DEALLOCATE " + long + "éx", Deallocate, long, false},
		{"DEALLOCATE " + long + "xy", Deallocate, long + "x", false},
		{`DEALLOCATE "` + long + `éx"`, Deallocate, long, false},
		{"EXECUTE p", Execute, "p", false},
		{"EXECUTE p(1, ';')", Execute, "p", false},
		{`EXECUTE "P 1" (1);`, Execute, "P 1", false},
		{"PREPARE p AS SELECT 1", Prepare, "p", false},
		{"PREPARE p(int) AS SELECT $1", Prepare, "p", false},
		{"PREPARE transaction AS SELECT 1", Prepare, "transaction", false},
		{"PREPARE \"Q\"AS SELECT 1", Prepare, "Q", false},

		{"PREPARE TRANSACTION 'a'", Prepare, "-", false},
		{`DEALLOCATE U&"a"`, Deallocate, "-", false},
		{"DEALLOCATE select", Deallocate, "-", false},
		{"DEALLOCATE a b", Deallocate, "-", false},
		{"DEALLOCATE a; SELECT 1", Deallocate, "-", false},
		{"DEALLOCATE \"a", Deallocate, "-", false},
		{`DEALLOCATE ""`, Deallocate, "-", false},
		{"DEALLOCATE a /*", Deallocate, "-", false},
		{"DEALLOCATE 'a'", Deallocate, "-", false},
		{"DEALLOCATE \xff", Deallocate, "-", false},
		{"DEALLOCATE", Deallocate, "-", false},
		{"DEALLOCATE ;", Deallocate, "-", false},
		{"EXECUTE p.q", Execute, "-", false},
		{"EXECUTE p; SELECT 1", Execute, "-", false},
		{"PREPARE p SELECT 1", Prepare, "-", false},
		{"SELECT 1", Select, "-", false},
		{"", Empty, "-", false},
		{";(", Other, "-", false},
	} {
		c, name, all, ok := Target([]byte(tt.text))
		got := string(name)
		if !ok {
			got = "-"
		}
		if c != tt.command || got != tt.name || all != tt.all {
			t.Errorf("Target(%q) is %s %q all=%t, want %s %q all=%t", tt.text, c, got, all, tt.command, tt.name, tt.all)
		}
	}
}

func TestDiscardsAll(t *testing.T) {
	for text, want := range map[string]bool{
		"DISCARD ALL": true, "/* a */ ;discard all ; -- b": true,
		"DISCARD TEMP": false, "DISCARD": false, "DISCARD ALL; SELECT 1": false, `DISCARD "all"`: false,
		"DISCARD ALL /*": false, "DISCARD PLANS": false, "SELECT 1": false, "DISCARD ALL x": false,
	} {
		if got := DiscardsAll([]byte(text)); got != want {
			t.Errorf("DiscardsAll(%q) is %t", text, got)
		}
	}
}

// nestedDo is n DO in each other.
func nestedDo(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "DO $a%d$ SET LOCAL x = 1; ", i)
	}
	for i := range n {
		fmt.Fprintf(&b, "$a%d$ ", n-1-i)
	}
	return b.String()
}

var customSettings = []struct {
	text   string
	names  string // joined by spaces
	opaque bool
}{
	{"SET a.b = 1", "a.b", false},
	{"SET SESSION A.B TO 'x'; set local c.d.E = 1", "a.b c.d.e", false},
	{`SET "My App"."User" = 1`, "my app.user", false},
	{`SET "a.b" FROM CURRENT`, "a.b", false},
	{"SET session.x = 1; SET local.y TO 2", "session.x local.y", false},
	{"SET /* c */ a -- d\n . b = 1", "a.b", false},
	{"RESET a.b", "a.b", false},
	{"RESET ALL", "", false},
	{"SET search_path = a.b", "", false},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "", false},
	{"ALTER ROLE r SET a.b = 1", "a.b", false},
	{`SET U&"a"."b" = 1`, "", true},
	{`SET a.U&"b" = 1`, "", true},
	{"SET a.b = 'it\\'s'", "a.b", true},
	{"SET " + strings.Repeat("a", 70) + ".b = 1", strings.Repeat("a", 63) + ".b", false},

	{"SELECT set_config('a.B', $1, true)", "a.b", false},
	{"SELECT pg_catalog.set_config ( $q$a.b$q$ , 'x', false), set_config(E'c.d', 'x', true)", "a.b c.d", false},
	{`SELECT "set_config"('a.b', 'x', false)`, "a.b", false},
	{"SELECT set_config('search_path', '', false)", "", false},
	{"SELECT set_config('a.''b', '', false)", "a.'b", false},
	{"SELECT set_config($1, $2, false)", "", true},
	{"SELECT set_config('a.' || x, $2, false)", "", true},
	{"SELECT set_config('a.'\n'b', $2, false)", "", true},
	{"SELECT set_config(E'a.b\\'', '', true)", "", true},
	{"SELECT set_config(setting_name => 'a.b', new_value => 'c', is_local => true)", "", true},
	{"SELECT set_config(('a.b'), 'c', true)", "", true},
	{"SELECT set_config(name, setting, true) FROM pg_settings", "", true},
	{`SELECT U&"\0073et_config"('a.b', 'c', true)`, "", true},
	{`SELECT U&"x" FROM t`, "", false},
	{"SELECT set_config FROM t", "", false},
	{"SELECT set_config(set_config('a.b', 'c', true), 'd', true)", "a.b", true},

	{"DO $$ BEGIN SET a.b = 1; END $$", "a.b", false},
	{"DO LANGUAGE plpgsql 'BEGIN PERFORM set_config(''a.b'', ''c'', true); END'", "a.b", false},
	{"DO $$ BEGIN EXECUTE 'SET a.b = 1'; END $$", "", true},
	{"DO E'BEGIN SET a.b = \\'1\\'; END'", "", true},
	{"BEGIN EXECUTE format('set %I = 1', x); END", "", true},
	{"BEGIN EXECUTE 'select set_config(...)'; END", "", true},
	{"BEGIN EXECUTE 'SELECT 1'; END", "", false},
	{"BEGIN RETURN 'SET x'; END", "", false},
	{"SELECT '", "", true},
	{"UPDATE t SET b = 1 WHERE a.b = 2", "", false},
	{"SET", "", false},
	{"SET a.", "a.", false},
	{"SET ;SET a.b=1", "a.b", false},
	{"SELECT set_config", "", false},
	{"SELECT set_config(", "", true},
	{"", "", false},

	{"DO $a$ DO $b$ BEGIN SET a.b = 1; END $b$ $a$", "a.b", false},
	{nestedDo(50_000), "", true},
	{`DO LANGUAGE plpython3u $$ plpy.execute("SET a.b = 1") $$`, "", true},
	{`SELECT "reset_password_token", set_config('a.b', 'c', true)`, "a.b", false},
	{"BEGIN EXECUTE 'UPDATE users SeT reset_token = 1'; END", "", true},
	{"BEGIN EXECUTE 'SELECT reset_token'; END", "", false},
}

func TestCustomSettingsAreThoseWithADot(t *testing.T) {
	for _, tt := range customSettings {
		var names []string
		opaque := CustomSettings([]byte(tt.text), func(name []byte) { names = append(names, string(name)) })
		if got := strings.Join(names, " "); got != tt.names || opaque != tt.opaque {
			t.Errorf("CustomSettings(%q) are %q opaque=%t, want %q opaque=%t", tt.text, got, opaque, tt.names, tt.opaque)
		}
	}
}

// TestLexemesSplitWhereTheServerDoes checks the forms in which the split is easy to get wrong.
func TestLexemesSplitWhereTheServerDoes(t *testing.T) {
	for text, want := range map[string]string{
		"a.b(1.5e-3,.5)":                      "a . b ( 1.5e-3 , .5 )",
		"1..10":                               "1 .. 10",
		"0xe-5":                               "0xe - 5",
		"a<=-1 b*-1 @-1":                      "a <= - 1 b * - 1 @- 1",
		"a-/*b*/c--d\n+e":                     "a - c + e",
		"E'a\\'' U&'b' n'c' x'1' B'0'":        "E'a\\'' U&'b' n'c' x'1' B'0'",
		"E'a' \n -- c\n '\\''":                "E'a' \n -- c\n '\\''",
		"'a''b' 'c'":                          "'a''b' 'c'",
		"$1 $a$ $b$ $a$ $$'$$ a$b":            "$1 $a$ $b$ $a$ $$'$$ a$b",
		`U&"a""b"."c"`:                        `U&"a""b" . "c"`,
		"1 =" + strings.Repeat("+", 80) + "1": "1 = " + strings.Repeat("+ ", 80) + "1",
		"a::b[1]":                             "a : : b [ 1 ]",
		"/* a /* b */ c */x":                  "x",
	} {
		var got []string
		for l := (lexemes{p: []byte(text)}); l.next(); {
			got = append(got, string(l.text))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is %q, want %s", text, got, want)
		}
	}
	for _, text := range []string{"'a", `"a`, "E'a\\'", "$a$ $A$", "/* /* */", `'a\'`, "x'1", `U&"a`} {
		l := lexemes{p: []byte(text)}
		for l.next() {
		}
		if !l.broken {
			t.Errorf("%q has an end", text)
		}
	}
	if !slices.Equal(lower([]byte("ABcé")), []byte("abcé")) {
		t.Error("lower is wrong")
	}
}

// TestLexemesTakeTimeInProportion reads texts that would take hours if each lexeme looked at all after it: eight times the
// text may take three times eight times as long, and a second, on a machine that is busy.
func TestLexemesTakeTimeInProportion(t *testing.T) {
	take := func(piece string, size int) time.Duration {
		text := []byte(strings.Repeat(piece, size/len(piece)))
		begin := time.Now()
		Scan(text)
		Fingerprint(text)
		CustomSettings(text, func([]byte) {})
		Target(text)
		return time.Since(begin)
	}
	for _, piece := range []string{"+", "=", "-1 ", "$a", "$1", "a ", "/*", "*/", "'a'\n", "E'a'\n", "SET LOCAL ", "SET a.", "set_config(", "IN (1,", "VALUES (", "(", ")", "\"a\"\"", "U&\"", ";"} {
		small, large := take(piece, 32<<10), take(piece, 256<<10)
		if large > 3*8*small+time.Second {
			t.Errorf("32 KiB of %q take %v, 256 KiB %v", piece, small, large)
		}
	}
}

// FuzzLexemes holds that no bytes break what reads a text by its lexemes, and that those are split where Scanner does:
// both find as many statements.
func FuzzLexemes(f *testing.F) {
	for _, tt := range customSettings {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte("DEALLOCATE PREPARE \"a\"\"b\"; EXECUTE p (1); PREPARE q AS SELECT E'\\'', $1;"))
	f.Fuzz(func(t *testing.T, text []byte) {
		Target(text)
		DiscardsAll(text)
		opaque := CustomSettings(text, func(name []byte) {
			if len(name) == 0 {
				t.Errorf("%q has a setting without a name", text)
			}
		})
		r := Scan(text)
		statements, empty := 0, true
		l := lexemes{p: text}
		for l.next() {
			switch {
			case l.text[0] == '(', l.text[0] == '\\', len(l.text) > MaxName:
				return // semicolons in it end nothing, or no server accepts it
			case l.text[0] == ';':
				empty = true
			case empty:
				statements, empty = statements+1, false
			}
		}
		switch {
		case l.broken && !opaque:
			t.Errorf("%q is broken and its settings are not opaque", text)
		case l.broken || r.Ambiguous || doubtful(text):
		case r.Statements != statements && r.First != Ddl:
			t.Errorf("%q is %d statements by its lexemes and %d to the scanner", text, statements, r.Statements)
		}
	})
}
