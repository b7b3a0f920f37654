//go:build pg

package proxy

import (
	"context"
	"strconv"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/sock"
)

// connectionsOf waits until a PostgreSQL has as many connections of a user as it should, for as long as the guard takes to look twice.
func connectionsOf(t *testing.T, c *pgtest.Cluster, user string, want int) {
	t.Helper()
	admin := direct(t, c)
	defer func() { _ = admin.Close() }()
	var since time.Time
	got := ""
	for end := time.Now().Add(patience); since.IsZero() || time.Since(since) < 2*sock.LookEvery; {
		if got = admin.one(t, "select count(*) from pg_stat_activity where usename = '"+user+"'"); got != strconv.Itoa(want) {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		}
		if time.Now().After(end) {
			t.Fatalf("%s has %s connections, want %d", user, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestServersAreKeptReady: of a database with a user of its own before anybody comes, of others while a client is there; not while the database is paused, and not when the
// configuration does not say so any more.
func TestServersAreKeptReady(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{"drop role if exists ready1", "drop role if exists ready2", "create role ready1 login", "create role ready2 login"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"own": {Upstream: up, User: "ready2", Ready: new(3)}, "asked": {Upstream: up, Ready: new(4), PerLogin: 10}}
		cfg.Pool.IdleTimeout = time.Second
	})
	connectionsOf(t, shared, "ready2", 3)
	connectionsOf(t, shared, "ready1", 0)
	c := mustCall(t, g.addr, "ready1", "asked")
	connectionsOf(t, shared, "ready1", 4)
	if err := g.Pause(context.Background(), "own"); err != nil {
		t.Fatal(err)
	}
	connectionsOf(t, shared, "ready2", 0)
	if err := g.Resume("own"); err != nil {
		t.Fatal(err)
	}
	connectionsOf(t, shared, "ready2", 3)
	_ = c.Close()
	connectionsOf(t, shared, "ready1", 0)
	g.with(t, func(c *Config) { c.Databases["own"] = Database{Upstream: c.Databases["own"].Upstream, User: "ready2"} })
	connectionsOf(t, shared, "ready2", 0)
}

// TestReadyServersMove: a database that goes to another PostgreSQL has its servers ready there, and none where it was, though a client is in that has asked for nothing since.
func TestReadyServersMove(t *testing.T) {
	other := pgtest.New(t, pgtest.Options{})
	at, there := direct(t, shared), direct(t, other)
	at.want(t, at.query, "drop role if exists ready3", "", 'I')
	for _, admin := range []*caller{at, there} {
		admin.want(t, admin.query, "create role ready3 login", "", 'I')
	}
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"app": {Upstream: up, User: "ready3", Ready: new(2)}}
		cfg.Pool.IdleTimeout = time.Second // of those where it was
	})
	mustCall(t, g.addr, "ready3", "app")
	connectionsOf(t, shared, "ready3", 2)
	to := upstreamAt(t, address(other))
	to.Database = "postgres"
	g.with(t, func(c *Config) { c.Databases["app"] = Database{Upstream: to, User: "ready3", Ready: new(2)} })
	connectionsOf(t, other, "ready3", 2)
	connectionsOf(t, shared, "ready3", 0)
}

// TestReadyServersAreOfTheRoleAsItIs: those that are ready when a role is given a setting go, and others are.
func TestReadyServersAreOfTheRoleAsItIs(t *testing.T) {
	admin := direct(t, shared)
	admin.want(t, admin.query, "drop role if exists ready4", "", 'I')
	admin.want(t, admin.query, "create role ready4 login", "", 'I')
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"own": {Upstream: up, User: "ready4", Ready: new(1)}}
	})
	var old uint32
	eventually(t, "a server", func() bool {
		list := g.ServerList()
		if len(list) == 1 {
			old = list[0].PID
		}
		return old != 0
	})
	g.looked(t)
	admin.want(t, admin.query, "alter role ready4 set work_mem = '5MB'", "", 'I')
	eventually(t, "another server", func() bool {
		list := g.ServerList()
		return len(list) == 1 && list[0].PID != 0 && list[0].PID != old
	})
}

// TestNobodyWaitsForReadyServers: what looks after clients keeps servers ready, too, so it does not wait until the side channel knows what clients have changed.
func TestNobodyWaitsForReadyServers(t *testing.T) {
	cfg := Default()
	up := upstreamAt(t, address(shared))
	up.Database = "postgres"
	cfg.Databases = map[string]Database{"own": {Upstream: up, User: "postgres", Ready: new(1)}}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	srv.keepReady(time.Now())
	in := srv.instanceFor(up)
	eventually(t, "the side channel looks", in.Sees)
	admin := direct(t, shared)
	admin.want(t, admin.query, "begin; lock table pg_catalog.pg_authid", "", 'T') // which it reads
	in.Stirred()
	began := time.Now()
	srv.keepReady(began)
	if waited := time.Since(began); waited > 500*time.Millisecond { // half of what a login waits
		t.Errorf("it has waited %s", waited)
	}
	admin.want(t, admin.query, "rollback", "", 'I')
}
