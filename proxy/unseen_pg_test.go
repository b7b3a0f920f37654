//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

// leftover is something that a function leaves in its session. pins: its client keeps its server for it. writes: only a volatile function may.
type leftover struct {
	name, does   string
	pins, writes bool
}

var leftovers = []leftover{
	{name: "setting", does: "perform set_config('work_mem', '77MB', false)"},
	{name: "custom", does: "perform set_config('unseen.tenant', 'mine', false)"},
	{name: "role", does: "set role unseen_role", writes: true},
	{name: "path", does: "perform set_config('search_path', 'unseen_elsewhere', false)"},
	{name: "lock", does: "perform pg_advisory_lock(4242)", pins: true},
	{name: "table", does: "create temporary table if not exists unseen_left (a int)", pins: true, writes: true},
	{name: "listen", does: "listen unseen_left", pins: true, writes: true},
}

// unseen are ways to run function f, which stands in the schema LEFT, without its name in the text. stable: f must be immutable.
var unseen = []struct {
	name   string
	makes  []string
	text   string
	copies string // what is copied in
	stable bool
}{
	{name: "trigger", makes: []string{
		"create function LEFT.tr() returns trigger language plpgsql as $$ begin perform LEFT.f(1); return new; end $$",
		"create table LEFT.triggered (a int)", "create trigger t before insert on LEFT.triggered for each row execute function LEFT.tr()",
	}, text: "insert into LEFT.triggered values (1)"},
	{name: "view", makes: []string{"create view LEFT.seen as select LEFT.f(1) as a"}, text: "select * from LEFT.seen"},
	{name: "operator", makes: []string{"create operator LEFT.@@@ (function = LEFT.f, rightarg = int)"}, text: "select operator(LEFT.@@@) 3"},
	{name: "default", makes: []string{"create table LEFT.defaults (id int, d int default LEFT.f(5))"}, text: "insert into LEFT.defaults (id) values (2)"},
	{name: "default by COPY", makes: []string{"create table LEFT.copied (id int, d int default LEFT.f(5))"}, text: "copy LEFT.copied (id) from stdin", copies: "9\n"},
	{name: "domain", makes: []string{"create domain LEFT.dom as int check (LEFT.f(value) > 0)"}, text: "select 3::LEFT.dom"},
	{name: "rule", makes: []string{"create table LEFT.ruled (a int)", "create rule r as on insert to LEFT.ruled do also select LEFT.f(1)"}, text: "insert into LEFT.ruled values (1)"},
	{name: "attribute", makes: []string{
		"create table LEFT.t (id int)", "insert into LEFT.t values (1)",
		"create function public.LEFT_computed(LEFT.t) returns int language sql as $$ select LEFT.f($1.id) $$",
	}, text: "select x.LEFT_computed from LEFT.t x"},
	{name: "policy", makes: []string{
		"create table LEFT.secret (id int)", "insert into LEFT.secret values (1)",
		"alter table LEFT.secret enable row level security", "create policy p on LEFT.secret using (LEFT.f(id) > 0)",
	}, text: "select * from LEFT.secret"},
	{name: "check", makes: []string{"create table LEFT.checked (id int check (LEFT.f(id) > 0))"}, text: "insert into LEFT.checked values (3)"},
	{name: "generated", stable: true, makes: []string{"create table LEFT.made (id int, g int generated always as (LEFT.fi(id)) stored)"}, text: "insert into LEFT.made (id) values (3)"},
	{name: "index", stable: true, makes: []string{"create table LEFT.indexed (id int)", "create index on LEFT.indexed (LEFT.fi(id))"}, text: "insert into LEFT.indexed values (3)"},
	{name: "name of PostGIS", makes: []string{"create function LEFT.st_mine(int) returns int language sql as $$ select LEFT.f($1) $$"}, text: "select LEFT.st_mine(1)"},
	{name: "name of the server's", makes: []string{"create function LEFT.upper(int) returns int language sql as $$ select LEFT.f($1) $$"}, text: "select LEFT.upper(1)"},
}

