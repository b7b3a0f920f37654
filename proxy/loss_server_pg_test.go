//go:build pg

package proxy

import (
	"fmt"
	"testing"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// lossTest is a guard, a client, and a way to end every server.
type lossTest struct {
	*guard
	client *caller
	end    func(*testing.T)
	code   string // what the client is told: the server's own last words, if it had any
}

// TestServerLostWhileNothingRuns ends servers that run nothing: whoever has no transaction there never knows.
func TestServerLostWhileNothingRuns(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table kept (n int)", "", 'I')
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), func(cfg *Config) { cfg.Pool.MaxServers = 2 })
	terminate := func(t *testing.T) {
		t.Helper()
		admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%'")
	}
	for name, lt := range map[string]*lossTest{
		"terminated": {end: terminate, code: "57P01"},
		"cut":        {end: func(*testing.T) { tap.Cut() }, code: "08006"},
	} {
		lt.guard, lt.client = g, g.call(t)
		t.Run(name, func(t *testing.T) {
			t.Run("simple", func(t *testing.T) { lt.between(t, lt.client.query) })
			t.Run("extended", func(t *testing.T) { lt.between(t, lt.client.extended) })
			lt.savepoint(t)
			lt.pinned(t)
			g.atRest(t)
		})
	}
	if n := admin.one(t, "select count(*) from kept"); n != "0" {
		t.Errorf("%s rows of lost transactions are there", n)
	}
}

// lose ends every server and waits until the guard has noticed.
func (lt *lossTest) lose(t *testing.T) {
	t.Helper()
	lt.end(t)
	eventually(t, "noticed", func() bool {
		st := lt.pool()
		return st.Servers["active"]+st.Servers["idle"]+st.Servers["closing"] == 0
	})
}

// open begins a transaction and loses it.
func (lt *lossTest) open(t *testing.T, run func(string) (answer, error)) {
	t.Helper()
	lt.client.want(t, run, "BEGIN", "", 'T')
	lt.client.want(t, run, "insert into kept values (1)", "", 'T')
	lt.lose(t)
}

// between loses servers between two statements.
func (lt *lossTest) between(t *testing.T, run func(string) (answer, error)) {
	client := lt.client
	t.Run("idle server", func(t *testing.T) {
		client.want(t, run, "select 1", "", 'I')
		lt.lose(t)
		client.want(t, run, "select 1", "", 'I')
	})
	t.Run("transaction, then statement", func(t *testing.T) {
		lt.open(t, run)
		client.want(t, run, "select 2", lt.code, 'E')
		client.want(t, run, "select 3", "25P02", 'E')
		if a := client.want(t, run, "COMMIT", "", 'I'); a.tags[0] != "ROLLBACK" {
			t.Errorf("COMMIT of a lost transaction: %s", a)
		}
		client.want(t, run, "select 4", "", 'I')
	})
	t.Run("transaction, then COMMIT", func(t *testing.T) {
		lt.open(t, run)
		client.want(t, run, "COMMIT", lt.code, 'I')
		client.want(t, run, "select 5", "", 'I')
	})
	t.Run("transaction, then ROLLBACK", func(t *testing.T) {
		lt.open(t, run)
		if a := client.want(t, run, "ROLLBACK", "", 'I'); len(a.tags) != 1 || a.tags[0] != "ROLLBACK" {
			t.Errorf("ROLLBACK: %s", a)
		}
		client.want(t, run, "select 6", "", 'I')
	})
	t.Run("deferred BEGIN", func(t *testing.T) {
		client.want(t, run, "BEGIN", "", 'T')
		lt.lose(t)
		client.want(t, run, "select 7", "", 'T')
		client.want(t, run, "COMMIT", "", 'I')
	})
}

// savepoint: a lost transaction cannot be rolled back to a savepoint.
func (lt *lossTest) savepoint(t *testing.T) {
	lt.open(t, lt.client.query)
	lt.client.want(t, lt.client.query, "SAVEPOINT a", lt.code, 'E')
	lt.client.want(t, lt.client.query, "ROLLBACK TO SAVEPOINT a", "3B001", 'E')
	lt.client.want(t, lt.client.query, "ROLLBACK", "", 'I')
}

// pinned: a client whose session state went with its server is closed with the server's own last words.
func (lt *lossTest) pinned(t *testing.T) {
	pinned := lt.call(t)
	pinned.want(t, pinned.query, "CREATE TEMP TABLE kept_here (a int)", "", 'I')
	lt.end(t)
	pinned.fatal(t, lt.code)
}

