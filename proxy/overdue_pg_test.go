//go:build pg

package proxy

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// farewellOf reads what a client is told by itself before its connection ends.
func farewellOf(t *testing.T, c *caller) string {
	t.Helper()
	for {
		a, err := c.answer()
		if err != nil {
			t.Fatalf("no farewell: %v", err)
		}
		if len(a.codes) > 0 { // else it may send copy data
			return a.String()
		}
	}
}

// TestOverdueClientsAreDisconnected: each way of taking too long, with and without a server; what they began is rolled back, and their server serves others.
func TestOverdueClientsAreDisconnected(t *testing.T) {
	const soon = 300 * time.Millisecond
	admin := direct(t, shared)
	for _, text := range []string{"drop table if exists overdue", "create table overdue (i int)"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	began, inserts := []string{"begin"}, []string{"begin", "insert into overdue values (1)"}
	for name, want := range map[string]struct {
		times Timeouts
		mode  PoolMode
		does  []string
		last  string // is sent without an answer
		code  string
	}{
		"statement":               {times: Timeouts{Statement: soon}, last: "select pg_sleep(60)", code: "57014"},
		"statement in a block":    {times: Timeouts{Statement: soon}, does: inserts, last: "select pg_sleep(60)", code: "57014"},
		"transaction that works":  {times: Timeouts{Transaction: soon}, does: inserts, last: "select pg_sleep(60)", code: "25P04"},
		"transaction that waits":  {times: Timeouts{Transaction: soon}, does: inserts, code: "25P04"},
		"transaction of nothing":  {times: Timeouts{Transaction: soon}, does: began, code: "25P04"},
		"idle in a transaction":   {times: Timeouts{IdleInTransaction: soon, Idle: time.Hour}, does: inserts, code: "25P03"},
		"idle in one of nothing":  {times: Timeouts{IdleInTransaction: soon, Idle: time.Hour}, does: began, code: "25P03"},
		"in the middle of a copy": {times: Timeouts{IdleInTransaction: soon}, last: "copy overdue from stdin", code: "25P03"},
		"idle":                    {times: Timeouts{Idle: soon, Transaction: time.Hour}, does: []string{"select 1"}, code: "57P05"},
		"idle in session mode":    {times: Timeouts{Idle: soon, IdleInTransaction: time.Hour}, mode: PoolModeSession, does: []string{"select 1"}, code: "57P05"},
		"has said nothing":        {times: Timeouts{Idle: soon}, code: "57P05"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(shared), func(cfg *Config) {
				if cfg.Timeouts = want.times; want.mode != PoolModeDefault {
					cfg.Mode = want.mode
				}
			})
			c := g.call(t)
			for _, text := range want.does {
				if a, err := c.query(text); err != nil || len(a.codes) > 0 {
					t.Fatalf("%s: %v %v", text, a, err)
				}
			}
			if want.last != "" {
				if err := c.send(simple(want.last)); err != nil {
					t.Fatal(err)
				}
			}
			if said := farewellOf(t, c); !strings.Contains(said, want.code) {
				t.Errorf("it is told %s, want %s", said, want.code)
			}
			o := direct(t, shared)
			eventually(t, "rolled back", func() bool {
				return o.one(t, "select count(*) from pg_stat_activity where application_name <> '' and backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()") == "0"
			})
			if n := o.one(t, "select count(*) from overdue"); n != "0" {
				t.Errorf("%s rows of what was rolled back", n)
			}
			other := g.call(t)
			other.want(t, other.query, "select 1", "", 'I')
		})
	}
}

// TestWhoIsInTimeStays: who works, waits for less than may be, or begins one transaction after the other is not disconnected; a user's own time goes before the general one.
func TestWhoIsInTimeStays(t *testing.T) {
	const most = 400 * time.Millisecond
	admin := direct(t, shared)
	for _, text := range []string{"drop role if exists leisure", "create role leisure login"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	all := Timeouts{Statement: most, Transaction: most, IdleInTransaction: most, Idle: most}
	g := newGuard(t, address(shared), func(cfg *Config) {
		cfg.Timeouts, cfg.Users = all, map[string]UserLimits{"leisure": {Timeouts: Timeouts{Statement: time.Minute, Transaction: time.Minute}}}
	})
	var clients sync.WaitGroup
	for user, texts := range map[string][]string{
		"postgres": {"begin", "commit", "begin", "select pg_sleep(0.1)", "rollback", ";", "select pg_sleep(0.2)"},
		"leisure":  {"begin", "select pg_sleep(1)", "commit"},
	} {
		c := mustCall(t, g.addr, user, "postgres")
		clients.Go(func() {
			for end := time.Now().Add(4 * most); time.Now().Before(end); {
				for _, err := range toldOf(c.query, texts...) {
					t.Errorf("%s: %v", user, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// TestWhoIsHeldUpIsNotIdle: nobody is disconnected for time in which SUSPEND held up what he had sent.
func TestWhoIsHeldUpIsNotIdle(t *testing.T) {
	const soon = 400 * time.Millisecond
	for name, want := range map[string]struct {
		times Timeouts
		does  []string
	}{
		"idle":                   {Timeouts{Idle: soon}, []string{"select 1"}},
		"idle in a transaction":  {Timeouts{IdleInTransaction: soon}, []string{"begin", "select 1"}},
		"idle in one of nothing": {Timeouts{IdleInTransaction: soon}, []string{"begin"}},
		"in a transaction":       {Timeouts{Transaction: soon}, []string{"begin", "select 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(shared), func(cfg *Config) { cfg.Timeouts = want.times })
			silent, c := g.call(t), g.call(t)
			for _, text := range want.does {
				if a, err := c.query(text); err != nil || len(a.codes) > 0 {
					t.Fatalf("%s: %v %v", text, a, err)
				}
			}
			if err := suspend(g.Server); err != nil {
				t.Fatal(err)
			}
			if err := c.send(simple("select 'held up'")); err != nil {
				t.Fatal(err)
			}
			if want.times.Idle > 0 {
				if said := farewellOf(t, silent); !strings.Contains(said, "57P05") { // who sends nothing is idle as ever
					t.Errorf("it is told %s", said)
				}
			}
			<-time.After(2 * soon)
			if err := g.Resume(""); err != nil {
				t.Fatal(err)
			}
			if a, err := c.answer(); err != nil || len(a.rows) != 1 || a.rows[0] != "held up" {
				t.Fatalf("%v %s", err, a)
			}
			if said := farewellOf(t, c); !strings.Contains(said, "timeout") { // as ever from then on
				t.Errorf("it is told %s", said)
			}
		})
	}
}

// TestOverdueInPgBouncersWords: the log and the client have the words that programs look for, and a reload changes the times for those who are in.
func TestOverdueInPgBouncersWords(t *testing.T) {
	told := Config{}
	g, log := loggedGuard(t, func(cfg *Config) {
		cfg.LikePgBouncer = true
		told = *cfg
	})
	c := g.call(t)
	told.Timeouts.Idle = 100 * time.Millisecond
	if err := g.Reload(told); err != nil {
		t.Fatal(err)
	}
	if said := farewellOf(t, c); !strings.Contains(said, "client_idle_timeout") {
		t.Errorf("it is told %s", said)
	}
	eventually(t, "its line in the log", func() bool { return strings.Contains(log.String(), "closing because: client_idle_timeout (age=") })
}
