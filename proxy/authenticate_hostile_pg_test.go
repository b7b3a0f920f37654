//go:build pg

package proxy

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// guarded is a guard that asks for passwords, and its cluster.
func guarded(t *testing.T, m auth.Method, set func(*Config)) (*guard, *pgtest.Cluster) {
	t.Helper()
	c := strict(t, nil)
	return newGuard(t, address(c), func(cfg *Config) {
		asks(m)(cfg)
		if set != nil {
			set(cfg)
		}
	}), c
}

// TestAbsurdAnswersToPasswordRequests: whatever a stranger sends in the place of a password, it is told so and closed, and others are served.
func TestAbsurdAnswersToPasswordRequests(t *testing.T) {
	g, _ := guarded(t, auth.MethodSCRAM, nil)
	number := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	message := func(body string) string { return "p" + number(uint32(4+len(body))) + body }
	initial := func(mechanism string, n uint32, data string) string {
		return message(mechanism + "\x00" + number(n) + data)
	}
	first := "n,,n=,r=abc"
	for name, tt := range map[string]struct{ send, want string }{
		"query":                  {"Q" + number(13) + "select 1\x00", "08P01 Mexpected password response, got message type 81"},
		"startup again":          {string(startup(wire.Version30, "user", "app")), "08P01 Mexpected password response, got message type 0"},
		"encryption":             {number(8) + number(1234<<16|5679), "08P01 Mexpected password response, got message type 0"},
		"length 0":               {"p" + number(0), "08P01 Minvalid message length"},
		"length 3":               {"p" + number(3), "08P01 Minvalid message length"},
		"length 2^31":            {"p" + number(1<<31), "08P01 Minvalid message length"},
		"length 2^32-1":          {"p" + number(1<<32-1), "08P01 Minvalid message length"},
		"one byte too long":      {"p" + number(4+maxSASL+1), "08P01 Minvalid message length"},
		"empty":                  {message(""), "08P01 Minsufficient data left in message"},
		"a password":             {message("hunter2\x00"), "08P01 Minsufficient data left in message"},
		"no mechanism end":       {message("SCRAM-SHA-256"), "08P01 Minsufficient data left in message"},
		"other mechanism":        {initial("SCRAM-SHA-1", uint32(len(first)), first), "08P01 Mclient selected an invalid SASL authentication mechanism"},
		"plus without TLS":       {initial("SCRAM-SHA-256-PLUS", uint32(len(first)), first), "08P01 Mclient selected an invalid SASL authentication mechanism"},
		"too short":              {initial("SCRAM-SHA-256", uint32(len(first)-1), first), "08P01 Minvalid message format"},
		"too long":               {initial("SCRAM-SHA-256", uint32(len(first)+1), first), "08P01 Minvalid message format"},
		"as long as 2^31":        {initial("SCRAM-SHA-256", 1<<31, first), "08P01 Minvalid message format"},
		"as long as 2^32-2":      {initial("SCRAM-SHA-256", 1<<32-2, first), "08P01 Minvalid message format"},
		"no response, but bytes": {initial("SCRAM-SHA-256", 1<<32-1, first), "08P01 Minvalid message format"},
		"no response":            {initial("SCRAM-SHA-256", 1<<32-1, ""), "08P01 Mmalformed SCRAM message DThe message is empty."},
		"empty response":         {initial("SCRAM-SHA-256", 0, ""), "08P01 Mmalformed SCRAM message DThe message is empty."},
		"bound without TLS":      {initial("SCRAM-SHA-256", 38, "p=tls-server-end-point,,n=,r=abcdefghi"), "08P01 Mmalformed SCRAM message"},
		"another's name":         {initial("SCRAM-SHA-256", 24, "n,a=postgres,n=,r=abcdef"), "0A000 Mclient uses authorization identity"},
		"extension":              {initial("SCRAM-SHA-256", 16, "n,,m=1,n=,r=abcd"), "0A000 Mclient requires an unsupported SCRAM extension"},
		"nonce with a blank":     {initial("SCRAM-SHA-256", 12, "n,,n=,r=ab c"), "08P01 Mnon-printable characters in SCRAM nonce"},
		"twice":                  {initial("SCRAM-SHA-256", uint32(len(first)), first) + initial("SCRAM-SHA-256", uint32(len(first)), first), "08P01 Mmalformed SCRAM message"},
		"leaves":                 {"X" + number(4), "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := knockAs(t, g.addr, "app")
			p.said = nil
			p.write([]byte(tt.send))
			p.read("E")
			got := strings.Join(p.lines(), "; ")
			if tt.want == "closed" && got != "closed" || tt.want != "closed" && !strings.Contains(got, "E SFATAL VFATAL C"+tt.want) {
				t.Errorf("got %q, want %s", got, tt.want)
			}
		})
	}
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("after all of that: %q", said)
	}
}

