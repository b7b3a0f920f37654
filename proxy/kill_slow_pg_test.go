//go:build pg

package proxy

import (
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestClientThatStopsReading: a client that does not take its result costs others nothing, and its server only until
// the write timeout.
func TestClientThatStopsReading(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 2; cfg.WriteTimeout = time.Second })
	deaf, other := g.call(t), g.call(t)
	_ = deaf.Conn.(*net.TCPConn).SetReadBuffer(2048)
	_ = deaf.send(simple("select repeat('x', 1000) from generate_series(1, 200000)"))
	eventually(t, "blocked", func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where wait_event = 'ClientWrite'") == "1"
	})
	start := time.Now()
	for range 100 {
		other.want(t, other.query, "select 1", "", 'I')
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("others took %s", d)
	}
	eventually(t, "the deaf client closed", func() bool { return g.clients() == 1 })
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("closed after %s, want about a second", d)
	}
	g.atRest(t)
	if st := g.pool().Stats; st.Logins["ok"] > 2 {
		t.Errorf("%d server logins, want 2: the server was not kept", st.Logins["ok"])
	}
}

// TestClientThatReadsSlowly: one that takes a little all the time is served to the end, though the whole takes longer
// than the write timeout.
func TestClientThatReadsSlowly(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.WriteTimeout = 300 * time.Millisecond })
	slow := g.call(t)
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	_ = slow.send(simple("select repeat('x', 1000) from generate_series(1, 40000)"))
	rows := 0
	for start := time.Now(); ; {
		typ, body, err := slow.next()
		if err != nil {
			t.Fatalf("after %d rows and %s: %v", rows, time.Since(start), err)
		}
		if typ == wire.DataRow && len(body) == 1006 {
			if rows++; rows%1000 == 0 {
				time.Sleep(50 * time.Millisecond) // the slowness under test
			}
		}
		if typ == wire.ReadyForQuery {
			break
		}
	}
	if rows != 40000 {
		t.Errorf("%d rows, want 40000", rows)
	}
}

// TestServerThatReadsLate: a client may send ahead more than the sockets hold while a statement runs for longer than
// the write timeout, as it may without the guard.
func TestServerThatReadsLate(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.WriteTimeout = 500 * time.Millisecond })
	client := g.call(t)
	const n = 200
	sent := make(chan error, 1)
	go func() {
		p := simple("select pg_sleep(2)")
		for range n {
			p = append(p, simple("select length('"+strings.Repeat("x", 100_000)+"')")...)
		}
		sent <- client.send(p)
	}()
	if a, err := client.answer(); err != nil || len(a.codes) > 0 {
		t.Fatalf("%v %s", err, a)
	}
	for i := range n {
		a, err := client.answer()
		if err != nil || len(a.rows) != 1 || a.rows[0] != "100000" {
			t.Fatalf("statement %d: %v %s %v", i, err, a, a.rows)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	g.atRest(t)
}

// TestClientThatStopsInMidMessage holds nothing of others while it is silent, and can go on.
func TestClientThatStopsInMidMessage(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	silent, other := g.call(t), g.call(t)
	m := simple("select 1 -- " + strings.Repeat("x", 10_000))
	_ = silent.send(m[:5_000])
	for range 10 {
		other.want(t, other.query, "select 2", "", 'I')
	}
	_ = silent.send(m[5_000:])
	if a, err := silent.answer(); err != nil || len(a.rows) != 1 {
		t.Errorf("%v %s", err, a)
	}
}

// TestSlowLogins end with the login timeout, whatever they have sent by then, and nobody waits for them.
func TestSlowLogins(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.LoginTimeout = time.Second })
	ready := g.call(t)
	start := time.Now()
	var slow []*caller
	for i := range 50 {
		s, err := dialCaller(g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		_ = s.send([]byte{0, 0, 0, 50, 0, 3, 0, 0, 'u', 's', 'e', 'r'}[:i%13])
		slow = append(slow, s)
	}
	ready.want(t, ready.query, "select 1", "", 'I')
	quick := g.call(t)
	quick.want(t, quick.query, "select 1", "", 'I')
	if d := time.Since(start); d > 900*time.Millisecond {
		t.Logf("the others took %s", d)
	}
	eventually(t, "closed", func() bool { return g.clients() == 2 })
	if d := time.Since(start); d < 900*time.Millisecond || d > 4*time.Second {
		t.Errorf("slow logins ended after %s, want a second", d)
	}
	for _, s := range slow {
		if _, _, err := s.next(); err == nil {
			if _, _, err = s.next(); err == nil {
				t.Error("a login that never came has a connection")
			}
		}
	}
}
