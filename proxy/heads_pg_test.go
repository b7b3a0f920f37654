//go:build pg

package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestBoundsOnClients: of a database and of a user there are no more clients than may be, whichever comes first; a bound of its own goes before the general one; who
// leaves, and who could not log in, makes room; a reload changes it for those to come.
func TestBoundsOnClients(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{"drop role if exists head1", "drop role if exists head2", "create role head1 login", "create role head2 login"} {
		admin.want(t, admin.query, text, "", 'I')
	}
	var told Config
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.ClientsPerDatabase, cfg.ClientsPerUser = 4, 3
		cfg.Databases = map[string]Database{"narrow": {Upstream: up, MaxClients: 1}, "gone": {Upstream: up}}
		cfg.Users = map[string]UserLimits{"head2": {MaxClients: 2}}
		told = *cfg
	})
	refused := func(user, database, words string) {
		t.Helper()
		if c, err := call(g.addr, user, database); err == nil {
			_ = c.Close()
			t.Errorf("%s comes to %s, though it is one too many", user, database)
		} else if !strings.Contains(err.Error(), "53300") || !strings.Contains(err.Error(), words) {
			t.Errorf("%s at %s: got %v, want 53300 and %q", user, database, err, words)
		}
	}
	const ofUser, ofDatabase = "connected as this user", "in this database"
	var in []*caller
	for range 2 {
		in = append(in, mustCall(t, g.addr, "head2", "postgres"))
	}
	refused("head2", "other", ofUser)
	mustCall(t, g.addr, "head1", "narrow")
	refused("postgres", "narrow", ofDatabase)
	mustCall(t, g.addr, "head1", "postgres")
	mustCall(t, g.addr, "head1", "postgres")
	refused("head1", "postgres", ofDatabase)
	refused("head1", "other", ofUser)
	for range 5 { // whom PostgreSQL does not take is not counted
		if c, err := call(g.addr, "postgres", "nowhere"); err == nil {
			_ = c.Close()
			t.Fatal("a database is there that is not")
		}
	}
	for i := range 3 {
		mustCall(t, g.addr, "postgres", "other", "application_name", fmt.Sprint(i))
	}
	_ = in[0].Close()
	eventually(t, "room", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.heads.users["head2"] == 1 && g.heads.databases["postgres"] == 3
	})
	mustCall(t, g.addr, "head2", "postgres")
	told.ClientsPerDatabase, told.Users = 5, map[string]UserLimits{"head2": {MaxClients: 3}}
	if err := g.Reload(told); err != nil {
		t.Fatal(err)
	}
	mustCall(t, g.addr, "head2", "postgres")
}

// TestBoundsOnOperators: in PgBouncer's place an operator who may only look is bounded as a client of a database is, one who may change something is not. In its own place the console
// has places that no bound on clients takes, and some of them are for who may change something.
func TestBoundsOnOperators(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*Config)
		guests int
		words  string
	}{
		"in PgBouncer's place": {func(cfg *Config) { cfg.ClientsPerDatabase, cfg.LikePgBouncer = 2, true }, 2, "client connections exceeded (max_db_client_connections)"},
		"a bound of PgBouncer's for names without one": {func(cfg *Config) {
			cfg.ClientsPerDatabase, cfg.LikePgBouncer = 3, true
			cfg.Databases = map[string]Database{AnyDatabase: {MaxClients: 1}}
		}, 3, "client connections exceeded (max_db_client_connections)"},
		"in its own": {func(cfg *Config) {
			cfg.MaxClients, cfg.ClientsPerDatabase, cfg.ClientsPerUser = 1, 1, 1
			cfg.Databases, cfg.Users = map[string]Database{AnyDatabase: {MaxClients: 1}}, map[string]UserLimits{"guest": {MaxClients: 1}}
		}, MaxOperators - MaxOperators/4, "as many operators are in the console as may be"},
	} {
		t.Run(name, func(t *testing.T) { boundOperators(t, c.set, c.guests, c.words) })
	}
}

// boundOperators has guests come in, who may only look, one too many, and one who may change something.
func boundOperators(t *testing.T, set func(*Config), guests int, words string) {
	g := newGuard(t, address(shared), func(cfg *Config) {
		set(cfg)
		cfg.Admin = Admin{Users: []string{"chief"}, StatsUsers: []string{"guest"}}
		cfg.Console = func(_ *Server, o *Operator) {
			_, _ = o.Conn.Write([]byte{'Z', 0, 0, 0, 5, 'I'})
			_, _ = o.Conn.Read(make([]byte, 1))
		}
	})
	visit := func(user, console string) (net.Conn, error) {
		c, err := call(g.addr, user, console)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return c, err
	}
	for i := range guests {
		if _, err := visit("guest", Consoles[i%2]); err != nil {
			t.Fatalf("guest %d: %v", i, err)
		}
	}
	if _, err := visit("guest", Consoles[0]); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("one guest more is told %v", err)
	}
	if _, err := visit("chief", Consoles[0]); err != nil {
		t.Errorf("the chief is told %v", err)
	}
}
