//go:build pg

package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgguard/pool/queue"
)

// slowLog is a log that takes its time over the line about the end of the client at an address, until it is let go on: so long that
// client's session has been told to go, and has not left.
type slowLog struct {
	slog.Handler
	mu       sync.Mutex
	whose    string // guarded by mu
	told     chan struct{}
	released chan struct{}
	goOn     func()
}

func newSlowLog() *slowLog {
	l := &slowLog{Handler: slog.DiscardHandler, told: make(chan struct{}), released: make(chan struct{})}
	l.goOn = sync.OnceFunc(func() { close(l.released) })
	return l
}

func (*slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *slowLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	whose := l.whose
	l.mu.Unlock()
	is, ends := false, false
	r.Attrs(func(a slog.Attr) bool {
		is = is || a.Key == "client" && a.Value.String() == whose
		ends = ends || a.Key == "reason"
		return true
	})
	if is && ends {
		close(l.told)
		<-l.released
	}
	return nil
}

func (l *slowLog) of(c *caller) {
	l.mu.Lock()
	l.whose = c.LocalAddr().String()
	l.mu.Unlock()
}

// holdOpen has another client run a statement until the function returned is called, though nobody new comes in by then.
func (g *guard) holdOpen(t *testing.T) (release func()) {
	t.Helper()
	const text = "select pg_sleep(60) -- holds the token"
	holder := g.call(t)
	_ = holder.send(simple(text))
	eventually(t, "the token taken", func() bool { return g.Stats().Clients["active"] == 1 })
	return func() {
		admin := direct(t, shared)
		admin.want(t, admin.query, "select pg_cancel_backend(pid) from pg_stat_activity where query = '"+text+"'", "", 'I')
	}
}

// unsent brings a client's INSERT to where it waits to be sent, and returns what has it sent.
var unsent = map[state]func(t *testing.T, g *guard, c *caller, s *session) (goOn func()){
	queued: func(t *testing.T, g *guard, c *caller, s *session) func() {
		release := g.holdOpen(t)
		_ = c.send(simple("insert into told values (1)"))
		return release
	},
	awaiting: func(t *testing.T, g *guard, c *caller, s *session) func() {
		c.want(t, c.query, "select pg_advisory_lock(8)", "", 'I')
		release := g.holdOpen(t)
		_ = c.send(simple("insert into told values (1)"))
		return release
	},
	preparing: func(t *testing.T, g *guard, c *caller, s *session) func() {
		c.want(t, c.query, "set role pg_monitor", "", 'I')
		other := g.call(t)
		other.want(t, other.query, "select 1", "", 'I') // on the only server, which has the role no more
		s.wmu.Lock()                                    // nothing that a server says is dealt with until this is given back
		_ = c.send(simple("insert into told values (1)"))
		return s.wmu.Unlock
	},
}

// toldTo are the ways to be told to go, and what is said.
var toldTo = []struct {
	name, code string
	set        func(c *Config)
	at         []state
	end        func(t *testing.T, g *guard, s *session)
}{
	{"drain like PgBouncer", "57P01", func(c *Config) { c.LikePgBouncer, c.IdleGrace, c.Grace = true, 0, time.Minute }, []state{queued},
		func(t *testing.T, g *guard, s *session) { g.shutdown(t, context.Background()) }},
	{"kill", "57P01", nil, []state{queued, awaiting, preparing}, func(t *testing.T, g *guard, s *session) { g.KillClient(s.id) }},
	{"close", "57P01", nil, []state{queued, awaiting, preparing}, func(t *testing.T, g *guard, s *session) { go func() { _ = g.Close() }() }},
	{"statement timeout", "57014", func(c *Config) { c.Timeouts.Statement = time.Second }, []state{preparing}, func(*testing.T, *guard, *session) {}},
}

// TestWhoIsToldToGoHasNothingSent: what has not been sent to a server when its client is told to go is never sent, whatever it waits for then, and
// the server is fit for others.
func TestWhoIsToldToGoHasNothingSent(t *testing.T) {
	admin := direct(t, shared)
	for _, way := range toldTo {
		for _, at := range way.at {
			t.Run(fmt.Sprintf("%s/%s", way.name, at), func(t *testing.T) {
				admin.want(t, admin.query, "drop table if exists told; create table told (a int); grant insert on told to pg_monitor", "", 'I')
				log := newSlowLog()
				g := newGuard(t, address(shared), func(c *Config) {
					c.Limit, c.Pool.MaxServers, c.Log = 1, 2, slog.New(log)
					if at == preparing {
						c.Pool.MaxServers = 1
					}
					if way.set != nil {
						way.set(c)
					}
				})
				t.Cleanup(log.goOn)
				c := g.call(t)
				eventually(t, "in", func() bool { return len(g.all()) == 1 })
				s := g.all()[0]
				log.of(c)
				goOn := unsent[at](t, g, c, s)
				is := func(what func() bool) func() bool {
					return func() bool { s.mu.Lock(); defer s.mu.Unlock(); return what() }
				}
				eventually(t, at.String(), is(func() bool { return s.state == at }))
				way.end(t, g, s)
				eventually(t, "told to go", func() bool {
					select {
					case <-log.told:
						return true
					default:
						return false
					}
				})
				goOn()
				eventually(t, "its turn", is(func() bool { return !s.asked && (s.link == nil || !s.link.lease.Preparing()) }))
				log.goOn()
				c.fatalSoon(t, way.code)
				eventually(t, "gone", func() bool { return g.clients() == 0 || way.name == "kill" || way.name == "statement timeout" })
				g.atRest(t)
				if n := admin.one(t, "select count(*) from told"); n != "0" {
					t.Errorf("it was told to go while its INSERT waited, and %s is in the table", n)
				}
			})
		}
	}
}

// TestDrainOfAQueue: hundreds of clients whose INSERT waits are told to go as by PgBouncer: what a client was told is in the table, and nothing else.
func TestDrainOfAQueue(t *testing.T) {
	const clients, rounds = 400, 3
	admin := direct(t, shared)
	for range rounds {
		admin.want(t, admin.query, "drop table if exists told; create table told (a int)", "", 'I')
		g := newGuard(t, address(shared), func(c *Config) {
			c.Limit, c.Pool.MaxServers, c.LikePgBouncer, c.IdleGrace = 2, 4, true, 0
			c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: time.Minute, MaxLength: clients, MaxShare: 1}}
			c.Rules = nil
		})
		callers := make([]*caller, clients)
		for i := range callers {
			callers[i] = g.call(t)
		}
		for i, c := range callers {
			_ = c.send(simple(fmt.Sprintf("insert into told select %d from pg_sleep(0.0005)", i)))
		}
		eventually(t, "some are in", func() bool { return admin.one(t, "select count(*) from told") > "1" })
		done := g.shutdown(t, context.Background())
		fine := map[string]bool{}
		for i, c := range callers {
			a, err := c.answer()
			switch {
			case err == nil && a.code() == "" && a.status == 'I':
				fine[fmt.Sprint(i)] = true
			case !a.fatal || a.code() != "57P01":
				t.Errorf("client %d: %v %s", i, err, a)
			}
		}
		ended(t, done, patience)
		rows := admin.want(t, admin.query, "select a from told", "", 'I').rows
		for _, row := range rows {
			if !fine[row] {
				t.Errorf("client %s was told to go, and its row is there", row)
			}
		}
		if len(rows) != len(fine) {
			t.Errorf("%d clients were told that their row is there, %d are", len(fine), len(rows))
		}
		t.Logf("%d of %d were served", len(fine), clients)
	}
}
