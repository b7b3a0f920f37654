//go:build pg

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/xdg-go/scram"

	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// comeIn logs in as a driver does, with settings as name and value, and returns the connection, or SQLSTATE and words of the error.
func comeIn(t *testing.T, addr, user, password, database string, settings ...string) (*pgconn.PgConn, string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s dbname=%s sslmode=disable", host, port, database))
	if err != nil {
		t.Fatal(err)
	}
	cfg.User, cfg.Password = user, password
	for i := 0; i < len(settings); i += 2 {
		cfg.RuntimeParams[settings[i]] = settings[i+1]
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		var said *pgconn.PgError
		if errors.As(err, &said) {
			return nil, said.Code + " " + said.Message
		}
		return nil, err.Error()
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, ""
}

// value runs a query that returns one value, or returns what is said against it.
func value(t *testing.T, c *pgconn.PgConn, text string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	r, err := c.Exec(ctx, text).ReadAll()
	if err != nil {
		return err.Error()
	}
	if len(r) != 1 || len(r[0].Rows) != 1 {
		return fmt.Sprint(r)
	}
	return string(r[0].Rows[0][0])
}

// asks has a guard ask by a method for the passwords that its server keeps.
func asks(m auth.Method) func(*Config) {
	return func(c *Config) {
		c.Auth.Policy.Method, c.Auth.Query, c.Auth.Insecure = m, instance.QueryAuto, true
	}
}

// strict is a cluster whose users are asked for a password, each database by another method; the guard's own user is trusted.
func strict(t *testing.T, log *strings.Builder) *pgtest.Cluster {
	t.Helper()
	o := pgtest.Options{HBA: []string{
		"host all postgres 127.0.0.1/32 trust",
		"host d_trust all 127.0.0.1/32 trust", "host d_password all 127.0.0.1/32 password",
		"host d_md5 all 127.0.0.1/32 md5", "host d_scram all 127.0.0.1/32 scram-sha-256",
		"host all all 127.0.0.1/32 scram-sha-256",
	}}
	c := pgtest.New(t, o)
	for _, text := range []string{
		"create database d_trust", "create database d_password", "create database d_md5", "create database d_scram",
		"set password_encryption = 'scram-sha-256'; create role app login password 'hunter2'",
		"set password_encryption = 'md5'; create role old login password 'hunter2'",
		"create role bare login", "create role asleep nologin password 'hunter2'",
	} {
		run(t, c, text)
	}
	return c
}

func run(t *testing.T, c *pgtest.Cluster, text string) {
	t.Helper()
	if err := c.Exec(context.Background(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// TestMethodsOfClientsAndServers: whatever a client proves by one method lets the guard in to servers by every method for which it is enough.
func TestMethodsOfClientsAndServers(t *testing.T) {
	c := strict(t, nil)
	const yes, wrong = "", "28P01"
	// by the client's method and the user's secret: which servers it gets to, in the order of the databases
	databases := []string{"d_trust", "d_password", "d_md5", "d_scram"}
	for _, tt := range []struct {
		method auth.Method
		user   string
		want   [4]string
	}{
		{auth.MethodTrust, "app", [4]string{yes, wrong, wrong, wrong}},
		{auth.MethodTrust, "old", [4]string{yes, wrong, wrong, wrong}},
		{auth.MethodSCRAM, "app", [4]string{yes, wrong, yes, yes}}, // who asks for the password itself cannot be told it
		{auth.MethodSCRAM, "old", [4]string{wrong, wrong, wrong, wrong}},
		{auth.MethodMD5, "app", [4]string{yes, wrong, yes, yes}},
		{auth.MethodMD5, "old", [4]string{yes, wrong, yes, wrong}},
		{auth.MethodPassword, "app", [4]string{yes, yes, yes, yes}},
		{auth.MethodPassword, "old", [4]string{yes, yes, yes, wrong}},
	} {
		for i, database := range databases { // a guard each, which knows nothing of the logins before
			t.Run(fmt.Sprintf("%s/%s/%s", tt.method, tt.user, database), func(t *testing.T) {
				set := asks(tt.method)
				if tt.method == auth.MethodTrust {
					set = nil
				}
				g := newGuard(t, address(c), set)
				p, said := comeIn(t, g.addr, tt.user, "hunter2", database)
				if tt.want[i] == yes && said != "" || tt.want[i] != yes && !strings.HasPrefix(said, tt.want[i]) {
					t.Errorf("got %q, want %q", said, tt.want[i])
				}
				if p != nil && value(t, p, "select current_user") != tt.user {
					t.Error("it is somebody else")
				}
				if tt.method == auth.MethodTrust {
					return
				}
				if _, said := comeIn(t, g.addr, tt.user, "hunter3", database); said != `28P01 password authentication failed for user "`+tt.user+`"` {
					t.Errorf("wrong password: got %q", said)
				}
			})
		}
	}
}

// TestWrongLoginsReadAsPostgreSQLs: in its words and codes, direct and through the guard.
func TestWrongLoginsReadAsPostgreSQLs(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	for name, tt := range map[string]struct{ user, password string }{
		"wrong password": {"app", "hunter3"}, "unknown user": {"nobody", "hunter2"}, "quotes": {`a"b'c`, "hunter2"}, "no password": {"bare", "hunter2"},
		"md5 secret": {"old", "hunter2"}, "not to log in": {"asleep", "hunter2"}, "not to log in, wrong": {"asleep", "x"}, "long": {strings.Repeat("x", 60), "hunter2"},
		"bytes": {"\u00fcser", "hunter2"},
	} {
		_, want := comeIn(t, address(c), tt.user, tt.password, "d_scram")
		if _, got := comeIn(t, g.addr, tt.user, tt.password, "d_scram"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// stored is what PostgreSQL keeps of a password, with this salt and number of iterations.
func stored(t *testing.T, password, salt string, iterations int) string {
	t.Helper()
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: salt, Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64([]byte(salt)), b64(k.StoredKey), b64(k.ServerKey))
}

// TestPassThroughKnowsNoPassword: a client's own login lets the guard in as its user, whatever salt and number of iterations the server keeps; a new
// password counts at once, and the old one no more.
func TestPassThroughKnowsNoPassword(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	in := func(password string) *pgconn.PgConn {
		t.Helper()
		p, said := comeIn(t, g.addr, "app", password, "d_scram")
		if said != "" {
			t.Fatalf("%s: %s", password, said)
		}
		if got := value(t, p, "select session_user"); got != "app" {
			t.Fatalf("%s: got %q", password, got)
		}
		return p
	}
	first := in("hunter2")
	for i, secret := range []string{"salt", "a very long salt, longer than any that PostgreSQL makes by itself", "\x00\x01\xff, binary"} {
		for _, iterations := range []int{4096, 4097, 30_000} {
			password := fmt.Sprintf("hunter-%d-%d", i, iterations)
			run(t, c, "alter role app password '"+stored(t, password, secret, iterations)+"'")
			in(password)
			if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); !strings.HasPrefix(said, "28P01") {
				t.Errorf("the old password: %q", said)
			}
		}
	}
	if got := value(t, first, "select 1"); got != "1" {
		t.Errorf("a client of before: %q", got)
	}
	// Its servers are closed: who came in with an old password has what the last login told.
	run(t, c, "alter role app password 'hunter4'")
	run(t, c, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
	eventually(t, "they have gone", func() bool { return g.pool().Servers["idle"]+g.pool().Servers["active"] == 0 })
	in("hunter4")
	eventually(t, "a client of before is served", func() bool { return value(t, first, "select 1") == "1" })
}

// TestServersOfAnOldPasswordAreNotOpened: until a client has told the new one; then everybody is served again.
func TestServersOfAnOldPasswordAreNotOpened(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	p, said := comeIn(t, g.addr, "app", "hunter2", "d_scram")
	if said != "" {
		t.Fatal(said)
	}
	run(t, c, "alter role app password 'hunter3'")
	run(t, c, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
	eventually(t, "a statement is refused", func() bool { return strings.Contains(value(t, p, "select 1"), "28P01") })
	if got := value(t, p, "select 1"); !strings.Contains(got, "guard: password authentication failed, it has changed since the last login of a client") {
		t.Errorf("got %q", got)
	}
	if _, said := comeIn(t, g.addr, "app", "hunter3", "d_scram"); said != "" {
		t.Fatal(said)
	}
	eventually(t, "the client of before is served", func() bool { return value(t, p, "select 1") == "1" })
}

// TestLoginsGoOnWhileTheDatabaseIsDown: who was known before is told from who was not, and from who is wrong.
func TestLoginsGoOnWhileTheDatabaseIsDown(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Fatal(said)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("who was known: %q", said)
	}
	if _, said := comeIn(t, g.addr, "app", "hunter3", "d_scram"); !strings.HasPrefix(said, "28P01") {
		t.Errorf("a wrong password: %q", said)
	}
	if _, said := comeIn(t, g.addr, "old", "hunter2", "d_scram"); !strings.HasPrefix(said, "57P03") {
		t.Errorf("who was not known: %q", said)
	}
}

// TestUsersOfTheConfiguration: those it names, in files and in a list come in, and with their passwords to the server; a changed file counts at once.
func TestUsersOfTheConfiguration(t *testing.T) {
	c := strict(t, nil)
	file, list := tempFile(t, "hunter2\n"), tempFile(t, "; users\n\"old\" \"hunter2\"\n\"bare\" \"hunter5\"\n")
	for _, m := range []auth.Method{auth.MethodSCRAM, auth.MethodMD5} {
		t.Run(string(m), func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) {
				cfg.Auth = Auth{Policy: auth.Policy{Method: m}, UsersFile: list, Users: map[string]User{
					"app": {PasswordFile: file}, "postgres": {Secret: auth.Plain("root")},
				}}
			})
			for _, tt := range []struct{ user, password, database, want string }{
				{"app", "hunter2", "d_scram", ""}, {"app", "hunter2", "d_password", ""}, {"app", "x", "d_scram", "28P01"},
				{"old", "hunter2", "d_md5", ""}, {"bare", "hunter5", "d_trust", ""}, {"postgres", "root", "postgres", ""}, {"nobody", "x", "d_trust", "28P01"},
			} {
				if _, said := comeIn(t, g.addr, tt.user, tt.password, tt.database); !strings.HasPrefix(said, tt.want) || tt.want == "" && said != "" {
					t.Errorf("%+v: %q", tt, said)
				}
			}
		})
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodSCRAM}, UsersFile: list}
	})
	overwrite(t, list, "\"bare\" \"hunter6 and more\"\n")
	if _, said := comeIn(t, g.addr, "bare", "hunter6 and more", "d_trust"); said != "" {
		t.Errorf("a new password: %q", said)
	}
	overwrite(t, list, "broken")
	if _, said := comeIn(t, g.addr, "bare", "hunter6 and more", "d_trust"); said != "" {
		t.Errorf("a broken file: %q", said)
	}
}

