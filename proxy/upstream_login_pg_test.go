//go:build pg

package proxy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestUpstreamLogins logs in to a server that asks for passwords in every way the guard knows.
func TestUpstreamLogins(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{HBA: []string{
		"host all scram 127.0.0.1/32 scram-sha-256",
		"host all md5 127.0.0.1/32 md5",
		"host all clear 127.0.0.1/32 password",
		"host all rejected 127.0.0.1/32 reject",
	}})
	const secret = `s3cret: "it\'s`
	for _, text := range []string{
		"set password_encryption = 'scram-sha-256'; create role scram login password '" + strings.ReplaceAll(secret, "'", "''") + "'",
		"create role clear login password '" + strings.ReplaceAll(secret, "'", "''") + "'",
		"set password_encryption = 'md5'; create role md5 login password '" + strings.ReplaceAll(secret, "'", "''") + "'",
		"create role rejected login",
	} {
		if err := c.Exec(context.Background(), text); err != nil {
			t.Fatal(err)
		}
	}
	passfile := filepath.Join(t.TempDir(), "pass")
	escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(secret)
	line := fmt.Sprintf("# a comment\nelsewhere:*:*:*:wrong\n%s:%d:*:*:%s\n", c.Host(), c.Port(), escaped)
	if err := os.WriteFile(passfile, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "none")
	for _, user := range []string{"scram", "md5", "clear"} {
		for name, s := range map[string]struct{ password, passfile, want string }{
			"password":       {secret, empty, ""},
			"password file":  {"", passfile, ""},
			"wrong password": {"wrong", empty, "E SFATAL VFATAL C28P01 Mpassword authentication failed for user \"" + user + "\""},
			"no password":    {"", empty, "E SFATAL VFATAL C28P01 Mguard: password authentication failed, none is configured for this user"},
		} {
			t.Run(user+"/"+name, func(t *testing.T) {
				g := newGuard(t, address(c), func(cfg *Config) {
					cfg.LoginTimeout = 2 * time.Second
					cfg.Upstream.User, cfg.Upstream.Password, cfg.Upstream.Passfile = user, s.password, s.passfile
				})
				p := dial(t, g.addr)
				p.write(startup(wire.Version30, "user", user, "database", "postgres"))
				p.read("Z")
				lines := p.lines()
				if s.want != "" {
					if lines[0] != s.want || strings.Contains(strings.Join(lines, ""), secret) {
						t.Errorf("got %q, want %s", lines, s.want)
					}
					return
				}
				if p.over {
					t.Fatalf("got %q", lines)
				}
				p.expect("select current_user", "T current_user:19:0; D "+user+"; C SELECT 1; Z I")
				p.leave()
			})
		}
	}
	t.Run("rejected", func(t *testing.T) {
		g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream.User = "rejected" })
		got := greeting(t, g.addr, wire.Version30, "user", "rejected", "database", "postgres")
		if code(got[0]) != "E SFATAL VFATAL C28000" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("unix socket", func(t *testing.T) {
		g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream.Host = c.SocketDir() })
		p, _ := enter(t, g.addr)
		p.expect("select inet_server_addr() is null", "T ?column?:16:0; D t; C SELECT 1; Z I")
		p.leave()
	})
}
