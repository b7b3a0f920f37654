//go:build pg

package proxy

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// upstreamAt is a PostgreSQL at an address.
func upstreamAt(t *testing.T, addr string) upstream.Upstream {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return upstream.Upstream{Host: host, Port: port, User: "postgres", ConnectTimeout: 5 * time.Second}
}

// movedLife is a client of TestMove: what it has set and prepared stays, and what it is told was committed is in one of the tables.
func movedLife(c *caller, id int, over *atomic.Bool, committed *atomic.Int64) error {
	update := fmt.Sprintf("update moved set n = n + 1 where id = %d", id)
	mem := fmt.Sprintf("%dkB", 100+id)
	for _, first := range []func() (answer, error){
		func() (answer, error) { return c.query("set work_mem to '" + mem + "'") },
		func() (answer, error) { return c.named(parseNamed("st", update)) },
	} {
		if a, err := first(); err != nil || a.code() != "" {
			return fmt.Errorf("at first: %v %s", err, a)
		}
	}
	for !over.Load() {
		steps := []func() (answer, error){func() (answer, error) { return c.named(runNamed("st")) }}
		if id%2 == 1 {
			steps = []func() (answer, error){
				func() (answer, error) { return c.query("begin") },
				func() (answer, error) { return c.named(runNamed("st")) },
				func() (answer, error) { return c.query("commit") },
			}
		}
		for _, step := range steps {
			if a, err := step(); err != nil || a.code() != "" {
				return fmt.Errorf("client %d: %v %s", id, err, a)
			}
		}
		committed.Add(1)
		if a, err := c.query("show work_mem"); err != nil || len(a.rows) != 1 || a.rows[0] != mem {
			return fmt.Errorf("client %d has work_mem %q, want %s: %v", id, a.rows, mem, err)
		}
	}
	return nil
}

// TestMove: a database goes to another server under a hundred clients, who notice nothing but that they wait.
func TestMove(t *testing.T) {
	const clients = 100
	here, there := pgtest.New(t, pgtest.Options{}), pgtest.New(t, pgtest.Options{})
	for _, c := range []*pgtest.Cluster{here, there} {
		if err := c.Exec(context.Background(), fmt.Sprintf("create table moved as select id, 0 as n from generate_series(0, %d) id", clients)); err != nil {
			t.Fatal(err)
		}
	}
	g := newGuard(t, address(here), func(cfg *Config) { cfg.Pool.MaxServers = 20 })
	var over atomic.Bool
	var lives sync.WaitGroup
	committed := make([]atomic.Int64, clients)
	faults := make(chan error, clients)
	for id := range clients {
		c := g.call(t)
		lives.Go(func() { faults <- movedLife(c, id, &over, &committed[id]) })
	}
	busy := func(n int64) { eventually(t, "busy", func() bool { return committed[clients-1].Load() > n }) }
	busy(3)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	began := time.Now()
	if err := g.Pause(ctx, ""); err != nil {
		t.Fatal(err)
	}
	g.with(t, func(c *Config) { c.Upstream = upstreamAt(t, address(there)) })
	if err := g.Resume(""); err != nil {
		t.Fatal(err)
	}
	paused := time.Since(began)
	counts := func(c *pgtest.Cluster) map[string]int64 {
		admin, all := direct(t, c), map[string]int64{}
		for _, row := range admin.want(t, admin.query, "select id || ' ' || n from moved", "", 'I').rows {
			id, n, _ := strings.Cut(row, " ")
			all[id], _ = strconv.ParseInt(n, 10, 64)
		}
		_ = admin.Close()
		return all
	}
	before := counts(here)
	if err := here.Stop(); err != nil { // nobody needs it any more
		t.Fatal(err)
	}
	busy(committed[clients-1].Load() + 3)
	fresh := g.call(t)
	fresh.want(t, fresh.query, "select 1", "", 'I')
	over.Store(true)
	lives.Wait()
	for range clients {
		if err := <-faults; err != nil {
			t.Error(err)
		}
	}
	after := counts(there)
	for id := range clients {
		if sum := before[strconv.Itoa(id)] + after[strconv.Itoa(id)]; sum != committed[id].Load() {
			t.Errorf("client %d was told of %d commits, %d are in the tables", id, committed[id].Load(), sum)
		}
	}
	eventually(t, "watched at the new server alone", func() bool { return len(g.Stats().Pools) == 1 })
	t.Logf("%d clients waited for at most %s", clients, paused)
}

