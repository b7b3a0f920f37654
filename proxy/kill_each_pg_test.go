//go:build pg

package proxy

import (
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestDeathFreesTheOnlyServer kills a client in each unfortunate moment while the next one waits for the only server:
// it gets that very server, clean, as soon as what ran has been stopped.
func TestDeathFreesTheOnlyServer(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table storm (n int); create table locks (id int primary key, n int); "+
		"insert into locks select i, 0 from generate_series(0, 499) i", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	next := g.call(t)
	pid := next.one(t, "select pg_backend_pid()")
	for n, d := range deaths {
		t.Run(d.name, func(t *testing.T) {
			victim := g.call(t)
			if err := d.live(victim, n); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			victim.kill()
			if now := next.one(t, "select pg_backend_pid()"); now != pid {
				t.Errorf("server %s took the place of %s", now, pid)
				pid = now
			}
			t.Logf("free after %s", time.Since(start))
			eventually(t, "gone", func() bool { return g.clients() == 1 })
			g.atRest(t)
			for what, query := range map[string]string{
				"rows":                "select count(*) from storm where n < 1000",
				"prepared statements": "select count(*) from pg_prepared_statements where name !~ '^__pgguard_'",
				"settings":            "select count(*) from pg_settings where name = 'statement_timeout' and setting <> '0'",
				"temporary tables":    "select count(*) from pg_class where relname = 'leftover_table'",
				"advisory locks":      "select count(*) from pg_locks where locktype = 'advisory'",
			} {
				if got := next.one(t, query); got != "0" {
					t.Errorf("%s left: %s", what, got)
				}
			}
		})
	}
}
