//go:build pg

package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// doors are certificates for a guard and its clients, in files.
type doors struct {
	t   *testing.T
	ca  *auth.Authority
	dir string
}

func newDoors(t *testing.T) *doors {
	t.Helper()
	ca, err := auth.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	d := &doors{t, ca, t.TempDir()}
	p, err := ca.Pair()
	if err != nil {
		t.Fatal(err)
	}
	d.write("ca.crt", p.Cert)
	d.issue("guard", "localhost")
	return d
}

func (d *doors) path(name string) string { return filepath.Join(d.dir, name) }

// write puts a file in place in one step.
func (d *doors) write(name string, text []byte) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name+".new"), text, 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(d.path(name+".new"), d.path(name)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *doors) issue(name, common string) auth.Pair {
	d.t.Helper()
	p, err := d.ca.Issue(common, []string{common}, time.Now(), time.Hour)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(name+".key", p.Key)
	d.write(name+".crt", p.Cert)
	return p
}

// guard is one whose clients come over TLS.
func (d *doors) guard(mode TLSMode, set func(*Config)) *guard {
	d.t.Helper()
	return newGuard(d.t, address(shared), func(c *Config) {
		c.TLS = TLS{Mode: mode, Files: auth.Files{Cert: d.path("guard.crt"), Key: d.path("guard.key")}}
		if set != nil {
			set(c)
		}
	})
}

