//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// traces look for what a session may have left in a server; on a server like new the answer is always the same.
const traces = `select current_setting('work_mem'), current_setting('timezone'), current_user,
	(select count(*) from pg_prepared_statements where name !~ '^__pgguard_'), (select count(*) from pg_cursors),
	(select count(*) from pg_listening_channels()), to_regclass('pg_temp.leftover'),
	(select count(*) from pg_locks where locktype = 'advisory')`

var pinning = []struct {
	reason string
	setUp  []step
	check  string // runs in a later transaction and shows that the state is still there
	want   string // its row
}{
	{"prepared", queries("select 1; prepare leftover as select 'here'"), "execute leftover", "D here"},
	{"temp_table", queries("create temp table leftover (a int)", "insert into leftover values (7)"), "select * from leftover", "D 7"},
	{"temp_table", queries("select 7 as a into temp leftover"), "select * from leftover", "D 7"},
	{"advisory_lock", queries("select pg_advisory_lock(7)"), "select pg_advisory_unlock(7)", "D t"},
	{"listen", queries("listen leftover"), "select pg_listening_channels()", "D leftover"},
	{"cursor", queries("begin", "declare leftover cursor with hold for select 7", "commit"), "fetch 1 from leftover", "D 7"},
	{"sequence", queries("select nextval('items_id_seq') > 0"), "select currval('items_id_seq') = lastval()", "D t"},
	{"load", queries("load 'plpgsql'"), "select 1", "D 1"},
	{"temp_table", queries("create statistics pg_temp.leftover on id, name from items"), "drop statistics pg_temp.leftover", "C DROP STATISTICS"},
	{"temp_table", queries("create function pg_temp.f() returns int language sql as 'select 7'"), "select pg_temp.f()", "D 7"},
}

// moving is state that follows the client to any server.
var moving = []struct {
	setUp []step
	check string
	want  string
}{
	{[]step{say("Z", parse("leftover", "select 'here'"), msgSync)}, "execute leftover", "D here"},
	{queries("set work_mem = '5MB'"), "show work_mem", "D 5MB"},
	{batches("set work_mem = '5MB'"), "show work_mem", "D 5MB"},
	{queries("select set_config('work_mem', '5MB', false)"), "show work_mem", "D 5MB"},
	{queries("select set_config('guarded.tenant', 'it''s \\me', false)"), "show guarded.tenant", "D it's \\me"},
	{queries("set guarded.other = 'x'"), "show guarded.other", "D x"},
	{queries("begin; set work_mem = '5MB'; commit"), "show work_mem", "D 5MB"},
	{queries("begin", "savepoint a", "set work_mem = '6MB'", "rollback to a", "set timezone = 'Asia/Tokyo'", "commit"), "select current_setting('work_mem'), current_setting('timezone')", "D 4MB|Asia/Tokyo"},
	{queries("begin", "set work_mem = '6MB'", "rollback"), "show work_mem", "D 4MB"},
	{queries("set role pg_monitor"), "select current_user", "D pg_monitor"},
	{queries("set work_mem = '7MB'", "set role pg_monitor"), "select current_user, current_setting('work_mem')", "D pg_monitor|7MB"},
	{queries("set session authorization pg_monitor"), "select session_user", "D pg_monitor"},
	{queries("set session characteristics as transaction isolation level serializable"), "show transaction_isolation", "D serializable"},
	{queries("do $$ begin perform set_config('work_mem', '5MB', false); end $$"), "show work_mem", "D 5MB"},
	{queries("do $$ begin perform set_config('guarded.body', '5', false); end $$"), "show guarded.body", "D 5"},
	{queries("create or replace function guarded_set() returns text language sql as $$ select set_config('guarded.f', 'set', false) $$", "select guarded_set()"), "show guarded.f", "D set"},
}

