package difference

import (
	"strings"
	"testing"
)

// Each line: what is sent, what comes, and what is owed then, in the kinds' first letters.
func TestLedgerKnowsWhatIsOwed(t *testing.T) {
	for _, c := range []struct {
		name, send, come string
		waiting          bool
		owed             string
	}{
		{"a query", "Q", "TDC", true, "Q"},
		{"answered", "Q", "TDCZ", false, ""},
		{"a function call", "FF", "V", true, "FF"},
		{"a function call's error", "PFF", "1EZ", true, "F"},
		{"read over", "PFS", "E", true, "S"},
		{"no Sync yet", "PBE", "", false, "PBE"},
		{"flushed", "PBEH", "12", true, "EH"},
		{"flushed, answered", "PBEH", "12C", false, ""},
		{"only what stands before the Flush", "PHB", "1", false, "B"},
		{"an error reads over the rest", "PBEPQES", "1E", true, "S"},
		{"to the first Sync", "PBESPBES", "E", true, "SPBES"},
		{"and beyond the write", "PH", "E", false, ""},
		{"a query's error does not", "QQ", "E", true, "QQ"},
		{"a statement is described by two messages", "DS", "tT", true, "S"},
		{"a limit is reached", "EES", "Ds", true, "ES"},
		{"copy data is part of the query", "QddcQ", "GC", true, "QQ"},
		{"a refused copy leaves its data to be read over", "QddcQ", "EZ", true, "Q"},
		{"a Sync means nothing during a copy", "PBESdcS", "12G", true, "ES"},
		{"but does if there is none", "PBESdcS", "12E", true, "SdcS"},
		{"two Syncs then", "PBESdcS", "12EZ", true, "S"},
		{"an error in the data", "ESdcS", "GE", true, "S"},
	} {
		var l ledger
		for _, k := range c.send {
			l.send(message{kind: letters[k]})
		}
		for _, typ := range c.come {
			l.receive(byte(typ))
		}
		waiting := l.waiting()
		var owed strings.Builder
		for _, m := range l.owed {
			owed.WriteString(letter(m.kind))
		}
		if owed.String() != c.owed || waiting != c.waiting {
			t.Errorf("%s: after %s, %s: owed %q, waiting %t; want %q, %t", c.name, c.send, c.come, &owed, waiting, c.owed, c.waiting)
		}
	}
}

func TestLedgerReadsOverWhatFollowsAnError(t *testing.T) {
	var l ledger
	for _, k := range "PH" {
		l.send(message{kind: letters[k]})
	}
	l.receive('E')
	l.send(message{kind: "Query"})
	if l.waiting() {
		t.Error("a query is answered before the Sync")
	}
	l.send(sync)
	if !l.waiting() {
		t.Error("the Sync is not answered")
	}
}

// letters are the message types that the protocol gives the kinds.
var letters = map[rune]string{
	'Q': "Query", 'P': "Parse", 'B': "Bind", 'D': "Describe", 'E': "Execute", 'C': "Close", 'S': "Sync", 'H': "Flush",
	'F': "FunctionCall", 'd': "CopyData", 'c': "CopyDone", 'f': "CopyFail",
}

func letter(kind string) string {
	for k, name := range letters {
		if name == kind {
			return string(k)
		}
	}
	return "?"
}
