package judge

import (
	"math/rand/v2"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// mutator makes new texts out of the corpus.
type mutator struct {
	*rand.Rand
	corpus []string
}

// one returns one of list.
func one[T any](m *mutator, list []T) T { return list[m.IntN(len(list))] }

// frames are statements around others, which take the place of @.
var frames = []string{
	"EXPLAIN @", "EXPLAIN ANALYZE @", "EXPLAIN (ANALYZE, COSTS off) @", `EXPLAIN ("analyze") @`, "EXPLAIN VERBOSE @", "PREPARE p AS @",
	`PREPARE "P ""q" (int, text) AS @`, "DECLARE c CURSOR FOR @", "DECLARE c CURSOR WITH HOLD FOR @", "DECLARE c SCROLL CURSOR WITHOUT HOLD FOR @",
	"CREATE TABLE t AS @", "CREATE TEMP TABLE t AS @", "CREATE TEMPORARY VIEW v AS @", "CREATE OR REPLACE LOCAL TEMP VIEW v AS @",
	"CREATE VIEW v AS @", "CREATE MATERIALIZED VIEW v AS @", "WITH x AS (@) SELECT 1", "WITH RECURSIVE x(a) AS (@) @",
	"WITH x AS NOT MATERIALIZED (@) INSERT INTO t @", "COPY (@) TO STDOUT", "INSERT INTO t (a, b) @", "SELECT (@)", "SELECT * FROM (@) x",
	"(@) UNION ALL (@)", "((@))", "@; @", "@;;@;", ";@", "@;LISTEN l;@", "BEGIN;@;COMMIT", "@;SET LOCAL a.b = 1",
	"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC @; @; END", "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC @; END; @",
	"CREATE PROCEDURE f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; @; END; @", "CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC END; @",
	"CREATE FUNCTION f(begin atomic) RETURNS int RETURN 1; @", "CREATE RULE r AS ON INSERT TO t DO ALSO (@; @)",
	"CREATE RULE r AS ON INSERT TO t DO INSTEAD @", "CREATE SCHEMA s @", "CREATE FUNCTION f() RETURNS int AS $$ @ $$ LANGUAGE plpgsql",
	"DO $x$ @ $x$", "/* @ */ @", "-- @\n@", "MERGE INTO t USING (@) s ON a = b WHEN MATCHED THEN DELETE", "@ FOR UPDATE", "@ -- x",
	"SELECT EXISTS (@) AS end; @", "SELECT a end; @", "SELECT 1 WHERE a = ANY (@)", "UPDATE t SET a = (@)", "DELETE FROM t USING (@) u",
	"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 case; END; @", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS end; @; END; @",
}

// values take the place of a literal, or of what else there is.
var values = []string{
	"pg_advisory_lock(1)", "PG_ADVISORY_LOCK /* x */ (1)", "pg_try_advisory_lock(1, 2)", "pg_advisory_unlock(1)", "pg_advisory_unlock_all()",
	"pg_advisory_xact_lock(1)", "nextval('s')", "currval('s')", "lastval()", "setval('s', 1)", "my_function(1)", `"My" . "Function" (1)`,
	"public.now()", "pg_catalog.now()", "pg_catalog . \"now\" ()", `"pg_catalog".nextval('s')`, "db.pg_catalog.now()", "now()", "count(*)",
	"set_config('a.b', 'c', true)", "set_config('a.B', $1, TRUE)", "set_config('x', 'y', false)", "set_config($1, $2, true)",
	"set_config('x', (SELECT f(1, true)), not true)", "set_config('a.b', set_config('c.d', 'e', false), true)", "\"set_config\"('a.b', 'c', 'f')",
	"set_config('x', 'y', is_local => true)", "set_config('x', 'y', true and false)", "set_config('x', array['a', true], true)",
	`U&"pg_advisory_lock" (1)`, `U&"\0070g_advisory_lock" (1)`, "U&'\\0061'", "e'\\''", "E'a\\\\'", "E'a' \n '\\''", "'a' -- x\n 'b'", "N'x'",
	"$$;$$", "$a$ ' $b$ $a$", "B'1'", "X'1F'", "'it''s'", "'\"'", "\"'\"", "\"a\"\"b\"", "''", "$1", "- 1", "1.5e-3", ".5", "0x1F", "1_000", "NULL", "TRUE",
	"CASE WHEN true THEN 1 END", "(SELECT 1)", "(SELECT pg_advisory_lock(1))", "ARRAY[1, 2]", "row(1, 2)", "a.b", "a.b.c", "pg_temp.f(1)", "pg_temp_3.x.y",
	"extract(year from now())", "substring(a from 1 for 2)", "position('a' in b)", "overlay(a placing b from 1)", "trim(both from a)",
	"a AT TIME ZONE 'x'", "a IS NORMALIZED", "coalesce(f(1), 2)", "cast(f(1) AS int)", "f(1)::int", "f (VARIADIC a)", "json_object('a': f(1))",
	"setseed(0.5)", "random()", "dblink_connect('x')", "query_to_xml('x', true, true, '')", "txid_current()", "count(*) FILTER (WHERE f(1))",
	"sum(a) OVER (PARTITION BY f(1))", "percentile_cont(0.5) WITHIN GROUP (ORDER BY f(1))", "st_intersects(a, b)", "grouping(a)", "é(1)", "\"é\"(1)", "É",
}

// inserts stand anywhere.
var inserts = []string{
	";", "(", ")", ",", ".", "--", "-- x\n", "/* ; */", "/* /* ' */ */", "'", "\"", "$$", "$", "\\", "\n", " ", "\t", "\v", "\f", "\r", "e", "U&", "::", "::pg_temp.t",
	"INTO", "INTO TEMP t", "INTO UNLOGGED TABLE t", "FOR UPDATE", "FOR NO KEY UPDATE", "FOR KEY SHARE OF a", "WITH HOLD", "TEMP", "TEMPORARY", "LOCAL", "SESSION",
	"TABLESAMPLE system (1)", "TABLESAMPLE my_method (1)", "pg_temp.", "pg_temp . ", "AS end", "end", "case", "BEGIN", "ATOMIC", "COMMIT", "AND CHAIN",
	"AND NO CHAIN", "READ ONLY", "READ WRITE", ", ISOLATION LEVEL SERIALIZABLE", "NOT DEFERRABLE", "DEFERRABLE", "WORK", "TRANSACTION", "PREPARED 'x'",
	"TO SAVEPOINT a", "ALL", "TO", "FROM CURRENT", "RETURNING f(1)", "LIMIT f(1)", "é", "\xff", "\x85", "\u00a0", "COLLATE \"C\"", "UESCAPE '!'",
}

// heads are whole statements that are worth being beside others.
var heads = []string{
	"BEGIN", "BEGIN WORK", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE",
	"BEGIN READ WRITE", "BEGIN DEFERRABLE", "BEGIN READ ONLY DEFERRABLE", "START TRANSACTION READ ONLY, NOT DEFERRABLE", "SET LOCAL TO x", "SET LOCAL = x", "COMMIT", "END TRANSACTION", "ROLLBACK WORK AND NO CHAIN", "ABORT AND CHAIN", "ROLLBACK TO a", "ROLLBACK WORK TO SAVEPOINT a",
	"SAVEPOINT a", "RELEASE a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "PREPARE transaction AS SELECT 1",
	"SET a.b = 1", "SET SESSION a.b TO 'x', 'y'", "SET LOCAL a.B = 1", "SET local.x = 1", "SET session.y.z TO DEFAULT", "SET TIME ZONE 'UTC'", "SET LOCAL TIME ZONE LOCAL",
	"SET ROLE x", "SET LOCAL ROLE x", "SET SESSION AUTHORIZATION x", "SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET NAMES 'x'", "SET SCHEMA 'x'", "SET XML OPTION DOCUMENT",
	"SET TRANSACTION READ ONLY", "SET TRANSACTION SNAPSHOT 'x'", "SET LOCAL TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
	"SET CONSTRAINTS ALL DEFERRED", `SET "A"."b" FROM CURRENT`, `SET "local" = 1`, "SET transaction_isolation = 'x'", "RESET a.b", "RESET ALL", "RESET ROLE", "RESET TIME ZONE",
	"RESET SESSION AUTHORIZATION", "SHOW a.b", "SHOW ALL", "DISCARD ALL", "DISCARD TEMP", "DISCARD PLANS", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL", "DEALLOCATE Foo", `DEALLOCATE "Foo"`,
	"DEALLOCATE prepare", "EXECUTE p", "EXECUTE p (1, f(2))", `EXECUTE "P"`, "EXPLAIN EXECUTE p", "CREATE TABLE t AS EXECUTE p", "LISTEN a", "UNLISTEN a", "UNLISTEN *", "NOTIFY a, 'x'",
	"CLOSE a", "CLOSE ALL", "FETCH a", "MOVE FORWARD ALL IN a", "LOAD 'x'", "LOCK t", "CHECKPOINT", "VACUUM", "ANALYZE t", "CALL f(1)", "DROP TABLE t", "DROP OWNED BY x", "TRUNCATE t",
	"ALTER ROLE r SET a.b = 1", "ALTER SYSTEM SET a.b = 1", "ALTER DATABASE d RESET a.b", "ALTER TABLE t SET SCHEMA pg_temp", "COPY t FROM STDIN", "TABLE t", "VALUES (1)", "TABLE pg_temp.t",
	"CREATE TEMP SEQUENCE s", "CREATE TABLE pg_temp.t (a int)", "CREATE FUNCTION pg_temp.f() RETURNS int RETURN 1", "CREATE TABLE t (a serial)", "SELECT 1 INTO t", "ALTER EXTENSION x UPDATE",
	"DO 'x'", "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z", "GRANT a TO b", "SECURITY LABEL ON TABLE t IS 'x'", "REASSIGN OWNED BY a TO b", "REFRESH MATERIALIZED VIEW v", "REINDEX TABLE t",
}

// text returns a new text.
func (m *mutator) text() string {
	text := m.part()
	for range 1 + m.IntN(3) {
		switch m.IntN(10) {
		case 0, 1, 2:
			text = m.framed(text)
		case 3, 4, 5:
			text = m.replaced(text, values)
		case 6:
			text = m.replaced(text, inserts)
		case 7:
			text = m.spliced(text)
		case 8:
			text = m.respelled(text)
		case 9:
			text = m.bytes(text)
		}
	}
	return text
}

// part returns a statement.
func (m *mutator) part() string {
	switch m.IntN(4) {
	case 0:
		return one(m, heads)
	case 1:
		return "SELECT " + one(m, values)
	}
	for {
		if s := one(m, m.corpus); len(s) < 2000 {
			return s
		}
	}
}

// framed puts text into another statement.
func (m *mutator) framed(text string) string {
	frame := one(m, frames)
	for strings.Contains(frame, "@") {
		frame = strings.Replace(frame, "@", strings.ReplaceAll(text, "@", "\x00"), 1)
		text = m.part()
	}
	return strings.ReplaceAll(frame, "\x00", "@")
}

// tokens are the places of the tokens of text, comments included.
func tokens(text string) []*pg.ScanToken {
	result, err := pg.Scan(text)
	if err != nil {
		return nil
	}
	return result.Tokens
}

// replaced puts one of list before, after or in the place of a token.
func (m *mutator) replaced(text string, list []string) string {
	all := tokens(text)
	if len(all) == 0 {
		return text
	}
	token := one(m, all)
	for range 8 { // rather a constant, so that a server may accept it
		if token.Token == pg.Token_ICONST || token.Token == pg.Token_SCONST {
			break
		}
		token = one(m, all)
	}
	start, end := token.Start, token.End
	switch m.IntN(6) {
	case 0:
		start = end
	case 1:
		end = start
	}
	space := one(m, []string{" ", " ", "", "\n"})
	return text[:start] + space + one(m, list) + space + text[end:]
}

// spliced takes some tokens out, doubles them, or puts those of another statement in their place.
func (m *mutator) spliced(text string) string {
	all := tokens(text)
	if len(all) < 2 {
		return text
	}
	i := m.IntN(len(all))
	j := min(len(all)-1, i+m.IntN(4))
	piece := text[all[i].Start:all[j].End]
	switch m.IntN(3) {
	case 0:
		piece = ""
	case 1:
		piece += " " + piece
	case 2:
		other := m.part()
		if from := tokens(other); len(from) > 0 {
			k := m.IntN(len(from))
			piece = other[from[k].Start:from[min(len(from)-1, k+m.IntN(6))].End]
		}
	}
	return text[:all[i].Start] + piece + text[all[j].End:]
}

// bytes changes some bytes.
func (m *mutator) bytes(text string) string {
	b := []byte(text)
	for range 1 + m.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := m.IntN(len(b))
		switch m.IntN(3) {
		case 0:
			b = append(b[:i], b[i+1:]...)
		case 1:
			b[i] = one(m, []byte("'\"$\\;()-/*. \neEuU&0a_,:\xc3\xa9=[]"))
		case 2:
			b = append(b[:i], append([]byte(one(m, inserts)), b[i:]...)...)
		}
	}
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// spaces may stand between any two tokens.
var spaces = []string{" ", "\n", "\t", " /* ' ; ( */ ", " -- \" ) ;\n", "\r\n", "\f"}

// strings that may stand for another.
var literals = []string{"'x'", "E'\\''", "$$;$$", "$a$'$a$", "U&'\\0061'", "n'y'", "''''", "E'a'\n'b'", "x'1F'", "B'10'"}

// respelled writes the tokens of text with other spaces, comments, literals and letter case.
func (m *mutator) respelled(text string) string {
	var b strings.Builder
	for _, token := range tokens(text) {
		piece := text[token.Start:token.End]
		switch token.Token {
		case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
			continue
		case pg.Token_ICONST, pg.Token_FCONST:
			piece = one(m, []string{"1", "234567890123", "0x1F", "1.5", "2e10", ".5", "3E-4"})
		case pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST:
			piece = one(m, literals)
		case pg.Token_UIDENT:
		default:
			if c := piece[0] | 0x20; 'a' <= c && c <= 'z' {
				piece = one(m, []func(string) string{asIs, upper, lower})(piece)
			}
		}
		b.WriteString(piece)
		b.WriteString(one(m, spaces))
	}
	return b.String()
}

func asIs(s string) string  { return s }
func upper(s string) string { return changed(s, 'a', 'z') }
func lower(s string) string { return changed(s, 'A', 'Z') }

// changed is s with the ASCII letters from first to last in the other case.
func changed(s string, first, last byte) string {
	b := []byte(s)
	for i, c := range b {
		if first <= c && c <= last {
			b[i] ^= 0x20
		}
	}
	return string(b)
}