// TestAbsurdPasswords: as PostgreSQL answers them, and a long one passes.
func TestAbsurdPasswords(t *testing.T) {
	g, c := guarded(t, auth.MethodPassword, nil)
	long := strings.Repeat("x", 60_000)
	run(t, c, "alter role app password '"+long+"'")
	if _, said := comeIn(t, g.addr, "app", long, "d_trust"); said != "" {
		t.Errorf("a long password: %q", said)
	}
	for name, tt := range map[string]struct{ body, want string }{
		"empty": {"\x00", "28P01 Mempty password returned by client"}, "no end": {"hunter2", "08P01 Minvalid password packet size"},
		"two": {"a\x00b\x00", "08P01 Minvalid password packet size"}, "nothing": {"", "08P01 Minvalid password packet size"},
		"too long": {strings.Repeat("x", maxPassword) + "\x00", "08P01 Minvalid message length"},
	} {
		p := knockAs(t, g.addr, "app")
		p.said = nil
		p.write(wire.AppendMessage(nil, wire.Password, []byte(tt.body)))
		p.read("E")
		if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "E SFATAL VFATAL C"+tt.want) {
			t.Errorf("%s: got %q, want %s", name, got, tt.want)
		}
	}
}

// TestWhoIsAskedAndSaysNothingIsClosedForOthers: clients that never answer a request for their password keep nobody out, use no more descriptors
// than there are, and are no clients.
func TestWhoIsAskedAndSaysNothingIsClosedForOthers(t *testing.T) {
	const files = 200 // so that the lobby has room for 25
	g, _ := guarded(t, auth.MethodSCRAM, func(c *Config) { c.MaxClients, c.Files = files, files })
	var all []*speaker
	for range 100 {
		p := dial(t, g.addr)
		p.write(startup(wire.Version30, "user", "app", "database", "d_scram"))
		all = append(all, p)
	}
	start := time.Now()
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("got %q", said)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := g.Stats().Clients["login"]; n > files/8+1 {
		t.Errorf("%d are in the lobby, it has room for %d", n, files/8)
	}
	_ = all[0].nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, all[0].r); os.IsTimeout(err) {
		t.Error("the one that has been silent longest is still there")
	}
}

// TestLoginTimeoutBoundsTheProof: who sends a byte now and then is closed when the time for a login is over.
func TestLoginTimeoutBoundsTheProof(t *testing.T) {
	g, _ := guarded(t, auth.MethodSCRAM, func(c *Config) { c.LoginTimeout = time.Second })
	p := knockAs(t, g.addr, "app")
	p.write([]byte("p\x00\x00\x00\x20SCRAM"))
	start := time.Now()
	_ = p.nc.SetReadDeadline(start.Add(patience))
	if _, err := io.Copy(io.Discard, p.r); os.IsTimeout(err) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

// TestManyWrongLoginsCostLittle: whoever guesses under whatever names, memory is bounded and others come in.
func TestManyWrongLoginsCostLittle(t *testing.T) {
	g, _ := guarded(t, auth.MethodSCRAM, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for j := range 40 {
				p := dial(t, g.addr)
				p.write(startup(wire.Version30, "user", strings.Repeat(string(rune('a'+i)), 1+j), "database", "d_scram"))
				p.read("R")
				p.sasl("SCRAM-SHA-256", "n,,n=,r=abc")
				p.read("R")
				_ = p.nc.Close()
			}
		})
	}
	work.Wait()
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("got %q", said)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 16<<20 {
		t.Errorf("it grew by %d bytes", grew)
	}
	eventually(t, "one is left", func() bool { return g.Stats().Clients["login"] == 0 })
}