// Settings and the protocol's prepared statements follow the client from server to server; nobody is pinned for them, and
// nobody else meets them.
func TestSessionStateMoves(t *testing.T) {
	g := narrow(t, 2, nil)
	fresh, _ := enter(t, address(shared))
	want := strings.Join(fresh.ask(traces), "; ")
	fresh.leave()
	for i, c := range moving {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p, _ := enter(t, g.addr)
			for _, line := range p.play(c.setUp) {
				if line[0] == 'E' {
					t.Fatal(line)
				}
			}
			if pinned := g.Stats().Pinned; len(pinned) > 0 {
				t.Errorf("pinned for %v", pinned)
			}
			for range 2 { // the second time on the other server
				other, _ := enter(t, g.addr)
				if got := strings.Join(other.ask(traces), "; "); got != want {
					t.Errorf("another client finds\n%s, want\n%s", got, want)
				}
				if got := p.ask(c.check); !contains(got, c.want) {
					t.Errorf("%s: got %q, want %s", c.check, got, c.want)
				}
				other.expect("begin", "C BEGIN; Z T")
				other.ask("select 1") // keeps the server that p used last
				if got := p.ask(c.check); !contains(got, c.want) {
					t.Errorf("%s: got %q, want %s", c.check, got, c.want)
				}
				other.leave()
			}
			p.leave()
			g.atRest(t)
		})
	}
}

// Whatever stays in the server's session pins the client to it; the client finds it later, counted by reason, and
// nobody finds it after.
func TestSessionStatePinsAndIsGoneAfter(t *testing.T) {
	g := narrow(t, 1, nil)
	fresh, _ := enter(t, address(shared))
	want := strings.Join(fresh.ask(traces), "; ")
	fresh.leave()
	for i, c := range pinning {
		t.Run(fmt.Sprintf("%d-%s", i, c.reason), func(t *testing.T) {
			before := g.Stats().Pins[c.reason]
			p, _ := enter(t, g.addr)
			pid := p.ask("select pg_backend_pid()")[1]
			for _, line := range p.play(c.setUp) {
				if line[0] == 'E' {
					t.Fatal(line)
				}
			}
			st := g.Stats()
			if st.Pins[c.reason] != before+1 || st.Pinned[c.reason] != 1 {
				t.Errorf("pins %d, want %d; clients pinned %v", st.Pins[c.reason], before+1, st.Pinned)
			}
			if got := p.ask("select pg_backend_pid()")[1]; got != pid {
				t.Errorf("the client was moved to another server")
			}
			if got := p.ask(c.check); !contains(got, c.want) {
				t.Errorf("%s: got %q, want %s", c.check, got, c.want)
			}
			p.leave()
			g.atRest(t)
			next, _ := enter(t, g.addr)
			if got := strings.Join(next.ask(traces), "; "); got != want {
				t.Errorf("the next client finds\n%s, want\n%s", got, want)
			}
			ends := c.reason == "load" // nothing takes it back
			if got := next.ask("select pg_backend_pid()")[1]; (got != pid) != ends {
				t.Errorf("the server is %s, was %s; it ends with its client: %t", got, pid, ends)
			}
			next.leave()
			if n := g.Stats().Pinned; len(n) > 0 && n[c.reason] > 0 {
				t.Errorf("still pinned: %v", n)
			}
		})
	}
}

func contains(lines []string, want string) bool {
	for _, l := range lines {
		if l == want {
			return true
		}
	}
	return false
}

// What leaves nothing pins nobody.
func TestHarmlessStatementsDoNotPin(t *testing.T) {
	g := narrow(t, 1, nil)
	p, _ := enter(t, g.addr)
	texts := []string{
		"select 1", "begin", "set local work_mem = '5MB'", "select pg_advisory_xact_lock(1)", "declare c cursor for select 1",
		"savepoint a", "update keyed set id = id", "rollback", "select set_config('work_mem', '5MB', true)", "notify x",
		"copy keyed to stdout", "explain select 1", "select now(), count(*), lower('A'), coalesce(null, 1)",
		"select 'create temp table x (listen int); set x = y'", "show work_mem", "unlisten *", "vacuum keyed", "truncate items",
	}
	for i, text := range texts {
		p.play([]step{{send: append(batches(text)[0].send, queries("select 1")[0].send...), until: "ZZ"}})
		if pinned := g.Stats().Pinned; len(pinned) > 0 {
			t.Errorf("%d %s: pinned for %v", i, text, pinned)
		}
	}
	p.leave()
	g.atRest(t)
}

