//go:build pg

package upstream_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// files are certificates as an operator has them.
type files struct {
	dir   string
	ours  *auth.Authority
	other *auth.Authority
	t     *testing.T
}

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{dir: t.TempDir(), t: t}
	var err error
	if f.ours, err = auth.NewAuthority("ours", time.Hour); err != nil {
		t.Fatal(err)
	}
	if f.other, err = auth.NewAuthority("other", time.Hour); err != nil {
		t.Fatal(err)
	}
	f.authority("ours.crt", f.ours)
	f.authority("other.crt", f.other)
	// libpq looks for its own files there.
	t.Setenv("HOME", f.dir)
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "PGGUARD") {
			t.Setenv(name, "")
		}
	}
	return f
}

func (f *files) authority(name string, a *auth.Authority) {
	f.t.Helper()
	p, err := a.Pair()
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name, p.Cert)
}

func (f *files) write(name string, text []byte) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// issue writes NAME.crt and NAME.key.
func (f *files) issue(name string, by *auth.Authority, common string, hosts []string, from time.Time, valid time.Duration) auth.Pair {
	f.t.Helper()
	p, err := by.Issue(common, hosts, from, valid)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name+".crt", p.Cert)
	f.write(name+".key", p.Key)
	return p
}

// cluster starts a PostgreSQL with TLS, with these lines of pg_hba.conf.
func (f *files) cluster(tls bool, hba ...string) *pgtest.Cluster {
	f.t.Helper()
	c, err := pgtest.Start(context.Background(), pgtest.Options{HBA: append(hba, "host all all 0.0.0.0/0 reject")})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			f.t.Error(err)
		}
	})
	if !tls {
		return c
	}
	f.present(c, f.issue("server", f.ours, "localhost", []string{"localhost"}, time.Now(), time.Hour))
	ours, err := os.ReadFile(filepath.Join(f.dir, "ours.crt"))
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := c.WriteFile("ca.crt", ours); err != nil {
		f.t.Fatal(err)
	}
	f.do(c, "alter system set ssl_ca_file = 'ca.crt'", "alter system set ssl = on", "select pg_reload_conf()")
	f.shown(c, "ssl", "on")
	return c
}

// present has the server show another certificate.
func (f *files) present(c *pgtest.Cluster, p auth.Pair) {
	f.t.Helper()
	for name, text := range map[string][]byte{"server.crt": p.Cert, "server.key": p.Key} {
		if _, err := c.WriteFile(name, text); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *files) do(c *pgtest.Cluster, texts ...string) {
	f.t.Helper()
	for _, text := range texts {
		if err := c.Exec(context.Background(), text); err != nil {
			f.t.Fatalf("%s: %v", text, err)
		}
	}
}

// shown waits until new sessions see a setting.
func (f *files) shown(c *pgtest.Cluster, name, value string) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		err := c.Exec(context.Background(), fmt.Sprintf("do $$ begin if current_setting('%s') <> '%s' then raise exception 'not yet'; end if; end $$", name, value))
		if err == nil {
			return
		}
		if time.Now().After(end) {
			f.t.Fatal(err)
		}
	}
}

// logIn is a login of the guard's.
func logIn(dsn string) (*upstream.Handshake, error) {
	up, err := upstream.Parse(dsn)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	d := upstream.NewDoor(up)
	h := upstream.Handshake{User: up.User, Password: up.Password, Params: map[string]string{"user": up.User, "database": up.Database}}
	if err := d.LogIn(ctx, &h); err != nil {
		return nil, err
	}
	return &h, h.Conn.Close()
}

// libpq is a login of psql's. It returns whether it was over TLS.
func libpq(dsn string) (over bool, err error) {
	cmd := exec.Command("psql", "-XAtw", dsn, "-c", "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("%w: %s", err, out)
	}
	return strings.TrimSpace(string(out)) == "t", nil
}