// TestNoLoginLogsASecret: neither passwords, nor secrets, nor keys are in the log, whatever happens.
func TestNoLoginLogsASecret(t *testing.T) {
	var log lockedBuilder
	g, c := guarded(t, auth.MethodPassword, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Auth.Users = map[string]User{"listed": {Secret: auth.Plain("hunter-listed")}}
	})
	const salt = "salt of hunter"
	secret := stored(t, "hunter2", salt, 4096)
	run(t, c, "alter role app password '"+secret+"'")
	for _, tt := range [][3]string{
		{"app", "hunter2", "d_scram"}, {"app", "hunter3", "d_scram"}, {"old", "hunter2", "d_scram"}, {"listed", "hunter-listed", "d_scram"}, {"nobody", "hunter4", "d_scram"},
	} {
		comeIn(t, g.addr, tt[0], tt[1], tt[2])
	}
	eventually(t, "the logins are logged", func() bool {
		return strings.Contains(log.String(), "no such user") && strings.Contains(log.String(), "wrong password")
	})
	for _, part := range append(strings.FieldsFunc(secret, func(r rune) bool { return r == '$' || r == ':' })[2:], "hunter", base64.StdEncoding.EncodeToString([]byte(salt))) {
		if strings.Contains(log.String(), part) {
			t.Errorf("%q is in the log:\n%s", part, log.String())
		}
	}
}

// lockedBuilder is a text that several goroutines write.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The CVEs of PgBouncer that are about logins, each as it would be here.

// CVE-2026-6664: a length in a SCRAM packet that overflows. See "as long as 2^31" and the like in TestAbsurdAnswersToPasswordRequests; here at once.
func TestCVE20266664LengthOverflow(t *testing.T) {
	g, _ := guarded(t, auth.MethodSCRAM, nil)
	for _, n := range []uint32{1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 4, 1<<32 - 14} {
		p := knockAs(t, g.addr, "app")
		p.said = nil
		body := binary.BigEndian.AppendUint32([]byte("SCRAM-SHA-256\x00"), n)
		p.write(wire.AppendMessage(nil, wire.Password, append(body, "n,,n=,r=abc"...)))
		p.read("E")
		if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "C08P01") {
			t.Errorf("%d: got %q", n, got)
		}
	}
}

// CVE-2026-6665: a nonce, of a client or a server, that is longer than the room for it.
func TestCVE20266665LongNonce(t *testing.T) {
	g, _ := guarded(t, auth.MethodSCRAM, nil)
	p := knockAs(t, g.addr, "app")
	p.said = nil
	nonce := strings.Repeat("n", maxSASL-100)
	p.sasl("SCRAM-SHA-256", "n,,n=,r="+nonce)
	if typ, body := p.message(); typ != wire.Authentication || !strings.HasPrefix(string(body[4:]), "r="+nonce) {
		t.Errorf("a long nonce is not taken: %s", p.line(typ, body))
	}
	fake := pgtest.NewFake(t, pgtest.Challenge(strings.Repeat("x", 30_000)+",s=c2FsdA==,i=4096"), pgtest.CloseHard())
	h := newGuard(t, fake.Addr(), func(c *Config) { c.LoginTimeout, c.Upstream.Password, c.Upstream.User = time.Second, "hunter2", "app" })
	if _, said := comeIn(t, h.addr, "app", "", "app"); said == "" {
		t.Error("a server's absurd challenge lets in")
	}
}

