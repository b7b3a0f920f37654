//go:build pg

package proxy

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// deaths are the moments in which clients of TestKilledClientsLeaveNothing die. Each gets a client that has logged in,
// brings it into that moment, and returns; the client is killed after.
var deaths = []struct {
	name string
	live func(c *caller, n int) error
}{
	{"idle", func(*caller, int) error { return nil }},
	{"in transaction", func(c *caller, n int) error {
		_, err := c.query("BEGIN")
		if err == nil {
			_, err = c.query(fmt.Sprintf("insert into storm values (%d)", n))
		}
		return err
	}},
	{"holding a row lock", func(c *caller, n int) error {
		_, err := c.query(fmt.Sprintf("BEGIN; update locks set n = n + 1 where id = %d", n%500))
		return err
	}},
	{"with session state", func(c *caller, n int) error {
		_, err := c.query(fmt.Sprintf("SET statement_timeout = '%ds'; PREPARE leftover AS SELECT 1; "+
			"CREATE TEMP TABLE leftover_table (a int); SELECT pg_advisory_lock(%d)", 100+n%100, n))
		return err
	}},
	{"in a COPY", func(c *caller, _ int) error {
		if _, err := c.query("BEGIN"); err != nil {
			return err
		}
		if _, err := c.query("copy storm from stdin"); err != nil {
			return err
		}
		return c.send(appendMessage(nil, wire.CopyData, strings.Repeat("7\n", 32<<10)))
	}},
	{"in a message of a COPY", func(c *caller, _ int) error {
		if _, err := c.query("copy storm from stdin"); err != nil {
			return err
		}
		m := appendMessage(nil, wire.CopyData, strings.Repeat("7\n", 32<<10))
		return c.send(m[:40<<10])
	}},
	{"in a long statement's text", func(c *caller, _ int) error {
		return c.send(simple("select 1 -- " + strings.Repeat("x", 100<<10))[:50<<10])
	}},
	{"in a pipeline", func(c *caller, n int) error {
		var p []byte
		for i := range 50 {
			p = append(append(p, batchOf(fmt.Sprintf("insert into storm values (%d)", 1000+n+i))...), wire.AppendEmpty(nil, wire.Sync)...)
		}
		return c.send(append(p, batchOf("select 1")...))
	}},
	{"in a statement", func(c *caller, _ int) error { return c.send(simple("select pg_sleep(100)")) }},
	{"in a transaction's statement", func(c *caller, n int) error {
		_, err := c.query(fmt.Sprintf("BEGIN; insert into storm values (%d)", n))
		if err == nil {
			err = c.send(append(batchOf("select pg_sleep(100)"), wire.AppendEmpty(nil, wire.Flush)...))
		}
		return err
	}},
	{"in a large result", func(c *caller, _ int) error {
		return c.send(simple("select repeat('x', 1000) from generate_series(1, 5000)"))
	}},
}

// TestKilledClientsLeaveNothing kills 1,000 clients in every unfortunate moment, under load. Afterwards nothing of theirs
// is left in any server, and hardly a server had to be replaced.
func TestKilledClientsLeaveNothing(t *testing.T) {
	const servers, clients, atOnce, survivors = 20, 1000, 60, 8
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "50"}})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table storm (n int); create table locks (id int primary key, n int); "+
		"insert into locks select i, 0 from generate_series(0, 499) i; create table kept (n int)", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = servers; cfg.Limit = servers })
	rnd := seeded(t)
	stop, load := g.startLoad(t, survivors)

	var wg sync.WaitGroup
	var failed atomic.Pointer[string]
	slots := make(chan struct{}, atOnce)
	most := 0
	for n := range clients {
		d := deaths[n%len(deaths)]
		pause := time.Duration(rnd.IntN(3)) * time.Millisecond
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := liveAndDie(g, d.live, n, pause); err != nil {
				why := d.name + ": " + err.Error()
				failed.CompareAndSwap(nil, &why)
			}
		})
		if st := g.pool(); st.Servers["idle"]+st.Servers["active"]+st.Servers["opening"]+st.Servers["closing"] > most {
			most = st.Servers["idle"] + st.Servers["active"] + st.Servers["opening"] + st.Servers["closing"]
		}
	}
	wg.Wait()
	stop()
	if why := failed.Load(); why != nil {
		t.Errorf("a client was troubled before its death: %s", *why)
	}
	eventually(t, "all dead clients gone", func() bool { return g.clients() == survivors })
	g.atRest(t)
	st := g.pool().Stats
	t.Logf("server logins %v, servers at most %d, cap %d, load %d", st.Logins, most, st.Cap, load.Load())
	if most > servers || st.Logins["ok"] > 2*servers {
		t.Errorf("servers at most %d, logins %d; want at most %d and %d", most, st.Logins["ok"], servers, 2*servers)
	}
	if kept := admin.one(t, "select count(*) from kept"); kept != strconv.Itoa(int(load.Load())) {
		t.Errorf("%s rows of the survivors are there, %d were acknowledged", kept, load.Load())
	}
	checkClean(t, g, admin, servers)
}

// liveAndDie is one client's life.
func liveAndDie(g *guard, live func(*caller, int) error, n int, pause time.Duration) error {
	c, err := call(g.addr, "postgres", "postgres")
	if err != nil {
		return err
	}
	err = live(c, n)
	time.Sleep(pause) // so that some die before their words were read, and some after
	c.kill()
	return err
}

// startLoad has clients write one row after the other until stop is called, and counts those acknowledged.
func (g *guard) startLoad(t *testing.T, clients int) (stop func(), acknowledged *atomic.Int64) {
	t.Helper()
	acknowledged = new(atomic.Int64)
	var wg sync.WaitGroup
	end := make(chan struct{})
	for range clients {
		c := g.call(t)
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				text := "insert into kept values (1)"
				if rand.IntN(2) == 0 {
					text = "select n from kept limit 1"
				}
				a, err := c.query(text)
				if err != nil || len(a.codes) > 0 {
					t.Errorf("a survivor was troubled: %s: %v %s", text, err, a)
					return
				}
				if text[0] == 'i' {
					acknowledged.Add(1)
				}
			}
		})
	}
	return func() { close(end); wg.Wait() }, acknowledged
}

// checkClean looks from outside and then through every server whether something was left behind.
func checkClean(t *testing.T, g *guard, admin *caller, servers int) {
	t.Helper()
	for what, query := range map[string]string{
		"open transactions": "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%' and state <> 'idle'",
		"locks":             "select count(*) from pg_locks where locktype in ('advisory', 'transactionid', 'tuple') and pid <> pg_backend_pid()",
		"temporary tables":  "select count(*) from pg_class where relname = 'leftover_table'",
	} {
		if n := admin.one(t, query); n != "0" {
			t.Errorf("%s left: %s", what, n)
			for _, row := range admin.want(t, admin.query, "select a::text from pg_stat_activity a where state <> 'idle'", "", 'I').rows {
				t.Log(row)
			}
		}
	}
	// Everybody at once in a transaction has every server in use.
	var all []*caller
	for range servers {
		c := g.call(t)
		c.want(t, c.query, "BEGIN", "", 'T')
		all = append(all, c)
		if n := c.one(t, "select (select count(*) from pg_prepared_statements where name !~ '^__pgguard_') + "+
			"(select count(*) from pg_settings where name = 'statement_timeout' and setting <> '0')"); n != "0" {
			t.Errorf("a server remembers a dead client's statement or setting")
		}
	}
	for _, c := range all {
		c.want(t, c.query, "COMMIT", "", 'I')
	}
	g.atRest(t)
}
