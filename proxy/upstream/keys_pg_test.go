//go:build pg

package upstream_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// rehash has openssl name the lists of a directory.
func rehash(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("openssl", "rehash", dir).CombinedOutput(); err != nil {
		t.Fatalf("openssl rehash: %v: %s", err, out)
	}
}

// TestDirectoryOfRevokedServers: sslcrldir has libpq's meaning, beside sslcrl and without.
func TestDirectoryOfRevokedServers(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "hostssl all all all trust")
	cert, err := os.ReadFile(filepath.Join(f.dir, "server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	innocent := f.issue("innocent", f.ours, "x", nil, time.Now(), time.Hour)
	lists := map[string][]byte{}
	for name, cert := range map[string][]byte{"guilty": cert, "innocent": innocent.Cert} {
		if lists[name], err = f.ours.Revoke(cert); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(f.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		f.write(filepath.Join(name, "list.pem"), lists[name])
		rehash(t, filepath.Join(f.dir, name))
	}
	strange := f.issue("strange", f.other, "y", nil, time.Now(), time.Hour)
	if lists["others"], err = f.other.Revoke(strange.Cert); err != nil {
		t.Fatal(err)
	}
	f.write("guilty.crl", lists["guilty"])
	f.write("innocent.crl", lists["innocent"])
	f.write("others.crl", lists["others"])
	for _, x := range []struct {
		keys string
		in   bool
	}{
		{"sslcrldir=guilty", false},
		{"sslcrldir=innocent", true},
		{"sslcrldir=innocent sslcrl=innocent.crl", true},
		{"sslcrldir=innocent sslcrl=others.crl", true},
		{"sslcrldir=guilty sslcrl=others.crl", false},
		{"sslcrl=others.crl", false}, // it is not known whether the server's is revoked
		{"sslcrldir=missing", false},
	} {
		dsn := f.dsn(c, "localhost", "sslmode=verify-full", "sslrootcert="+filepath.Join(f.dir, "ours.crt"))
		for _, k := range strings.Fields(x.keys) {
			name, file, _ := strings.Cut(k, "=")
			dsn += " " + name + "=" + filepath.Join(f.dir, file)
		}
		_, want := libpq(dsn)
		_, err := logIn(dsn)
		if (err == nil) != (want == nil) || (err == nil) != x.in {
			t.Errorf("%s: guard %v, psql %v", x.keys, err, want)
		}
	}
}

// TestServersOfAnotherUserAreRefused: requirepeer has libpq's meaning.
func TestServersOfAnotherUserAreRefused(t *testing.T) {
	newFiles(t)
	c := pgtest.New(t, pgtest.Options{})
	info, err := os.Stat(c.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	owner, err := user.LookupId(fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", owner.Username, "nobody"} {
		dsn := fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres requirepeer='%s'", c.SocketDir(), c.Port(), name)
		_, want := libpq(dsn)
		_, err := logIn(dsn)
		if (err == nil) != (want == nil) || (err == nil) == (name == "nobody") {
			t.Errorf("%q: guard %v, psql %v", name, err, want)
		}
	}
}

// TestCertificateModes: sslcertmode has the meaning of libpq 16: what is not to be shown is not, and what must be shown is.
func TestCertificateModes(t *testing.T) {
	f := newFiles(t)
	asks := f.cluster(true, "hostssl all certain all cert", "host all all all trust")
	f.do(asks, "create role certain login")
	deaf := f.cluster(true, "host all all all trust")
	f.do(deaf, "alter system reset ssl_ca_file", "select pg_reload_conf()")
	f.shown(deaf, "ssl_ca_file", "")
	f.issue("certain", f.ours, "certain", nil, time.Now(), time.Hour)
	pair := "sslcert=" + filepath.Join(f.dir, "certain.crt") + " sslkey=" + filepath.Join(f.dir, "certain.key")
	for what, x := range map[string]struct{ dsn, want string }{
		"allowed":          {f.dsn(asks, "localhost", "sslmode=require user=certain", pair), ""},
		"must":             {f.dsn(asks, "localhost", "sslmode=require user=certain sslcertmode=require", pair), ""},
		"hidden":           {f.dsn(asks, "localhost", "sslmode=require user=certain sslcertmode=disable", pair), "certificate"},
		"must, none there": {f.dsn(asks, "localhost", "sslmode=require sslcertmode=require"), "there is no certificate to show"},
		"must, not asked":  {f.dsn(deaf, "localhost", "sslmode=require sslcertmode=require", pair), "does not ask for the guard's certificate"},
		"must, no TLS":     {f.dsn(asks, "localhost", "sslmode=allow sslcertmode=require", pair), "does not ask for the guard's certificate"},
	} {
		_, err := logIn(x.dsn)
		if (err == nil) != (x.want == "") || (err != nil && !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v; want %q", what, err, x.want)
		}
	}
}

// TestProtocolIsBounded: no other version is spoken than the two keys allow.
func TestProtocolIsBounded(t *testing.T) {
	newFiles(t)
	c := pgtest.New(t, pgtest.Options{})
	newest := c.Version() >= 18
	for keys, want := range map[string]struct {
		version uint32
		fault   string
	}{
		"":                             {3<<16 | 2, ""},
		"max_protocol_version=3.0":     {3 << 16, ""},
		"min_protocol_version=3.2":     {3<<16 | 2, "server speaks version 3.0 of the protocol, and min_protocol_version asks for 3.2"},
		"min_protocol_version=latest ": {3<<16 | 2, "server speaks version 3.0 of the protocol, and min_protocol_version asks for 3.2"},
	} {
		h, err := logIn(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres %s", c.Host(), c.Port(), keys))
		if newest || want.fault == "" {
			long := want.version == 3<<16|2 && newest
			if err != nil || (len(h.Secret) > 4) != long {
				t.Errorf("%q: %v", keys, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want.fault) {
			t.Errorf("%q: %v", keys, err)
		}
	}
}

// option reads an option of a connection's socket.
func option(t *testing.T, nc net.Conn, level, name int) (n int) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if failed := raw.Control(func(fd uintptr) { n, err = syscall.GetsockoptInt(int(fd), level, name) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	return n
}

// TestKeepAliveOfAnUpstream: libpq's keys go before what the guard does for all servers.
func TestKeepAliveOfAnUpstream(t *testing.T) {
	newFiles(t)
	c := pgtest.New(t, pgtest.Options{})
	usual := net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 6 * time.Second, Count: 7}
	for keys, want := range map[string][5]int{ // on, idle, interval, count, user timeout
		"":                  {1, 5, 6, 7, 0},
		"keepalives_idle=9": {1, 9, 6, 7, 0},
		"keepalives_interval=8 keepalives_count=2 tcp_user_timeout=1500": {1, 5, 8, 2, 1500},
		"keepalives=0": {0, -1, -1, -1, 0},
	} {
		up, err := upstream.Parse(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres %s", c.Host(), c.Port(), keys))
		if err != nil {
			t.Fatal(err)
		}
		d := upstream.NewDoor(up)
		d.KeepAlive = usual
		h := upstream.Handshake{User: "postgres", Params: map[string]string{"user": "postgres"}}
		if err := d.LogIn(t.Context(), &h); err != nil {
			t.Fatal(err)
		}
		got := [5]int{
			option(t, h.Conn, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE), option(t, h.Conn, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE),
			option(t, h.Conn, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL), option(t, h.Conn, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT),
			option(t, h.Conn, syscall.IPPROTO_TCP, 18),
		}
		for i, n := range want {
			if n >= 0 && got[i] != n {
				t.Errorf("%q: %v, want %v", keys, got, want)
				break
			}
		}
		_ = h.Conn.Close()
	}
}