// TestRulesDecideByAddressDatabaseAndUser: the first that matches; where none does, the client is not let in.
func TestRulesDecideByAddressDatabaseAndUser(t *testing.T) {
	c := strict(t, nil)
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth = Auth{Query: instance.QueryAuto, Policy: auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{
			{Addresses: here, Databases: []string{"d_trust"}, Users: []string{"bare"}, Method: auth.MethodTrust},
			{Addresses: here, Databases: []string{"d_trust"}, Users: []string{"old"}, Method: auth.MethodReject},
			{Addresses: here, Databases: []string{"d_trust"}, Method: auth.MethodSCRAM},
			{Addresses: here, Databases: []string{"d_scram"}, Over: auth.OverTLS, Method: auth.MethodTrust},
		}}}
	})
	for _, tt := range []struct{ user, password, database, want string }{
		{"bare", "", "d_trust", ""},
		{"app", "hunter2", "d_trust", ""},
		{"app", "hunter3", "d_trust", `28P01 password authentication failed for user "app"`},
		{"old", "hunter2", "d_trust", "28000 guard: auth.rules reject connections of this host, user and database, no encryption"},
		{"app", "hunter2", "d_scram", "28000 guard: no entry in auth.rules for this host, user and database, no encryption"},
		{"app", "hunter2", "nowhere", "28000 guard: no entry in auth.rules for this host, user and database, no encryption"},
	} {
		if _, said := comeIn(t, g.addr, tt.user, tt.password, tt.database); said != tt.want {
			t.Errorf("%+v: got %q", tt, said)
		}
	}
}