// seenLeft tells all of that of the session it runs in.
const seenLeft = `select current_setting('work_mem'), nullif(current_setting('unseen.tenant', true), ''), current_setting('role'), current_setting('search_path'),
	(select count(*) from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()),
	(select count(*) from pg_catalog.pg_class where relname = 'unseen_left' and relnamespace = pg_catalog.pg_my_temp_schema()),
	(select count(*) from pg_catalog.pg_listening_channels())`

// unseenFixtures makes the functions, and what runs them.
func unseenFixtures(t *testing.T, admin *caller) {
	t.Helper()
	does := func(text string) { t.Helper(); admin.want(t, admin.query, text, "", 'I') }
	does("create role unseen_role; create role unseen_user login in role unseen_role")
	for _, l := range leftovers {
		schema := "unseen_" + l.name
		body := " language plpgsql as $$ begin " + l.does + "; return $1; end $$"
		texts := []string{"create schema LEFT", "create function LEFT.f(int) returns int" + body, "create function LEFT.fi(int) returns int immutable" + body}
		for _, w := range unseen {
			if !w.stable || !l.writes {
				texts = append(texts, w.makes...)
			}
		}
		texts = append(texts, "grant all on schema LEFT to unseen_user, unseen_role", "grant all on all tables in schema LEFT to unseen_user, unseen_role")
		for _, text := range texts {
			does(strings.ReplaceAll(text, "LEFT", schema))
		}
	}
}

// TestWhatRunsUnseenLeavesNothingToOthers: whatever runs a function whose name is not in the text, what that leaves is its client's, as on a
// connection of its own, and nobody else's.
func TestWhatRunsUnseenLeavesNothingToOthers(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	unseenFixtures(t, direct(t, c))
	g := newGuard(t, address(c), func(c *Config) { c.Pool.MaxServers = 1 })
	g.looked(t)
	for _, l := range leftovers {
		for _, w := range unseen {
			if w.stable && l.writes {
				continue
			}
			text := strings.ReplaceAll(w.text, "LEFT", "unseen_"+l.name)
			steps := map[string]step{"simple": say("Z", simple(text)), "extended": say("Z", unnamed(text))}
			if w.copies != "" {
				steps = map[string]step{"simple": say("GZ", simple(text), copyData(w.copies), msgCopyDone)}
			}
			for protocol, s := range steps {
				t.Run(l.name+"/"+w.name+"/"+protocol, func(t *testing.T) { leavesNothing(t, c, g, s, l.pins) })
			}
		}
	}
	g.atRest(t)
}

// leavesNothing runs a step and looks what its client and others see after it.
func leavesNothing(t *testing.T, c *pgtest.Cluster, g *guard, s step, pins bool) {
	t.Helper()
	as := func(addr string) *speaker { p, _ := enter(t, addr, "user", "unseen_user"); return p }
	whole := []step{s, say("Z", simple(seenLeft))}
	own := as(address(c))
	none, want := slices.Clone(own.ask(seenLeft)), own.play(whole)
	own.leave()
	p := as(g.addr)
	compare(t, want, p.play(whole))
	if strings.Join(none, "") == strings.Join(want[len(want)-len(none):], "") {
		t.Fatalf("it leaves nothing: %q", want)
	}
	o := as(g.addr)
	if !pins {
		compare(t, none, o.ask(seenLeft))
		p.said = nil
		compare(t, want[len(want)-len(none):], p.ask(seenLeft))
	}
	p.leave()
	o.said = nil
	compare(t, none, o.ask(seenLeft))
	o.leave()
}

// unseenGuard is a guard with one server, in front of a cluster in which the texts have been run.
func unseenGuard(t *testing.T, texts ...string) *guard {
	t.Helper()
	return unseenServers(t, 1, texts...)
}

// unseenServers is such a guard with so many servers.
func unseenServers(t *testing.T, n int, texts ...string) *guard {
	t.Helper()
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for _, text := range texts {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(c *Config) { c.Pool.MaxServers = n })
	g.looked(t)
	return g
}

const (
	leavingTrigger = "create function tr() returns trigger language plpgsql as $$ begin set work_mem = '77MB'; return new; end $$"
	plainMemory    = "T work_mem:25:0; D 4MB; C SHOW; Z I"
)

