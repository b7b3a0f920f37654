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

// TestBoundsOnOperators: an operator who may only look is bounded as a client of a database is, one who may change something is not.
func TestBoundsOnOperators(t *testing.T) {
	g := newGuard(t, address(shared), func(cfg *Config) {
		cfg.ClientsPerDatabase, cfg.LikePgBouncer = 2, true
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
	for i, name := range Consoles {
		if _, err := visit("guest", name); err != nil {
			t.Fatalf("guest %d: %v", i, err)
		}
	}
	if _, err := visit("guest", Consoles[0]); err == nil || !strings.Contains(err.Error(), "client connections exceeded (max_db_client_connections)") {
		t.Errorf("a third guest is told %v", err)
	}
	if _, err := visit("chief", Consoles[0]); err != nil {
		t.Errorf("the chief is told %v", err)
	}
}
