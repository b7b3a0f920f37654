//go:build pg

package proxy

import (
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// idleServers leaves n idle servers of app in appdb, and no client.
func (w *world) idleServers(t *testing.T, n int) {
	t.Helper()
	var clients []*caller
	for range n {
		clients = append(clients, w.app(t))
	}
	all(t, 0, clients, "select 1")
	for _, p := range clients {
		p.kill()
	}
	w.atRest(t)
	if n := w.pool().Servers["idle"]; n == 0 {
		t.Fatal("no idle servers")
	}
}

// Servers that nobody uses do not stand in the way of what needs a database for itself.
func TestIdleServersDoNotHoldUpADatabase(t *testing.T) {
	for name, c := range map[string]struct{ text, undo string }{
		"drop":   {"drop database appdb", "create database appdb owner app"},
		"rename": {"alter database appdb rename to appdb2", "alter database appdb2 rename to appdb"},
		"copy":   {"create database appdb2 template appdb", "drop database appdb2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Upstream.Database = "" })
			for _, through := range []bool{false, true} {
				w.idleServers(t, 3)
				by := w.admin
				var stays *caller
				if through {
					by = w.call(t)
					stays = w.app(t) // and has no server
				}
				start := time.Now()
				by.does(t, c.text)
				limit := 2 * time.Second
				if racing {
					limit *= 3
				}
				if d := time.Since(start); d > limit {
					t.Errorf("through the guard %t: it took %s", through, d)
				}
				if stays != nil {
					stays.kill()
				}
				w.do(t, c.undo)
				p := w.app(t)
				p.does(t, "select 1")
				p.kill()
			}
		})
	}
}

// A database that its clients are connected to cannot be dropped past the guard, as if they were connected directly.
func TestDropPastTheGuardRespectsClients(t *testing.T) {
	w := newWorld(t, nil)
	p := w.app(t)
	p.does(t, "select 1")
	if a, err := w.admin.query("drop database appdb"); err != nil || a.code() != "55006" {
		t.Errorf("got %v %v, want 55006", a, err)
	}
	p.does(t, "select 1")
}

// A role or database that is made again is another one: nobody meets servers of the one before.
func TestWhatIsMadeAgainMeetsNoServersOfBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.do(t, "create role owner2 login")
	again := func() {
		w.do(t, "create table if not exists things (a int)", "drop owned by app", "alter database appdb owner to postgres",
			"drop role app", "create role app login", "grant all on things to app")
	}
	for _, through := range []bool{false, true} {
		p := mustCall(t, w.addr, "app", "postgres")
		p.does(t, "select 1")
		if through {
			boss := w.call(t)
			for _, text := range []string{"drop owned by app", "drop role app", "create role app login", "grant all on things to app"} {
				boss.does(t, text)
			}
		} else {
			again()
		}
		ready := func(ask func() *caller) bool {
			a, err := ask().query("select count(*) from things")
			return err == nil && a.code() == ""
		}
		fresh := func() *caller { return mustCall(t, w.addr, "app", "postgres") }
		if through {
			if !ready(fresh) {
				t.Error("through the guard: a new client meets a server of the old role")
			}
		}
		within(t, 2*time.Second, "a new client is served as the new role", func() bool { return ready(fresh) })
		within(t, 2*time.Second, "who was here is, too", func() bool { return ready(func() *caller { return p }) })
	}
	q := w.app(t)
	q.does(t, "select 1")
	q.kill()
	w.atRest(t)
	w.do(t, "drop database appdb", "create database appdb", "grant connect on database appdb to app")
	within(t, 2*time.Second, "the new database is there", func() bool {
		q, err := call(w.addr, "app", "appdb")
		if err != nil {
			return false
		}
		defer q.kill()
		a, err := q.query("select 1")
		return err == nil && a.code() == ""
	})
}

// What PostgreSQL says to who may not log in any more is what a login through the guard reads, and at once if the change came through it.
func TestWhoMayNotLogInReadsWhy(t *testing.T) {
	for name, c := range map[string]struct{ change, undo, code string }{
		"nologin":  {"alter role app nologin", "alter role app login", "28000"},
		"renamed":  {"alter role app rename to app2", "alter role app2 rename to app", "28000"},
		"revoked":  {"revoke connect on database appdb from public, app", "grant connect on database appdb to app", "42501"},
		"closed":   {"alter database appdb allow_connections false", "alter database appdb allow_connections true", "55000"},
		"database": {"drop database appdb", "create database appdb owner app", "3D000"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			boss := w.call(t)
			p := w.app(t)
			p.does(t, "select 1")
			p.kill()
			w.atRest(t)
			w.do(t, "alter database appdb owner to postgres", "grant connect on database appdb to app")
			mustCall(t, w.addr, "app", "appdb").kill()
			boss.does(t, c.change)
			q, err := dialCaller(w.addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := q.send(startup(wire.Version30, "user", "app", "database", "appdb")); err != nil {
				t.Fatal(err)
			}
			if a, err := q.answer(); err != nil || a.code() != c.code {
				t.Errorf("got %v %v, want %s", a, err, c.code)
			}
			boss.does(t, c.undo)
			w.app(t).does(t, "select 1")
		})
	}
}
