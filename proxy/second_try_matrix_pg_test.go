//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// sequel is what a client does with a statement around a change that the guard does not see.
type sequel struct {
	name   string
	before []step // what it has done before the change
	steps  []step
	fails  bool // the guard need not try again: the client may have the error, once
}

// sequels are all of them.
func sequels(text string) []sequel {
	run := func(name string) []byte { return say("", bound("", name), execute("", 0)).send }
	one := func(name, text string) []byte {
		return say("", parse(name, text), bound("", name), execute("", 0)).send
	}
	insert := one("", "insert into logged values (1)")
	count := say("Z", simple("select count(*) from logged"))
	return []sequel{
		{name: "everything", steps: []step{say("Z", parse("y", text), describe('S', "y"), bound("", "y"), describe('P', ""), execute("", 0), closes('S', "y"), msgSync), say("Z", parse("y", "select 2"), msgSync)}},
		{name: "everything unnamed", steps: []step{say("Z", parse("", text), describe('S', ""), bound("", ""), describe('P', ""), execute("", 0), msgSync), say("Z", run(""), msgSync)}},
		{name: "no description", fails: true, steps: []step{say("Z", one("", text), msgSync)}},
		{name: "no description of a name", fails: true, steps: []step{say("Z", one("y", text), msgSync), say("Z", run("y"), msgSync)}},
		{name: "description first", steps: []step{say("Z", parse("", text), describe('S', ""), msgSync), say("Z", run(""), msgSync), say("Z", run(""), msgSync)}},
		{name: "description of a name first", steps: []step{say("Z", parse("y", text), describe('S', "y"), msgSync), say("Z", run("y"), msgSync), say("Z", describe('S', "y"), run("y"), msgSync)}},
		{name: "Parse first", steps: []step{say("Z", parse("y", text), msgSync), say("Z", describe('S', "y"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "Parse first, then all", steps: []step{say("Z", parse("y", text), msgSync), say("Z", bound("", "y"), describe('P', ""), execute("", 0), msgSync)}},
		{name: "portals", steps: []step{say("Z", parse("y", text), bound("p", "y"), bound("q", "y"), describe('P', "p"), execute("p", 1), execute("q", 0), execute("p", 0), closes('P', "p"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "statements around it", steps: []step{say("Z", one("x", "select 1"), parse("y", text), describe('S', "y"), run("y"), one("q", "select 777"), msgSync), say("Z", run("x"), msgSync), say("Z", run("q"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "names behind it", steps: []step{say("Z", parse("y", text), describe('S', "y"), parse("x", "select 1"), closes('S', "x"), parse("x", "select 3"), msgSync), say("Z", run("x"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "twice", steps: []step{say("Z", parse("y", text), describe('S', "y"), run("y"), run("y"), msgSync)}},
		{name: "two names", steps: []step{say("Z", parse("x", text), parse("y", text), describe('S', "x"), describe('S', "y"), run("x"), run("y"), msgSync), say("Z", run("x"), run("y"), msgSync)}},
		{name: "named and unnamed", steps: []step{say("Z", parse("", text), parse("y", text), describe('S', ""), run(""), run("y"), msgSync), say("Z", run(""), run("y"), msgSync)}},
		{name: "two batches in a write", steps: []step{say("ZZ", parse("", text), describe('S', ""), run(""), msgSync, one("y", text), msgSync), say("Z", run("y"), msgSync)}},
		{name: "two batches in a write, second", fails: true, steps: []step{say("ZZ", one("x", "select 1"), msgSync, one("y", text), msgSync), say("Z", run("x"), run("y"), msgSync)}},
		{name: "batch and query in a write", steps: []step{say("ZZ", parse("y", text), describe('S', "y"), run("y"), msgSync, simple("select 1")), say("Z", run("y"), msgSync)}},
		{name: "an insert before it", steps: []step{say("Z", insert, parse("y", text), describe('S', "y"), run("y"), msgSync), count, say("Z", run("y"), msgSync)}},
		{name: "a transaction before it", fails: true, steps: []step{say("Z", one("", "begin"), insert, one("", "commit"), parse("y", text), describe('S', "y"), run("y"), msgSync), count, say("Z", run("y"), msgSync)}},
		{name: "a commit before it", fails: true, steps: []step{say("Z", insert, one("", "commit"), parse("y", text), describe('S', "y"), run("y"), msgSync), count}},
		{name: "a procedure before it", fails: true, steps: []step{say("Z", one("", "call logs()"), parse("y", text), describe('S', "y"), run("y"), msgSync), count}},
		{name: "a BEGIN before it", fails: true, steps: []step{say("Z", one("", "begin"), insert, parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", simple("rollback")), count}},
		{name: "an insert behind it", steps: []step{say("Z", parse("y", text), describe('S', "y"), run("y"), insert, msgSync), count}},
		{name: "a Flush behind it", fails: true, steps: []step{say("C", parse("y", text), describe('S', "y"), run("y"), msgFlush), say("Z", run("y"), msgSync)}},
		{name: "an error behind it", steps: []step{say("Z", parse("y", text), describe('S', "y"), run("y"), one("", "select 1/0"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "an error before it", fails: true, steps: []step{say("Z", one("x", "select 1/0"), parse("y", text), describe('S', "y"), msgSync), say("Z", parse("y", text), run("y"), msgSync), say("Z", run("x"), msgSync)}},
		{name: "a name that is taken", before: []step{say("Z", parse("y", "select 1"), msgSync)}, steps: []step{say("Z", parse("y", text), describe('S', "y"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "a name that is taken, behind it", before: []step{say("Z", parse("x", "select 1"), msgSync)}, steps: []step{say("Z", parse("y", text), describe('S', "y"), parse("x", "select 2"), msgSync), say("Z", run("x"), msgSync), say("Z", parse("y", text), run("y"), msgSync)}},
		{name: "a name that was another's", before: []step{say("Z", parse("y", "select 1"), msgSync)}, steps: []step{say("Z", closes('S', "y"), parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "a name that is lost in it", before: []step{say("Z", parse("x", "select 1"), msgSync)}, steps: []step{say("Z", closes('S', "x"), parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", run("x"), msgSync)}},
		{name: "a setting", before: queries("set work_mem = '5MB'"), steps: []step{say("Z", parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", simple("show work_mem"))}},
		{name: "a setting in it", steps: []step{say("Z", one("", "set work_mem = '5MB'"), parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", simple("show work_mem"))}},
		{name: "a SET LOCAL in it", steps: []step{say("Z", one("", "begin"), one("", "set local work_mem = '5MB'"), one("", "show work_mem"), msgSync), say("Z", simple("commit")), say("Z", parse("y", text), describe('S', "y"), run("y"), msgSync)}},
		{name: "EXECUTE", steps: []step{say("Z", parse("y", text), msgSync), say("Z", simple("execute y")), say("Z", run("y"), msgSync)}},
		{name: "first of a transaction", fails: true, steps: []step{say("Z", simple("begin")), say("Z", parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", run("y"), msgSync), say("Z", simple("commit")), say("Z", run("y"), msgSync)}},
		{name: "first of a transaction, unnamed", fails: true, steps: []step{say("Z", unnamed("begin")), say("Z", parse("", text), describe('S', ""), run(""), msgSync), say("Z", unnamed("commit"))}},
		{name: "prepared before", before: []step{say("Z", parse("y", text), msgSync)}, steps: []step{say("Z", bound("", "y"), describe('P', ""), execute("", 0), msgSync), say("Z", run("y"), msgSync)}},
		{name: "prepared before, described", before: []step{say("Z", parse("y", text), msgSync)}, steps: []step{say("Z", describe('S', "y"), msgSync), say("Z", run("y"), msgSync)}},
		{name: "prepared before, not described", before: []step{say("Z", parse("y", text), msgSync)}, steps: []step{say("Z", insert, describe('S', "y"), run("y"), run("y"), msgSync), count}},
		{name: "pinned", before: queries("create temp table mine (a int)"), steps: []step{say("Z", parse("y", text), describe('S', "y"), run("y"), closes('S', "y"), msgSync), say("Z", parse("y", "select 2"), msgSync)}},
		{name: "second of a transaction", fails: true, steps: []step{say("Z", simple("begin")), say("Z", simple("select 1")), say("Z", parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", simple("commit"))}},
		{name: "behind a Flush", fails: true, steps: []step{say("C", one("x", "select 1"), msgFlush), say("Z", parse("y", text), describe('S', "y"), run("y"), msgSync), say("Z", run("x"), run("y"), msgSync)}},
	}
}

// changes are made to table stale past the guard.
var tableChanges = []string{
	"alter table stale add b int default 2",
	"alter table stale alter a type text",
	"drop table stale cascade; create table stale (z text, a text); insert into stale values ('new', 'newer'); " + staleFunction,
}

const staleFunction = "create or replace function stalest() returns setof stale language sql as 'select * from stale'"

// staleTexts depend on table stale.
var staleTexts = []string{
	"select * from stale", "select a from stale", "insert into stale values (2) returning *", "select * from stale where asks('') = 1",
	"with d as (delete from stale returning *) select * from d",
}

// A request that is run again, because a statement of it has come to mean something else past the guard, starts with
// what the client had when it sent it: what it sees is what a direct connection says.
func TestSecondTryStartsWhereTheFirstDid(t *testing.T) {
	admin := direct(t, shared)
	askedTable(t, shared)
	admin.want(t, admin.query, "drop table if exists logged; create table logged (a int)", "", 'I')
	for i, text := range staleTexts {
		for j, change := range tableChanges {
			t.Run(fmt.Sprintf("%s/%d", text, j), func(t *testing.T) {
				g := narrow(t, 1, nil)
				for k, c := range sequels(fmt.Sprintf("%s /* %d %d */", text, i, j)) {
					if i > 0 && k >= 8 && k%4 != (i+j)%4 {
						continue // a quarter is enough for the other texts
					}
					t.Run(c.name, func(t *testing.T) { secondTry(t, g, admin, change, c) })
				}
			})
		}
	}
}

func staleTable(t *testing.T, admin *caller) {
	t.Helper()
	admin.want(t, admin.query, "drop table if exists stale cascade; create table stale (a int); insert into stale values (1); truncate logged; "+
		"create or replace procedure logs() language plpgsql as 'begin insert into logged values (1); commit; end'; "+staleFunction, "", 'I')
}

// secondTry plays a sequel with a change in it through the guard, whose server has the statement, and, with the change
// before it, on a direct connection.
func secondTry(t *testing.T, g *guard, admin *caller, change string, c sequel) {
	staleTable(t, admin)
	text := sequelText(c)
	for range 3 {
		p, _ := enter(t, g.addr)
		p.play([]step{say("Z", parse("", text), describe('S', ""), bound("", ""), msgSync), say("Z", parse("w", text), describe('S', "w"), bound("", "w"), msgSync)})
		p.leave()
	}
	got := tryStale(t, g.addr, admin, c, change, true)
	want := tryStale(t, address(shared), admin, c, change, false)
	if c.fails && strings.Contains(strings.Join(got, "; "), "C0A000 Mcached plan") {
		got = tryStale(t, g.addr, admin, c, change, false)
	}
	compare(t, want, got)
	g.atRest(t)
}

// tryStale plays a sequel to a table that is changed before it, or in the middle of it.
func tryStale(t *testing.T, addr string, admin *caller, c sequel, change string, middle bool) []string {
	t.Helper()
	staleTable(t, admin)
	if !middle {
		admin.want(t, admin.query, change, "", 'I')
	}
	p, _ := enter(t, addr)
	defer func() { _ = p.nc.Close() }()
	out := p.follow(c.before)
	if middle {
		other, _ := enter(t, addr) // so that the server has the settings of another
		other.expect("set work_mem = '9MB'", "C SET; Z I")
		other.leave()
		admin.want(t, admin.query, change, "", 'I')
	}
	return append(out, p.follow(c.steps)...)
}

// sequelText is the text of the statement that goes stale: the only one with a comment.
func sequelText(c sequel) string {
	for _, s := range append(c.before, c.steps...) {
		for _, part := range strings.Split(string(s.send), "\x00") {
			if strings.Contains(part, "/*") {
				return part
			}
		}
	}
	return ""
}

// A function whose result has changed past the guard is an error at most once: nobody can tell before, but whoever comes
// later is served.
func TestChangedResultOfAFunctionIsNoticed(t *testing.T) {
	admin := direct(t, shared)
	admin.want(t, admin.query, "drop table if exists logged; create table logged (a int)", "", 'I')
	for name, change := range map[string]string{
		"type": "alter table stale alter a type text", "recreated": "drop table stale cascade; create table stale (a text, b int); insert into stale values ('1', 2); " + staleFunction,
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, nil)
			staleTable(t, admin)
			batch := []step{say("Z", unnamed("select * from stalest() /* "+name+" */"))}
			for range 3 {
				scripted(t, g.addr, nil, batch)
			}
			admin.want(t, admin.query, change, "", 'I')
			scripted(t, g.addr, nil, batch)
			compare(t, scripted(t, address(shared), nil, batch), scripted(t, g.addr, nil, batch))
		})
	}
}