// TestFailedLoginsAreSlowedAndNotLockedOut: who guesses waits longer each time, others do not, and who is right comes in.
func TestFailedLoginsAreSlowedAndNotLockedOut(t *testing.T) {
	c := strict(t, nil)
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	timed := func(user, password, want string) time.Duration {
		t.Helper()
		start := time.Now()
		if _, said := comeIn(t, g.addr, user, password, "d_scram"); !strings.HasPrefix(said, want) || want == "" && said != "" {
			t.Errorf("%s: got %q", user, said)
		}
		return time.Since(start)
	}
	var last time.Duration
	for range 7 {
		last = timed("app", "guess", "28P01")
	}
	if last < 700*time.Millisecond {
		t.Errorf("the seventh guess was answered after %s", last)
	}
	start := time.Now()
	run(t, c, "create role neighbour login password 'hunter2'")
	if took := timed("neighbour", "hunter2", ""); took > time.Since(start) || took > 600*time.Millisecond {
		t.Errorf("another user of the same address waits for %s", took)
	}
	if took := timed("app", "hunter2", ""); took > 5*time.Second || took < 500*time.Millisecond {
		t.Errorf("who is right waits for %s", took)
	}
	if took := timed("app", "hunter2", ""); took > 600*time.Millisecond {
		t.Errorf("who was right waits for %s", took)
	}
}