// TestMoveOfAPausedDatabase: who has paused it resumes it, and a login that waits meanwhile goes to the new server.
func TestMoveOfAPausedDatabase(t *testing.T) {
	other := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := g.Pause(ctx, ""); err != nil {
		t.Fatal(err)
	}
	_ = c.send(simple("show port"))
	came := make(chan *caller, 1)
	go func() {
		fresh, err := call(g.addr, "postgres", "template1")
		if err != nil {
			t.Error(err)
		}
		came <- fresh
	}()
	eventually(t, "a login that waits", func() bool { return g.Stats().Clients["login"] == 1 })
	g.with(t, func(c *Config) { c.Upstream = upstreamAt(t, address(other)) })
	if len(came) > 0 {
		t.Error("the pause was ended")
	}
	if err := g.Resume(""); err != nil {
		t.Fatal(err)
	}
	want := strconv.Itoa(other.Port())
	if a, err := c.answer(); err != nil || len(a.rows) != 1 || a.rows[0] != want {
		t.Errorf("asked for the port: %v %q, want %s", err, a.rows, want)
	}
	if fresh := <-came; fresh != nil {
		if got := fresh.one(t, "show port"); got != want {
			t.Errorf("who logged in is at port %s, want %s", got, want)
		}
		_ = fresh.Close()
	}
}

// TestMoveOfOneDatabase: those of other names stay where they are, and what it is called there is what the new place says.
func TestMoveOfOneDatabase(t *testing.T) {
	other := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"app": {Upstream: up}}
	})
	app, stays := mustCall(t, g.addr, "postgres", "app"), g.call(t)
	ask := "select current_database() || current_setting('port')"
	if got, want := app.one(t, ask), "postgres"+strconv.Itoa(shared.Port()); got != want {
		t.Fatalf("it is at %s, want %s", got, want)
	}
	to := upstreamAt(t, address(other))
	to.Database = "template1"
	g.with(t, func(c *Config) { c.Databases["app"] = Database{Upstream: to} })
	if got, want := app.one(t, ask), "template1"+strconv.Itoa(other.Port()); got != want {
		t.Errorf("it is at %s, want %s", got, want)
	}
	if got, want := stays.one(t, ask), "postgres"+strconv.Itoa(shared.Port()); got != want {
		t.Errorf("another is at %s, want %s", got, want)
	}
	if n := len(g.Stats().Pools); n != 2 {
		t.Errorf("%d servers are watched, want both", n)
	}
}

