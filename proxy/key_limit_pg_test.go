//go:build pg

package proxy

import (
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestConnectionLimitOfOneIsNobodyElses: a role, or a database, has as many connections as it may have, all of them past the guard. Who
// logs in as it reads PostgreSQL's own words, at once; the cap of others stays where it is, and they are served.
func TestConnectionLimitOfOneIsNobodyElses(t *testing.T) {
	for name, c := range map[string]struct{ user, database, words string }{
		"role":     {"few", "postgres", "too many connections for role"},
		"database": {"many", "small", "too many connections for database"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := pgtest.New(t, pgtest.Options{})
			admin := direct(t, cl)
			for _, text := range []string{"create role few login", "create role many login", "create database small"} {
				admin.want(t, admin.query, text, "", 'I')
			}
			g := newGuard(t, address(cl), func(cfg *Config) { cfg.Pool.MaxServers = 12; cfg.Limit = 12 })
			g.measured(t)
			early := mustCall(t, g.addr, c.user, c.database) // before there is a limit
			early.want(t, early.query, "select 1", "", 'I')
			for _, text := range []string{"alter role few connection limit 1", "alter database small connection limit 1",
				"select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%'"} {
				admin.want(t, admin.query, text, "", 'I')
			}
			eventually(t, "its server gone", func() bool { return g.pool().Servers["idle"] == 0 })
			var all *caller // has all there is, once PostgreSQL does not count the one that has ended any more
			var err error
			eventually(t, "the one connection there is", func() bool {
				all, err = call(address(cl), c.user, c.database)
				return err == nil
			})
			t.Cleanup(func() { _ = all.Close() })
			_, err = call(address(cl), c.user, c.database)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("directly: %v, want %s", err, c.words)
			}
			start := time.Now()
			a := early.want(t, early.query, "select 2", "53300", 'I')
			if !strings.Contains(a.message, c.words) || time.Since(start) > 3*time.Second {
				t.Errorf("a statement is answered %q after %s, want PostgreSQL's own words at once", a.message, time.Since(start))
			}
			if _, err := call(g.addr, c.user, c.database, "TimeZone", "UTC"); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("a login is answered %v, want %s", err, c.words)
			}
			other := mustCall(t, g.addr, "postgres", "postgres")
			other.want(t, other.query, "select 3", "", 'I')
			if n := g.pool().Cap; n != 12 {
				t.Errorf("the cap is %d, want 12: the limit is another's", n)
			}
			g.atRest(t)
		})
	}
}

// TestConnectionLimitIsShared: four clients of a role that may have two connections, which the guard does not know yet, share them.
func TestConnectionLimitIsShared(t *testing.T) {
	cl := pgtest.New(t, pgtest.Options{})
	admin := direct(t, cl)
	admin.want(t, admin.query, "create role few login", "", 'I')
	g := newGuard(t, address(cl), func(cfg *Config) { cfg.Pool.MaxServers = 12; cfg.Limit = 12 })
	g.measured(t)
	admin.want(t, admin.query, "alter role few connection limit 2", "", 'I')
	var wg sync.WaitGroup
	for range 6 {
		c := mustCall(t, g.addr, "few", "postgres")
		wg.Go(func() {
			for range 10 {
				if a, err := c.query("select pg_sleep(0.02)"); err != nil || len(a.codes) > 0 {
					t.Errorf("%v %s", err, a)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := g.pool().Cap; n != 12 {
		t.Errorf("the cap is %d, want 12", n)
	}
	g.atRest(t)
}

// TestTooManyClientsForTwoSecondsCostsAFewSeconds: others take what the guard counted on, and give it back two seconds later. It serves
// with what it has meanwhile, and has its cap back soon.
func TestTooManyClientsForTwoSecondsCostsAFewSeconds(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{
		"max_connections": "30", "superuser_reserved_connections": "3", "autovacuum": "off"}})
	admin := direct(t, c)
	admin.want(t, admin.query, "create role app login", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 20; cfg.Limit = 20 })
	g.measured(t)
	first := mustCall(t, g.addr, "app", "postgres")
	first.want(t, first.query, "select 1", "", 'I')
	var others []*caller
	for {
		o, err := call(address(c), "app", "postgres")
		if err != nil {
			break
		}
		others = append(others, o)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		c := mustCall(t, g.addr, "app", "postgres")
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a, err := c.query("select pg_sleep(0.02)"); err != nil || len(a.codes) > 0 {
					t.Errorf("%v %s", err, a)
					return
				}
			}
		})
	}
	eventually(t, "refused", func() bool { return g.pool().Logins["refused"] > 0 })
	hold := time.NewTimer(2 * time.Second)
	<-hold.C
	if n := g.pool().Stats.Servers["active"]; n < 1 {
		t.Errorf("%d servers work meanwhile", n)
	}
	for _, o := range others {
		_ = o.Close()
	}
	within(t, 6*time.Second, "sixteen servers and the whole cap", func() bool {
		st := g.pool().Stats
		return st.Servers["active"]+st.Servers["idle"] >= 16 && st.Cap == 20
	})
	close(stop)
	wg.Wait()
	g.atRest(t)
}

// TestRaisedConnectionLimitIsUsed: who waits because a role or a database has as many connections as it may have is served soon after it may have more.
func TestRaisedConnectionLimitIsUsed(t *testing.T) {
	for name, c := range map[string]struct{ user, database, least, most string }{
		"role":     {"few", "postgres", "alter role few connection limit 1", "alter role few connection limit 5"},
		"database": {"many", "small", "alter database small connection limit 1", "alter database small connection limit 5"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := pgtest.New(t, pgtest.Options{})
			admin := direct(t, cl)
			for _, text := range []string{"create role few login", "create role many login", "create database small", c.least} {
				admin.want(t, admin.query, text, "", 'I')
			}
			g := newGuard(t, address(cl), impatient(time.Minute))
			g.measured(t)
			first, second := mustCall(t, g.addr, c.user, c.database), mustCall(t, g.addr, c.user, c.database)
			first.want(t, first.query, "begin; select 1", "", 'T')
			served := make(chan struct{})
			go func() {
				defer close(served)
				second.want(t, second.query, "select 2", "", 'I')
			}()
			eventually(t, "the second waits", func() bool { return g.pool().Classes[0].Waiting == 1 })
			admin.want(t, admin.query, c.most, "", 'I')
			select {
			case <-served:
			case <-time.After(5 * time.Second):
				t.Error("not served 5 s after the limit was raised")
				first.want(t, first.query, "commit", "", 'I')
				<-served
			}
		})
	}
}