// TestLogNamesWhoIsNotAdmitted: the answer to a client names nobody, or not all; whom it is about is in the log.
func TestLogNamesWhoIsNotAdmitted(t *testing.T) {
	g, log := loggedGuard(t, func(cfg *Config) {
		asks(auth.MethodSCRAM)(cfg)
		cfg.Auth.Policy.Rules = []auth.Rule{{Users: []string{"barred"}, Method: auth.MethodReject}}
	})
	for user, want := range map[string]string{"barred": "auth.rules reject", "stranger": "no such user"} {
		if _, said := comeIn(t, g.addr, user, "guess", "shop"); said == "" {
			t.Errorf("%s is let in", user)
		}
		lines := log.lines(t, "client not admitted")
		line := lines[len(lines)-1]
		if said, _ := line["error"].(string); line["user"] != user || line["database"] != "shop" || !strings.Contains(said, want) {
			t.Errorf("%s: logged %v", user, line)
		}
	}
	p := dial(t, g.addr)
	p.write(startup(wire.Version30, "user", "shy", "database", "shop"))
	p.read("R")
	if err := p.nc.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "logged", func() bool {
		lines := log.lines(t, "client not admitted")
		line := lines[len(lines)-1]
		return line["user"] == "shy" && line["error"] == "it leaves when it is asked for its password: EOF"
	})
}

// TestUnknownUsersAreAskedLikeOthers: with the same salt each time, in the same words, for as many iterations.
func TestUnknownUsersAreAskedLikeOthers(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "alter role app password '"+stored(t, "hunter2", "sixteen byte salt"[:16], 5000)+"'")
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Fatal(said)
	}
	known := challengeOf(t, g.addr, "app")
	one, again, other := challengeOf(t, g.addr, "nobody"), challengeOf(t, g.addr, "nobody"), challengeOf(t, g.addr, "nobody2")
	if one != again || one == other || len(one) != len(known) || !strings.HasSuffix(one, ",i=5000") {
		t.Errorf("known %q, unknown %q, again %q, another %q", known, one, again, other)
	}
}

// TestReplicationClientsProveWhoTheyAre: as others do, and are passed through as themselves; a rule about all is not about them.
func TestReplicationClientsProveWhoTheyAre(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"wal_level": "logical"}, HBA: []string{
		"host all postgres 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256",
	}})
	run(t, c, "create role copier login replication password 'hunter2'")
	g := newGuard(t, address(c), asks(auth.MethodSCRAM))
	for _, mode := range []string{"true", "database"} {
		for password, want := range map[string]string{"hunter2": "", "hunter3": "28P01"} {
			if _, said := comeIn(t, g.addr, "copier", password, "postgres replication="+mode); !strings.HasPrefix(said, want) || want == "" && said != "" {
				t.Errorf("replication=%s, %s: got %q", mode, password, said)
			}
		}
	}
	h := newGuard(t, address(c), func(cfg *Config) {
		asks(auth.MethodReject)(cfg)
		cfg.Auth.Policy.Rules = []auth.Rule{{Databases: []string{"all"}, Method: auth.MethodSCRAM}}
	})
	if _, said := comeIn(t, h.addr, "copier", "hunter2", "postgres replication=true"); !strings.HasPrefix(said, "28000 guard: no entry in auth.rules") {
		t.Errorf("got %q", said)
	}
	if _, said := comeIn(t, h.addr, "copier", "hunter2", "postgres replication=database"); said != "" {
		t.Errorf("got %q", said)
	}
}

