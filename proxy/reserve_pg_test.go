//go:build pg

package proxy

import (
	"testing"
	"time"
)

// TestReserve: a user has more servers of a database when one of his clients has waited long enough, no sooner, and as many as the configuration says: of the user, else of the
// database, else of all.
func TestReserve(t *testing.T) {
	const after = 400 * time.Millisecond
	admin := direct(t, shared)
	for _, user := range []string{"reserve1", "reserve2"} {
		admin.want(t, admin.query, "drop role if exists "+user, "", 'I')
		admin.want(t, admin.query, "create role "+user+" login", "", 'I')
	}
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.PerLogin, cfg.Reserve, cfg.ReserveAfter = 1, 2, after
		cfg.Databases = map[string]Database{"all": {Upstream: up}, "own": {Upstream: up, Reserve: new(1)}, "none": {Upstream: up, Reserve: new(0)}}
		cfg.Users = map[string]UserLimits{"reserve2": {Reserve: new(3)}}
	})
	for _, c := range []struct {
		user, database string
		most           int
	}{{"reserve1", "all", 3}, {"reserve1", "own", 2}, {"reserve1", "none", 1}, {"reserve2", "none", 4}} {
		var clients []*caller
		began := time.Now()
		for range 5 {
			p := mustCall(t, g.addr, c.user, c.database)
			if err := p.send(simple("select pg_sleep(60)")); err != nil {
				t.Fatal(err)
			}
			clients = append(clients, p)
		}
		ran := func() (n int) {
			for _, v := range g.ServerList() {
				if v.User == c.user && v.ClientDatabase == c.database {
					n++
				}
			}
			return n
		}
		within(t, patience, "the reserve", func() bool {
			if n := ran(); n > 1 && time.Since(began) < after {
				t.Fatalf("%s at %s: %d servers after %s", c.user, c.database, n, time.Since(began))
			}
			return ran() == c.most
		})
		<-time.After(after) // in which one too many would come
		if n := ran(); n != c.most {
			t.Errorf("%s at %s: %d servers, want %d", c.user, c.database, n, c.most)
		}
		for _, p := range clients {
			_ = p.Close()
		}
	}
}