// TestWhatIsMadeToRunUnseenLeavesNothingToOthers: a trigger that is made through the guard, also by what is no DDL, and seen by nobody before it is committed.
func TestWhatIsMadeToRunUnseenLeavesNothingToOthers(t *testing.T) {
	g := unseenGuard(t, "create table t (a int)", "create function make() returns void language plpgsql as $$ begin execute 'create trigger t before insert on t for each row execute function tr()'; end $$")
	p, _ := enter(t, g.addr)
	o, _ := enter(t, g.addr)
	p.ask("insert into t values (0)") // what there is has been read
	for _, how := range [][]string{
		{leavingTrigger, "create trigger t before insert on t for each row execute function tr()"},
		{"begin", leavingTrigger, "create trigger t before insert on t for each row execute function tr()", "commit"},
		{leavingTrigger, "select make()"},
	} {
		for _, text := range how {
			p.ask(text)
		}
		p.expect("insert into t values (1)", "C INSERT 0 1; Z I")
		o.expect("show work_mem", plainMemory)
		p.expect("show work_mem", "T work_mem:25:0; D 77MB; C SHOW; Z I")
		p.ask("drop function tr cascade; reset work_mem")
	}
	p.leave()
	o.leave()
	g.atRest(t)
}

// TestOnlyWhatMayLeaveSomethingIsAskedAbout: functions that leave nothing, or are only called by their names, cost nobody a question.
func TestOnlyWhatMayLeaveSomethingIsAskedAbout(t *testing.T) {
	harmless := "create function tr() returns trigger language plpgsql as $$ begin perform set_config('my.user', (new.a + 1)::text, true); " +
		"set local work_mem = '5MB'; update \"T\" set a = 1; insert into u values (1) on conflict do nothing; return new; end $$"
	makes := []string{"create table t (a int)", "create table u (a int)", "create table \"T\" (a int)", "create view v as select upper('x'), current_setting('my.user', true)"}
	trigger := "create trigger t before insert on t for each row execute function tr()"
	named := "create function set_tenant(t text) returns void language plpgsql as $$ begin perform set_config('my.tenant', t, false); end $$"
	for asked, texts := range map[bool][]string{
		false: append(slices.Clone(makes), harmless, trigger, named),
		true:  append(slices.Clone(makes), leavingTrigger, trigger),
	} {
		c := pgtest.New(t, pgtest.Options{})
		admin := direct(t, c)
		for _, text := range texts {
			admin.want(t, admin.query, text, "", 'I')
		}
		g := newGuard(t, address(c), func(c *Config) { c.Pool.MaxServers = 1 })
		g.looked(t)
		p, _ := enter(t, g.addr)
		pid := strings.TrimPrefix(p.ask("select pg_backend_pid()")[1], "D ") // with that it is read
		for _, text := range []string{"insert into t values (1)", "select * from v"} {
			p.ask(text)
			if got := admin.one(t, "select query from pg_stat_activity where pid = "+pid); (got == text) == asked {
				t.Errorf("asked: %v, its server's last query is %.100s", asked, got)
			}
		}
		p.leave()
		g.atRest(t)
	}
}

// TestWhatASuperuserMaySetIsSeenBehindHisRole: PostgreSQL tells a role without that right nothing of some settings.
func TestWhatASuperuserMaySetIsSeenBehindHisRole(t *testing.T) {
	g := unseenGuard(t, "create role joe")
	for _, by := range []string{"set role joe", "set session authorization joe"} {
		for _, in := range []string{"begin", "select 1"} {
			p, _ := enter(t, g.addr)
			o, _ := enter(t, g.addr)
			for _, text := range []string{in, "set dynamic_library_path = '/elsewhere'", by} {
				p.ask(text)
			}
			if in == "begin" {
				p.ask("commit")
			}
			o.expect("show dynamic_library_path", "T dynamic_library_path:25:0; D $libdir; C SHOW; Z I")
			p.expect("select current_user", "T current_user:19:0; D joe; C SELECT 1; Z I")
			p.ask(strings.Replace(by, " joe", " default", 1))
			p.ask("reset role")
			p.expect("show dynamic_library_path", "T dynamic_library_path:25:0; D /elsewhere; C SHOW; Z I")
			p.leave()
			o.leave()
		}
	}
	g.atRest(t)
}
