package translate

import (
	"strings"
	"testing"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// losses are what was sent, and what its loss means.
var losses = []struct {
	status byte
	sent   string // texts, divided by " | "; "+": the one before it has been carried out
	want   string // open, unknown, lasting: whatever is given to the server, astray
}{
	{'I', "", ""},
	{'T', "", "open"},
	{'E', "select 1", "open"},
	{'I', "select 1", ""},
	{'I', "insert into t values (1)", "unknown"},
	{'I', "insert into t values (1); insert into t values (2)", "unknown"},
	{'I', "insert into t values (1) | +", ""},
	{'I', "call p()", "unknown lasting"},
	{'I', "call p() | +", "unknown lasting"},
	{'I', "vacuum t | +", "unknown lasting"},
	{'I', "create database d | +", "unknown lasting"},
	{'I', "begin", "open astray"},
	{'I', "begin | +", "open"},
	{'I', "begin isolation level serializable", "open astray"},
	{'I', "begin | + | insert into t values (1)", "open"},
	{'I', "begin | call p()", "open"},
	{'I', "begin | insert into t values (1) | commit", "open unknown lasting"},
	{'I', "begin; insert into t values (1)", "open unknown lasting"},
	{'I', "commit prepared 'x'", "unknown lasting astray"},
	{'T', "insert into t values (1)", "open"},
	{'T', "select f()", "open"},
	{'T', "do $$ begin end $$", "open"},
	{'T', "execute s", "open"},
	{'T', "savepoint a | rollback to a", "open"},
	{'T', "commit", "unknown lasting"},
	{'T', "commit | +", "unknown lasting"},
	{'T', "end work | + | select 1", "unknown lasting"},
	{'T', "insert into t values (1) | commit", "open unknown lasting"},
	{'T', "commit | insert into t values (1)", "open unknown lasting"},
	{'T', "commit | + | begin", "open unknown lasting"},
	{'T', "rollback", "open"},
	{'T', "rollback | insert into t values (1)", "open unknown lasting"},
	{'T', "commit and chain", "open unknown lasting astray"},
	{'T', "rollback and chain", "open unknown lasting astray"},
	{'T', "prepare transaction 'x'", "open unknown lasting astray"},
	{'T', "commit; begin", "open unknown lasting"},
}

// What a client may be in after the loss of its server, and what may be committed, follows from what was sent since the last ReadyForQuery.
func TestLossOfWhatWasSent(t *testing.T) {
	for _, c := range losses {
		l := Lease{status: c.status, c: new(Client)}
		for text := range strings.SplitSeq(c.sent, " | ") {
			switch {
			case text == "+":
				answered := sql.Scan([]byte(strings.Split(c.sent, " | ")[0]))
				if answered.PlainEnd {
					l.ended = true
				}
				l.owed = owed{}
			case text != "":
				res := sql.Scan([]byte(text))
				l.course |= courseOf(res)
				l.runs, l.write = true, l.write || !res.ReadOnly
				l.owed.add(expectation{kind: execute})
			}
		}
		var got []string
		for _, f := range []struct {
			is   bool
			word string
		}{{l.Open(), "open"}, {l.Unknown(), "unknown"}, {l.MayLast(), "lasting"}, {l.Astray(), "astray"}} {
			if f.is {
				got = append(got, f.word)
			}
		}
		if is := strings.Join(got, " "); is != c.want {
			t.Errorf("%c, %s: %s, want %s", c.status, c.sent, is, c.want)
		}
	}
}

// A text of which only the start has been sent does nothing; with its rest it may, before that is known to be sent.
func TestLongTextIsUnderWayWithItsRest(t *testing.T) {
	text := []byte("begin; insert into t values (1); select ")
	l := Lease{status: wire.Idle, c: new(Client), runs: true, course: acts}
	if l.Open() {
		t.Error("open before its rest is sent")
	}
	if l.SendsRest(sql.Scan(append(text, "2"...))); !l.Open() || !l.MayLast() {
		t.Errorf("open %v, may last %v", l.Open(), l.MayLast())
	}
}

// What was only prepared is not under way.
func TestPreparedCommitIsNotUnderWay(t *testing.T) {
	l := Lease{status: wire.InTransaction, course: commits}
	if !l.Open() || l.Unknown() {
		t.Errorf("open %v, unknown %v", l.Open(), l.Unknown())
	}
}

// TestFunctionsThatLeaveNothingHoldNobody: where no function leaves anything in its session, a call of one is no reason to end with its server; what is no call of one is.
func TestFunctionsThatLeaveNothingHoldNobody(t *testing.T) {
	for _, x := range []struct {
		text           string
		harmless, held bool
	}{
		{"select f()", true, false},
		{"insert into t select f()", true, false},
		{"select f()", false, true},
		{"do $$ begin end $$", true, true},
		{"call p()", true, true},
		{"select f(); do $$ begin end $$", true, true},
		{"create function f() returns int language sql as 'select 1'", true, true},
		{"select pg_advisory_lock(1)", true, true},
	} {
		l := Lease{status: wire.InTransaction, c: &Client{Terms: &Terms{Catalog: &card{harmless: x.harmless}}}}
		r := new(Request)
		res := sql.Scan([]byte(x.text))
		l.c.suspects(r, res)
		l.suspect, l.obscure = r.suspect, r.obscure
		l.carriedOut(false)
		if held := l.Stays() != 0; held != x.held {
			t.Errorf("%s, harmless %t: held is %t", x.text, x.harmless, held)
		}
	}
}