func (f *files) dsn(c *pgtest.Cluster, host string, more ...string) string {
	q := fmt.Sprintf("host=%s hostaddr=127.0.0.1 port=%d dbname=postgres ", host, c.Port())
	if !strings.Contains(strings.Join(more, " "), "user=") {
		q += "user=postgres "
	}
	return q + strings.Join(more, " ")
}

// TestSecurityIsLibpqs: whatever sslmode, the authority and pg_hba.conf say, a login of the guard's succeeds where psql's does, over TLS
// where psql's is.
func TestSecurityIsLibpqs(t *testing.T) {
	f := newFiles(t)
	for server, c := range map[string]*pgtest.Cluster{
		"no TLS":       f.cluster(false, "host all all all trust"),
		"hostssl only": f.cluster(true, "hostssl all all all trust"),
		"hostnossl":    f.cluster(true, "hostnossl all all all trust"),
		"both":         f.cluster(true, "host all all all trust"),
	} {
		for _, mode := range []string{"", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"} {
			for _, root := range []string{"", "ours.crt", "other.crt", "missing.crt"} {
				for _, host := range []string{"localhost", "elsewhere"} {
					var more []string
					if mode != "" {
						more = append(more, "sslmode="+mode)
					}
					if root != "" {
						more = append(more, "sslrootcert="+filepath.Join(f.dir, root))
					}
					dsn := f.dsn(c, host, more...)
					over, want := libpq(dsn)
					h, err := logIn(dsn)
					if (err == nil) != (want == nil) {
						t.Errorf("%s, %s, %s, %s: guard %v, psql %v", server, mode, root, host, err, want)
						continue
					}
					if err == nil && h.Secured() != over {
						t.Errorf("%s, %s, %s, %s: over TLS %t, psql's %t", server, mode, root, host, h.Secured(), over)
					}
				}
			}
		}
	}
}