func (d *doors) dsn(g *guard, more string) string {
	_, port, err := net.SplitHostPort(g.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	return fmt.Sprintf("host=localhost hostaddr=127.0.0.1 port=%s user=postgres dbname=postgres sslrootcert=%s %s", port, d.path("ca.crt"), more)
}

// forPgx leaves out what pgx does not know.
func forPgx(dsn string) string { return strings.Replace(dsn, "hostaddr=127.0.0.1 ", "", 1) }

// libpq runs a query with libpq.
func libpq(dsn, text string) (string, error) {
	out, err := exec.Command("psql", "-XAtqw", dsn, "-c", text).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestClientsOverTLS: in every mode, whoever asks for TLS gets it where it is to be had, and who does not is refused where it must be.
func TestClientsOverTLS(t *testing.T) {
	d := newDoors(t)
	for mode, c := range map[TLSMode]map[string]string{
		TLSOff:     {"disable": "1", "prefer": "1", "require": "server does not support SSL", "verify-full": "server does not support SSL"},
		TLSAllow:   {"disable": "1", "allow": "1", "prefer": "1", "require": "1", "verify-ca": "1", "verify-full": "1"},
		TLSRequire: {"disable": "takes connections over TLS only", "allow": "1", "prefer": "1", "require": "1", "verify-ca": "1", "verify-full": "1"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			d.t = t
			g := d.guard(mode, nil)
			for sslmode, want := range c {
				if got, err := libpq(d.dsn(g, "sslmode="+sslmode), "select 1"); (err == nil) != (want == "1") || !strings.Contains(got, want) {
					t.Errorf("sslmode=%s: %s %v, want %s", sslmode, got, err, want)
				}
			}
			if got, err := libpq(strings.Replace(d.dsn(g, "sslmode=verify-full"), "host=localhost", "host=elsewhere", 1), "select 1"); err == nil {
				t.Errorf("a client that calls the guard by another name: %s", got)
			}
		})
	}
}

// TestLogNamesAClientThatWantsTLSWhereThereIsNone: libpq says it to the client, and the log to who runs the guard.
func TestLogNamesAClientThatWantsTLSWhereThereIsNone(t *testing.T) {
	g, log := loggedGuard(t, func(*Config) {})
	if got, err := libpq(fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=require", g.addr), "select 1"); err == nil {
		t.Fatalf("let in: %s", got)
	}
	const want = "it asks for TLS, which is off here: take sslmode out of its URL (and PGSSLMODE), or see tls.mode"
	eventually(t, "logged", func() bool {
		lines := log.lines(t, "client not admitted")
		return len(lines) == 1 && lines[0]["error"] == want
	})
}

// TestStatementsOverTLS: what clients do is the same over TLS, in results of any size, and cancel requests arrive.
func TestStatementsOverTLS(t *testing.T) {
	d := newDoors(t)
	g := d.guard(TLSRequire, func(c *Config) { c.Pool.MaxServers = 2 })
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	cfg, err := pgx.ParseConfig(forPgx(d.dsn(g, "sslmode=verify-full")))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 1000, 16_383, 16_384, 16_385, 100_000, 5_000_000} {
		var got string
		if err := conn.QueryRow(ctx, "select repeat($1, $2)", "x", size).Scan(&got); err != nil || got != strings.Repeat("x", size) {
			t.Fatalf("%d bytes: %v, %d came", size, err, len(got))
		}
		var n int
		if err := conn.QueryRow(ctx, "select length($1::text)", strings.Repeat("y", size)).Scan(&n); err != nil || n != size {
			t.Fatalf("%d bytes to the server: %v, %d came", size, err, n)
		}
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
	out, err := psqlCancelled(d.dsn(g, "sslmode=verify-full"))
	if err == nil || !strings.Contains(out, "canceling statement due to user request") {
		t.Errorf("cancelled: %s %v", out, err)
	}
	g.atRest(t)
}

// psqlCancelled runs a statement in psql and interrupts it.
func psqlCancelled(dsn string) (string, error) {
	cmd := exec.Command("psql", "-XAtqw", dsn, "-c", "select 'begun'", "-c", "select pg_sleep(60)")
	var out strings.Builder
	cmd.Stderr = &out
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(pipe, make([]byte, len("begun\n"))); err != nil { // before, an interrupt would end it
		_ = cmd.Wait()
		return out.String(), err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			return out.String(), err
		case <-time.After(300 * time.Millisecond): // until the statement runs
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
}

// TestBothSidesOverTLS: clients and servers, both verified, with the side channel and cancel requests.
func TestBothSidesOverTLS(t *testing.T) {
	d := newDoors(t)
	c, err := pgtest.Start(t.Context(), pgtest.Options{HBA: []string{"hostssl all all all trust", "host all all all reject"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := d.issue("server", "localhost")
	for name, text := range map[string][]byte{"server.crt": p.Cert, "server.key": p.Key} {
		if _, err := c.WriteFile(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"alter system set ssl = on", "select pg_reload_conf()"} {
		if err := c.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	up, err := upstream.Parse(fmt.Sprintf("host=localhost hostaddr=127.0.0.1 user=postgres dbname=postgres sslmode=verify-full port=%d sslrootcert=%s",
		c.Port(), d.path("ca.crt")))
	if err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "TLS", func() bool {
		_, err := libpq(fmt.Sprintf("host=127.0.0.1 user=postgres dbname=postgres sslmode=require port=%d", c.Port()), "select 1")
		return err == nil
	})
	g := d.guard(TLSRequire, func(c *Config) { c.Upstream = up })
	for range 3 {
		if got, err := libpq(d.dsn(g, "sslmode=verify-full"), "select ssl from pg_stat_ssl where pid = pg_backend_pid()"); got != "t" {
			t.Errorf("%s %v", got, err)
		}
	}
	g.measured(t)
	out, err := psqlCancelled(d.dsn(g, "sslmode=verify-full"))
	if err == nil || !strings.Contains(out, "canceling statement due to user request") {
		t.Errorf("cancelled: %s %v", out, err)
	}
}

// TestDirectTLS: PostgreSQL 17's way without a question before, which must name the protocol.
func TestDirectTLS(t *testing.T) {
	d := newDoors(t)
	g := d.guard(TLSRequire, nil)
	for _, name := range []string{"", auth.ALPN, "http/1.1"} {
		cfg := &tls.Config{InsecureSkipVerify: true}
		if name != "" {
			cfg.NextProtos = []string{name}
		}
		nc, err := tls.Dial("tcp", g.addr, cfg)
		if err != nil {
			if name != "http/1.1" {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		p := &speaker{t: t, nc: nc, r: bufio.NewReaderSize(nc, 64<<10)}
		p.write(startup(wire.Version30, "user", "postgres"))
		if name == auth.ALPN {
			p.read("Z")
			p.lines()
			p.expect("select 1 as one", "T one:23:0; D 1; C SELECT 1; Z I")
			p.leave()
			continue
		}
		p.read("E")
		if said := strings.Join(p.lines(), " "); !strings.Contains(said, "ALPN") {
			t.Errorf("%q: %s", name, said)
		}
	}
}

// TestCertificatesAreRenewed: new files are used for clients to come, old clients are undisturbed, and a broken file changes nothing.
func TestCertificatesAreRenewed(t *testing.T) {
	d := newDoors(t)
	g := d.guard(TLSRequire, nil)
	serial := func() string {
		t.Helper()
		cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{auth.ALPN}}
		nc, err := tls.Dial("tcp", g.addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		return nc.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	ctx := t.Context()
	old, err := pgx.Connect(ctx, forPgx(d.dsn(g, "sslmode=verify-full")))
	if err != nil {
		t.Fatal(err)
	}
	d.write("guard.crt", []byte("broken"))
	if err := g.ReloadCertificates(); err == nil || !strings.Contains(err.Error(), "guard.crt") {
		t.Errorf("a broken certificate: %v", err)
	}
	if serial() != before {
		t.Error("a broken file is used")
	}
	d.issue("guard", "localhost")
	within(t, 10*time.Second, "the new certificate", func() bool { return serial() != before })
	var one int
	if err := old.QueryRow(ctx, "select 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("a client from before: %v", err)
	}
	if err := old.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestGarbageInThePlaceOfTLS ends one client, and is answered with nothing in clear text.
func TestGarbageInThePlaceOfTLS(t *testing.T) {
	d := newDoors(t)
	g := d.guard(TLSAllow, func(c *Config) { c.LoginTimeout = time.Second })
	request := []byte{0, 0, 0, 8, 4, 210, 22, 47}
	for what, send := range map[string][]byte{
		"behind the question": append(append([]byte(nil), request...), startup(wire.Version30, "user", "postgres")...),
		"a second question":   append(append([]byte(nil), request...), request...),
		"half a hello":        {0x16, 3, 1, 2, 0, 1},
		"no TLS":              append([]byte{0x16}, []byte(strings.Repeat("garbage ", 100))...),
	} {
		nc, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write(send)
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		all := make([]byte, 4096)
		n := 0
		for {
			m, err := nc.Read(all[n:])
			if n += m; err != nil {
				break
			}
		}
		if strings.Contains(string(all[:n]), "C0") || strings.Contains(string(all[:n]), "FATAL") {
			t.Errorf("%s: answered in clear text: %q", what, all[:n])
		}
		_ = nc.Close()
	}
	if got, err := libpq(d.dsn(g, "sslmode=require"), "select 1"); got != "1" {
		t.Errorf("the next client: %s %v", got, err)
	}
}

// CVE-2021-3935: somebody in the middle puts a start-up packet and a statement ahead of the TLS of a client with a certificate, which are then run
// as that client's.
func TestCVE20213935BytesAheadOfTLS(t *testing.T) {
	d := newDoors(t)
	d.issue("client", "postgres")
	g := d.guard(TLSRequire, func(c *Config) {
		c.TLS.Files.ClientCA, c.Auth.Policy.Method = d.path("ca.crt"), auth.MethodCert
	})
	run(t, shared, "create table if not exists injected (n int); truncate injected")
	pair, err := tls.LoadX509KeyPair(d.path("client.crt"), d.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	evil := append(startup(wire.Version30, "user", "postgres", "database", "postgres"), simple("insert into injected values (1)")...)
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = nc.Write(append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, evil...))
	if b := make([]byte, 1); func() error { _, err := nc.Read(b); return err }() != nil || b[0] != 'S' {
		t.Fatalf("got %q", b)
	}
	c := tls.Client(nc, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true})
	if err := c.Handshake(); err == nil {
		_, _ = c.Write(startup(wire.Version30, "user", "postgres", "database", "postgres"))
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("answered over TLS (%d)", n)
		}
	}
	more := fmt.Sprintf("sslmode=require sslcert=%s sslkey=%s", d.path("client.crt"), d.path("client.key"))
	if got, err := libpq(d.dsn(g, more), "select count(*) from injected"); got != "0" {
		t.Errorf("%s rows came through, %v", got, err)
	}
}

// TestPasswordsRotate: the program is asked again when the server refuses what it said last, a file is read each time, and no client notices.
func TestPasswordsRotate(t *testing.T) {
	c, err := pgtest.Start(t.Context(), pgtest.Options{HBA: []string{"host all all all scram-sha-256"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	path, program := filepath.Join(dir, "password"), filepath.Join(dir, "program")
	set := func(password string) {
		t.Helper()
		if err := c.Exec(t.Context(), "alter role rotates password '"+password+"'"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Exec(t.Context(), "create role rotates login superuser"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat "+path+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for what, source := range map[string]PasswordSource{
		"a file": {File: path}, "a program": {Command: []string{program}, Cache: time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			set("first")
			g := newGuard(t, address(c), func(cfg *Config) {
				cfg.Upstream.User, cfg.Password = "rotates", source
				cfg.Pool.Lifetime = 50 * time.Millisecond // each transaction has a new server
			})
			conn := mustCall(t, g.addr, "rotates", "postgres")
			for i := range 6 {
				set(fmt.Sprintf("password %d", i))
				for range 5 {
					if got := conn.one(t, "select pg_sleep(0.02)::text || 'ok'"); got != "ok" {
						t.Fatalf("round %d: %s", i, got)
					}
				}
			}
		})
	}
}

// TestBytesBehindARequestForEncryption: who says something before he has heard that there is none is refused, in PostgreSQL's words.
func TestBytesBehindARequestForEncryption(t *testing.T) {
	d := newDoors(t)
	ssl, gss := []byte{0, 0, 0, 8, 4, 210, 22, 47}, []byte{0, 0, 0, 8, 4, 210, 22, 48}
	refused := func(t *testing.T, addr string, request []byte, after string) {
		t.Helper()
		p := dial(t, addr)
		p.write(append(slices.Clone(request), startup(wire.Version30, "user", "postgres", "database", "postgres")...))
		if b, err := p.r.ReadByte(); b != 'N' || err != nil {
			t.Errorf("%s: answered %q, %v", after, b, err)
		}
		p.read("E")
		if said := strings.Join(p.lines(), " "); !strings.Contains(said, "received unencrypted data after "+after+" request") {
			t.Errorf("%s: %q", after, said)
		}
	}
	refused(t, address(shared), ssl, "SSL")
	for _, mode := range []TLSMode{TLSOff, TLSAllow} {
		t.Run(string(mode), func(t *testing.T) {
			d.t = t
			g := d.guard(mode, nil)
			refused(t, g.addr, gss, "GSSAPI encryption")
			if mode == TLSOff {
				refused(t, g.addr, ssl, "SSL")
			}
		})
	}
}

// TestClientsMustShowCertificates: verify-ca has all show one that holds, whatever they prove beside, and verify-full their own.
func TestClientsMustShowCertificates(t *testing.T) {
	d := newDoors(t)
	d.issue("own", "postgres")
	d.issue("machine", "machine")
	shows := func(name string) string { return "sslcert=" + d.path(name+".crt") + " sslkey=" + d.path(name+".key") }
	for mode, want := range map[TLSMode]map[string]string{
		TLSVerifyCA:   {"": "connection requires a valid client certificate", shows("own"): "1", shows("machine"): "1"},
		TLSVerifyFull: {"": "connection requires a valid client certificate", shows("own"): "1", shows("machine"): `certificate authentication failed for user "postgres"`},
	} {
		t.Run(string(mode), func(t *testing.T) {
			d.t = t
			g := d.guard(mode, func(c *Config) { c.TLS.Files.ClientCA = d.path("ca.crt") })
			for more, want := range want {
				if got, err := libpq(d.dsn(g, "sslmode=verify-full "+more), "select 1"); (err == nil) != (want == "1") || !strings.Contains(got, want) {
					t.Errorf("%q: %s %v, want %s", more, got, err, want)
				}
			}
			if got, err := libpq(d.dsn(g, "sslmode=disable"), "select 1"); err == nil || !strings.Contains(got, "takes connections over TLS only") {
				t.Errorf("without TLS: %s", got)
			}
			if out, err := psqlCancelled(d.dsn(g, "sslmode=verify-full "+shows("own"))); err == nil || !strings.Contains(out, "canceling statement due to user request") {
				t.Errorf("cancelled: %s %v", out, err)
			}
		})
	}
}

// TestPasswordsOfUsersRotate: a client who stays in has servers after its user's password was changed at the server and in the file, though he has told the one before.
func TestPasswordsOfUsersRotate(t *testing.T) {
	c := strict(t, nil)
	path := tempFile(t, "hunter2\n")
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodSCRAM}, Users: map[string]User{"app": {PasswordFile: path}}}
		cfg.Pool.Lifetime = 50 * time.Millisecond // each transaction has a new server
	})
	p, said := comeIn(t, g.addr, "app", "hunter2", "d_scram")
	if said != "" {
		t.Fatal(said)
	}
	for _, password := range []string{"hunter3", "hunter4"} {
		run(t, c, "alter role app password '"+password+"'")
		overwrite(t, path, password+"\n")
		for range 3 {
			time.Sleep(60 * time.Millisecond)
			if got := value(t, p, "select 1"); got != "1" {
				t.Fatalf("%s: %s", password, got)
			}
		}
	}
}
