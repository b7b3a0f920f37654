//go:build pg

package proxy

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// relay passes connections to addr on to target until the test ends.
func relay(t *testing.T, addr, target string) (bound string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	dialer := net.Dialer{Resolver: new(net.Resolver)} // the default one is the test's to change
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := dialer.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				work.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_, _ = client.Close(), server.Close()
				})
			}
		}
	})
	return l.Addr().String()
}

// TestNameThatMeansAnotherServer: where the upstream is a name, and means the new primary now, that is noticed although no connection has been
// cut and none is opened.
func TestNameThatMeansAnotherServer(t *testing.T) {
	p := newPair(t)
	first := relay(t, "127.0.0.1:0", address(p.old))
	_, port, _ := net.SplitHostPort(first)
	relay(t, "127.0.0.2:"+port, address(p.next))
	const name = "primary.db.test"
	set := pgtest.Names(t, map[string][]string{name: {"127.0.0.1"}})
	g := newGuard(t, net.JoinHostPort(name, port), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	g.identified(t)
	c := g.call(t)
	if got := c.one(t, "insert into written values (1, 1) returning current_setting('port')"); got != strconv.Itoa(p.old.Port()) {
		t.Fatalf("served by port %s", got)
	}
	if err := p.next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(map[string][]string{name: {"127.0.0.2"}})
	within(t, 10*time.Second, "served by the new primary", func() bool {
		a, err := c.query("insert into written values (1, 1) returning current_setting('port')")
		return err == nil && len(a.rows) == 1 && a.rows[0] == strconv.Itoa(p.next.Port())
	})
}
