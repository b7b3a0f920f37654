//go:build pg

package proxy

import (
	"strings"
	"testing"

	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/wire"
)

// TestUsersAreLookedUpAsTheirDatabaseSays: by its own query, by its own user, in a database that may be anywhere; those of others are not looked up, or as it is for all. While
// that database is disabled, or not there, nobody comes in whom only it knows.
func TestUsersAreLookedUpAsTheirDatabaseSays(t *testing.T) {
	c := strict(t, nil)
	in := direct(t, c)
	in.want(t, in.query, "create database vault", "", 'I')
	in.want(t, in.query, "create role seer login", "", 'I')
	vault := mustCall(t, address(c), "postgres", "vault")
	for _, text := range []string{
		"create table keys (name text, secret text, who name)", "insert into keys values ('guest', 'md5' || md5('hunter7guest'), 'seer')",
		"alter table keys enable row level security", "create policy own on keys using (who = current_user)", "grant select on keys to seer",
	} {
		vault.want(t, vault.query, text, "", 'I')
	}
	if err := vault.Close(); err != nil {
		t.Fatal(err)
	}
	const query = "select secret from public.keys where name = $1"
	var told Config
	g := newGuard(t, address(c), func(cfg *Config) {
		up := cfg.Upstream
		safe := up
		safe.Database = "vault"
		up.Database = "d_trust"
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodMD5}}
		cfg.Upstream.Host = ""
		cfg.Databases = map[string]Database{
			"safe": {Upstream: safe, User: "postgres"}, "two": {Upstream: up, User: "postgres"},
			"one": {Upstream: up, User: "postgres", Lookup: Lookup{Query: query, User: "postgres", At: "safe"}},
		}
		told = *cfg
	})
	expect := func(user, password, database, want string) {
		t.Helper()
		if _, said := comeIn(t, g.addr, user, password, database); !strings.HasPrefix(said, want) || want == "" && said != "" {
			t.Errorf("%s at %s: got %q, want %q", user, database, said, want)
		}
	}
	expect("guest", "hunter7", "one", "")
	expect("guest", "hunter8", "one", "28P01")
	expect("guest", "hunter7", "two", "28P01")
	if err := g.Disable("safe", true); err != nil {
		t.Fatal(err)
	}
	expect("guest", "hunter7", "one", "08004 guard: the database in which users are looked up is disabled")
	if err := g.Disable("safe", false); err != nil {
		t.Fatal(err)
	}
	reload := func(l Lookup, all Auth) {
		t.Helper()
		one := told.Databases["one"]
		one.Lookup = l
		next := told
		next.Auth = all
		next.Databases = map[string]Database{"safe": told.Databases["safe"], "two": told.Databases["two"], "one": one}
		if err := g.Reload(next); err != nil {
			t.Fatal(err)
		}
	}
	reload(Lookup{User: "seer"}, Auth{Policy: told.Auth.Policy, Query: query, QueryUser: "postgres", QueryAt: "safe"})
	expect("guest", "hunter7", "two", "")
	expect("guest", "hunter7", "one", "57P03") // seer must tell a password there
	reload(Lookup{}, Auth{Policy: told.Auth.Policy, Query: query, QueryUser: "postgres", QueryAt: "gone"})
	expect("guest", "hunter7", "one", "57P03 guard: users cannot be looked up")
	n := in.one(t, "select count(*) from pg_stat_activity where datname = 'vault'")
	if n != "0" && n != "1" { // the side channel may be there
		t.Errorf("%s connections of lookups are left", n)
	}
}

