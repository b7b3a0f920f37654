package sql

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sameFingerprint has texts by line; all of a line have one fingerprint, and no two lines have the same.
var sameFingerprint = [][]string{
	{"SELECT 1", "select 2", "SELECT 'x'", "SELECT -1", "SELECT $$a$$", "SELECT E'a\\'b'", "SELECT 1;", ";SELECT 1.5e3 ;;", "SELECT/**/U&'a'", "SELECT 'a'\n'b'", "SELECT x'1'", "-- a\nSELECT - 1"},
	{"SELECT - -1"},
	{"SELECT NULL", "SELECT null"},
	{"SELECT TRUE", "SELECT true"},
	{"SELECT FALSE"},
	{"SELECT $1"},
	{"SELECT $2"},
	{"SELECT a", "SELECT A"},
	{`SELECT "a"`},
	{`SELECT "A"`},
	{"SELECT É"},
	{"SELECT é"},
	{"SELECT ab"},
	{"SELECT a b", "SELECT a/**/b", "SELECT a \n B"},
	{"SELECT a - 1", "SELECT a -1", "SELECT a-2"},
	{"SELECT a -b"},
	{"SELECT 1; SELECT 2", "SELECT 1;; SELECT 2;"},
	{"SELECT 1 SELECT 2"},
	{"SELECT a <= 1", "SELECT a<=-1", "SELECT a <= '1'"},
	{"SELECT a < = 1"},
	{"SELECT a WHERE b BETWEEN 1 AND 2", "SELECT a WHERE b BETWEEN -1 AND -2"},
	{"SELECT CASE a WHEN -1 THEN -2 END - 3", "SELECT CASE a WHEN 1 THEN 2 END - 3"},
	{"SELECT f(-1, 2), (3) - 4", "SELECT f(1, -2), (3) - 4"},

	{"SELECT a WHERE b IN (1)", "SELECT a WHERE b in (1, 2)", "SELECT a WHERE b IN ('a','b',-3 , 4)"},
	{"SELECT a WHERE b IN ($1)", "SELECT a WHERE b IN ($1, $2)", "SELECT a WHERE b IN ($1,$2,$3)", "SELECT a WHERE b IN ($1, 2)"},
	{"SELECT a WHERE b IN (1) AND c", "SELECT a WHERE b IN (1, 2) AND c"},
	{"SELECT a WHERE b IN ($1) AND c = $2 AND d = $3", "SELECT a WHERE b IN ($1, $2, $3) AND c = $4 AND d = $5"},
	{"SELECT a WHERE b IN ($1) AND c = $3 AND d = $2", "SELECT a WHERE b IN ($1, $2) AND c = $4 AND d = $3"},
	{"SELECT a WHERE z = $1 AND b IN ($2) AND c = $1", "SELECT a WHERE z = $1 AND b IN ($2, $3) AND c = $1"},
	{"SELECT a WHERE b IN ($1) AND c IN ($2) AND d = $3", "SELECT a WHERE b IN ($1, $2) AND c IN ($3, $4, $5) AND d = $6"},
	{"SELECT a WHERE b IN (1, c)"},
	{"SELECT a WHERE b IN (c, 1)"},
	{"SELECT a WHERE b IN (c, 1, 2)"},
	{"SELECT a WHERE b IN (SELECT 1)"},
	{"SELECT a WHERE b IN (SELECT 1, 2)"},
	{"SELECT a WHERE b IN (SELECT 1, 2, 3)"},
	{"SELECT a WHERE b IN (SELECT c WHERE d IN (1))", "SELECT a WHERE b IN (SELECT c WHERE d IN (1, 2))"},
	{"SELECT a WHERE (b, c) IN ((1, 2))"},
	{"SELECT a WHERE (b, c) IN ((1, 2), (3, 4))"},
	{"SELECT f(1)"},
	{"SELECT f(1, 2)"},

	{"INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (1, 'a'), (NULL, DEFAULT)", "INSERT INTO t VALUES (1,2),(3,4),(true,-6)"},
	{"INSERT INTO t VALUES (1, 2) RETURNING a", "INSERT INTO t VALUES (1, 2), (3, 4) RETURNING a"},
	{"INSERT INTO t VALUES (1)"},
	{"INSERT INTO t VALUES (NULL, 2)"},
	{"INSERT INTO t VALUES ($1, $2) RETURNING $3", "INSERT INTO t VALUES ($1, $2), ($3, $4) RETURNING $5"},
	{"INSERT INTO t VALUES (1, now())", "INSERT INTO t VALUES (1, now()), (2, now())"},
	{"INSERT INTO t VALUES (1, now()), (now(), 2)"},
	{"INSERT INTO t VALUES (1, now()), (now(), 2), (1, now())"},
	{"INSERT INTO t VALUES ((SELECT a WHERE b IN (1)), 2)", "INSERT INTO t VALUES ((SELECT a WHERE b IN (1, 2, 3)), 2), ((SELECT a WHERE b IN (4, 5)), 3)"},
	{"INSERT INTO t VALUES (1); SELECT 1", "INSERT INTO t VALUES (1), (2); SELECT 2"},
	{"SELECT a FROM (VALUES (1)) b, (SELECT 2) c", "SELECT a FROM (VALUES (1), (2)) b, (SELECT 2) c"},
	{"SELECT a FROM (VALUES (1)) b, (VALUES (1)) c", "SELECT a FROM (VALUES (1), (2)) b, (VALUES (1), (2), (3)) c"},
	{"SELECT a.values (1)"},
	{"LOCK t IN EXCLUSIVE MODE"},
	{"SELECT 'a"},
	{"SELECT (", "SELECT /**/ ("},
	{"SELECT )"},
	{"", ";", "/* a */ ;; -- b"},
}

