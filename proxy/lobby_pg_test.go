//go:build pg

package proxy

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// silence opens connections that say this and no more.
func silence(t *testing.T, addr string, n int, says []byte) (all []*speaker) {
	t.Helper()
	for range n {
		p := dial(t, addr)
		p.write(says)
		all = append(all, p)
	}
	return all
}

// TestSilentConnectionsDoNotKeepClientsOut: however many connections say nothing, or begin to and stop, those that are in earnest log in,
// who is logged in is served, and no more descriptors are used than there are.
func TestSilentConnectionsDoNotKeepClientsOut(t *testing.T) {
	const files = 200 // so that the lobby has room for 25
	for name, says := range map[string][]byte{
		"nothing":            nil,
		"encryption":         {0, 0, 0, 8, 4, 210, 22, 47},
		"half a packet":      startup(wire.Version30, "user", "postgres")[:12],
		"half of the length": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, func(c *Config) { c.MaxClients, c.Files = files, files })
			neighbour, _ := enter(t, g.addr)
			start := time.Now()
			all := silence(t, g.addr, 120, says)
			p, _ := enter(t, g.addr)
			p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			neighbour.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := g.Stats().Clients["login"]; n > files/8+1 {
				t.Errorf("%d are in the lobby, it has room for %d", n, files/8)
			}
			_ = all[0].nc.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, all[0].r); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the one that has been silent longest is still there")
			}
		})
	}
}

// TestSilentConnectionsHavePatienceWhereThereIsRoom: as many as the lobby takes stay until login_timeout.
func TestSilentConnectionsHavePatienceWhereThereIsRoom(t *testing.T) {
	g := narrow(t, 2, func(c *Config) { c.MaxClients, c.Files = 200, 200 })
	all := silence(t, g.addr, 20, nil)
	eventually(t, "all are in the lobby", func() bool { return g.Stats().Clients["login"] == len(all) })
	for range 10 {
		p, _ := enter(t, g.addr)
		p.leave()
	}
	if n := g.Stats().Clients["login"]; n != len(all) {
		t.Errorf("%d of %d are left", n, len(all))
	}
	p := all[0]
	p.write(startup(wire.Version30, "user", "postgres", "database", "postgres"))
	p.read("Z")
	p.lines()
	p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
}

// TestClientsAreToldThatTheyAreTooMany: where all file descriptors of clients are used, one more is still answered.
func TestClientsAreToldThatTheyAreTooMany(t *testing.T) {
	g := narrow(t, 2, func(c *Config) { c.MaxClients, c.Files = 20, 20 })
	for range 20 {
		enter(t, g.addr)
	}
	silence(t, g.addr, 40, nil)
	got := greeting(t, g.addr, wire.Version30, "user", "postgres", "database", "postgres")
	if code(got[0]) != "E SFATAL VFATAL C53300" {
		t.Errorf("got %q", got)
	}
}