// TestSecurityFaultsAreNamed: what is wrong is said, with what to do.
func TestSecurityFaultsAreNamed(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "hostssl all certain all cert", "hostssl all all all trust")
	f.do(c, "create role certain login")
	in := func(name string) string { return filepath.Join(f.dir, name) }
	f.issue("certain", f.ours, "certain", nil, time.Now(), time.Hour)
	f.issue("stranger", f.other, "certain", nil, time.Now(), time.Hour)
	f.issue("runs", f.ours, "certain", nil, time.Now(), time.Hour)
	if err := os.Chmod(in("runs.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write("nothing.crt", []byte("nothing"))
	loose := f.write("loose.key", nil)
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	ca := "sslrootcert=" + in("ours.crt")
	for what, x := range map[string]struct{ dsn, want string }{
		"wrong CA":          {f.dsn(c, "localhost", "sslmode=verify-ca", "sslrootcert="+in("other.crt")), "signed by an authority that sslrootcert does not have"},
		"wrong name":        {f.dsn(c, "elsewhere", "sslmode=verify-full", ca), "it is for localhost"},
		"missing CA":        {f.dsn(c, "localhost", "sslmode=verify-full", "sslrootcert="+in("missing.crt")), "missing.crt: no such file"},
		"no CA":             {f.dsn(c, "localhost", "sslmode=verify-full"), "give sslrootcert=FILE"},
		"empty CA":          {f.dsn(c, "localhost", "sslmode=verify-full", "sslrootcert="+in("nothing.crt")), "no certificate in PEM form"},
		"no certificate":    {f.dsn(c, "localhost", "user=certain", "sslmode=require"), "certificate"},
		"another's":         {f.dsn(c, "localhost", "user=certain", "sslmode=require", "sslcert="+in("stranger.crt"), "sslkey="+in("stranger.key")), "certificate"},
		"missing key":       {f.dsn(c, "localhost", "sslmode=require", "sslcert="+in("certain.crt"), "sslkey="+in("gone.key")), "sslkey: "},
		"no key":            {f.dsn(c, "localhost", "sslmode=require", "sslcert="+in("certain.crt")), "give sslkey=FILE"},
		"key of another":    {f.dsn(c, "localhost", "sslmode=require", "sslcert="+in("certain.crt"), "sslkey="+in("stranger.key")), "does not match"},
		"key for all":       {f.dsn(c, "localhost", "sslmode=require", "sslcert="+in("certain.crt"), "sslkey="+loose), "can be read by others"},
		"too old":           {f.dsn(c, "localhost", "sslmode=require", "ssl_min_protocol_version=TLSv1", "ssl_max_protocol_version=TLSv1"), "another version of TLS"},
		"direct to an old":  {f.dsn(c, "localhost", "sslmode=require", "sslnegotiation=direct"), "sslnegotiation=direct"},
		"not bound":         {f.dsn(c, "localhost", "sslmode=require", "channel_binding=require"), "channel_binding=require"},
		"ruled out":         {f.dsn(c, "localhost", "sslmode=require", "require_auth=scram-sha-256"), "require_auth=scram-sha-256 rules out"},
		"none is ruled out": {f.dsn(c, "localhost", "sslmode=require", "require_auth=!none"), "require_auth=!none rules out"},
	} {
		if what == "direct to an old" && c.Version() >= 17 {
			continue
		}
		if _, err := logIn(x.dsn); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", what, err, x.want)
		}
	}
	for what, dsn := range map[string]string{
		"certificate":   f.dsn(c, "localhost", "user=certain", "sslmode=verify-full", ca, "sslcert="+in("certain.crt"), "sslkey="+in("certain.key")),
		"key that runs": f.dsn(c, "localhost", "user=certain", "sslmode=require", "sslcert="+in("runs.crt"), "sslkey="+in("runs.key")),
		"TLS 1.3":       f.dsn(c, "localhost", "sslmode=verify-full", ca, "ssl_min_protocol_version=TLSv1.3"),
		"TLS 1.2":       f.dsn(c, "localhost", "sslmode=verify-full", ca, "ssl_max_protocol_version=TLSv1.2"),
		"none is asked": f.dsn(c, "localhost", "sslmode=require", "require_auth=none"),
	} {
		if h, err := logIn(dsn); err != nil || !h.Secured() {
			t.Errorf("%s: %v", what, err)
		}
	}
	expired := f.issue("expired", f.ours, "localhost", []string{"localhost"}, time.Now().Add(-48*time.Hour), time.Hour)
	f.present(c, expired)
	f.do(c, "select pg_reload_conf()")
	dsn := f.dsn(c, "localhost", "sslmode=verify-full", ca)
	told := ""
	for end := time.Now().Add(10 * time.Second); !strings.Contains(told, "valid from") && time.Now().Before(end); {
		if _, err := logIn(dsn); err != nil {
			told = err.Error()
		}
	}
	if !strings.Contains(told, "renew it") {
		t.Errorf("expired: %s", told)
	}
}

// TestWhatFailsOverTLSIsNotCoveredUp: with sslmode=prefer a login that fails over TLS is tried without, as libpq does. What a server says that takes nobody
// without TLS comes last, and tells nothing: what counts, and is told first, is a wrong password, or none, or the fault of TLS itself.
func TestWhatFailsOverTLSIsNotCoveredUp(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "hostssl all keeps all scram-sha-256")
	f.do(c, "create role keeps login password 'right'")
	for what, x := range map[string]struct {
		more string
		is   func(error) bool
	}{
		"wrong password": {"password=wrong", upstream.ForPassword},
		"no password":    {"", func(err error) bool { return errors.Is(err, auth.ErrNoPassword) }},
		"wrong CA":       {"password=right sslrootcert=" + filepath.Join(f.dir, "other.crt"), func(err error) bool { return strings.Contains(err.Error(), "sslrootcert") }},
	} {
		for _, mode := range []string{"", "sslmode=prefer"} {
			_, err := logIn(f.dsn(c, "localhost", "user=keeps", x.more, mode))
			if err == nil || !x.is(err) || !strings.Contains(err.Error(), "without TLS: ") {
				t.Errorf("%s, %q: %v", what, mode, err)
			}
		}
	}
}

