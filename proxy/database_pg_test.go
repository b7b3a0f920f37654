//go:build pg

package proxy

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgguard/proxy/auth"
)

// TestDatabaseOfOneUser: whoever the client is, its servers are logged in to as the user of the database, with the settings that it has not
// chosen itself; one that is not named has those of the other names. Passwords come from where clients' own are known.
func TestDatabaseOfOneUser(t *testing.T) {
	c := strict(t, nil)
	list := filepath.Join(t.TempDir(), "userlist.txt")
	if err := os.WriteFile(list, []byte(`"app" "hunter2"`+"\n"+`"reader" "theirs"`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "d_scram"
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodSCRAM}, UsersFile: list, Insecure: true}
		cfg.Databases = map[string]Database{
			"shop":      {Upstream: up, User: "app", Settings: map[string]string{"TimeZone": "Asia/Tokyo", "work_mem": "7MB"}},
			"d_md5":     {Upstream: cfg.Upstream, User: "nobody"},
			AnyDatabase: {User: "app", Settings: map[string]string{"datestyle": "German"}},
		}
	})
	shop, said := comeIn(t, g.addr, "reader", "theirs", "shop")
	if said != "" {
		t.Fatal(said)
	}
	const who = "select current_user || ' ' || current_database() || ' ' || current_setting('TimeZone') || ' ' || current_setting('work_mem')"
	for _, before := range []string{"", "set work_mem = '9MB'", "set timezone = 'UTC'", "discard all"} {
		if before != "" {
			value(t, shop, before)
		}
		if got := value(t, shop, who); before[:min(3, len(before))] != "set" && got != "app d_scram Asia/Tokyo 7MB" {
			t.Errorf("after %q: got %s", before, got)
		}
	}
	own, said := comeIn(t, g.addr, "reader", "theirs", "shop", "timezone", "UTC")
	if said != "" {
		t.Fatal(said)
	}
	if got := value(t, own, who); got != "app d_scram UTC 7MB" {
		t.Errorf("with a setting of its own: got %s", got)
	}
	other, said := comeIn(t, g.addr, "reader", "theirs", "d_password")
	if said != "" {
		t.Fatal(said)
	}
	if got := value(t, other, "select current_user || ' ' || current_setting('DateStyle')"); got != "app German, DMY" {
		t.Errorf("a name that is not in the list: got %s", got)
	}
	if _, said := comeIn(t, g.addr, "reader", "theirs", "d_md5"); said[:min(5, len(said))] != "28P01" {
		t.Errorf("a user whose password nobody knows: got %q", said)
	}
}

// TestBelievedClientsLogInWithPasswordsOfTheList: who is let in without a password has that of the list at the server.
func TestBelievedClientsLogInWithPasswordsOfTheList(t *testing.T) {
	c := strict(t, nil)
	list := filepath.Join(t.TempDir(), "userlist.txt")
	const old = `"old" "md5` + "b5ab9b8ba1d1c6a4f5f2ffb1d0c5b3c8" + `"`
	if err := os.WriteFile(list, []byte(`"app" "hunter2"`+"\n"+old+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Users: []string{"app"}, Method: auth.MethodTrust}}}, UsersFile: list}
	})
	for _, database := range []string{"d_password", "d_scram"} {
		in, said := comeIn(t, g.addr, "app", "", database)
		if said != "" {
			t.Errorf("%s: %s", database, said)
		} else if got := value(t, in, "select current_user"); got != "app" {
			t.Errorf("%s: got %s", database, got)
		}
	}
	if _, said := comeIn(t, g.addr, "old", "", "d_md5"); said[:min(5, len(said))] != "28000" {
		t.Errorf("a user that no rule is about: got %q", said)
	}
}

// TestOperatorsLimitsOfServers: a user has no more servers in a database than it may, nor the database; who waits is served in turn.
func TestOperatorsLimitsOfServers(t *testing.T) {
	g := newGuard(t, address(shared), func(cfg *Config) {
		cfg.PerLogin, cfg.Users = 2, map[string]UserLimits{"postgres": {PerLogin: 3}}
		up := cfg.Upstream
		up.Database = "other"
		cfg.Databases = map[string]Database{"other": {Upstream: up, PerLogin: 5, MaxServers: 1}, "alias": {Upstream: up, MaxServers: 1}}
	})
	for database, want := range map[string]int{"postgres": 3, "other": 1} {
		var in []*caller
		for range want + 1 {
			in = append(in, mustCall(t, g.addr, "postgres", database))
		}
		for _, c := range in[:want] {
			c.want(t, c.query, "begin; select 1", "", 'T')
		}
		last := in[want]
		answered := make(chan struct{})
		go func() { defer close(answered); last.want(t, last.query, "select 1", "", 'I') }()
		eventually(t, "one that waits", func() bool { return g.pool().Classes[0].Waiting == 1 })
		if n := g.pool().Servers["active"]; n != want {
			t.Errorf("%s: %d servers, want %d", database, n, want)
		}
		if database == "other" { // the same by another name has a server of its own
			alias := mustCall(t, g.addr, "postgres", "alias")
			alias.want(t, alias.query, "select 1", "", 'I')
		}
		for _, c := range in[:want] {
			c.want(t, c.query, "commit", "", 'I')
		}
		<-answered
	}
}

// TestServersOfADatabaseLiveAsLongAsItSays: one with a lifetime of its own has servers of its own, which go when it is over; those of others stay. A reload changes it.
func TestServersOfADatabaseLiveAsLongAsItSays(t *testing.T) {
	var told Config
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "other"
		cfg.Databases = map[string]Database{"brief": {Upstream: up, Lifetime: 100 * time.Millisecond}, "other": {Upstream: up}}
		told = *cfg
	})
	brief, other := mustCall(t, g.addr, "postgres", "brief"), mustCall(t, g.addr, "postgres", "other")
	pid := func(c *caller) string { return c.one(t, "select pg_backend_pid()") }
	first, stays := pid(brief), pid(other)
	if first == stays {
		t.Fatal("both are served by one server")
	}
	eventually(t, "another server", func() bool { return pid(brief) != first })
	if now := pid(other); now != stays {
		t.Errorf("the server of another database has changed from %s to %s", stays, now)
	}
	told.Databases = map[string]Database{"brief": {Upstream: told.Databases["brief"].Upstream, Lifetime: time.Hour}, "other": told.Databases["other"]}
	if err := g.Reload(told); err != nil {
		t.Fatal(err)
	}
	now := pid(brief)
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		if n := brief.one(t, "select count(*) from pg_stat_activity where pid = "+now); n != "1" { // another may be there, too
			t.Fatalf("after the reload server %s has gone", now)
		}
	}
}
