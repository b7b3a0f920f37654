//go:build pg

package proxy

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// with has a guard go by another configuration than it does.
func (g *guard) with(t *testing.T, set func(*Config)) {
	t.Helper()
	c := g.Config()
	c.Databases, c.Users = map[string]Database{}, map[string]UserLimits{}
	c.Pool.Classes = append(c.Pool.Classes[:0:0], c.Pool.Classes...)
	for name, d := range g.cfg().Databases {
		c.Databases[name] = d
	}
	set(&c)
	if err := g.Reload(c); err != nil {
		t.Fatal(err)
	}
}

// changes are one for each thing that can change while the guard runs, so that two in turn are a change.
var changes = []func(c *Config, first bool){
	func(c *Config, first bool) { c.Pool.MaxServers = either(first, 6, 9) },
	func(c *Config, first bool) { c.Limit = either(first, 3, 0) },
	func(c *Config, first bool) { c.Observe = first },
	func(c *Config, first bool) {
		c.PerLogin, c.PerDatabase, c.PerUser = either(first, 4, 0), either(first, 5, 0), either(first, 6, 0)
	},
	func(c *Config, first bool) { c.Users["postgres"] = UserLimits{MaxServers: either(first, 5, 7)} },
	func(c *Config, first bool) {
		c.Databases["postgres"] = Database{Upstream: c.Upstream, MaxServers: either(first, 6, 8)}
	},
	func(c *Config, first bool) {
		c.Databases["postgres"] = Database{Upstream: c.Upstream, Settings: map[string]string{"work_mem": []string{"5MB", "6MB"}[either(first, 0, 1)]}}
	},
	func(c *Config, first bool) { delete(c.Databases, "postgres") },
	func(c *Config, first bool) {
		c.Mode = PoolMode(either(first, int(PoolModeSession), int(PoolModeTransaction)))
	},
	func(c *Config, first bool) { c.Pool.Dials, c.MaxPinned = either(first, 2, 4), either(first, 3, 0) },
	func(c *Config, first bool) {
		c.Pool.IdleTimeout = []time.Duration{time.Second, time.Minute}[either(first, 0, 1)]
	},
	func(c *Config, first bool) {
		c.Pool.Lifetime = []time.Duration{100 * time.Millisecond, time.Hour}[either(first, 0, 1)]
	},
	func(c *Config, first bool) {
		k := &c.Pool.Classes[0]
		k.Weight, k.MaxLength, k.MaxShare, k.MaxWait = either(first, 2, 5), either(first, 9_000, 10_000), []float64{0.9, 1}[either(first, 0, 1)], 2*patience
	},
	func(c *Config, first bool) {
		c.MaxPrepared, c.PrepareUnnamed, c.DeferBegin = either(first, 3, 200), first, first
	},
	func(c *Config, first bool) {
		c.MaxClients, c.MaxLoginsPerAddress = either(first, 500, 10_000), either(first, 50, 0)
	},
	func(c *Config, first bool) {
		c.LoginTimeout, c.PeerTimeout, c.CancelTimeout = patience, patience+time.Second, patience
	},
	func(c *Config, first bool) { c.Upstream.TLS.Mode = []string{"disable", "prefer"}[either(first, 0, 1)] },
	func(c *Config, first bool) {
		c.Upstream.ConnectTimeout = time.Duration(either(first, 7, 9)) * time.Second
	},
	func(c *Config, first bool) {
		c.Auth.Users = map[string]User{"postgres": {Secret: auth.Plain([]string{"a", "b"}[either(first, 0, 1)])}}
	},
	func(c *Config, first bool) { c.Admin.Users = []string{[]string{"ops", "root"}[either(first, 0, 1)]} },
	func(c *Config, first bool) {
		c.Grace, c.IdleGrace, c.AcceptWhileDraining = patience, time.Second, first
	},
}

func either(first bool, a, b int) int {
	if first {
		return a
	}
	return b
}

