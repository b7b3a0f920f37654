package ledger

import (
	"fmt"
	"strings"
	"testing"

	"pgguard/proxy/wire"
)

// answer is one message of a server: its type, and the tag of C, the code of E, the state of Z or the number of D. Before a code
// stands ! for FATAL, ? for what was not sent, and * for what is rolled back for certain.
func answer(t *talk, text string) error {
	typ, rest, body := text[0], text[1:], []byte(nil)
	switch typ {
	case wire.CommandComplete:
		body = []byte(rest + "\x00")
	case wire.ReadyForQuery:
		body = []byte(rest)
	case wire.DataRow:
		body = append([]byte{0, 1, 0, 0, 0, byte(len(rest))}, rest...)
	case wire.ErrorResponse:
		severity, hint := "ERROR", ""
		switch rest[0] {
		case '!':
			severity, rest = "FATAL", rest[1:]
		case '?':
			hint, rest = "H"+hintSafe+"\x00", rest[1:]
		case '*':
			hint, rest = "H"+hintAgain+"\x00", rest[1:]
		}
		body = []byte("V" + severity + "\x00C" + rest + "\x00Mwords\x00" + hint + "\x00")
	}
	return t.hear(typ, body)
}

// Each line: what is sent, in words; what comes; and what is known of each row after the connection has ended, in their order.
// Words: Q# E# F# c# insert row # by Query, Parse Bind Execute, FunctionCall, COPY by Query; Qb Qc Qr Qs Qt and Eb Ec Er begin,
// commit, rollback, savepoint, rollback to; D# writes row # by a DO that commits; S Sync, H Flush, d CopyDone. An upright stroke is
// where the client waits.
func TestTalkKnowsWhatBecameOfEachRow(t *testing.T) {
	for _, c := range []struct{ name, send, come, want string }{
		{"nothing comes", "Q1", "", "unknown"},
		{"acknowledged", "Q1", "CINSERT ZI", "acknowledged"},
		{"half an answer", "Q1", "CINSERT", "unknown"},
		{"an error", "Q1", "E23505 ZI", "failed"},
		{"refused", "Q1", "E?53300 ZI", "refused"},
		{"the server is lost", "Q1", "E08007 ZI", "unknown"},
		{"the server is lost, and nothing is committed", "Q1", "E*08006 ZI", "failed"},
		{"the connection is ended", "Q1", "E!57P01", "unknown"},
		{"no Sync", "E1", "", "unfinished"},
		{"no Sync, answered", "E1 H", "1 2 CINSERT", "unfinished"},
		{"a Sync", "E1 S", "1 2 CINSERT ZI", "acknowledged"},
		{"a Sync, no answer", "E1 S", "1 2 CINSERT", "unknown"},
		{"lost before its Sync", "E1 H | S", "1 2 CINSERT | E57P01 ZI", "unknown"},
		{"lost before its Sync was sent", "E1 H", "1 2 CINSERT E57P01", "failed"},
		{"an error at the Sync", "E1 S", "1 2 CINSERT EP0001 ZI", "failed"},
		{"a batch fails whole", "E1 E2 S", "1 2 CINSERT 1 2 E23505 ZI", "failed failed"},
		{"what comes after an error is read over", "E1 H | E2 S", "1 2 E23505 | ZI", "failed failed"},
		{"each exchange by itself", "E1 S E2 S Q3", "1 2 CINSERT ZI E?53400 ZI CINSERT ZI", "acknowledged refused acknowledged"},
		{"committed", "Qb Q1 Qc", "CBEGIN ZT CINSERT ZT CCOMMIT ZI", "acknowledged"},
		{"committed, says the tag", "Qb Q1 Qc", "CBEGIN ZT CINSERT ZT CCOMMIT", "acknowledged"},
		{"not committed", "Qb | Q1", "CBEGIN ZT | CINSERT ZT", "unfinished"},
		{"lost in a transaction", "Qb | Q1", "CBEGIN ZT | E08006 ZE", "failed"},
		{"lost while committing", "Qb Q1 | Qc", "CBEGIN ZT CINSERT ZT | E08007 ZI", "unknown"},
		{"rolled back", "Qb Q1 Qr", "CBEGIN ZT CINSERT ZT CROLLBACK ZI", "failed"},
		{"a commit that rolls back", "Qb Q1 Qc", "CBEGIN ZT E23505 ZE CROLLBACK ZI", "failed"},
		{"a transaction that did not begin", "Qb Q1", "E?53300 ZI CINSERT ZI", "acknowledged"},
		{"nor was it said", "Qb Q1", "", "unknown"},
		{"a failed one cannot be committed", "Qb Q1 Q2 | Qc", "CBEGIN ZT CINSERT ZT E23505 ZE |", "unfinished failed"},
		{"to a savepoint", "Qb Q1 Qs Q2 Qt Q3 Qc", "CBEGIN ZT CINSERT ZT CSAVEPOINT ZT E23505 ZE CROLLBACK ZT CINSERT ZT CCOMMIT ZI",
			"acknowledged failed acknowledged"},
		{"commit in a batch", "Eb E1 Ec", "1 2 CBEGIN 1 2 CINSERT 1 2", "unknown"},
		{"a call", "F1 F2", "V ZI E25P02 ZI", "acknowledged failed"},
		{"copy", "c1 | d", "G | CCOPY ZI", "acknowledged"},
		{"copy without its end", "c1", "G", "unfinished"},
		{"copy with its end", "c1 | d", "G |", "unknown"},
		{"copy data ahead", "c1 d Q2", "E?53300 ZI CINSERT ZI", "refused acknowledged"},
		{"commits by itself", "D1", "E22012 ZI", "unknown"},
		{"does not even begin", "D1", "E?53300 ZI", "refused"},
		{"too many keep a server", "Q1", "CINSERT E53400 ZI", "unknown"},
	} {
		talk, rows := newTalk(), map[string]*attempt{}
		var order []*attempt
		come := strings.Split(c.come, "|")
		for i, send := range strings.Split(c.send, "|") {
			for _, word := range strings.Fields(send) {
				say(talk, word, func(name string) *attempt {
					if rows[name] == nil {
						rows[name] = &attempt{id: int64(len(rows) + 1)}
						order = append(order, rows[name])
					}
					return rows[name]
				})
			}
			for _, a := range strings.Fields(come[i]) {
				if err := answer(talk, a); err != nil {
					t.Errorf("%s: %s: %v", c.name, a, err)
				}
			}
		}
		talk.lose(unfinished, "the end")
		var got []string
		for _, a := range order {
			got = append(got, a.outcome.String())
		}
		if text := strings.Join(got, " "); text != c.want || len(talk.broken) > 0 {
			t.Errorf("%s: got %s, want %s; broken %q", c.name, text, c.want, talk.broken)
		}
	}
}

