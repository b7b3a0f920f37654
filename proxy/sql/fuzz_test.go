package sql

import "testing"

// FuzzScan feeds any bytes in pieces of any one size: no panic, no contradiction, and the same as in one piece.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "BEGIN; SET x = 1; COMMIT", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
		"SELECT E'it\\'s' \n '\\'', U&\"a\", $a$b$a$, 'c\\'", "/* a /* b */ c */ SELECT pg_advisory_lock -- d\n(1)",
		"SELECT set_config('a', $1, true), \"x\"\"y\" . now()", "INSERT INTO public.users (a) VALUES (1.5e3)",
		"EXPLAIN (ANALYZE) CREATE TEMP TABLE t AS EXECUTE p", "SELECT \xe9\\f(1), $\xe9|$", "PREPARE TRANSACTION 'a'",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		whole := Scan(text)
		if fault := contradiction(whole); fault != "" {
			t.Errorf("%q: %s: %s", text, describe(whole), fault)
		}
		if cut := scanIn(text, int(size)+1); cut != whole {
			t.Errorf("%q in pieces of %d gives %s, whole %s", text, int(size)+1, describe(cut), describe(whole))
		}
	})
}