// CVE-2026-6666: an ErrorResponse without SQLSTATE from a server, at a login.
func TestCVE20266666ErrorWithoutCode(t *testing.T) {
	for name, body := range map[string]string{"no code": "SFATAL\x00Mno\x00\x00", "nothing": "\x00", "no end": "SFATAL\x00M", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.SendBytes(wire.AppendMessage(nil, wire.ErrorResponse, []byte(body))), pgtest.CloseHard())
			g := newGuard(t, fake.Addr(), func(c *Config) { c.LoginTimeout = time.Second })
			if _, said := comeIn(t, g.addr, "app", "", "app"); said == "" {
				t.Error("let in")
			}
		})
	}
}

// CVE-2025-12819: a client's search_path has the guard call functions of an attacker's when it looks up users.
func TestCVE202512819SearchPath(t *testing.T) {
	c := strict(t, nil)
	for _, text := range []string{
		"create schema evil", "create table evil.pg_authid (rolname name, rolpassword text)", "create table evil.pg_roles (rolname name, rolvaliduntil timestamptz)",
		"insert into evil.pg_authid values ('app', 'known-to-evil')", "grant usage on schema evil to public", "grant select on all tables in schema evil to public",
		"alter role postgres set search_path = evil, pg_catalog", "alter database postgres set search_path = evil, pg_catalog",
	} {
		run(t, c, text)
	}
	for _, query := range []string{instance.QueryAuto, "select rolname, rolpassword from pg_authid where rolname = $1"} {
		t.Run(query, func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) { asks(auth.MethodPassword)(cfg); cfg.Auth.Query = query })
			p := dial(t, g.addr)
			p.write(startup(wire.Version30, "user", "app", "database", "d_trust", "search_path", "evil", "options", "-c search_path=evil"))
			p.read("R")
			p.said = nil
			p.write(encode(nil, &pgproto3.PasswordMessage{Password: "known-to-evil"}))
			p.read("E")
			if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "C28P01") {
				t.Errorf("%s: got %q", query, got)
			}
			if _, said := comeIn(t, g.addr, "app", "hunter2", "d_trust"); said != "" {
				t.Errorf("%s: the right password: %q", query, said)
			}
		})
	}
}

// CVE-2025-2291: a password past its VALID UNTIL lets in, because the query does not ask for that.
func TestCVE20252291ValidUntil(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "create role late login password 'hunter2' valid until '2001-01-01'")
	run(t, c, "create role soon login password 'hunter2' valid until '2999-01-01'")
	run(t, c, "create role ever login password 'hunter2' valid until 'infinity'")
	for _, query := range []string{instance.QueryAuto, "select rolpassword from pg_authid where rolname = $1", "select usename, passwd from pg_shadow where usename = $1"} {
		t.Run(query, func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) { asks(auth.MethodSCRAM)(cfg); cfg.Auth.Query = query })
			for user, want := range map[string]string{"late": `28P01 password authentication failed for user "late"`, "soon": "", "ever": ""} {
				if _, said := comeIn(t, g.addr, user, "hunter2", "d_trust"); said != want {
					t.Errorf("%s, %s: got %q", query, user, said)
				}
			}
		})
	}
}

// CVE-2015-6817: whom the query does not know comes in with the rights of who asks.
func TestCVE20156817UnknownUser(t *testing.T) {
	c := strict(t, nil)
	for _, answer := range []string{"'postgres'::text, 'hunter2'::text", "null::text, 'hunter2'::text", "$1::text, null::text", "null::text", "''::text"} {
		t.Run(answer, func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) {
				asks(auth.MethodPassword)(cfg)
				cfg.Auth.Query = "select " + answer + " where $1 <> ''"
			})
			for _, password := range []string{"hunter2", "x"} {
				if _, said := comeIn(t, g.addr, "nobody", password, "d_trust"); said != `28P01 password authentication failed for user "nobody"` {
					t.Errorf("got %q", said)
				}
			}
		})
	}
}