// TestRevokedServersAreRefused: as psql does.
func TestRevokedServersAreRefused(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "hostssl all all all trust")
	shown, err := os.ReadFile(filepath.Join(f.dir, "server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	innocent := f.issue("innocent", f.ours, "x", nil, time.Now(), time.Hour)
	for name, cert := range map[string][]byte{"guilty": shown, "innocent": innocent.Cert} {
		list, err := f.ours.Revoke(cert)
		if err != nil {
			t.Fatal(err)
		}
		dsn := f.dsn(c, "localhost", "sslmode=verify-full", "sslrootcert="+filepath.Join(f.dir, "ours.crt"), "sslcrl="+f.write(name+".crl", list))
		_, want := libpq(dsn)
		_, err = logIn(dsn)
		if (err == nil) != (want == nil) || (err == nil) != (name == "innocent") {
			t.Errorf("%s: guard %v, psql %v", name, err, want)
		}
	}
}

// TestPasswordsOverTLS: every method, with the proof bound to the connection where the server can.
func TestPasswordsOverTLS(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "host all scrammed all scram-sha-256", "host all digested all md5", "host all plain all password")
	f.do(c, "set password_encryption = 'scram-sha-256'; create role scrammed login password 'secret'; create role plain login password 'secret'",
		"set password_encryption = 'md5'; create role digested login password 'secret'")
	for _, user := range []string{"scrammed", "digested", "plain"} {
		for _, binding := range []string{"disable", "prefer", "require"} {
			for _, mode := range []string{"disable", "require"} {
				for _, password := range []string{"secret", "wrong"} {
					dsn := f.dsn(c, "localhost", "user="+user, "password="+url.QueryEscape(password), "sslmode="+mode, "channel_binding="+binding)
					_, want := libpq(dsn)
					_, err := logIn(dsn)
					if (err == nil) != (want == nil) {
						t.Errorf("%s, %s, %s, %s: guard %v, psql %v", user, binding, mode, password, err, want)
					}
				}
			}
		}
	}
}

// TestNamesInCertificatesAreLibpqs: a host is the one of a certificate for the guard where it is for psql, from 15 on.
func TestNamesInCertificatesAreLibpqs(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(true, "hostssl all all all trust")
	ca := "sslrootcert=" + f.write("root.crt", nil)
	for _, tt := range []struct {
		common string
		names  []string // DNS
		ips    []string
		hosts  []string
	}{
		{"localhost", nil, nil, []string{"localhost", "LOCALHOST", "elsewhere", "127.0.0.1"}},
		{"localhost", nil, []string{"10.0.0.1"}, []string{"localhost", "10.0.0.1"}},
		{"localhost", []string{"elsewhere"}, nil, []string{"localhost", "elsewhere"}},
		{"127.0.0.1", []string{"localhost"}, nil, []string{"localhost", "127.0.0.1"}},
		{"127.0.0.1", nil, []string{"127.0.0.2"}, []string{"127.0.0.1", "127.0.0.2"}},
		{"x", []string{"127.0.0.1"}, nil, []string{"127.0.0.1"}},
		{"x", []string{"*.db.internal", "*.local"}, nil, []string{"a.db.internal", "a.b.db.internal", "db.internal", "a.local", ".db.internal"}},
		{"*.db.internal", nil, nil, []string{"a.db.internal", "a.b.db.internal", "db.internal"}},
		{"*.internal", nil, nil, []string{"db.internal"}},
		{"x", nil, []string{"::1"}, []string{"::1", "0:0::1"}},
		{"k", nil, nil, []string{"k", "K", "\u212a"}},
	} {
		root, pair := certificateOf(t, tt.common, tt.names, tt.ips)
		f.write("root.crt", root)
		f.present(c, pair)
		f.do(c, "select pg_reload_conf()")
		f.presented(c, pair)
		for _, host := range tt.hosts {
			dsn := f.dsn(c, host, "sslmode=verify-full", ca)
			_, want := libpq(dsn)
			if _, err := logIn(dsn); (err == nil) != (want == nil) {
				t.Errorf("CN %s, names %v, addresses %v, host %s: guard %v, psql %v", tt.common, tt.names, tt.ips, host, err, want)
			}
		}
	}
}

