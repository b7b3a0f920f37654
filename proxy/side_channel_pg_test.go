//go:build pg

package proxy

import (
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// looksOn fails the test unless the side channel goes on looking from now on, over the connection that it has.
func (g *guard) looksOn(t *testing.T, admin *caller) {
	t.Helper()
	in := g.the(t)
	const ask = "select coalesce(string_agg(pid::text, ','), '') from pg_stat_activity where usename <> 'app' and application_name ~ '^pgguard-watch \\d+/\\d+$'"
	eventually(t, "the guard sees", func() bool { return in.Sees() && admin.one(t, ask) != "" })
	pid, from := admin.one(t, ask), time.Now()
	within(t, 5*time.Second, "looks", func() bool {
		seen := in.Seen()
		return seen != nil && seen.At.Sub(from) > 2500*time.Millisecond
	})
	if now := admin.one(t, ask); now != pid {
		t.Errorf("the side channel was process %s and is %s now", pid, now)
	}
}

// TestNothingOfClientsStopsTheSideChannel: whatever a client calls itself, sets or runs, in whatever encoding, the guard goes on seeing.
func TestNothingOfClientsStopsTheSideChannel(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	w := &world{c, nil, direct(t, c)}
	w.do(t, "create role app login superuser", "create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'",
		"create database bytes template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'")
	names := []func(t *testing.T, addr string){
		func(t *testing.T, addr string) {
			mustCall(t, addr, "app", "latin", "application_name", "pgguard-watch 99999999999/1").does(t, "select 1")
			mustCall(t, addr, "app", "latin", "application_name", "pgguard-watch 9/9").does(t, "select 1")
		},
		func(_ *testing.T, addr string) { _, _ = call(addr, "caf\xe9", "latin") },
		func(_ *testing.T, addr string) { _, _ = call(addr, "app", "日本") },
		func(_ *testing.T, addr string) { _, _ = call(addr, "app", strings.Repeat("long", 100)) },
	}
	texts := []func(t *testing.T, addr string){
		func(t *testing.T, addr string) {
			mustCall(t, addr, "app", "latin").does(t, "alter role app set my.name = '"+strings.Repeat("long", 1<<20)+"'")
		},
		func(t *testing.T, addr string) {
			p := mustCall(t, addr, "app", "latin", "client_encoding", "LATIN1")
			p.does(t, "alter role app in database latin set my.name = E'caf\xe9 \\\\'")
			if err := p.send(simple("select pg_sleep(4), '" + strings.Repeat("x", 995) + "caf\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9'")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for _, own := range []string{"postgres", "latin", "bytes"} {
		for name, acts := range map[string][]func(t *testing.T, addr string){"names": names, "texts": texts} {
			t.Run(own+"/"+name, func(t *testing.T) {
				g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream.Database = own })
				for _, act := range acts {
					act(t, g.addr)
					act(t, address(c))
				}
				look(g)
				g.looksOn(t, w.admin)
				mustCall(t, g.addr, "app", "latin").does(t, "select 1")
				w.do(t, "alter role app reset all", "alter role app in database latin reset all")
			})
		}
	}
}

// TestIdleSessionTimeoutSparesTheSideChannel: it is idle for most of each second.
func TestIdleSessionTimeoutSparesTheSideChannel(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"idle_session_timeout": "300ms", "statement_timeout": "1ms"}})
	admin := mustCall(t, address(c), "postgres", "postgres", "options", "-c idle_session_timeout=0 -c statement_timeout=0")
	g := newGuard(t, address(c), nil)
	g.call(t, "statement_timeout", "0")
	g.looksOn(t, admin)
}

// TestDropDatabaseDoesNotMeetTheGuardsOwn: what the guard itself keeps open in a database gives way to who wants that for himself.
func TestDropDatabaseDoesNotMeetTheGuardsOwn(t *testing.T) {
	w := newWorld(t, nil)
	w.do(t, "create database vault")
	g := newGuard(t, address(w.cluster), func(cfg *Config) {
		cfg.Upstream.Database = "vault"
		cfg.Auth.Query, cfg.Auth.Policy.Method = "select rolname, rolpassword from pg_authid where rolname = $1", "md5"
	})
	if _, said := comeIn(t, g.addr, "app", "wrong", "appdb"); !strings.HasPrefix(said, "28P01") {
		t.Fatal(said)
	}
	eventually(t, "both there", func() bool {
		return w.admin.one(t, "select count(*) from pg_stat_activity where datname = 'vault'") == "2"
	})
	start := time.Now()
	w.do(t, "drop database vault")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestFullServerLeavesTheSideChannel: while there is no connection for another, the one there is is kept, whatever it is to look at anew.
func TestFullServerLeavesTheSideChannel(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "20"}})
	w := &world{c, nil, direct(t, c)}
	w.do(t, "create role app login", "create role watch login in role pg_monitor", "create role stranger login")
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream.User, cfg.Upstream.Database = "watch", "postgres" })
	fill := func() {
		for {
			p, err := call(address(c), "stranger", "postgres")
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = p.Close() })
		}
	}
	clients := []*caller{mustCall(t, g.addr, "app", "postgres"), mustCall(t, g.addr, "app", "postgres"), mustCall(t, g.addr, "app", "postgres")}
	for _, p := range clients {
		p.does(t, "begin")
		p.does(t, "select 1")
	}
	eventually(t, "the guard sees", func() bool { return g.the(t).Sees() })
	fill()
	for range 2 {
		w.do(t, "select pg_terminate_backend(max(pid), 5000) from pg_stat_activity where usename = 'app'")
		fill()
		time.Sleep(time.Second)
	}
	g.looksOn(t, w.admin)
}