// TestVersionIsNegotiatedAheadOfTheProof: a client that asks for a later version hears which is spoken before it is asked for its password, once.
func TestVersionIsNegotiatedAheadOfTheProof(t *testing.T) {
	g := newGuard(t, address(shared), func(cfg *Config) {
		cfg.Auth = Auth{Policy: auth.Policy{Method: auth.MethodMD5}, Users: map[string]User{"postgres": {Secret: auth.Plain("hunter2")}}}
	})
	p := dial(t, g.addr)
	p.write(startup(3<<16|9999, "user", "postgres", "database", "postgres"))
	var salt [4]byte
	for i, want := range []byte{wire.NegotiateVersion, wire.Authentication} {
		typ, body := p.message()
		if typ != want {
			t.Fatalf("message %d is %s", i, p.line(typ, body))
		}
		salt = [4]byte(body[4:8])
	}
	p.write(wire.AppendText(nil, wire.Password, auth.MD5("postgres", "hunter2", salt)))
	if typ, body := p.message(); typ != wire.Authentication {
		t.Fatalf("then %s", p.line(typ, body))
	}
	p.read("Z")
	if p.over || len(p.key) != keySize {
		t.Errorf("a key of %d bytes", len(p.key))
	}
}

// TestPeerBelievesTheKernel: on a unix socket, as the rules' map says; nobody else.
func TestPeerBelievesTheKernel(t *testing.T) {
	me := systemUser(t)
	for name, tt := range map[string]struct {
		m    map[string][]string
		user string
		want string
	}{
		"mapped":        {map[string][]string{me: {"bare"}}, "bare", ""},
		"another":       {map[string][]string{me: {"bare"}}, "app", `28000 Peer authentication failed for user "app"`},
		"nobody mapped": {map[string][]string{}, "bare", `28000 Peer authentication failed for user "bare"`},
		"everybody":     {map[string][]string{me: {"all"}}, "bare", ""},
		"no map":        {nil, "bare", `28000 Peer authentication failed for user "bare"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			g := newGuard(t, address(shared), func(cfg *Config) {
				cfg.Listen = append(cfg.Listen, Listener{Addr: "unix:" + dir})
				cfg.Auth.Policy = auth.Policy{Method: auth.MethodReject, Rules: []auth.Rule{{Method: auth.MethodPeer, Map: tt.m}}}
			})
			said := psqlSays(t, dir, "6432", tt.user)
			if tt.want == "" && said != "" && !strings.Contains(said, `role "bare" does not exist`) || tt.want != "" && !strings.Contains(said, tt.want[6:]) {
				t.Errorf("%s: got %q", name, said)
			}
			if _, said := comeIn(t, g.addr, tt.user, "", "postgres"); !strings.HasPrefix(said, "28000 Peer authentication failed") {
				t.Errorf("%s, by TCP: got %q", name, said)
			}
		})
	}
}

// TestLongNamesAreWhatPostgreSQLTakesThemFor: who adds to a name that is as long as may be is still who a rule is about.
func TestLongNamesAreWhatPostgreSQLTakesThemFor(t *testing.T) {
	c := strict(t, nil)
	user, database := strings.Repeat("u", 63), strings.Repeat("d", 63)
	run(t, c, "create role "+user+" login")
	run(t, c, "create database "+database)
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Auth.Policy.Rules = []auth.Rule{{Users: []string{user}, Method: auth.MethodReject}, {Databases: []string{database}, Method: auth.MethodReject}}
	})
	for _, tt := range [][2]string{{user, "d_trust"}, {user + "u", "d_trust"}, {"app", database}, {"app", database + "d"}} {
		if _, said := comeIn(t, g.addr, tt[0], "", tt[1]); !strings.HasPrefix(said, "28000 guard: auth.rules reject") {
			t.Errorf("%v: got %q", tt, said)
		}
	}
}