// CVE-2015-4054: a password before a start-up packet.
func TestCVE20154054PasswordFirst(t *testing.T) {
	g, _ := guarded(t, auth.MethodPassword, nil)
	p := dial(t, g.addr)
	p.write(wire.AppendMessage(nil, wire.Password, []byte("hunter2\x00")))
	p.read("E")
	if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "C08P01") {
		t.Errorf("a password first: got %q", got)
	}
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_trust"); said != "" {
		t.Errorf("after that: %q", said)
	}
}

// CVE-2012-4575: a name of a database so long that there is no room for it.
func TestCVE20124575LongName(t *testing.T) {
	g, _ := guarded(t, auth.MethodTrust, func(c *Config) { c.Auth.Query = "" })
	long := strings.Repeat("d", 9000)
	for _, params := range [][]string{{"user", "app", "database", long}, {"user", long, "database", "d_trust"}, {"user", "app", long, long[:500]}} {
		p := dial(t, g.addr)
		p.write(startup(wire.Version30, params...))
		p.read("E")
		if got := strings.Join(p.lines(), "; "); !strings.Contains(got, "E SFATAL") {
			t.Errorf("got %q", got)
		}
	}
	if _, said := comeIn(t, g.addr, "app", "", "d_trust"); said != "" {
		t.Errorf("after that: %q", said)
	}
}

// TestLookupsOfARoleThatIsNoSuperuser: by the function that auth-query prints, or PgBouncer's; without either the log says what is lacking.
func TestLookupsOfARoleThatIsNoSuperuser(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "create role pgguard login password 'guard'")
	set := func(cfg *Config) {
		asks(auth.MethodSCRAM)(cfg)
		cfg.Upstream.User, cfg.Upstream.Password, cfg.Upstream.Database = "pgguard", "guard", "d_scram"
	}
	g := newGuard(t, address(c), set)
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); !strings.HasPrefix(said, "57P03") {
		t.Errorf("without a function: got %q", said)
	}
	runIn(t, c, "d_scram", instance.LookupFunction("pgguard"))
	if _, said := comeIn(t, g.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("with ours: got %q", said)
	}
	if _, said := comeIn(t, g.addr, "nobody", "hunter2", "d_scram"); !strings.HasPrefix(said, "28P01") {
		t.Errorf("who is not there: got %q", said)
	}
	runIn(t, c, "d_scram", "drop schema pgguard cascade; create schema pgbouncer; "+
		"create function pgbouncer.get_auth(p_usename text) returns table(username text, password text) language sql security definer as "+
		"$$ select usename::text, passwd from pg_catalog.pg_shadow where usename = p_usename $$; grant usage on schema pgbouncer to pgguard")
	h := newGuard(t, address(c), set)
	if _, said := comeIn(t, h.addr, "app", "hunter2", "d_scram"); said != "" {
		t.Errorf("with PgBouncer's: got %q", said)
	}
}

