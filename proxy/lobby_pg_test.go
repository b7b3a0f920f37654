//go:build pg

package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
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

// TestSilentConnectionsHavePatienceWhereThereIsRoom: as many as the lobby takes of one address stay until login_timeout.
func TestSilentConnectionsHavePatienceWhereThereIsRoom(t *testing.T) {
	g := narrow(t, 2, func(c *Config) { c.MaxClients, c.Files = 200, 200 })
	all := silence(t, g.addr, 10, nil)
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

// from opens a connection from another address of this machine.
func from(t *testing.T, source, addr string) *speaker {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &speaker{t: t, nc: nc, r: bufio.NewReader(nc)}
}

// TestFloodOfOneAddressKeepsNobodyOut: whatever one address does ahead of its logins - says nothing, owes a proof, waits for the database to say who
// it is, guesses - those of another come in, and what they have begun is not closed.
func TestFloodOfOneAddressKeepsNobodyOut(t *testing.T) {
	const files = 200 // so that the lobby has room for 25
	c := strict(t, nil)
	run(t, c, "create role listed login")
	run(t, c, "create function never(name text) returns text language plpgsql security definer as $$ begin "+
		"if name like 'slow%' then perform pg_sleep(60); end if; return (select rolpassword from pg_authid where rolname = name); end $$")
	for name, flood := range map[string]func(n int, p *speaker){
		"silent": func(int, *speaker) {},
		"owes":   func(_ int, p *speaker) { p.write(startup(wire.Version30, "user", "app", "database", "d_scram")) },
		"looked up": func(n int, p *speaker) {
			p.write(startup(wire.Version30, "user", fmt.Sprint("slow", n), "database", "d_scram"))
		},
		"cleartext guess": func(_ int, p *speaker) {
			p.write(append(startup(wire.Version30, "user", "listed", "database", "d_scram"), wire.AppendMessage(nil, wire.Password, []byte("wrong\x00"))...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) {
				asks(auth.MethodPassword)(cfg)
				cfg.Auth.Query = "select public.never($1)"
				cfg.Auth.Users = map[string]User{"listed": {Secret: auth.Plain("hunter2")}}
				cfg.MaxClients, cfg.Files = files, files
			})
			begun := dial(t, g.addr)
			begun.write(startup(wire.Version30, "user", "listed", "database", "d_trust"))
			begun.read("R")
			for i := range 150 {
				flood(i, from(t, "127.0.0.2", g.addr))
			}
			for range 3 {
				if _, said := comeIn(t, g.addr, "listed", "hunter2", "d_trust"); said != "" {
					t.Errorf("got %q", said)
				}
			}
			begun.write(encode(nil, &pgproto3.PasswordMessage{Password: "hunter2"}))
			begun.read("Z")
			if n := g.Stats().Clients["login"]; n > files/8+1 {
				t.Errorf("%d are in the lobby, it has room for %d", n, files/8)
			}
		})
	}
}

// TestReplicationOverTLSLeavesTheLobby: once it is logged in, and when it has gone, nothing of it is there.
func TestReplicationOverTLSLeavesTheLobby(t *testing.T) {
	d := newDoors(t)
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"wal_level": "logical"}, HBA: []string{"host replication all 127.0.0.1/32 trust"}})
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.TLS = TLS{Mode: TLSAllow, Files: auth.Files{Cert: d.path("guard.crt"), Key: d.path("guard.key")}}
	})
	for range 2 {
		if got, err := libpq(d.dsn(g, "sslmode=require replication=database"), "IDENTIFY_SYSTEM"); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	}
	eventually(t, "nobody is logging in", func() bool { return g.Stats().Clients["login"] == 0 })
}