func TestFingerprintFoldsLiteralsAndLists(t *testing.T) {
	seen := map[uint64]string{}
	for _, line := range sameFingerprint {
		want := Fingerprint([]byte(line[0]))
		for _, text := range line[1:] {
			if Fingerprint([]byte(text)) != want {
				t.Errorf("%q differs from %q", text, line[0])
			}
		}
		if other, ok := seen[want]; ok {
			t.Errorf("%q is the same as %q", line[0], other)
		}
		seen[want] = line[0]
	}
}

// A piece of a statement, in spellings that must not differ.
var spellings = [][]string{
	{"1", "23", "'it''s'", "$$x$$", "E'\\''", "U&'a'", "B'01'", "X'1F'", "1e-5"},
	{"IN (1)", "in (1, 2)", "IN('a', $q$b$q$,-3)", "IN /* ( */ (1\n,2,3 , 4)"},
	{"VALUES (1, a)", "values (2,a),('x', A)", "VALUES (1,a) , /* , */ (NULL, a), (-3, a)"},
	{"select", "SELECT", "Select"}, {"from", "FROM"}, {"users", "Users", "USERS"},
	{"(", " ( "}, {")"}, {","}, {"="}, {"<>"}, {"::"}, {"."}, {"["}, {"]"}, {"$1"}, {"$2"}, {"NULL", "null"}, {"TRUE", "true"},
	{`"users"`}, {`"Users"`}, {"now()", "NOW ( )"}, {"?|"}, {"é"}, {"É"}, {"||", "|| /*;*/"},
}

// glue has what may stand between two pieces.
var glue = []string{" ", "\n", "\t ", " /* SELECT ' */ ", " -- \"\n"}

// spell writes the pieces of a statement in spellings of its own.
func spell(t *rapid.T, pieces []int) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(rapid.SampledFrom(spellings[p]).Draw(t, "spelling"))
		b.WriteString(rapid.SampledFrom(glue).Draw(t, "glue"))
	}
	return b.String()
}

// TestFingerprintIsTheSameInAnySpelling writes one statement in two ways.
func TestFingerprintIsTheSameInAnySpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.IntRange(0, len(spellings)-1), 0, 20).Draw(t, "pieces")
		for i, p := range pieces {
			if i > 0 && p == 0 && pieces[i-1] == 0 { // two strings may be one
				pieces[i] = 3
			}
		}
		a, b := spell(t, pieces), spell(t, pieces)
		if Fingerprint([]byte(a)) != Fingerprint([]byte(b)) {
			t.Fatalf("%q and %q differ", a, b)
		}
	})
}

// TestFingerprintTellsStatementsApart changes one piece for another that means something else. Pieces that lists fold
// with what is beside them are left out.
func TestFingerprintTellsStatementsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.IntRange(3, len(spellings)-1), 1, 20).Draw(t, "pieces")
		place := rapid.IntRange(0, len(pieces)-1).Draw(t, "place")
		other := rapid.IntRange(3, len(spellings)-1).Draw(t, "other")
		if other == pieces[place] {
			return
		}
		a := spell(t, pieces)
		pieces[place] = other
		b := spell(t, pieces)
		if Fingerprint([]byte(a)) == Fingerprint([]byte(b)) {
			t.Fatalf("%q and %q are the same", a, b)
		}
	})
}

func TestFingerprintDoesNotAllocate(t *testing.T) {
	for _, bm := range benchmarkTexts {
		text := []byte(bm.text)
		if n := testing.AllocsPerRun(20, func() { Fingerprint(text) }); n != 0 {
			t.Errorf("%s allocates %v times", bm.name, n)
		}
	}
}

// FuzzFingerprint holds that no bytes break it, and that a comment and a semicolon at the end never count.
func FuzzFingerprint(f *testing.F) {
	for _, line := range sameFingerprint {
		f.Add([]byte(line[0]))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := lexemes{p: text}
		var last byte
		for l.next() {
			last = l.text[len(l.text)-1]
		}
		want := Fingerprint(text)
		if l.broken || operator[last] != 0 {
			return
		}
		if got := Fingerprint([]byte(string(text) + "\n/* a */;")); got != want {
			t.Errorf("%q with a comment and a semicolon differs", text)
		}
	})
}
