package proxy

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgguard/pool"
)

// refusalRows returns the cells of the table below the heading "Refusals", by reason.
func refusalRows(page string) map[string][]string {
	_, section, _ := strings.Cut(page, "\n## Refusals\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "| \n"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if reason := strings.Trim(cells[0], "`"); reason != cells[0] && len(cells) > 1 {
			rows[reason] = cells[1:]
		}
	}
	return rows
}

// refusalFault says what is wrong with the row for a reason; "" if nothing is. The cells are: when, SQLSTATE, what the client
// keeps, what an application should do.
func refusalFault(want row, cells []string) string {
	switch {
	case len(cells) != 4 || slices.Contains(cells, ""):
		return "must have when, SQLSTATE, what the client keeps, and what to do"
	case cells[1] != want.code:
		return "must have SQLSTATE " + want.code
	case want.fatal != strings.HasPrefix(cells[2], "nothing: closed"):
		return "must say whether the client is closed as proxy/refusal.go does"
	case !strings.HasPrefix(cells[3], want.hint):
		return "must begin what to do with the hint: " + want.hint
	}
	return ""
}

func TestDocsHaveEveryRefusal(t *testing.T) {
	page, err := os.ReadFile("../docs/refusals.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := refusalRows(string(page))
	for _, reason := range slices.Sorted(maps.Keys(refusals)) {
		if fault := refusalFault(refusals[reason], rows[string(reason)]); fault != "" {
			t.Errorf("docs/refusals.md: the row of `%s` %s", reason, fault)
		}
		delete(rows, string(reason))
	}
	for reason := range rows {
		t.Errorf("docs/refusals.md: there is no reason `%s`", reason)
	}
}

// TestDocsHaveEveryLack: the DETAIL has one of these words, and somebody looks it up.
func TestDocsHaveEveryLack(t *testing.T) {
	page, err := os.ReadFile("../docs/refusals.md")
	if err != nil {
		t.Fatal(err)
	}
	_, about, _ := strings.Cut(string(page), "- `lack` in it is ")
	about, _, _ = strings.Cut(about, "\n- ")
	for _, lack := range []pool.Lack{pool.LackServer, pool.LackShare, pool.LackReserve, pool.LackToken, pool.LackSlow, pool.LackConvoy, pool.LackKey, pool.LackLogin, pool.LackCeiling} {
		if !strings.Contains(about, "`"+string(lack)+"`") {
			t.Errorf("docs/refusals.md does not say what lack=%s is: %q", lack, about)
		}
	}
}

func TestWrongRefusalRowIsNoticed(t *testing.T) {
	want := row{code: "53300", hint: "Try again."}
	rows := refusalRows("# x\n\n## Refusals\n\n| `wait` | late | 53300 | all | Try again. Later |\n\n## Next\n\n| `not` | a | b | c | d |\n")
	if len(rows) != 1 || refusalFault(want, rows["wait"]) != "" {
		t.Fatalf("read %q: %s", rows, refusalFault(want, rows["wait"]))
	}
	for _, cells := range [][]string{
		nil,
		{"late", "53300", "all"},
		{"", "53300", "all", "Try again."},
		{"late", "53400", "all", "Try again."},
		{"late", "53300", "nothing: closed", "Try again."},
		{"late", "53300", "all", "nothing"},
	} {
		if refusalFault(want, cells) == "" {
			t.Errorf("nothing is found wrong with %q", cells)
		}
	}
}