// TestReloadDisturbsNobody: each thing that can change does, again and again, while clients work and come and go.
func TestReloadDisturbsNobody(t *testing.T) {
	g := narrow(t, 8, func(c *Config) {
		c.Auth = Auth{Policy: auth.Policy{Method: auth.MethodTrust, Rules: []auth.Rule{{Users: []string{"nobody"}, Method: auth.MethodSCRAM}}}, Users: map[string]User{"x": {Secret: auth.Plain("x")}}}
		for i := range c.Pool.Classes {
			c.Pool.Classes[i].MaxWait = 2 * patience
		}
	})
	const clients = 50
	var stop atomic.Bool
	var work sync.WaitGroup
	var did atomic.Int64
	for i := range clients {
		work.Go(func() {
			for !stop.Load() && !t.Failed() { // a fifth of them come and go
				c, err := call(g.addr, "postgres", "postgres")
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				for n := 0; !stop.Load() && (i%5 != 0 || n < 20); n++ {
					for _, text := range []string{"select " + strconv.Itoa(i), "begin", "select " + strconv.Itoa(i), "commit"} {
						a, err := c.query(text)
						if err != nil || len(a.codes) > 0 || len(a.rows) > 0 && a.rows[0] != strconv.Itoa(i) {
							t.Errorf("client %d: %s: %v %s", i, text, err, a)
							return
						}
					}
					did.Add(1)
				}
				_ = c.Close()
			}
		})
	}
	defer func() { stop.Store(true); work.Wait() }()
	for round := range 2 {
		for i, change := range changes {
			before := did.Load()
			g.with(t, func(c *Config) { change(c, round%2 == 0) })
			eventually(t, "clients at work under change "+strconv.Itoa(i), func() bool { return did.Load() > before+5 || t.Failed() })
		}
	}
}