// Sequence values of one client are never shown to another, whichever statement comes first.
func TestSequenceMemoryOfAnotherIsNotShown(t *testing.T) {
	g := narrow(t, 1, nil)
	first, _ := enter(t, g.addr)
	first.ask("select lastval()") // from then on INSERTs are known to matter
	first.leave()
	const undefined = "E SERROR VERROR C55000 Mlastval is not yet defined in this session"
	for name, steps := range map[string][]step{
		"at once":        queries("select lastval()"),
		"extended":       batches("select lastval()"),
		"in a block":     queries("begin", "select lastval()", "rollback"),
		"after a read":   queries("begin", "select 1", "select lastval()", "rollback"),
		"after a set":    queries("set work_mem = '5MB'", "select lastval()", "select lastval()"),
		"read only":      queries("begin read only", "select 1", "select lastval()", "rollback"),
		"one write":      {say("ZZZZ", simple("begin"), unnamed("select 1"), unnamed("select lastval()"), simple("commit"))},
		"isolation":      queries("begin", "set transaction isolation level repeatable read", "select lastval()", "rollback"),
		"named":          {say("Z", parse("a", "select lastval()"), msgSync), say("Z", bound("", "a"), execute("", 0), msgSync)},
		"own, in block":  queries("truncate items restart identity", "begin", "insert into items (name) values ('mine')", "select lastval()", "rollback"),
		"own, one write": {say("ZZZZ", simple("truncate items restart identity"), simple("begin"), unnamed("insert into items (name) values ('mine')"), unnamed("select lastval()"))},
	} {
		t.Run(name, func(t *testing.T) {
			other, _ := enter(t, g.addr)
			other.expect("insert into items (name) values ('other''s')", "C INSERT 0 1; Z I")
			other.leave()
			same(t, g, steps...)
			if !strings.HasPrefix(name, "own") && !contains(scripted(t, g.addr, nil, steps), undefined) {
				t.Errorf("lastval had a value")
			}
		})
	}
}

func TestNotificationsReachIdleListener(t *testing.T) {
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr)
	p.expect("listen news", "C LISTEN; Z I")
	other, _ := enter(t, g.addr)
	queries := g.Stats().Queries["high"]
	for i := range 3 {
		other.expect(fmt.Sprintf("notify news, 'number %d'", i), "C NOTIFY; Z I")
		p.read("A")
		if got, want := strings.Join(p.lines(), "; "), fmt.Sprintf("A news|number %d", i); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := g.Stats().Queries["high"] - queries; got != 3 {
		t.Errorf("%d queries counted, want the 3 that notified", got)
	}
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
	p.expect("begin; select 1", "C BEGIN; T ?column?:23:0; D 1; C SELECT 1; Z T")
	other.expect("notify news, 'later'", "C NOTIFY; Z I")
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z T")
	p.expect("commit", "C COMMIT; A news|later; Z I")
	p.leave()
	other.expect("notify news, 'nobody'", "C NOTIFY; Z I")
	last, _ := enter(t, g.addr)
	last.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
}

func TestSessionModeKeepsServer(t *testing.T) {
	g := narrow(t, 1, func(c *Config) { c.Mode = PoolModeSession })
	p, _ := enter(t, g.addr)
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
	p.expect("set work_mem = '5MB'", "C SET; Z I")
	p.expect("show work_mem", "T work_mem:25:0; D 5MB; C SHOW; Z I")
	p.leave()
	next, _ := enter(t, g.addr)
	next.expect("show work_mem", "T work_mem:25:0; D 4MB; C SHOW; Z I")
	for name, texts := range blocks {
		t.Run(name, func(t *testing.T) {
			next.leave()
			same(t, g, queries(texts...)...)
			next, _ = enter(t, g.addr)
		})
	}
}

func TestStatementModeRefusesBlocks(t *testing.T) {
	g := narrow(t, 1, func(c *Config) { c.Mode = PoolModeStatement })
	p, _ := enter(t, g.addr)
	const refusal = "E SERROR VERROR C0A000 Mguard: transaction blocks need pool mode transaction or session HSet pool.mode to transaction."
	for _, text := range []string{"begin", "start transaction", "begin; select 1", "begin isolation level serializable", "select 1; begin"} {
		p.expect(text, refusal+"; Z I")
		p.write(unnamed(strings.Split(text, ";")[0]))
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); text != "select 1; begin" && got != refusal+"; Z I" {
			t.Errorf("extended %s: got %s", text, got)
		}
	}
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
}
