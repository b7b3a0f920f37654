//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// world is a cluster with a role and a database of its own, and a guard in front of it.
type world struct {
	cluster *pgtest.Cluster
	*guard
	admin *caller // direct
}

func newWorld(t *testing.T, set func(*Config)) *world {
	t.Helper()
	c := pgtest.New(t, pgtest.Options{})
	w := &world{c, newGuard(t, address(c), set), direct(t, c)}
	w.do(t, "create role app login", "create database appdb owner app")
	return w
}

// do runs texts directly.
func (w *world) do(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if a, err := w.admin.query(text); err != nil || len(a.codes) > 0 {
			t.Fatalf("%s: %v %v", text, a, err)
		}
	}
}

func (w *world) app(t *testing.T, params ...string) *caller {
	t.Helper()
	return mustCall(t, w.addr, "app", "appdb", params...)
}

// does runs a query that may not fail and returns its rows, or else its tags, joined.
func (c *caller) does(t *testing.T, text string) string {
	t.Helper()
	a, err := c.query(text)
	if err != nil || len(a.codes) > 0 {
		t.Fatalf("%s: %v %v", text, a, err)
	}
	if len(a.rows) > 0 {
		return strings.Join(a.rows, ",")
	}
	return strings.Join(a.tags, ",")
}

// all asks all clients at the same time, each in a transaction, so that each has a server of its own; their order changes.
func all(t *testing.T, round int, clients []*caller, ask string) (got []string) {
	t.Helper()
	got = make([]string, len(clients))
	for i := range clients {
		n := (i + round) % len(clients)
		clients[n].does(t, "begin")
		got[n] = clients[n].does(t, ask)
	}
	for _, c := range clients {
		c.does(t, "commit")
	}
	return got
}

func TestOpenSessionKeepsItsDefaultsAndNewOnesSeeTheNew(t *testing.T) {
	w := newWorld(t, nil)
	w.do(t, "grant pg_monitor to app")
	for _, through := range []bool{false, true} {
		for _, c := range []struct {
			name, change, undo, ask, was, is string
		}{
			{"role", "alter role app set statement_timeout = '7s'", "alter role app reset all", "show statement_timeout", "0", "7s"},
			{"database", "alter database appdb set search_path = pg_catalog, public", "alter database appdb reset all", "show search_path", `"$user", public`, "pg_catalog, public"},
			{"role in database", "alter role app in database appdb set work_mem = '5MB'", "alter role app in database appdb reset all", "show work_mem", "4MB", "5MB"},
			{"all roles", "alter role all set lock_timeout = '9s'", "alter role all reset all", "show lock_timeout", "0", "9s"},
			{"custom", "alter role app set my.name = 'ünter'''", "alter role app reset all", "select coalesce(current_setting('my.name', true), '')", "", "ünter'"},
			{"role's role", "alter role app set role = pg_monitor", "alter role app reset all", "show role", "none", "pg_monitor"},
		} {
			t.Run(fmt.Sprint(c.name, ", through the guard: ", through), func(t *testing.T) {
				run := func(text string) { w.do(t, text) }
				if through {
					boss := w.call(t)
					defer boss.kill()
					run = func(text string) { boss.does(t, text) }
				}
				asks, was, is := c.ask, c.was, c.is
				for turn, text := range []string{c.change, c.undo} {
					old := []*caller{w.app(t), w.app(t), w.app(t)}
					old[0].does(t, "select 1")
					run(text)
					var fresh []*caller
					if !through {
						within(t, 3*time.Second, "a new client sees the new value", func() bool {
							p := w.app(t)
							defer p.kill()
							return p.one(t, asks) == is
						})
					}
					for range 3 {
						fresh = append(fresh, w.app(t))
					}
					want := strings.Repeat(was+"|", 3) + strings.Repeat(is+"|", 3)
					for round := range 6 {
						if got := strings.Join(all(t, round, append(old[:3:3], fresh...), asks), "|") + "|"; got != want {
							t.Errorf("change %d, round %d: got %s, want %s", turn, round, got, want)
						}
					}
					if name, ok := strings.CutPrefix(asks, "show "); ok {
						old[1].does(t, "reset "+name)
						if got := old[1].one(t, asks); got != was {
							t.Errorf("change %d: after RESET an open session has %s, want %s", turn, got, was)
						}
					}
					for _, p := range append(old, fresh...) {
						p.kill()
					}
					was, is = is, was
				}
			})
		}
	}
}

// What a login gets is known of each server from its own login, also where the side channel has not looked yet, or does not work.
func TestServerOpenedUnwatchedKeepsItsDefaults(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Upstream.User, c.Upstream.Database = "watcher", "postgres" }) // whom there is not yet
	old := []*caller{w.app(t), w.app(t), w.app(t)}
	if got := old[0].one(t, "show work_mem"); got != "4MB" {
		t.Fatalf("before the change: %s", got)
	}
	w.do(t, "alter role app set work_mem = '5MB'", "create role watcher superuser login")
	within(t, 5*time.Second, "a new client sees the new value", func() bool {
		p := w.app(t)
		defer p.kill()
		return p.one(t, "show work_mem") == "5MB"
	})
	for round := range 6 {
		if got := strings.Join(all(t, round, old, "show work_mem"), "|"); got != "4MB|4MB|4MB" {
			t.Errorf("round %d: open sessions have %s", round, got)
		}
	}
}
