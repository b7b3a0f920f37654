//go:build pg

package proxy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// barring are ways to have a role or a database let nobody in any more, and back.
var barring = []struct{ name, change, undo string }{
	{"role without LOGIN", "alter role app nologin", "alter role app login"},
	{"role renamed", "alter role app rename to other", "alter role other rename to app"},
	{"database without connections", "alter database appdb allow_connections false", "alter database appdb allow_connections true"},
	{"CONNECT revoked", "revoke connect on database appdb from public, app; alter database appdb owner to postgres", "grant connect on database appdb to app"},
	{"library that is not there", "alter role app set session_preload_libraries = 'none'", "alter role app reset all"},
}

// refusal is what a login is told, without what the server says ahead of it.
func refusal(t *testing.T, addr string) string {
	t.Helper()
	lines := greeting(t, addr, wire.Version30, "user", "app", "database", "appdb")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l[0] == 'R' || l[0] == 'N' }), "; ")
}

// TestWhoMayNotLogInAnyMoreIsToldAtLogin: in PostgreSQL's words, at once, within a second of the change, although
// servers of before are idle, or all that may be open are in use; and lets it in the moment after it is changed back.
func TestWhoMayNotLogInAnyMoreIsToldAtLogin(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Pool.MaxServers = 2 })
			eventually(t, "the guard sees", func() bool { w.app(t).kill(); return w.the(t).Sees() })
			for _, c := range barring {
				if busy && strings.HasPrefix(c.name, "library") {
					continue // the catalogues let it in: that needs a server, for which it waits
				}
				t.Run(c.name, func(t *testing.T) { w.bars(t, c.change, c.undo, busy) })
			}
		})
	}
}

// bars changes who may log in, and back, and looks what a login is told.
func (w *world) bars(t *testing.T, change, undo string, busy bool) {
	t.Helper()
	client := w.app(t)
	client.does(t, "select 1")
	var others []*caller
	if busy {
		for range 2 {
			o := w.call(t)
			o.does(t, "begin")
			o.does(t, "select 1")
			others = append(others, o)
		}
	}
	w.do(t, change)
	within(t, 3*time.Second, "seen", func() bool { return !strings.HasSuffix(refusal(t, w.addr), "Z I") })
	start := time.Now()
	got := refusal(t, w.addr)
	took := time.Since(start)
	if want := refusal(t, address(w.cluster)); got != want || !strings.HasPrefix(want, "E ") {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if took > time.Second {
		t.Errorf("it took %s", took)
	}
	for _, o := range others {
		o.does(t, "commit")
		o.kill()
	}
	client.kill()
	w.do(t, undo)
	within(t, 2*time.Second, "let in again", func() bool {
		return strings.HasSuffix(refusal(t, w.addr), "Z I; closed") || strings.HasSuffix(refusal(t, w.addr), "Z I")
	})
}

// TestOpenSessionGoesOnWhenItsRoleMayNotLogIn: who is in already is served by the servers there are, as on a connection of its own.
func TestOpenSessionGoesOnWhenItsRoleMayNotLogIn(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.app(t), w.app(t)
	a.does(t, "select 1")
	w.do(t, "alter role app nologin")
	within(t, 3*time.Second, "seen", func() bool { return !strings.HasSuffix(refusal(t, w.addr), "Z I") })
	if got := refusal(t, w.addr); !strings.Contains(got, "28000") {
		t.Errorf("got %s", got)
	}
	a.does(t, "begin")
	a.does(t, "select 1")
	asked := make(chan error, 1)
	go func() { _, err := b.query("select 2"); asked <- err }() // it wants a server that it cannot get
	eventually(t, "waiting", func() bool { return w.Stats().Clients["waiting"] == 1 })
	a.does(t, "commit")
	if err := <-asked; err != nil {
		t.Error(err)
	}
	a.does(t, "select 3")
}

// otherwiseBarring are ways to let nobody in any more that the catalogues do not show.
var otherwiseBarring = []struct {
	name, since string
	change      func(t *testing.T, w *world)
}{
	{"pg_hba.conf", "", func(t *testing.T, w *world) {
		was, err := os.ReadFile(filepath.Join(w.cluster.DataDir(), "pg_hba.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.cluster.DataDir(), "pg_hba.conf"), append([]byte("host all app all reject\n"), was...), 0o600); err != nil {
			t.Fatal(err)
		}
		w.do(t, "select pg_reload_conf()")
	}},
	{"event trigger", "17", func(t *testing.T, w *world) {
		admin := mustCall(t, address(w.cluster), "postgres", "appdb")
		admin.does(t, `create function deny() returns event_trigger language plpgsql as $$ begin
			if session_user = 'app' then raise exception 'not now'; end if; end $$`)
		admin.does(t, "create event trigger deny on login execute function deny()")
		admin.kill()
	}},
}

// TestWhoMayNotLogInByOtherMeansIsToldAtLogin: by the server's own rules, which it reads anew, or by what the database runs at a login.
func TestWhoMayNotLogInByOtherMeansIsToldAtLogin(t *testing.T) {
	for _, c := range otherwiseBarring {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if c.since != "" && w.cluster.Version() < 17 {
				t.Skip("from PostgreSQL ", c.since)
			}
			client := w.app(t)
			client.does(t, "select 1")
			client.kill()
			eventually(t, "the guard sees", func() bool { return w.the(t).Sees() })
			c.change(t, w)
			within(t, 3*time.Second, "told", func() bool { return strings.HasPrefix(refusal(t, w.addr), "E ") })
			got, want := refusal(t, w.addr), refusal(t, address(w.cluster))
			want = want[strings.Index(want, "E S"):] // what a trigger raises comes behind what the server reports
			if got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// TestExpiredPasswordIsToldAtLogin: PostgreSQL asks for the password, which is valid no more.
func TestExpiredPasswordIsToldAtLogin(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host all app 127.0.0.1/32 scram-sha-256"}})
	admin := direct(t, c)
	admin.does(t, "create role app login password 'hunter2'")
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Upstream.User, cfg.Upstream.Password, cfg.Upstream.Database = "app", "hunter2", "postgres"
	})
	for _, text := range []string{"alter role app valid until 'yesterday'", "alter role app valid until 'infinity'"} {
		c := mustCall(t, g.addr, "app", "postgres")
		c.does(t, "select 1")
		c.kill()
		eventually(t, "the guard sees", func() bool { return g.the(t).Sees() })
		admin.does(t, text)
		if strings.Contains(text, "yesterday") {
			within(t, 3*time.Second, "told", func() bool {
				return strings.HasPrefix(greeting(t, g.addr, wire.Version30, "user", "app", "database", "postgres")[0], "E SFATAL VFATAL C28P01")
			})
			admin.does(t, "alter role app valid until 'infinity'")
			within(t, 3*time.Second, "let in", func() bool {
				c, err := call(g.addr, "app", "postgres")
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
		}
	}
}
