package judge

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"pgguard/proxy/sql"
)

// newMutator returns a mutator whose seed is JUDGE_SEED or new, and printed.
func newMutator(t *testing.T, j *judge) *mutator {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("JUDGE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("JUDGE_SEED: %v", err)
		}
	}
	t.Logf("JUDGE_SEED=%d", seed)
	return &mutator{Rand: rand.New(rand.NewPCG(seed, 0)), corpus: j.corpus}
}

// fuzzTime is how long texts are made up: JUDGE_FUZZ, or a few seconds.
func fuzzTime(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("JUDGE_FUZZ")
	if s == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("JUDGE_FUZZ: %v", err)
	}
	return d
}

// TestScannerSuspectsAllThatTheParserSeesInMadeUpTexts judges texts that are nearly SQL, of which the parser takes some.
func TestScannerSuspectsAllThatTheParserSeesInMadeUpTexts(t *testing.T) {
	j := newJudge(t)
	m := newMutator(t, j)
	all, valid, faulty := 0, 0, 0
	for end := time.Now().Add(fuzzTime(t)); time.Now().Before(end) && faulty < 30; all++ {
		text := m.text()
		if len(text) > 20_000 {
			continue
		}
		faults, ok := j.faults(text)
		if ok {
			valid++
		}
		if len(faults) > 0 {
			faulty++
			t.Errorf("%s\n%q", strings.Join(faults, "; "), j.shrunk(text))
		}
		if cut := inPieces(m, text); cut != sql.Scan([]byte(text)) {
			t.Errorf("in pieces it is something else: %q", text)
		}
	}
	t.Logf("%d texts, of which the parser takes %d: %d under-suspected or else at fault", all, valid, faulty)
	if valid < all/20 {
		t.Errorf("of %d texts only %d are SQL", all, valid)
	}
}

// inPieces scans text cut at random.
func inPieces(m *mutator, text string) sql.Result {
	var s sql.Scanner
	for len(text) > 0 {
		n := 1 + m.IntN(min(len(text), 40))
		s.Feed([]byte(text[:n]))
		text = text[n:]
	}
	return s.Result()
}

// shrunk takes tokens out of a faulty text for as long as it stays faulty.
func (j *judge) shrunk(text string) string {
	for again := true; again; {
		again = false
		all := tokens(text)
		for i := range all {
			for _, n := range []int{8, 4, 2, 1} {
				if i+n > len(all) {
					continue
				}
				shorter := text[:all[i].Start] + text[all[i+n-1].End:]
				if faults, _ := j.faults(shorter); len(faults) > 0 {
					text, again = shorter, true
					break
				}
			}
			if again {
				break
			}
		}
	}
	return text
}

// TestFingerprintIsTheSameInAnySpelling spells each statement of the corpus anew, split where the server's lexer does.
func TestFingerprintIsTheSameInAnySpelling(t *testing.T) {
	j := newJudge(t)
	m := newMutator(t, j)
	faulty := 0
	for _, text := range j.corpus {
		if r := sql.Scan([]byte(text)); r.Ambiguous || len(tokens(text)) == 0 {
			continue
		}
		other := m.respelled(text)
		if sql.Fingerprint([]byte(text)) != sql.Fingerprint([]byte(other)) {
			if faulty++; faulty <= 20 {
				t.Errorf("%q\nand %q\ndiffer", text, other)
			}
		}
	}
}

// TestFingerprintIsNoCoarserThanPgQuerys finds that statements with the same fingerprint have the same one by
// pg_query, too, which goes by the tree. Only statements that can be planned, for the constants of others are no
// constants to it.
func TestFingerprintIsNoCoarserThanPgQuerys(t *testing.T) {
	j := newJudge(t)
	type group struct{ theirs, text string }
	groups := map[uint64]group{}
	faulty, same := 0, 0
	for _, text := range j.corpus {
		switch sql.Scan([]byte(text)).First {
		case sql.Select, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.With, sql.Values, sql.Table:
		default:
			continue
		}
		theirs, err := pg.Fingerprint(text)
		if err != nil {
			t.Fatal(err)
		}
		ours := sql.Fingerprint([]byte(text))
		before, ok := groups[ours]
		if !ok {
			groups[ours] = group{theirs, text}
			continue
		}
		same++
		if before.theirs != theirs && !strings.ContainsAny(text+before.text, "+-") { // -1::int is -(1::int) to theirs
			if faulty++; faulty <= 20 {
				t.Errorf("%q and\n%q are the same", before.text, text)
			}
		}
	}
	t.Logf("%d groups, %d statements in one with others, %d wrongly", len(groups), same, faulty)
	if same < 1000 {
		t.Errorf("only %d statements have a fingerprint that was there before", same)
	}
}
