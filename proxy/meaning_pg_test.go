//go:build pg

package proxy

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/instance"
	"pgguard/proxy/wire"
)

// allowance is how late these guards may learn of what another session has changed: their StatementAge, and half as much.
const allowance = 150 * time.Millisecond

// watchful has a guard that reads texts anew after a tenth of a second.
func watchful(c *Config) { c.StatementAge = allowance * 2 / 3 }

// meaning is a change of what a text means: the change, what is to be put right before each try, and what is sent.
type meaning struct {
	setup, change string
	text          string
	args          []string
	after         string // reads what was done
}

var meanings = map[string]meaning{
	"all columns": {
		setup:  "create table m (id int, t date, r real, c int)",
		change: "alter table m alter t type timestamp, alter r type double precision, alter c type text",
		text:   "insert into m values ($1, $2, $3, $4)", args: []string{"1", "2026-02-03 12:34:56", "0.123456789012345", "007"},
		after: "select * from m",
	},
	"a larger integer": {
		setup: "create table m (v int)", change: "alter table m alter v type bigint",
		text: "insert into m values ($1)", args: []string{"5000000000"}, after: "select * from m",
	},
	"an integer becomes text": {
		setup: "create table m (v int)", change: "alter table m alter v type text",
		text: "update m set v = $1 where v = $1 returning v", args: []string{"abc"}, after: "select 1",
	},
	"an integer becomes a uuid": {
		setup: "create table m (v int)", change: "alter table m alter v type uuid using null",
		text: "insert into m values ($1)", args: []string{"00000000-0000-0000-0000-000000000001"}, after: "select * from m",
	},
	"a type made anew": {
		setup:  "drop type if exists mood cascade; create type mood as enum ('a'); create table m (v mood)",
		change: "drop table m; drop type mood; create type mood as enum ('a', 'b'); create table m (v mood)",
		text:   "insert into m values ($1)", args: []string{"b"}, after: "select * from m",
	},
	"a function of the same name": {
		setup:  "drop function if exists mf(bigint), mf(text); create table m (v int); create function mf(bigint) returns text language sql as $$ select 'bigint ' || $1 $$",
		change: "drop function mf(bigint); create function mf(text) returns text language sql as $$ select 'text ' || $1 $$",
		text:   "select mf($1)", args: []string{"007"}, after: "select 1",
	},
	"columns of a star": {
		setup: "create table m (v int); insert into m values (1)", change: "alter table m add w int default 2",
		text: "select * from m where v = $1", args: []string{"1"}, after: "select 1",
	},
	"a table made anew": {
		setup: "create table m (v int); insert into m values (1)", change: "drop table m; create table m (w text, v text); insert into m values ('x', '007')",
		text: "select * from m where v = $1", args: []string{"007"}, after: "select 1",
	},
}

// sent is what a new client sends for a meaning: prepared by name, if it has one, and bound in the same batch or in the next.
func (m meaning) sent(name string, later bool) []step {
	if later {
		return []step{
			say("Z", parse(name, m.text), describe('S', name), msgSync),
			say("Z", bound("", name, m.args...), execute("", 0), msgSync),
		}
	}
	return []step{say("Z", parse(name, m.text), bound("", name, m.args...), describe('P', ""), execute("", 0), msgSync)}
}

// warm has the text known on all servers of the guard.
func (m meaning) warm(t *testing.T, addr string, servers int) {
	t.Helper()
	for range 3 {
		var all []*speaker
		for range servers {
			p, _ := enter(t, addr)
			p.expect("begin", "C BEGIN; Z T")
			p.play([]step{say("Z", parse("", m.text), msgSync)})
			p.play([]step{say("Z", parse("w", m.text), describe('S', "w"), msgSync)})
			all = append(all, p)
		}
		for _, p := range all {
			p.expect("rollback", "C ROLLBACK; Z I")
			p.leave()
		}
	}
}

// try is what a new client hears, and what is there then. Nothing of it stays.
func (m meaning) try(t *testing.T, addr string, steps []step) []string {
	t.Helper()
	p, _ := enter(t, addr)
	p.expect("begin", "C BEGIN; Z T")
	out := p.play(steps)
	if out[len(out)-1] == "Z T" {
		out = append(out, p.ask(m.after)...)
	}
	p.expect("rollback", "C ROLLBACK; Z I")
	p.leave()
	return out
}