// presented waits until the server shows a certificate.
func (f *files) presented(c *pgtest.Cluster, p auth.Pair) {
	f.t.Helper()
	block, _ := pem.Decode(p.Cert)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		h, err := upstream.Parse(f.dsn(c, "localhost", "sslmode=require sslrootcert="+filepath.Join(f.dir, "none")))
		if err != nil {
			f.t.Fatal(err)
		}
		shake := upstream.Handshake{User: h.User, Params: map[string]string{"user": h.User, "database": "postgres"}}
		if err := upstream.NewDoor(h).LogIn(f.t.Context(), &shake); err == nil {
			shown := shake.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
			_ = shake.Conn.Close()
			if bytes.Equal(shown, block.Bytes) {
				return
			}
		}
		if time.Now().After(end) {
			f.t.Fatal("the server does not show its new certificate")
		}
	}
}

// certificateOf is one with these names and addresses, and who has signed it.
func certificateOf(t *testing.T, common string, names, ips []string) (root []byte, p auth.Pair) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: common}, NotBefore: from, NotAfter: until, DNSNames: names}
	for _, ip := range ips {
		leaf.IPAddresses = append(leaf.IPAddresses, net.ParseIP(ip))
	}
	signed := func(c *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed(ca), auth.Pair{Cert: signed(leaf), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}
}

// TestPassfileIsLibpqs: a line of a password file means what it means to psql.
func TestPassfileIsLibpqs(t *testing.T) {
	f := newFiles(t)
	c := f.cluster(false, "host all all all scram-sha-256")
	for i, tt := range []struct{ password, line string }{
		{`plain`, `*:*:*:%s:plain`}, {`pa ss `, `*:*:*:%s:pa ss `}, {`a:b`, `*:*:*:%s:a\:b`}, {`a`, `*:*:*:%s:a:b`}, {`a\b`, `*:*:*:%s:a\\b`}, {`ab`, `*:*:*:%s:a\b`},
		{`x`, `\*:*:*:%s:x`}, {`x`, ` *:*:*:%s:x`}, {`x`, "#*:*:*:%[1]s:y\n*:*:*:%[1]s:x"}, {`x`, "*:*:*:%[1]s\n*:*:*:%[1]s:x"}, {`x`, "localhost:*:postgres:%s:x"}, {`x`, "*:*:*:%s:x\r"},
	} {
		user := fmt.Sprintf("reader%d", i)
		f.do(c, fmt.Sprintf("create role %s login password '%s'", user, tt.password))
		path := f.write("pass", []byte(fmt.Sprintf(tt.line, user)+"\n"))
		dsn := f.dsn(c, "localhost", "user="+user, "passfile="+path)
		_, want := libpq(dsn)
		if _, err := logIn(dsn); (err == nil) != (want == nil) {
			t.Errorf("%q: guard %v, psql %v", tt.line, err, want)
		}
	}
	loose := f.write("loose", []byte("*:*:*:*:plain\n"))
	if err := os.Chmod(loose, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := logIn(f.dsn(c, "localhost", "user=reader0", "passfile="+loose)); err == nil || !strings.Contains(err.Error(), "loose is ignored: others can read it") {
		t.Errorf("a file that others can read: %v", err)
	}
}
