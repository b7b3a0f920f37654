//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// A function that runs as a superuser may set for its client what the client could not set itself. It stays so, and nobody else has it.
func TestSettingsOfASuperuserStayWithTheirClient(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{
		"drop function if exists raised()", "drop role if exists plainly", "create role plainly login",
		"create function raised() returns text language sql security definer as $$ select set_config('log_min_duration_statement', '5000', false) $$",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr, "user", "plainly")
	const show = "show log_min_duration_statement"
	p.ask("select raised()")
	for range 3 {
		other, _ := enter(t, g.addr, "user", "plainly")
		if got := brief(other.ask(show)); !strings.Contains(got, "D -1;") {
			t.Errorf("another client finds %s", got)
		}
		other.leave()
		if got := brief(p.ask(show)); !strings.Contains(got, "D 5s;") {
			t.Errorf("its client finds %s", got)
		}
	}
	p.ask("reset all")
	if n := len(g.Stats().Pinned); n > 0 {
		t.Errorf("pinned for %v after a RESET", g.Stats().Pinned)
	}
	p.leave()
}

// What a client has set and PostgreSQL does not take any more cannot be had on another server. Nothing runs without it: its session ends, in
// PostgreSQL's words, and a new one is served.
func TestSettingsThatAreRefusedLaterEndTheSession(t *testing.T) {
	admin := askedTable(t, shared)
	for _, text := range []string{"drop role if exists bearer, borne", "create role bearer login", "create role borne", "grant all on asked to bearer, borne"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	for _, c := range []struct{ name, before, set, after, code string }{
		{"role", "grant borne to bearer", "set role borne", "revoke borne from bearer", "42501"},
		{"text search", "create text search configuration public.passing (copy = simple)", "set default_text_search_config = passing", "drop text search configuration public.passing", "22023"},
	} {
		t.Run(c.name, func(t *testing.T) {
			admin.want(t, admin.query, c.before, "", 'I')
			g := narrow(t, 1, nil)
			for _, send := range [][]byte{simple(inserting(c.name)), unnamed(inserting(c.name))} {
				p, _ := enter(t, g.addr, "user", "bearer")
				if got := brief(p.ask(c.set)); got != "C SET; Z I" {
					t.Fatal(got)
				}
				admin.want(t, admin.query, c.after, "", 'I')
				other, _ := enter(t, g.addr, "user", "bearer")
				other.ask("set work_mem = '5MB'")
				other.ask("select 1")
				other.leave()
				p.write(send)
				p.read("Z")
				if got := brief(p.lines()); !strings.HasPrefix(got, "E SFATAL VFATAL C"+c.code) || !strings.HasSuffix(got, "; closed") {
					t.Errorf("got %s", got)
				}
				next, _ := enter(t, g.addr, "user", "bearer")
				next.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
				next.leave()
				admin.want(t, admin.query, c.before, "", 'I')
			}
			admin.want(t, admin.query, c.after, "", 'I')
		})
	}
	if found := rows(t, admin); len(found) > 0 {
		t.Errorf("rows %v", found)
	}
}

// The seed of random() is its client's: what it draws is what it would have drawn on a connection of its own.
func TestSeedStaysWithItsClient(t *testing.T) {
	g := narrow(t, 2, nil)
	draw := func(addr string) string {
		p, _ := enter(t, addr)
		said := brief(p.ask("select setseed(0.5)"))
		for range 3 {
			other, _ := enter(t, g.addr)
			other.ask("select random()")
			other.leave()
			said += brief(p.ask("select random()"))
		}
		p.leave()
		return said
	}
	if want, got := draw(address(shared)), draw(g.addr); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What only the end of a server takes back stays with its client, and ends with it: nobody else is given that server.
func TestWhatNothingTakesBackEndsWithItsClient(t *testing.T) {
	admin := direct(t, shared)
	start, stop := "select pg_backup_start('guarded', true)", "select pg_backup_stop(false)"
	if admin.one(t, "select current_setting('server_version_num')::int / 10000") == "14" {
		start, stop = "select pg_start_backup('guarded', true, false)", "select pg_stop_backup(false, false)"
	}
	for _, c := range []struct{ name, begin, check string }{
		{"seed", "select setseed(0.5)", "select random()"}, {"backup", start, stop},
		{"slot", "select pg_create_physical_replication_slot('guarded', false, true)", "select pg_drop_replication_slot('guarded')"},
		{"library", "load 'plpgsql'", "select 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := narrow(t, 2, nil)
			for _, stays := range []bool{true, false} {
				p, _ := enter(t, g.addr)
				if got := brief(p.ask(c.begin)); strings.Contains(got, "E S") {
					t.Fatal(got)
				}
				pid := ownPid(p)
				for range 2 {
					other, _ := enter(t, g.addr)
					if ownPid(other) == pid {
						t.Error("another client has its server")
					}
					other.leave()
				}
				if stays {
					if got := brief(p.ask(c.check)); strings.Contains(got, "E S") {
						t.Error(got)
					}
				}
				p.leave()
				eventually(t, "its server gone", func() bool {
					return admin.one(t, fmt.Sprintf("select count(*) from pg_stat_activity where pid = %d", pid)) == "0"
				})
			}
		})
	}
}