// say sends what a word stands for.
func say(t *talk, word string, row func(name string) *attempt) {
	d := deed{}
	switch of := word[1:]; of {
	case "b", "c", "r", "s", "t":
		d = deed{act: map[string]act{"b": actBegin, "c": actCommit, "r": actRollback, "s": actSavepoint, "t": actRollbackTo}[of], name: "p"}
	case "":
	default:
		d.rows = []*attempt{row(of)}
	}
	switch word[0] {
	case 'Q':
		t.say(query("", d))
	case 'E':
		for _, m := range []*message{parse("", ""), bind(""), execute(d)} {
			t.say(m)
		}
	case 'F':
		t.say(call(1, "1", d))
	case 'D':
		t.say(query("", deed{act: actOther, inner: d.rows}))
	case 'c':
		d.act = actCopy
		t.say(query("", d))
	case 'S':
		t.say(sync())
	case 'H':
		t.say(flush())
	case 'd':
		t.say(copyDone())
	}
}

// Each line: what is sent, as above, what comes, and how what must not come is told.
func TestTalkKnowsWhatMustNotCome(t *testing.T) {
	for _, c := range []struct{ send, come, want string }{
		{"Q1", "ZI", "Query owed, and there came Z"},
		{"", "ZI", "nothing owed"},
		{"", "E57P01", "nothing owed"},
		{"Q1", "E23505 E23505", "owed, and there came E 23505"},
		{"E1 S", "E23505 1", "Sync owed, and there came 1"},
		{"E1 S", "2", "Parse"},
		{"Q1 Q2", "E!57P01 E23505", "nothing, after 57P01"},
		{"F1", "CSELECT", "FunctionCall"},
		{"Q1", "1", "Query"},
	} {
		talk := newTalk()
		for _, word := range strings.Fields(c.send) {
			say(talk, word, func(string) *attempt { return new(attempt) })
		}
		var err error
		for _, a := range strings.Fields(c.come) {
			err = answer(talk, a)
		}
		if got := fmt.Sprint(err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s: got %v, want %s", c.send, c.come, err, c.want)
		}
	}
}

// A state that does not follow from what was told is no error that ends the talk, but it is one.
func TestTalkKnowsTheState(t *testing.T) {
	for _, c := range []struct{ send, come string }{
		{"Q1", "CINSERT ZT"}, {"Qb", "CBEGIN ZI"}, {"Qb Q1", "CBEGIN ZT E23505 ZI"}, {"Eb E1 H S", "1 2 CBEGIN 1 2 CINSERT ZE"},
		{"Qb Q1 Q2", "CBEGIN ZT CINSERT ZT E?53300 ZE"},
	} {
		talk := newTalk()
		for _, word := range strings.Fields(c.send) {
			say(talk, word, func(string) *attempt { return new(attempt) })
		}
		for _, a := range strings.Fields(c.come) {
			if err := answer(talk, a); err != nil {
				t.Errorf("%s: %s: %v", c.send, a, err)
			}
		}
		if len(talk.broken) != 1 {
			t.Errorf("%s: %s: %d rules broken, want 1: %q", c.send, c.come, len(talk.broken), talk.broken)
		}
	}
}

func TestBoundsAddUp(t *testing.T) {
	for _, c := range []struct {
		of   []outcome
		n    int
		want string
	}{
		{[]outcome{acknowledged}, 1, ""},
		{[]outcome{acknowledged}, 0, "lost"},
		{[]outcome{acknowledged}, 2, "twice"},
		{[]outcome{refused, failed, unfinished, planned}, 0, ""},
		{[]outcome{refused}, 1, "ran"},
		{[]outcome{refused, acknowledged}, 1, ""},
		{[]outcome{refused, acknowledged}, 2, "twice"},
		{[]outcome{unknown}, 0, ""},
		{[]outcome{unknown}, 1, ""},
		{[]outcome{unknown}, 2, "twice"},
	} {
		var b bounds
		for _, o := range c.of {
			b = b.allow(o)
		}
		if got := b.fault(c.n); got != c.want {
			t.Errorf("%v, there %d times: %q, want %q", c.of, c.n, got, c.want)
		}
	}
}
