//go:build pg

package proxy

import (
	"strings"
	"testing"
)

// A pin ends with its cause: the next transaction may run on any server.
func TestPinsEndWithTheirCause(t *testing.T) {
	g := narrow(t, 2, func(c *Config) { c.MaxPinned = 2 })
	for name, c := range map[string]struct{ set, end []string }{
		"advisory_lock": {[]string{"select pg_advisory_lock(9)"}, []string{"select pg_advisory_unlock(9)"}},
		"all locks":     {[]string{"select pg_advisory_lock(9), pg_advisory_lock(8)"}, []string{"select pg_advisory_unlock_all()"}},
		"listen":        {[]string{"listen here"}, []string{"unlisten *"}},
		"temp_table":    {[]string{"create temp table gone (a int)"}, []string{"drop table gone"}},
		"cursor":        {[]string{"begin", "declare held cursor with hold for select 1", "commit"}, []string{"close held"}},
		"prepared":      {[]string{"select 1; prepare it as select 1"}, []string{"deallocate it"}}, // alone it would move
		"sequence":      {[]string{"select nextval('items_id_seq')"}, []string{"discard sequences"}},
		"everything":    {[]string{"listen here", "select pg_advisory_lock(9)", "create temp table gone (a int)"}, []string{"discard all"}},
		"in a block":    {[]string{"listen here"}, []string{"begin", "unlisten *", "commit"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			p.play(queries(c.set...))
			if len(g.Stats().Pinned) == 0 {
				t.Fatal("not pinned")
			}
			p.play(queries(c.end...))
			if pinned := g.Stats().Pinned; len(pinned) > 0 {
				t.Errorf("still pinned for %v", pinned)
			}
			p.leave()
			g.atRest(t)
		})
	}
}

// Beyond max_pinned a client is told, keeps its connection, and what it left is gone; the others are served.
func TestPinsAreBounded(t *testing.T) {
	g := narrow(t, 3, func(c *Config) { c.MaxPinned = 1 })
	first, _ := enter(t, g.addr)
	first.expect("listen a", "C LISTEN; Z I")
	second, _ := enter(t, g.addr)
	if got := strings.Join(second.ask("create temp table leftover (a int)"), "; "); !strings.Contains(got, "C53400") || !strings.Contains(got, "reason=temp_table") {
		t.Errorf("got %s", got)
	}
	second.expect("select to_regclass('pg_temp.leftover')", "T to_regclass:2205:0; D NULL; C SELECT 1; Z I")
	second.expect("select nextval('items_id_seq') > 0", "T ?column?:16:0; D t; C SELECT 1; Z I")
	first.expect("unlisten a", "C UNLISTEN; Z I")
	second.expect("create temp table leftover (a int)", "C CREATE TABLE; Z I")
	first.leave()
	second.leave()
	g.atRest(t)
}

// What a server has carried out once is carried out without one.
func TestKnownSettingsNeedNoServer(t *testing.T) {
	g := narrow(t, 1, nil)
	g.looked(t)
	texts := []string{
		"set client_min_messages to 'warning'", "set standard_conforming_strings = on", "set intervalstyle = iso_8601",
		"set timezone to 'UTC'", "reset timezone", "discard all", "set datestyle = 'German'", "deallocate all",
	}
	for i := range 3 {
		p, _ := enter(t, g.addr)
		before := g.Stats().Queries["high"]
		steps := queries(texts...)
		if i == 2 {
			same(t, g, append(steps, queries("show timezone", "show datestyle")...)...)
		} else {
			p.play(steps)
		}
		if got := g.Stats().Queries["high"] - before; i == 1 && got != 0 {
			t.Errorf("%d queries of known settings went to a server", got)
		}
		p.leave()
	}
}

// A plan that has become stale outside a transaction is made again, unseen, for a client that is told the columns.
func TestStalePlanIsHealed(t *testing.T) {
	g := narrow(t, 1, nil)
	admin, _ := enter(t, address(shared))
	admin.play(queries("drop table if exists grows", "create table grows (a int)", "insert into grows values (1)"))
	p, _ := enter(t, g.addr)
	p.play([]step{say("Z", parse("s", "select * from grows"), msgSync), say("Z", bound("", "s"), describe('P', ""), execute("", 0), msgSync)})
	admin.play(queries("alter table grows add b int default 2"))
	got := strings.Join(p.play([]step{say("Z", bound("", "s"), describe('P', ""), execute("", 0), msgSync)}), "; ")
	if want := "2; T a:23:0|b:23:0; D 1|2; C SELECT 1; Z I"; !strings.HasSuffix(got, want) {
		t.Errorf("described: got %s, want %s", got, want)
	}
	admin.play(queries("alter table grows add c int default 3"))
	got = strings.Join(p.play([]step{say("Z", bound("", "s"), execute("", 0), msgSync)}), "; ")
	if !strings.Contains(got, "C0A000") {
		t.Errorf("not described: got %s, want 0A000", got)
	}
	p.leave()
	admin.play(queries("drop table grows"))
}
