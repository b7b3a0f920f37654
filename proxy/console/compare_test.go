package console

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recorded is what a real PgBouncer said to the commands in it.
const recorded = "testdata/pgbouncer.txt"

var record = flag.String("pgbouncer", "", "write down what the PgBouncer at this address says, of the version that is named in it; it must have testdata/pgbouncer.ini")

// speakers are the users as whom the commands are given: one who may change something, one who may look, and one who is neither.
var speakers = []string{"ops", "exporter"}

// TestConsoleAnswersAsPgBouncerDoes: columns, their types and order, tags, codes and words.
func TestConsoleAnswersAsPgBouncerDoes(t *testing.T) {
	data, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	if *record != "" {
		if err := os.WriteFile(recorded, []byte(play(t, *record, want)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := play(t, desk(t, world()), want)
	if got != want {
		t.Errorf("the answers are not PgBouncer's:\n%s", difference(want, got))
	}
}

// play gives the commands of a transcript, as each speaker, and returns what is said now.
func play(t *testing.T, address, transcript string) string {
	t.Helper()
	var out []string
	for _, part := range strings.Split(transcript, "\n\n") {
		lines := strings.Split(strings.TrimSuffix(part, "\n"), "\n")
		user, is := strings.CutPrefix(lines[0], "# as ")
		if !is || !slices.Contains(speakers, user) {
			t.Fatalf("%s: a part begins with %q", recorded, lines[0])
		}
		said := []string{lines[0]}
		k, told := call(t, "tcp", address, user, "pgbouncer")
		said = append(said, told...)
		for _, line := range lines {
			if c, is := strings.CutPrefix(line, "> "); is {
				said = append(said, line)
				said = append(said, brief(k.ask(t, unescape(c)))...)
			}
		}
		_ = k.nc.Close()
		out = append(out, strings.Join(said, "\n"))
	}
	return strings.Join(out, "\n\n") + "\n"
}

// unescape puts white space where a transcript has a word for it.
func unescape(s string) string {
	return strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\e`, "").Replace(s)
}

// values are the contents of a PgBouncer, which no other has.
var values = regexp.MustCompile(`^row `)

// severity is told by PgBouncer once, by PostgreSQL and the guard twice, and what the notice of SHOW HELP lists are each one's commands.
var severity = regexp.MustCompile(`^(error \w+) \w*`)

// brief leaves out what differs between any two consoles.
func brief(lines []string) (kept []string) {
	for _, line := range lines {
		line = severity.ReplaceAllString(line, "$1")
		line, _, _ = strings.Cut(line, ` "\n\tSHOW HELP`)
		if !values.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// difference is a line for each that only one of them has.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for i := 0; i < max(len(w), len(g)); i++ {
		switch {
		case i >= len(w):
			out = append(out, "+ "+g[i])
		case i >= len(g):
			out = append(out, "- "+w[i])
		case w[i] != g[i]:
			out = append(out, "- "+w[i], "+ "+g[i])
		}
		if len(out) > 20 {
			return strings.Join(append(out, "…"), "\n")
		}
	}
	return strings.Join(out, "\n")
}