// TestFreshParseMeansNow: whoever prepares a text prepares it as it is read now, whatever the server has from before, a second after
// it was changed past the guard.
func TestFreshParseMeansNow(t *testing.T) {
	admin := direct(t, shared)
	for what, m := range meanings {
		for _, servers := range []int{1, 3} {
			for way, steps := range map[string][]step{
				"unnamed": m.sent("", false), "unnamed, bound later": m.sent("", true), "named": m.sent("n", false), "named, bound later": m.sent("n", true),
			} {
				t.Run(fmt.Sprintf("%s/%d/%s", what, servers, way), func(t *testing.T) {
					g := narrow(t, servers, watchful)
					_, _ = admin.query("drop table if exists m; " + m.setup)
					m.warm(t, g.addr, servers)
					_, _ = admin.query(m.change)
					changed := time.Now()
					want := m.try(t, address(shared), steps)
					for {
						tried := time.Now()
						got := m.try(t, g.addr, steps)
						if tried.Sub(changed) > allowance {
							compare(t, want, got)
							break
						}
						if strings.Join(got, "\n") == strings.Join(want, "\n") && tried.Sub(changed) > allowance/3 {
							break
						}
					}
					g.atRest(t)
				})
			}
		}
	}
}

// TestFreshParseMeansNowAfterChangesThroughTheGuard: what the guard itself has carried, in whatever form, holds at once, also within
// its own transaction.
func TestFreshParseMeansNowAfterChangesThroughTheGuard(t *testing.T) {
	admin := direct(t, shared)
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	ways := map[string]func(change string) []step{
		"plain": func(c string) []step { return queries(c) },
		"DO":    func(c string) []step { return queries("do $do$ begin execute " + quoted(c) + "; end $do$") },
		"function": func(c string) []step {
			return queries("select run_text(" + quoted(c) + ")")
		},
		"bound function": func(c string) []step {
			return []step{say("Z", parse("", "select run_text($1)"), bound("", "", c), execute("", 0), msgSync)}
		},
		"CALL": func(c string) []step { return queries("call call_text(" + quoted(c) + ")") },
		"EXECUTE": func(c string) []step {
			return queries("prepare pc(text) as select run_text($1)", "execute pc("+quoted(c)+")", "deallocate pc")
		},
		"in a transaction": func(c string) []step { return queries("begin", "select run_text("+quoted(c)+")", "commit") },
	}
	_, _ = admin.query("create or replace function run_text(text) returns void language plpgsql as $$ begin execute $1; end $$; " +
		"create or replace procedure call_text(text) language plpgsql as $$ begin execute $1; end $$")
	for what, m := range meanings {
		for way, carries := range ways {
			t.Run(what+"/"+way, func(t *testing.T) {
				g := narrow(t, 2, nil)
				_, _ = admin.query("drop table if exists m; " + m.setup)
				m.warm(t, g.addr, 2)
				p, _ := enter(t, g.addr)
				for _, line := range p.play(carries(m.change)) {
					if strings.HasPrefix(line, "E ") {
						t.Fatal(line)
					}
				}
				want := m.try(t, address(shared), m.sent("", false))
				for range 3 {
					compare(t, want, m.try(t, g.addr, m.sent("", false)))
				}
				p.leave()
				g.atRest(t)
			})
		}
		t.Run(what+"/before its end", func(t *testing.T) {
			g := narrow(t, 1, nil)
			_, _ = admin.query("drop table if exists m; " + m.setup)
			m.warm(t, g.addr, 1)
			steps := append(queries("begin", "select run_text("+quoted(m.change)+")"), append(m.sent("", false), queries("rollback")...)...)
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}

// boundBinary is a Bind with one argument, and results, in binary.
func boundBinary(name string, arg []byte) []byte {
	body := append([]byte("\x00"+name+"\x00"), 0, 1, 0, 1, 0, 1)
	body = append(binary.BigEndian.AppendUint32(body, uint32(len(arg))), arg...)
	return appendMessage(nil, wire.Bind, string(append(body, 0, 1, 0, 1)))
}

// TestPreparedAgainWithTheSameTypes: a statement that a client has prepared keeps its parameters' types on whatever server it is prepared
// again; binary values mean what they meant.
func TestPreparedAgainWithTheSameTypes(t *testing.T) {
	admin := direct(t, shared)
	seven := binary.BigEndian.AppendUint64(nil, 7)
	for _, way := range []string{"past the guard", "through the guard", "unnamed"} {
		t.Run(way, func(t *testing.T) {
			g := narrow(t, 2, nil)
			_, _ = admin.query("drop table if exists m; create table m (v bigint)")
			name := "a"
			if way == "unnamed" {
				name = ""
			}
			a, _ := enter(t, g.addr)
			a.play([]step{say("Z", parse(name, "insert into m(v) values ($1)"), describe('S', name), msgSync)})
			a.play([]step{say("Z", boundBinary(name, seven), execute("", 0), msgSync)})
			if way == "through the guard" {
				b, _ := enter(t, g.addr)
				b.ask("alter table m alter v type double precision")
				b.leave()
			} else {
				_, _ = admin.query("alter table m alter v type double precision")
			}
			holder, _ := enter(t, g.addr)
			holder.ask("begin")
			holder.ask("select 1") // it has a's server
			for range 3 {
				a.play([]step{say("Z", boundBinary(name, seven), execute("", 0), msgSync)})
			}
			if got := admin.one(t, "select count(*) || ' of ' || min(v) || ' to ' || max(v) from m"); got != "4 of 7 to 7" {
				t.Errorf("stored: %s", got)
			}
			holder.ask("commit")
		})
	}
}

// TestPreparedAgainWithOtherColumnsIsAnError: whoever is not told what columns come now is told that they are others, and nothing runs.
func TestPreparedAgainWithOtherColumnsIsAnError(t *testing.T) {
	admin := direct(t, shared)
	run := func(name string) step {
		return say("Z", boundBinary(name, binary.BigEndian.AppendUint64(nil, 7)), execute("", 0), msgSync)
	}
	for _, name := range []string{"a", ""} {
		for _, where := range []string{"alone", "behind another in a batch", "first in a transaction", "later in a transaction"} {
			if name == "" && strings.Contains(where, "transaction") {
				continue // its BEGIN makes an end of the statement
			}
			t.Run(where+name, func(t *testing.T) {
				g := narrow(t, 2, nil)
				_, _ = admin.query("drop table if exists m; create table m (v bigint)")
				a, _ := enter(t, g.addr)
				a.play([]step{say("Z", parse("o", "select 1"), parse(name, "insert into m values ($1) returning v"), describe('S', name), msgSync)})
				a.play([]step{run(name)})
				_, _ = admin.query("alter table m alter v type double precision")
				holder, _ := enter(t, g.addr)
				holder.ask("begin")
				holder.ask("select 1") // it has a's server
				switch where {
				case "first in a transaction":
					a.ask("begin")
				case "later in a transaction":
					a.ask("begin")
					a.ask("select 1")
				case "behind another in a batch":
					a.play([]step{say("2DC", bound("", "o"), execute("", 0), msgFlush)})
				}
				got := strings.Join(a.play([]step{run(name)}), "; ")
				if !strings.Contains(got, "C0A000 Mcached plan must not change result type") || strings.Contains(got, "; D ") {
					t.Errorf("got %s", got)
				}
				if a.ask("rollback"); admin.one(t, "select count(*) from m") != "1" {
					t.Error("it has run")
				}
				holder.ask("commit")
				a.leave()
				g.atRest(t)
			})
		}
	}
}

// TestSettingsThatAreFoldedIntoPlansDoNotLeak: PostgreSQL computes the immutable parts of a statement when it is planned.
func TestSettingsThatAreFoldedIntoPlansDoNotLeak(t *testing.T) {
	const text = `select (0.1::float8+0.2::float8)::text, '\x4142'::bytea::text, '1 day 2 hours'::interval::text`
	set := []string{"set extra_float_digits = 0", "set bytea_output = 'escape'", "set intervalstyle = 'iso_8601'"}
	run := say("Z", bound("", "n"), execute("", 0), msgSync)
	for _, first := range []bool{true, false} { // who has the settings
		for _, later := range []bool{true, false} { // set after the statement was prepared
			t.Run(fmt.Sprintf("first %v later %v", first, later), func(t *testing.T) {
				g := narrow(t, 1, nil)
				visit := func(sets bool) []step {
					var steps []step
					if sets && !later {
						steps = queries(set...)
					}
					steps = append(steps, say("Z", parse("n", text), msgSync))
					if sets && later {
						steps = append(steps, queries(set...)...)
					}
					for range 8 {
						steps = append(steps, run)
					}
					return steps
				}
				same(t, g, visit(first)...)
				same(t, g, visit(!first)...)
				same(t, g, visit(first)...)
			})
		}
	}
}

// TestReloadReachesPreparedTexts: what the operator sets holds for texts that a new client prepares, as it would on a new connection.
func TestReloadReachesPreparedTexts(t *testing.T) {
	admin := direct(t, shared)
	const text = "select extract(epoch from '2026-06-01 12:00:00'::timestamptz)::bigint, $1::int"
	reset := func() {
		_, _ = admin.query("alter system reset timezone")
		_, _ = admin.query("select pg_reload_conf()")
	}
	defer reset()
	g := narrow(t, 2, watchful)
	m := meaning{text: text, args: []string{"1"}, after: "select 1"}
	m.warm(t, g.addr, 2)
	_, _ = admin.query("alter system set timezone = 'Asia/Tokyo'")
	_, _ = admin.query("select pg_reload_conf()")
	eventually(t, "reloaded", func() bool {
		p, _ := enter(t, address(shared))
		defer p.leave()
		return strings.Contains(strings.Join(p.ask("show timezone"), " "), "Tokyo")
	})
	want := m.try(t, address(shared), m.sent("", false))
	within(t, allowance, "read in the new zone", func() bool {
		return firstRow(m.try(t, g.addr, m.sent("", false))) == firstRow(want)
	})
}

// firstRow is the first row of what was said.
func firstRow(lines []string) string {
	for _, l := range lines {
		if strings.HasPrefix(l, "D ") {
			return l
		}
	}
	return ""
}

// TestBinaryResultsMeanWhatTheirClientKnows: a client that was told that a column is of one type never gets the bytes of another.
func TestBinaryResultsMeanWhatTheirClientKnows(t *testing.T) {
	admin := direct(t, shared)
	_, _ = admin.query("drop table if exists m; create table m (v bigint); insert into m values (7)")
	g := narrow(t, 2, nil)
	text := "select v from m where v > $1 - 1"
	a, _ := enter(t, g.addr)
	a.play([]step{say("Z", parse("a", text), describe('S', "a"), msgSync)})
	_, _ = admin.query("alter table m alter v type double precision")
	holder, _ := enter(t, g.addr)
	holder.ask("begin")
	holder.ask("select 1")
	got := strings.Join(a.play([]step{say("Z", boundBinary("a", binary.BigEndian.AppendUint64(nil, 1)), execute("", 0), msgSync)}), "; ")
	if strings.Contains(got, string(binary.BigEndian.AppendUint64(nil, math.Float64bits(7)))) || !strings.Contains(got, "C0A000") {
		t.Errorf("got %q", got)
	}
	holder.ask("commit")
}

// TestTriggerTellsOfChangesAtOnce: with the event trigger a change past the guard is known without waiting for a statement's age.
func TestTriggerTellsOfChangesAtOnce(t *testing.T) { triggers(t, "") }

// What it has told while nobody was there to hear it is not lost: the side channel was ended in between.
func TestTriggerIsHeardAgainAfterASilence(t *testing.T) {
	triggers(t, "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name like 'pgguard-watch%'; ")
}

func triggers(t *testing.T, before string) {
	admin := direct(t, shared)
	admin.want(t, admin.query, instance.DDLTrigger, "", 'I')
	defer func() { _, _ = admin.query("drop function pgguard_ddl cascade") }()
	m := meanings["all columns"]
	g := narrow(t, 2, func(c *Config) { c.StatementAge = time.Hour })
	g.measured(t)
	_, _ = admin.query("drop table if exists m; " + m.setup)
	m.warm(t, g.addr, 2)
	_, _ = admin.query(before + m.change)
	want := m.try(t, address(shared), m.sent("", false))
	eventually(t, "read anew", func() bool {
		return strings.Join(m.try(t, g.addr, m.sent("", false)), "\n") == strings.Join(want, "\n")
	})
}
