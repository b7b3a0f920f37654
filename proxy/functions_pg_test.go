//go:build pg

package proxy

import (
	"fmt"
	"strconv"
	"testing"
)

// TestFunctionsAreReadOnlyWhenTheyChange: to read the bodies of all functions costs the server as much as a hundred short statements. What
// is written to other catalogs, by temporary tables above all, does not have them read again; what changes a function does, however it
// is made.
func TestFunctionsAreReadOnlyWhenTheyChange(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{
		"drop function if exists looks(), makes()",
		"create function looks() returns int language plpgsql as 'begin return 1; end'",
		"create function makes() returns void language plpgsql as $$ begin " +
			"execute 'create or replace function made() returns int language sql as ''select 1'''; end $$",
	} {
		if _, err := admin.query(text); err != nil {
			t.Fatal(err)
		}
	}
	version, err := strconv.Atoi(admin.one(t, "select current_setting('server_version_num')"))
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, address(shared), func(c *Config) { c.Pool.MaxServers = 3 })
	g.looked(t) // what was read before that is read once more
	p, _ := enter(t, g.addr)
	reads := func() int {
		t.Helper()
		p.ask("select pg_stat_clear_snapshot(), looks()")
		n, err := strconv.Atoi(admin.one(t, "select pg_stat_get_numscans('pg_proc'::regclass)"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	flush := func() { // a server tells of what it has counted once a second, or when it is asked to
		if version >= 150000 {
			p.ask("select pg_stat_force_next_flush()")
		}
	}
	p.ask("select looks()")
	flush()
	before := reads()
	for i := range 30 {
		p.play(queries(fmt.Sprintf("begin; create temporary table documents%d (a int) on commit drop; select looks()", i), "commit", "select looks()"))
		flush()
	}
	if n := reads() - before; n > 3 {
		t.Errorf("functions were read %d times in 30 transactions with temporary tables", n)
	}
	if version < 150000 {
		return // the server tells of its own writes later
	}
	for _, change := range []string{
		"create or replace function looks() returns int language plpgsql as 'begin return 2; end'",
		"select makes()",
		"do $$ begin execute 'create or replace function made() returns int language sql as ''select 2'''; end $$",
	} {
		before := reads()
		p.ask(change)
		p.ask("select looks()")
		flush()
		p.ask("select looks()")
		flush()
		if n := reads() - before; n < 1 {
			t.Errorf("functions were not read after %s", change)
		}
	}
	p.leave()
}
