//go:build pg

package proxy

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
)

// secured is a guard whose clients must come over TLS, and prove who they are, in front of a cluster that asks for passwords.
func (d *doors) secured(addr string, set func(*Config)) *guard {
	d.t.Helper()
	return newGuard(d.t, addr, func(c *Config) {
		c.TLS = TLS{Mode: TLSRequire, Files: auth.Files{Cert: d.path("guard.crt"), Key: d.path("guard.key"), ClientCA: d.path("ca.crt")}}
		c.Auth.Policy.Method, c.Auth.Query = auth.MethodSCRAM, instance.QueryAuto
		if set != nil {
			set(c)
		}
	})
}

func (d *doors) as(g *guard, user, more string) string {
	return strings.Replace(d.dsn(g, more), "user=postgres dbname=postgres", "user="+user+" dbname=d_scram", 1)
}

// TestClientsBindTheirLoginToTLS: a client that insists on channel binding comes in, with libpq and pgx, also after the certificate was renewed; the guard
// passes through as usual.
func TestClientsBindTheirLoginToTLS(t *testing.T) {
	c := strict(t, nil)
	d := newDoors(t)
	g := d.secured(address(c), nil)
	for round := range 2 {
		for _, binding := range []string{"require", "prefer", "disable"} {
			dsn := d.as(g, "app", "sslmode=verify-full password=hunter2 channel_binding="+binding)
			if got, err := libpq(dsn, "select current_user"); err != nil || got != "app" {
				t.Errorf("round %d, libpq, %s: %s %v", round, binding, got, err)
			}
			ctx, stop := context.WithTimeout(t.Context(), patience)
			conn, err := pgx.Connect(ctx, forPgx(dsn))
			if err != nil {
				t.Errorf("round %d, pgx, %s: %v", round, binding, err)
			} else {
				_ = conn.Close(ctx)
			}
			stop()
		}
		if got, err := libpq(d.as(g, "app", "sslmode=verify-full password=hunter3 channel_binding=require"), "select 1"); err == nil || !strings.Contains(got, "password authentication failed") {
			t.Errorf("wrong password: %s", got)
		}
		d.issue("guard", "localhost")
		if err := g.ReloadCertificates(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMethodsOverTLS: what is not for clear text is for TLS; rules tell them apart.
func TestMethodsOverTLS(t *testing.T) {
	c := strict(t, nil)
	d := newDoors(t)
	d.issue("app", "app")
	d.issue("machine", "machine")
	for name, tt := range map[string]struct {
		policy auth.Policy
		more   string
		user   string
		want   string
	}{
		"password":               {auth.Policy{Method: auth.MethodPassword}, "password=hunter2", "app", "app"},
		"md5":                    {auth.Policy{Method: auth.MethodMD5}, "password=hunter2", "app", "app"},
		"wrong password":         {auth.Policy{Method: auth.MethodPassword}, "password=x", "app", "password authentication failed"},
		"rule for TLS":           {auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Over: auth.OverTLS, Method: auth.MethodSCRAM}}}, "password=hunter2", "app", "app"},
		"rule for clear text":    {auth.Policy{Method: auth.MethodSCRAM, Rules: []auth.Rule{{Over: auth.OverPlain, Method: auth.MethodTrust}}}, "password=x", "app", "password authentication failed"},
		"no rule":                {auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Over: auth.OverPlain, Method: auth.MethodSCRAM}}}, "password=hunter2", "app", "user and database, SSL encryption"},
		"certificate":            {auth.Policy{Method: auth.MethodCert}, "CERT:app", "app", "app"},
		"another's certificate":  {auth.Policy{Method: auth.MethodCert}, "CERT:machine", "app", `certificate authentication failed for user "app"`},
		"no certificate":         {auth.Policy{Method: auth.MethodCert}, "", "app", "connection requires a valid client certificate"},
		"mapped certificate":     {auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Method: auth.MethodCert, Map: map[string][]string{"machine": {"app"}}}}}, "CERT:machine", "app", "app"},
		"certificate not mapped": {auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Method: auth.MethodCert, Map: map[string][]string{"machine": {"app"}}}}}, "CERT:app", "app", "certificate authentication failed"},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			g := d.secured(address(c), func(cfg *Config) {
				cfg.Auth.Policy = tt.policy
				if tt.policy.Method == auth.MethodCert || strings.Contains(tt.more, "CERT") {
					cfg.Auth.Query = ""
				}
			})
			more := tt.more
			if name, ok := strings.CutPrefix(tt.more, "CERT:"); ok {
				more = "sslcert=" + d.path(name+".crt") + " sslkey=" + d.path(name+".key")
			}
			dsn := d.as(g, tt.user, "sslmode=verify-full "+more)
			if strings.Contains(tt.more, "CERT") {
				dsn = strings.Replace(dsn, "dbname=d_scram", "dbname=d_trust", 1)
			}
			got, err := libpq(dsn, "select current_user")
			if (err == nil) != (tt.want == tt.user) || !strings.Contains(got, tt.want) {
				t.Errorf("got %s %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestListeningFarNeedsProofOverTLS: beyond loopback neither trust nor passwords without TLS, unless the network is one's own.
func TestListeningFarNeedsProofOverTLS(t *testing.T) {
	far := func(set func(*Config)) string {
		c := Default()
		c.Upstream.Host, c.Listen = "db", []Listener{{Addr: "0.0.0.0:6432"}}
		set(&c)
		var all []string
		for _, err := range c.Validate() {
			all = append(all, err.Error())
		}
		return strings.Join(all, "; ")
	}
	over := TLS{Mode: TLSRequire, Files: auth.Files{Cert: "c", Key: "k", ClientCA: "a"}}
	scram := Auth{Policy: auth.Policy{Method: auth.MethodSCRAM}, Query: instance.QueryAuto}
	for name, tt := range map[string]struct {
		set  func(*Config)
		want string
	}{
		"trust":                  {func(*Config) {}, "clients are trusted without a password; three ways out"},
		"trust over TLS":         {func(c *Config) { c.TLS = over }, "clients are trusted without a password; three ways out"},
		"scram":                  {func(c *Config) { c.Auth = scram }, "without TLS; three ways out"},
		"scram, TLS if asked":    {func(c *Config) { c.Auth = scram; c.TLS = over; c.TLS.Mode = TLSAllow }, "without TLS; three ways out"},
		"scram over TLS":         {func(c *Config) { c.Auth = scram; c.TLS = over }, ""},
		"TLS of the listener":    {func(c *Config) { c.Auth = scram; c.TLS = over; c.TLS.Mode = TLSOff; c.Listen[0].TLS = TLSRequire }, ""},
		"no TLS of the listener": {func(c *Config) { c.Auth = scram; c.TLS = over; c.Listen[0].TLS = TLSOff }, "without TLS; three ways out"},
		"cert":                   {func(c *Config) { c.Auth.Policy.Method = auth.MethodCert; c.TLS = over }, ""},
		"insecure":               {func(c *Config) { c.Auth.Insecure = true }, ""},
		"password over TLS":      {func(c *Config) { c.Auth = scram; c.Auth.Policy.Method = auth.MethodPassword; c.TLS = over }, ""},
		"cert without authority": {func(c *Config) { c.Auth.Policy.Method = auth.MethodCert; c.TLS = over; c.TLS.Files.ClientCA = "" }, "auth.method: cert needs tls.client_ca"},
	} {
		got := far(tt.set)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