// TestKnownHasWhoTellsNoPasswordBeKnown: from the configuration, or by a lookup; a stranger does not come in, whoever would log in to the server for it.
func TestKnownHasWhoTellsNoPasswordBeKnown(t *testing.T) {
	c := strict(t, nil)
	var told Config
	g := newGuard(t, address(c), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "d_trust"
		cfg.Auth = Auth{
			Policy: auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Method: auth.MethodTrust, Known: true}}},
			Users:  map[string]User{"friend": {Secret: auth.Plain("")}},
		}
		cfg.Databases = map[string]Database{"forced": {Upstream: up, User: "postgres"}}
		told = *cfg
	})
	for user, want := range map[string]string{"friend": "", "app": "28000 guard: nobody of this name is known"} {
		if _, said := comeIn(t, g.addr, user, "", "forced"); said != want {
			t.Errorf("%s: got %q, want %q", user, said, want)
		}
	}
	told.Auth.Query = instance.QueryAuto
	if err := g.Reload(told); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"friend": "", "app": "", "stranger": "28000 guard: nobody of this name is known"} {
		if _, said := comeIn(t, g.addr, user, "", "forced"); said != want {
			t.Errorf("with lookups, %s: got %q, want %q", user, said, want)
		}
	}
	if _, said := comeIn(t, g.addr, "old", "", "d_md5"); said != "" { // its secret does for the server
		t.Errorf("old: %q", said)
	}
}

// TestLoginsThatAreNotTheServersTeachNothing: what lets somebody in to the console, or to a database whose servers are another user's, may be another password than
// PostgreSQL's. It is not tried there.
func TestLoginsThatAreNotTheServersTeachNothing(t *testing.T) {
	c := strict(t, nil)
	in := direct(t, c)
	in.want(t, in.query, "create database vault", "", 'I')
	vault := mustCall(t, address(c), "postgres", "vault")
	for _, text := range []string{"create table keys (name text, secret text)", "insert into keys values ('app', 'md5' || md5('vaultedapp'))"} {
		vault.want(t, vault.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		own := Lookup{Query: "select secret from public.keys where name = $1", User: "postgres", At: "vault"}
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodMD5}, Query: own.Query, QueryUser: own.User, QueryAt: own.At}
		up, trusting := cfg.Upstream, cfg.Upstream
		trusting.Database = "d_trust"
		cfg.Databases = map[string]Database{
			"d_scram": {Upstream: up, Lookup: Lookup{Query: instance.QueryAuto, At: "d_scram"}}, "forced": {Upstream: trusting, User: "postgres"},
		}
		cfg.Console = func(_ *Server, o *Operator) { _, _ = o.Conn.Write(wire.AppendReady(nil, wire.Idle)) }
		cfg.Admin.Users = []string{"app"}
	})
	conn, said := comeIn(t, g.addr, "app", "hunter2", "d_scram")
	if said != "" {
		t.Fatal(said)
	}
	for _, database := range []string{"forced", "pgguard"} {
		if _, said := comeIn(t, g.addr, "app", "vaulted", database); said != "" {
			t.Errorf("%s: %s", database, said)
		}
		if _, err := g.Reconnect(""); err != nil {
			t.Fatal(err)
		}
		if got := value(t, conn, "select current_user"); got != "app" {
			t.Errorf("after a login to %s: %s", database, got)
		}
	}
}

// TestWhatAQueryRefusesIsNotRemembered: a function that says an error of a user refuses him, whatever it said before, and whatever befalls the database then.
func TestWhatAQueryRefusesIsNotRemembered(t *testing.T) {
	c := strict(t, nil)
	in := direct(t, c)
	for _, text := range []string{
		"create table locked (name text)",
		`create function tell(who text) returns table (name text, secret text) language plpgsql as $$ begin
		   if exists (select from public.locked l where l.name = who) then raise exception 'account is locked'; end if;
		   return query select rolname::text, rolpassword from pg_authid where rolname = who; end $$`,
	} {
		in.want(t, in.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodSCRAM}, Query: "select * from public.tell($1)", QueryDatabase: "postgres"}
	})
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Fatal(said)
	}
	in.want(t, in.query, "insert into locked values ('app')", "", 'I')
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); !strings.HasPrefix(said, "57P03") {
		t.Errorf("locked: %q", said)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); !strings.HasPrefix(said, "57P03") {
		t.Errorf("locked, and the database is down: %q", said)
	}
}