// TestReloadTakesAllOrNothing: a configuration that cannot be changes nothing.
func TestReloadTakesAllOrNothing(t *testing.T) {
	g := narrow(t, 4, nil)
	g.call(t).one(t, "select 1")
	for what, set := range map[string]func(*Config){
		"upstream: is missing":                func(c *Config) { c.Upstream.Host = "" },
		"auth.users_file":                     func(c *Config) { c.Auth.UsersFile, c.Auth.Policy.Method = "/absent", auth.MethodSCRAM },
		"classes: their names":                func(c *Config) { c.Pool.Classes[0].Name = "other"; c.Rules = nil },
		"pool.dials: 0":                       func(c *Config) { c.Pool.Dials = 0 },
		"upstream_password.command: there is": func(c *Config) { c.Password.File, c.Password.Command = "a", []string{"b"} },
	} {
		c := g.Config()
		c.Pool.Classes = append(c.Pool.Classes[:0:0], c.Pool.Classes...)
		c.MaxClients, c.Pool.MaxServers = 77, 1
		set(&c)
		if err := g.Reload(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if now := g.Config(); now.MaxClients == 77 || g.pool().Cap != 4 {
			t.Errorf("%s: %d clients may come, the cap is %d", what, now.MaxClients, g.pool().Cap)
		}
	}
	g.call(t).one(t, "select 1")
}

// TestReloadedValuesAct: what is changed has its effect, on clients who are in as far as it is about them.
func TestReloadedValuesAct(t *testing.T) {
	g := narrow(t, 4, nil)
	c := g.call(t)
	c.one(t, "select 1")
	g.with(t, func(c *Config) { c.Pool.MaxServers, c.Limit = 2, 1 })
	if p := g.pool(); p.Cap != 2 || p.Limit != 1 {
		t.Errorf("the cap is %d, the limit %d", p.Cap, p.Limit)
	}
	g.with(t, func(c *Config) {
		for i := range c.Pool.Classes {
			c.Pool.Classes[i].MaxWait = 100 * time.Millisecond
		}
	})
	busy := g.call(t)
	if err := busy.send(simple("select pg_sleep(30)")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a statement running", func() bool { return g.pool().Running == 1 })
	c.want(t, c.query, "select 1", "53300", 'I') // it came in when its class waited for longer
	_ = busy.Close()
	g.with(t, func(c *Config) { c.MaxClients = 1 })
	if _, err := call(g.addr, "postgres", "postgres"); err == nil || !strings.Contains(err.Error(), "53300") {
		t.Errorf("one more than max_clients: %v", err)
	}
	g.with(t, func(c *Config) {
		c.MaxClients, c.Limit = 100, 0
		here := c.Upstream
		here.Database = "postgres"
		c.Databases["shop"] = Database{Upstream: here, Settings: map[string]string{"work_mem": "7MB"}}
		c.Auth = Auth{Policy: auth.Policy{Method: auth.MethodReject}}
	})
	if _, err := call(g.addr, "postgres", "shop"); err == nil {
		t.Error("who comes is let in after auth.method has changed to reject")
	}
	g.with(t, func(c *Config) { c.Auth = Auth{Policy: auth.Policy{Method: auth.MethodTrust}} })
	shop := mustCall(t, g.addr, "postgres", "shop")
	if got := shop.one(t, "show work_mem"); got != "7MB" {
		t.Errorf("the settings of a database that is new: %s", got)
	}
	g.with(t, func(c *Config) {
		d := c.Databases["shop"]
		d.User = "postgres"
		c.Databases["shop"] = d
	})
	as := mustCall(t, g.addr, "somebody", "shop")
	if got := as.one(t, "select current_user"); got != "postgres" {
		t.Errorf("the user of a database is %s", got)
	}
	if all := g.ClientList(); all[len(all)-1].User != "somebody" || all[len(all)-1].PoolUser() != "postgres" {
		t.Errorf("the client is listed as %+v", all[len(all)-1])
	}
}

// TestReloadMovesDatabases with their clients, under PAUSE and without, one of two or all.
func TestReloadMovesDatabases(t *testing.T) {
	from, to := pgtest.New(t, pgtest.Options{}), pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(from), nil)
	at := func(c *caller) string { return c.one(t, "select inet_server_port()::text") }
	c := g.call(t)
	if got := at(c); got != strconv.Itoa(from.Port()) {
		t.Fatalf("it is at %s", got)
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := g.Pause(ctx, ""); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() { told <- at(c) }()
	g.with(t, func(c *Config) { c.Upstream.Port = to.Port() })
	if err := g.Resume(""); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != strconv.Itoa(to.Port()) {
		t.Errorf("after PAUSE, a new upstream and RESUME it is at %s", got)
	}
	open := g.call(t)
	open.want(t, open.query, "begin", "", 'T')
	if got := at(open); got != strconv.Itoa(to.Port()) {
		t.Errorf("a new client is at %s", got)
	}
	g.with(t, func(c *Config) { c.Upstream.Port = from.Port() })
	if got := at(open); got != strconv.Itoa(to.Port()) {
		t.Errorf("a transaction goes on at %s", got)
	}
	open.want(t, open.query, "commit", "", 'I')
	if got := at(open); got != strconv.Itoa(from.Port()) {
		t.Errorf("after it, its client is at %s", got)
	}
	g.with(t, func(c *Config) {
		there := c.Upstream
		there.Port = to.Port()
		c.Databases["postgres"] = Database{Upstream: there}
		c.Databases["other"] = Database{Upstream: c.Upstream}
	})
	if got := at(g.call(t)); got != strconv.Itoa(to.Port()) {
		t.Errorf("a client of the database that has moved is at %s", got)
	}
	if got := at(open); got != strconv.Itoa(to.Port()) {
		t.Errorf("one who was in is at %s", got)
	}
	g.with(t, func(c *Config) {
		c.Upstream.Port = to.Port()
		delete(c.Databases, "other")
	})
	_ = open.Close()
	_ = c.Close()
	eventually(t, "the instance that nothing names ended", func() bool { return len(g.Stats().Pools) == 1 })
}

// TestDatabaseThatAReloadTakesAway is there for who is in it, and for who has paused it; when they have left it is forgotten, with its server.
func TestDatabaseThatAReloadTakesAway(t *testing.T) {
	here, there := pgtest.New(t, pgtest.Options{}), pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(here), func(cfg *Config) {
		up := upstreamAt(t, address(there))
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"here": {Upstream: cfg.Upstream}, "old": {Upstream: up}, "unused": {Upstream: up}}
		cfg.Upstream = upstream.Upstream{}
	})
	c := mustCall(t, g.addr, "postgres", "old")
	c.want(t, c.query, "select 1", "", 'I')
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for _, name := range []string{"old", "unused"} {
		if err := g.Pause(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	g.with(t, func(c *Config) { delete(c.Databases, "old"); delete(c.Databases, "unused") })
	_ = c.send(simple("select 2"))
	eventually(t, "forgotten, since nobody is in it", func() bool { return !g.anyPausedAs("unused") })
	if err := g.Resume("old"); err != nil {
		t.Fatal(err)
	}
	if a, err := c.answer(); err != nil || a.code() != "" {
		t.Errorf("who is in it: %v %s", err, a)
	}
	if g.anyPaused() {
		t.Error("something is still paused")
	}
	if late, err := call(g.addr, "postgres", "old"); err == nil {
		_ = late.Close()
		t.Error("a client comes in that nothing leads to")
	}
	_ = c.Close()
	if err := there.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "forgotten, and its server with it", func() bool { return len(g.Stats().Pools) == 0 && len(g.Databases()) == 1 })
	if err := g.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// anyPausedAs is true while a database of this name is paused.
func (g *guard) anyPausedAs(name string) bool {
	for _, d := range g.Databases() {
		if d.Name == name && d.Paused {
			return true
		}
	}
	return false
}

// TestReloadedBoundsAreOfTheirNames: two names of one database have servers in common. What a reload says of one of them holds for its clients, those who are in and those to
// come, and for nobody else's.
func TestReloadedBoundsAreOfTheirNames(t *testing.T) {
	at := func(c *Config) Database {
		up := c.Upstream
		up.Database = "other"
		return Database{Upstream: up}
	}
	for _, bounded := range []string{"first", "second"} { // of whom the first has logged in first
		t.Run(bounded, func(t *testing.T) {
			g := newGuard(t, address(shared), func(c *Config) {
				c.Databases = map[string]Database{"first": at(c), "second": at(c)}
			})
			free := map[string]string{"first": "second", "second": "first"}[bounded]
			clients := map[string][]*caller{}
			pid := func(c *caller) string { return c.one(t, "select pg_backend_pid()") }
			for range 2 {
				for _, name := range []string{"first", "second"} {
					c := mustCall(t, g.addr, "postgres", name)
					clients[name] = append(clients[name], c)
					if pid(c) != pid(clients["first"][0]) {
						t.Fatal("the two names have no server in common")
					}
				}
			}
			g.with(t, func(c *Config) {
				d := at(c)
				d.Lifetime, d.MaxServers = 100*time.Millisecond, 1
				c.Databases[bounded] = d
			})
			clients[bounded] = append(clients[bounded], mustCall(t, g.addr, "postgres", bounded))
			clients[free] = append(clients[free], mustCall(t, g.addr, "postgres", free))
			for i, c := range clients[bounded] {
				now := pid(c)
				eventually(t, "another server, of client "+strconv.Itoa(i), func() bool { return pid(c) != now })
			}
			stays := pid(clients[free][0])
			for range 20 { // as long as servers of the other come and go
				now := pid(clients[bounded][0])
				eventually(t, "another server", func() bool { return pid(clients[bounded][0]) != now })
				for i, c := range clients[free] {
					if now := pid(c); now != stays {
						t.Fatalf("the server of client %d of %s has changed from %s to %s", i, free, stays, now)
					}
				}
			}
			for _, c := range clients[free] {
				c.want(t, c.query, "begin; select 1", "", 'T')
			}
			in := clients[bounded]
			in[0].want(t, in[0].query, "begin; select 1", "", 'T')
			answered := make(chan struct{})
			go func() { defer close(answered); in[1].want(t, in[1].query, "select 1", "", 'I') }()
			eventually(t, "one that waits", func() bool { return g.pool().Classes[0].Waiting == 1 })
			in[0].want(t, in[0].query, "commit", "", 'I')
			<-answered
			for _, c := range clients[free] {
				c.want(t, c.query, "commit", "", 'I')
			}
		})
	}
}

// TestServersOfWhoIsApartNowGo: when a reload gives a database servers of its own, those that it had in common with others, and that nobody is left for, do not stand beside its
// bounds; nor do its own when it has some in common again. Those that others still have stay.
func TestServersOfWhoIsApartNowGo(t *testing.T) {
	at := func(c *Config, most int) Database {
		up := c.Upstream
		up.Database = "other"
		return Database{Upstream: up, MaxServers: most}
	}
	for name, leaves := range map[string]bool{"with its clients": false, "after its clients": true} {
		for _, from := range []int{0, 5} {
			t.Run(name+" from "+strconv.Itoa(from), func(t *testing.T) {
				g := newGuard(t, address(shared), func(c *Config) {
					c.Databases = map[string]Database{"first": at(c, from), "second": at(c, 0)}
					c.Pool.IdleTimeout = time.Hour
				})
				work := func(clients ...*caller) {
					for _, text := range []string{"begin", "commit"} {
						for _, c := range clients {
							c.want(t, c.query, text+"; select 1", "", map[string]byte{"begin": 'T', "commit": 'I'}[text])
						}
					}
				}
				servers := func(n int) {
					t.Helper()
					eventually(t, strconv.Itoa(n)+" servers", func() bool { return len(g.ServerList()) == n })
				}
				a, b := mustCall(t, g.addr, "postgres", "first"), mustCall(t, g.addr, "postgres", "first")
				work(a, b)
				servers(2)
				g.with(t, func(c *Config) { c.Databases["first"] = at(c, 5-from) })
				if leaves {
					_, _ = a.Close(), b.Close()
					servers(0)
					return
				}
				work(a)
				servers(3) // of b, too, until it has a transaction
				work(b)
				servers(1)
				stays := mustCall(t, g.addr, "postgres", "second")
				pid := stays.one(t, "select pg_backend_pid()")
				_ = stays.Close()
				for range 3 {
					stays = mustCall(t, g.addr, "postgres", "second")
					if now := stays.one(t, "select pg_backend_pid()"); now != pid {
						t.Errorf("the server of others has changed from %s to %s", pid, now)
					}
					_ = stays.Close()
					eventually(t, "left", func() bool { return g.clients() == 2 })
				}
			})
		}
	}
}

// TestServersThatNobodyUsesGoAtTheReload: when nobody is left whose leaving could end them, those in common go as soon as any of their names has servers of its own, by whichever name
// they were opened; and a name's own when it has some in common again. A reload that changes nothing for them leaves them.
func TestServersThatNobodyUsesGoAtTheReload(t *testing.T) {
	for _, came := range []string{"first", "second"} {
		for _, from := range []int{0, 5} {
			if from > 0 && came != "first" {
				continue
			}
			t.Run(came+" from "+strconv.Itoa(from), func(t *testing.T) {
				g := newGuard(t, address(shared), func(c *Config) {
					c.Pool.IdleTimeout = time.Hour
					up := c.Upstream
					up.Database = "other"
					c.Databases = map[string]Database{"first": {Upstream: up, MaxServers: from}, "second": {Upstream: up}}
				})
				c := mustCall(t, g.addr, "postgres", came)
				c.want(t, c.query, "select 1", "", 'I')
				_ = c.Close()
				eventually(t, "its client gone", func() bool { return g.clients() == 0 })
				g.with(t, func(c *Config) { c.LoginTimeout++ })
				if n := len(g.ServerList()); n != 1 {
					t.Errorf("%d servers after a reload that is about others, want 1", n)
				}
				g.with(t, func(c *Config) {
					d := c.Databases["first"]
					d.MaxServers = 5 - from
					c.Databases["first"] = d
				})
				eventually(t, "no server", func() bool { return len(g.ServerList()) == 0 })
			})
		}
	}
}
