//go:build pg

package proxy

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// TestOperatorsComeInWhileClientsLeave: in PgBouncer's place nobody comes by TCP any more once the guard is told to end, and by a unix socket operators alone; when the last
// client has left, that has gone, too.
func TestOperatorsComeInWhileClientsLeave(t *testing.T) {
	dir := t.TempDir()
	g := newGuard(t, address(shared), func(cfg *Config) {
		cfg.LikePgBouncer, cfg.Grace = true, time.Hour
		cfg.Listen = append(cfg.Listen, Listener{Addr: "unix:" + dir})
		cfg.Admin = Admin{Users: []string{"chief"}}
		cfg.Console = func(_ *Server, o *Operator) {
			_, _ = o.Conn.Write([]byte{'Z', 0, 0, 0, 5, 'I'})
			_, _ = o.Conn.Read(make([]byte, 1))
		}
	})
	socket := g.Addrs()[1].String()
	last := g.call(t)
	ended := make(chan error, 1)
	go func() { ended <- g.AwaitClients(context.Background()) }()
	eventually(t, "nobody by TCP", func() bool {
		c, err := net.Dial("tcp", g.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if c, err := callSocket(socket, "postgres", "postgres"); err == nil || !strings.Contains(err.Error(), "server shutting down") {
		t.Errorf("a client by the socket: %v %v", c, err)
	}
	if o, err := callSocket(socket, "chief", Consoles[0]); err != nil {
		t.Errorf("an operator by the socket: %v", err)
	} else {
		_ = o.Close()
	}
	last.want(t, last.query, "select 1", "", 'I')
	_ = last.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("unix", socket); err == nil {
		_ = c.Close()
		t.Error("the socket is there after the last client")
	}
}

// callSocket logs in by a unix socket.
func callSocket(path, user, database string) (*caller, error) {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	c := &caller{Conn: nc, r: bufio.NewReader(nc)}
	if err := c.login(3<<16, []string{"user", user, "database", database}); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// TestSessionModeKeepsItsServersToTheEnd: in PgBouncer's place a client in session mode that has a server goes when it likes, also once the guard waits for servers alone.
func TestSessionModeKeepsItsServersToTheEnd(t *testing.T) {
	g := newGuard(t, address(shared), func(cfg *Config) { cfg.LikePgBouncer, cfg.Grace, cfg.Mode = true, time.Hour, PoolModeSession })
	c, idle := g.call(t), g.call(t)
	c.want(t, c.query, "select 1", "", 'I')
	ended := make(chan error, 1)
	go func() { ended <- g.Drain(context.Background(), 0) }()
	if said := farewellOf(t, idle); !strings.Contains(said, "57P01") {
		t.Errorf("who has no server is told %s", said)
	}
	c.want(t, c.query, "select 2", "", 'I')
	c.want(t, c.query, "begin; select 3", "", 'T')
	c.want(t, c.query, "commit", "", 'I')
	_ = c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestReconnectHasLoginsAskTheServer: who logs in after RECONNECT is told what PostgreSQL says now, not what it said before.
func TestReconnectHasLoginsAskTheServer(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), func(cfg *Config) {
		up := cfg.Upstream
		up.User, up.Password, up.Database = "app", "hunter2", "d_scram"
		other := up
		other.Password = "wrong"
		cfg.Databases = map[string]Database{"own": {Upstream: up, User: "app", PerLogin: 3}, "other": {Upstream: other, User: "app", PerLogin: 3}}
	})
	expect := func(database, want string) {
		t.Helper()
		if _, said := comeIn(t, g.addr, "guest", "", database); !strings.HasPrefix(said, want) || want == "" && said != "" {
			t.Errorf("%s: got %q, want %q", database, said, want)
		}
	}
	expect("own", "")
	expect("other", "28P01") // each has its own password
	expect("own", "")
	run(t, c, "alter role app password 'hunter3'")
	expect("own", "")
	if _, err := g.Reconnect("own"); err != nil {
		t.Fatal(err)
	}
	expect("own", "28P01")
}