// TestServerLostWhileAStatementRuns ends a server in the middle of a statement: the answer says whether the statement
// may be repeated, and the client stays.
func TestServerLostWhileAStatementRuns(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = 0 // each statement has run for long
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table kept (n int)", "", 'I')
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), nil)
	n := 100
	for _, tc := range []struct {
		name, begin, text, cut string
		status                 byte
	}{
		{"read", "", "select pg_sleep(%d)", "08006", 'I'},
		{"read in a transaction", "BEGIN", "select pg_sleep(%d)", "08006", 'E'},
		{"write", "", "insert into kept select 1 from pg_sleep(%d)", "08007", 'I'},
		{"write in a transaction", "BEGIN", "insert into kept select 1 from pg_sleep(%d)", "08006", 'E'},
		{"whole transaction in one text", "", "BEGIN; select pg_sleep(%d); COMMIT", "08007", 'E'},
	} {
		for _, terminated := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, terminated=%v", tc.name, terminated), func(t *testing.T) {
				client := g.call(t)
				if tc.begin != "" {
					client.want(t, client.query, tc.begin, "", 'T')
				}
				n++
				_ = client.send(simple(fmt.Sprintf(tc.text, n)))
				awaitRunning(t, admin, fmt.Sprintf("pg_sleep(%d)", n))
				want := tc.cut
				if terminated {
					want = "57P01"
					admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%'")
				} else {
					tap.Cut()
				}
				a, err := client.answer()
				if err != nil || a.code() != want || a.status != tc.status || a.fatal {
					t.Fatalf("%v %s, want %s and state %c", err, a, want, tc.status)
				}
				if tc.status == 'E' {
					client.want(t, client.query, "select 1", "25P02", 'E')
					client.want(t, client.extended, "ROLLBACK", "", 'I')
				}
				client.want(t, client.extended, "select 1", "", 'I')
				_ = client.Close()
				admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%pg_sleep("+fmt.Sprint(n)+")%' and pid <> pg_backend_pid()")
			})
		}
	}
	g.atRest(t)
}

// TestServerLostWithPipeline loses a server while its client has sent several batches: the one that runs is answered with an error and
// its ReadyForQuery, those behind it, which have not been sent on, run on another server, and so does one whose Sync comes later.
func TestServerLostWithPipeline(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), nil)
	client := g.call(t)
	sync := wire.AppendEmpty(nil, wire.Sync)

	var p []byte
	for _, text := range []string{"select 1", "select pg_sleep(70)", "select 2"} {
		p = append(append(p, batchOf(text)...), sync...)
	}
	p = append(append(p, batchOf("select 3")...), wire.AppendEmpty(nil, wire.Flush)...) // its Sync comes later
	_ = client.send(p)
	awaitRunning(t, admin, "pg_sleep(70)")
	tap.Cut()
	if a, err := client.answer(); err != nil || len(a.codes) > 0 || len(a.rows) != 1 {
		t.Errorf("before the loss: %v %s", err, a)
	}
	if a, err := client.answer(); err != nil || len(a.codes) != 1 || a.status != 'I' {
		t.Errorf("the batch that was lost: %v %s", err, a)
	}
	if a, err := client.answer(); err != nil || len(a.codes) > 0 || len(a.rows) != 1 || a.status != 'I' {
		t.Errorf("the one behind it: %v %s", err, a)
	}
	_ = client.send(append(batchOf("select 4"), sync...)) // belongs to the unfinished batch
	if a, err := client.answer(); err != nil || len(a.codes) > 0 || len(a.rows) != 2 || a.status != 'I' {
		t.Errorf("the unfinished batch: %v %s", err, a)
	}
	client.want(t, client.extended, "select 5", "", 'I')
	g.atRest(t)
}

// TestServerLostInCopy loses a server while the client sends copy data, which it may go on sending.
func TestServerLostInCopy(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table kept (n int)", "", 'I')
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), nil)
	client := g.call(t)
	if a, err := client.query("copy kept from stdin"); err != nil || len(a.codes) > 0 {
		t.Fatal(err, a)
	}
	data := appendMessage(nil, wire.CopyData, "1\n2\n")
	_ = client.send(data)
	tap.Cut()
	if a, err := client.answer(); err != nil || a.code() != "08007" || a.status != 'I' {
		t.Errorf("lost in COPY: %v %s", err, a)
	}
	_ = client.send(append(data, wire.AppendEmpty(data, wire.CopyDone)...))
	client.want(t, client.query, "select count(*) from kept", "", 'I')
	g.atRest(t)
}