// TestFunctionOfAStrangerSaysNothingOfUsers: who may create a schema is not whoever he likes, whether he was there first or comes later, and the SQL for ours
// does not build on his.
func TestFunctionOfAStrangerSaysNothingOfUsers(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "create role pgguard login password 'guard'; create role mallory; grant create on database d_trust to mallory")
	for _, name := range []string{"pgguard.user_lookup", "pgbouncer.get_auth"} {
		schema, _, _ := strings.Cut(name, ".")
		runIn(t, c, "d_trust", "set role mallory; create schema "+schema+"; grant usage on schema "+schema+" to public; "+
			"create function "+name+"(name text, out username text, out password text) language sql as $$ select $1, 'known' $$")
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		asks(auth.MethodSCRAM)(cfg)
		cfg.Upstream.User, cfg.Upstream.Password, cfg.Upstream.Database = "pgguard", "guard", "d_trust"
	})
	if _, said := comeIn(t, g.addr, "app", "known", "d_trust"); !strings.HasPrefix(said, "57P03") {
		t.Errorf("got %q", said)
	}
	p, _ := comeIn(t, address(c), "postgres", "", "d_trust")
	if _, err := p.Exec(context.Background(), instance.LookupFunction("pgguard")).ReadAll(); err == nil || !strings.Contains(err.Error(), "no superuser") {
		t.Errorf("over a stranger's schema: %v", err)
	}
	runIn(t, c, "d_trust", "drop schema pgguard cascade")
	for range 2 { // of another role, too
		runIn(t, c, "d_trust", instance.LookupFunction("pgguard"))
	}
	h := newGuard(t, address(c), func(cfg *Config) {
		asks(auth.MethodSCRAM)(cfg)
		cfg.Upstream.User, cfg.Upstream.Password, cfg.Upstream.Database = "pgguard", "guard", "d_trust"
	})
	if _, said := comeIn(t, h.addr, "app", "hunter2", "d_trust"); said != "" {
		t.Errorf("with ours: got %q", said)
	}
}

// TestLookupsShareQueries: a storm of logins of one user asks the database one question at a time.
func TestLookupsShareQueries(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "create table asked (n int); grant insert on asked to public")
	run(t, c, "create function slowly(name text) returns text language plpgsql security definer as $$ begin insert into public.asked values (1); perform pg_sleep(0.3);"+
		" return (select rolpassword from pg_authid where rolname = name); end $$")
	g := newGuard(t, address(c), func(cfg *Config) { asks(auth.MethodSCRAM)(cfg); cfg.Auth.Query = "select public.slowly($1)" })
	const clients = 20
	var work sync.WaitGroup
	said := make([]string, clients)
	start := time.Now()
	for i := range clients {
		work.Go(func() { _, said[i] = comeIn(t, g.addr, "app", "hunter2", "d_scram") })
	}
	work.Wait()
	took := time.Since(start)
	for _, s := range said {
		if s != "" {
			t.Errorf("got %q", s)
		}
	}
	p, _ := comeIn(t, g.addr, "app", "hunter2", "d_trust")
	_ = p
	d := direct(t, c)
	if n := d.one(t, "select count(*) < 12 from asked"); n != "t" && n != "D t" {
		t.Errorf("%s: %d clients asked %s times", took, clients, d.one(t, "select count(*) from asked"))
	}
}

// runIn runs a text in a database.
func runIn(t *testing.T, c *pgtest.Cluster, database, text string) {
	t.Helper()
	p, said := comeIn(t, address(c), "postgres", "", database)
	if said != "" {
		t.Fatal(said)
	}
	if _, err := p.Exec(context.Background(), text).ReadAll(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// TestUnknownUsersAreAnsweredAsSlowlyAsOthers: neither the look-up nor the proof tells by its time who is there, also when a name is tried again at once.
func TestUnknownUsersAreAnsweredAsSlowlyAsOthers(t *testing.T) {
	c := strict(t, nil)
	run(t, c, "create function slowly(name text) returns text language plpgsql security definer as $$ begin perform pg_sleep(0.1);"+
		" return (select rolpassword from pg_authid where rolname = name); end $$")
	g := newGuard(t, address(c), func(cfg *Config) {
		asks(auth.MethodSCRAM)(cfg)
		cfg.Auth.Query = "select public.slowly($1)"
		cfg.Auth.Users = map[string]User{"named": {Secret: auth.Plain("hunter2")}}
	})
	for _, user := range []string{"app", "nobody", "nobody", "nobody", "app", "named"} {
		start := time.Now()
		challengeOf(t, g.addr, user)
		if took := time.Since(start); took < 90*time.Millisecond {
			t.Errorf("%s was asked for a proof after %s", user, took)
		}
	}
}
