//go:build pg

package proxy

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// resolve has every name mean the address in ip, for as long as the test runs.
func resolve(t *testing.T, ip *atomic.Pointer[net.IP]) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	var answering sync.WaitGroup
	t.Cleanup(func() { net.DefaultResolver = before; _ = server.Close(); answering.Wait() })
	answering.Go(func() {
		for buf := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(dnsAnswer(buf[:n], *ip.Load()), from)
		}
	})
}

// dnsAnswer answers a question for an IPv4 address with ip, and any other with nothing.
func dnsAnswer(question []byte, ip net.IP) []byte {
	const header = 12
	end := header
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 1 + 4 // the name's end, type, class
	out := append([]byte(nil), question[:end]...)
	out[2], out[3] = 0x81, 0x80
	copy(out[4:header], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if question[end-3] == 1 { // A
		out[7] = 1
		out = append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, ip.To4()...)
	}
	return out
}

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
	var ip atomic.Pointer[net.IP]
	before, after := net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)
	ip.Store(&before)
	resolve(t, &ip)
	g := newGuard(t, net.JoinHostPort("primary.db.test", port), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	g.identified(t)
	c := g.call(t)
	if got := c.one(t, "insert into written values (1, 1) returning current_setting('port')"); got != strconv.Itoa(p.old.Port()) {
		t.Fatalf("served by port %s", got)
	}
	if err := p.next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	ip.Store(&after)
	within(t, 10*time.Second, "served by the new primary", func() bool {
		a, err := c.query("insert into written values (1, 1) returning current_setting('port')")
		return err == nil && len(a.rows) == 1 && a.rows[0] == strconv.Itoa(p.next.Port())
	})
}
