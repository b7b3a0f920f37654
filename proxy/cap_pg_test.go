//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestCapIsMeasured: H follows the server's own limits and what others use of them.
func TestCapIsMeasured(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "23"}})
	admin := direct(t, c)
	g := newGuard(t, address(c), nil)
	// 23 less 3 for superusers is 20; a fifth is left to others, one is the side channel's.
	eventually(t, "measured", func() bool { return g.pool().Cap == 15 })
	var others []*caller
	for range 10 {
		others = append(others, direct(t, c))
	}
	look(g)
	// Eleven others now: 20 - 11 - 1.
	eventually(t, "others counted", func() bool { return g.pool().Cap == 8 })
	for _, o := range others {
		_ = o.Close()
	}
	eventually(t, "others gone", func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name = '' and pid <> pg_backend_pid()") == "0"
	})
	look(g)
	eventually(t, "risen again", func() bool { return g.pool().Cap == 15 })
}

// look has the side channel read the limits now.
func look(g *guard) { g.allInstances()[0].Wake() }

// measured waits until the server's limits have been read.
func (g *guard) measured(t *testing.T) {
	t.Helper()
	eventually(t, "measured", func() bool { all := g.allInstances(); return len(all) == 1 && all[0].Stats().Up })
}

// looked waits until the server has been looked at, too: what it had reported before is doubtful then, once.
func (g *guard) looked(t *testing.T) {
	t.Helper()
	g.measured(t)
	eventually(t, "looked at", func() bool { return g.allInstances()[0].Era() > 0 })
}

// TestCapOfRolesAndDatabases: connection limits of a role and of a database hold, and who waits for one of them does not
// hold up others.
func TestCapOfRolesAndDatabases(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for _, text := range []string{
		"create role few login connection limit 2", "create role many login", "create database small connection limit 3",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 12; cfg.Limit = 12 })
	g.measured(t)
	var wg sync.WaitGroup
	var most [2]int
	stop := make(chan struct{})
	for i, where := range []string{"usename = 'few'", "datname = 'small'"} {
		watch := direct(t, c)
		wg.Go(func() { most[i] = mostServers(t, watch, where, stop) })
	}
	var clients sync.WaitGroup
	for i := range 30 {
		user, database := []string{"few", "many", "many"}[i%3], []string{"postgres", "small", "postgres"}[i%3]
		clients.Go(func() {
			c, err := call(g.addr, user, database)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			for range 10 {
				if a, err := c.query("select pg_sleep(0.01)"); err != nil || len(a.codes) > 0 {
					t.Errorf("%s at %s: %v %s", user, database, err, a)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	wg.Wait()
	if few, small := most[0], most[1]; few > 2 || small > 3 || few == 0 || small == 0 {
		t.Errorf("%d servers of the role, want at most 2; %d of the database, want at most 3", few, small)
	}
	if refused := g.pool().Stats.Logins["refused"]; refused > 0 {
		t.Errorf("PostgreSQL refused %d logins", refused)
	}
	g.atRest(t)
}

// TestServerRefusalLowersCap: when others take the connections the guard counted on, 53300 lowers H, and nobody is told
// as long as one server is left.
func TestServerRefusalLowersCap(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{
		"max_connections": "12", "superuser_reserved_connections": "1", "autovacuum": "off"}})
	admin := direct(t, c)
	admin.want(t, admin.query, "create role app login", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 8; cfg.Limit = 8 })
	g.measured(t)
	first := mustCall(t, g.addr, "app", "postgres")
	first.want(t, first.query, "select 1", "", 'I')
	for range 6 { // 1 admin, 1 side channel, 1 server, 6 others: 2 are left of 11
		mustCall(t, address(c), "app", "postgres")
	}
	var wg sync.WaitGroup
	for range 8 {
		c := mustCall(t, g.addr, "app", "postgres")
		wg.Go(func() {
			for range 5 {
				if a, err := c.query("select pg_sleep(0.05)"); err != nil || len(a.codes) > 0 {
					t.Errorf("%v %s", err, a)
					return
				}
			}
		})
	}
	wg.Wait()
	st := g.pool().Stats
	if st.Logins["refused"] == 0 || st.Cap > 3 || st.Cap < 1 {
		t.Errorf("refused %d, cap %d; want some and 1 to 3", st.Logins["refused"], st.Cap)
	}
	t.Logf("cap %d, logins %v", st.Cap, st.Logins)
	g.atRest(t)
}

// TestCapHoldsInAStorm: 300 clients of four kinds want 5 servers. PostgreSQL never sees more than 5 and the side
// channel, and everybody is served: an idle server of one kind makes room for another.
func TestCapHoldsInAStorm(t *testing.T) {
	const servers = 5
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for _, text := range []string{"create role a login", "create role b login", "create database x", "create database y"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = servers })
	stop := make(chan struct{})
	var watcher, clients sync.WaitGroup
	most := 0
	watcher.Go(func() {
		most = mostServers(t, admin, "backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%'", stop)
	})
	var count stormCount
	for i := range 300 {
		user, database := []string{"a", "b"}[i%2], []string{"x", "y"}[i/2%2]
		clients.Go(func() { count.client(t, g.addr, user, database) })
	}
	clients.Wait()
	close(stop)
	watcher.Wait()
	t.Logf("served %d, refused %d, slowest %s, servers at most %d, logins %v",
		count.served.Load(), count.refused.Load(), time.Duration(count.slowest.Load()), most, g.pool().Stats.Logins)
	if most > servers {
		t.Errorf("PostgreSQL saw %d servers, the cap is %d", most, servers)
	}
	if n := count.refused.Load(); n > 0 {
		t.Errorf("%d statements waited in vain", n)
	}
	g.atRest(t)
}

// mostServers returns how many servers there were at one moment at most, until stop is closed. PostgreSQL reads its list row by row while servers
// come and go, so one look may see both the one that made room and the one that it made room for: what two looks in turn see was there between them.
func mostServers(t *testing.T, admin *caller, where string, stop <-chan struct{}) (most int) {
	t.Helper()
	var before []string
	for {
		select {
		case <-stop:
			return most
		default:
		}
		a, err := admin.query("select pid from pg_stat_activity where " + where)
		if err != nil {
			t.Error(err)
			return most
		}
		both := 0
		for _, pid := range a.rows {
			if slices.Contains(before, pid) {
				both++
			}
		}
		most, before = max(most, both), a.rows
	}
}

// stormCount is what the clients of a storm met.
type stormCount struct {
	served, refused, slowest atomic.Int64 // slowest in nanoseconds
}

// client logs in and runs five statements, each checked for being its own.
func (n *stormCount) client(t *testing.T, addr, user, database string) {
	c, err := call(addr, user, database)
	if err != nil {
		t.Errorf("login: %v", err)
		return
	}
	defer func() { _ = c.Close() }()
	for i := range 5 {
		start := time.Now()
		a, err := c.query(fmt.Sprintf("select current_user || current_database() || '%d'", i))
		if err != nil {
			t.Errorf("%v %s", err, a)
			return
		}
		n.slowest.Store(max(n.slowest.Load(), int64(time.Since(start))))
		switch {
		case a.code() == "53300" && strings.Contains(a.message, "within"):
			n.refused.Add(1)
		case len(a.codes) > 0 || len(a.rows) != 1 || a.rows[0] != user+database+strconv.Itoa(i):
			t.Errorf("%s %v", a, a.rows)
		default:
			n.served.Add(1)
		}
	}
}