// TestReloadTellsWhoStaysBehind: who has a server where its database is not any more is named until it has done with it, and who waits for retired servers waits for these. Others, and
// other databases of the same place, are not meant.
func TestReloadTellsWhoStaysBehind(t *testing.T) {
	other := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(shared), func(cfg *Config) {
		app := cfg.Upstream
		app.Database = "postgres"
		cfg.Databases = map[string]Database{"app": {Upstream: app}, "ses": {Upstream: app, Mode: PoolModeSession}}
	})
	tx, pinned, session, idle := mustCall(t, g.addr, "postgres", "app"), mustCall(t, g.addr, "postgres", "app"), mustCall(t, g.addr, "postgres", "ses"), mustCall(t, g.addr, "postgres", "app")
	stays := g.call(t)
	for _, c := range []*caller{tx, stays} {
		c.want(t, c.query, "begin", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
	}
	pinned.want(t, pinned.query, "select pg_advisory_lock(8711)", "", 'I')
	session.one(t, "select 1")
	idle.one(t, "select 1")
	if list := g.Stragglers(); len(list) > 0 {
		t.Errorf("before anything has moved: %+v", list)
	}
	at := g.instanceFor(g.cfg().Upstream).Name()
	g.with(t, func(c *Config) {
		to := upstreamAt(t, address(other))
		to.Database = "postgres"
		c.Databases["app"], c.Databases["ses"] = Database{Upstream: to}, Database{Upstream: to, Mode: PoolModeSession}
	})
	want := []Straggler{{"app", at, []uint64{1, 2}}, {"ses", at, []uint64{3}}}
	behind := g.Stragglers()
	if len(behind) != len(want) {
		t.Errorf("got %+v, want %+v", behind, want)
	}
	for i, s := range behind {
		if i >= len(want) || s.Database != want[i].Database || s.At != at || len(s.Clients) != len(want[i].Clients) {
			t.Errorf("got %+v, want %+v", s, want)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	gone := make(chan error, 2)
	for _, name := range []string{"app", "ses"} {
		go func() { gone <- g.AwaitRetired(ctx, name) }()
	}
	tx.want(t, tx.query, "commit", "", 'I')
	if got := tx.one(t, "select current_setting('port')"); got != strconv.Itoa(other.Port()) {
		t.Errorf("after its transaction a client is at port %s", got)
	}
	eventually(t, "with one client of app behind", func() bool { l := g.Stragglers(); return len(l) == 2 && len(l[0].Clients) == 1 })
	if len(gone) > 0 {
		t.Error("nobody is waited for")
	}
	pinned.want(t, pinned.query, "select pg_advisory_unlock(8711)", "", 'I')
	_ = session.Close()
	for range 2 {
		if err := <-gone; err != nil {
			t.Error(err)
		}
	}
	if list := g.Stragglers(); len(list) > 0 {
		t.Errorf("when all have done with it: %+v", list)
	}
	stays.want(t, stays.query, "commit", "", 'I')
	if got := stays.one(t, "select current_setting('port')"); got != strconv.Itoa(shared.Port()) {
		t.Errorf("a client of another database is at port %s", got)
	}
}

// TestMoveTakesNoPasswordsOfOthers: the PostgreSQL that a database goes to is told of the users who come with it, and of nobody else; what stays behind is logged in to as before, though
// the name that servers are shared by has another password now.
func TestMoveTakesNoPasswordsOfOthers(t *testing.T) {
	here, there := strict(t, nil), strict(t, nil)
	run(t, there, "alter role app password 'hunter2'")
	run(t, here, "create role own login password 'here'")
	run(t, there, "create role own login password 'there'")
	set := asks(auth.MethodPassword)
	at := func(addr, password string) Database {
		up := upstreamAt(t, addr)
		up.Database, up.User, up.Password = "d_password", "own", password
		return Database{Upstream: up}
	}
	g := newGuard(t, address(here), func(c *Config) {
		set(c)
		c.Auth.Users = map[string]User{"own": {Secret: auth.Plain("in")}, "app": {Secret: auth.Plain("hunter2")}, "old": {Secret: auth.Plain("hunter2")}}
		c.Databases = map[string]Database{"goes": at(address(here), "here"), "stays": at(address(here), "here")}
	})
	login := func(user, password, database string) *pgconn.PgConn {
		t.Helper()
		p, said := comeIn(t, g.addr, user, password, database)
		if said != "" {
			t.Fatalf("%s of %s: %s", user, database, said)
		}
		return p
	}
	app := login("app", "hunter2", "goes")
	first := login("own", "in", "goes") // whose key stays has servers by, too
	login("old", "hunter2", "stays")
	own := login("own", "in", "stays")
	_ = first.Close(t.Context())
	g.with(t, func(c *Config) { c.Databases["goes"] = at(address(there), "there") })
	if got, want := value(t, app, "select current_setting('port')"), strconv.Itoa(there.Port()); got != want {
		t.Errorf("who came with the database is at %s, want %s", got, want)
	}
	known := g.instanceFor(at(address(there), "").Upstream).Door().Memory.All()
	for user := range known {
		if user != "app" {
			t.Errorf("the new PostgreSQL is told of %s, who has not come", user)
		}
	}
	if known["app"].Nothing() {
		t.Error("nothing is known of who has come")
	}
	if _, err := g.Reconnect("stays"); err != nil {
		t.Fatal(err)
	}
	if got, want := value(t, own, "select current_setting('port')"), strconv.Itoa(here.Port()); got != want {
		t.Errorf("who stays is at %s, want %s", got, want)
	}
}
