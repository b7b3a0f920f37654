package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScan runs testdata/*.txt. The command scan takes a text a line, the command text takes all lines as one text; the
// output is what describe says of each.
func TestScan(t *testing.T) {
	datadriven.Walk(t, "testdata/scan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			texts := []string{d.Input}
			if d.Cmd == "scan" {
				texts = strings.Split(d.Input, "\n")
			}
			var out strings.Builder
			for _, text := range texts {
				whole := Scan([]byte(text))
				if bytewise := scanIn([]byte(text), 1); bytewise != whole {
					t.Errorf("%s: byte by byte %q gives %s, in one piece %s", d.Pos, text, describe(bytewise), describe(whole))
				}
				fmt.Fprintln(&out, describe(whole))
			}
			return out.String()
		})
	})
}

// scanIn scans text in pieces of n bytes.
func scanIn(text []byte, n int) Result {
	var s Scanner
	for len(text) > n {
		s.Feed(text[:n])
		text = text[n:]
	}
	s.Feed(text)
	return s.Result()
}

// describe is r on a line: the first command, the number of statements if not one, and what holds.
func describe(r Result) string {
	words := []string{r.First.String()}
	if r.Statements != 1 {
		words = append(words, fmt.Sprintf("statements=%d", r.Statements))
	}
	for _, flag := range []struct {
		holds bool
		name  string
	}{
		{r.Deferrable, "deferrable"},
		{r.PlainBegin, "plain-begin"},
		{r.PlainEnd, "plain-end"},
		{r.TxControl, "tx"},
		{r.ReadOnly, "reads"},
		{r.Ask, "ask"},
		{r.Ddl, "alters"},
		{r.Currval, "currval"},
		{r.Sets, "sets"},
		{r.Ambiguous, "ambiguous"},
	} {
		if flag.holds {
			words = append(words, flag.name)
		}
	}
	if r.Residue != 0 {
		words = append(words, "leaves="+r.Residue.String())
	}
	if r.Undo != 0 {
		words = append(words, "undoes="+r.Undo.String())
	}
	return strings.Join(words, " ")
}
