//go:build pg

package proxy

import (
	"fmt"
	"testing"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestServerLostWhileNothingRuns ends servers that run nothing: whoever has no transaction there never knows.
func TestServerLostWhileNothingRuns(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table kept (n int)", "", 'I')
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), func(cfg *Config) { cfg.Pool.MaxServers = 2 })
	terminate := func(t *testing.T) {
		t.Helper()
		admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pgguard'")
	}
	noticed := func(t *testing.T) {
		t.Helper()
		eventually(t, "noticed", func() bool { st := g.pool(); return st.Servers["active"]+st.Servers["idle"]+st.Servers["closing"] == 0 })
	}
	kills := map[string]struct {
		kill func(*testing.T)
		code string // what the server's own last words say
	}{
		"terminated": {terminate, "57P01"},
		"cut":        {func(*testing.T) { tap.Cut() }, "08006"},
	}
	for name, k := range kills {
		t.Run(name, func(t *testing.T) {
			client := g.call(t)
			simple, extended := client.query, client.extended
			both := map[string]func(string) (answer, error){"simple": simple, "extended": extended}
			open := func(t *testing.T, run func(string) (answer, error)) {
				t.Helper()
				client.want(t, run, "BEGIN", "", 'T')
				client.want(t, run, "insert into kept values (1)", "", 'T')
				k.kill(t)
				noticed(t)
			}
			for how, run := range both {
				t.Run("idle server, "+how, func(t *testing.T) {
					client.want(t, run, "select 1", "", 'I')
					k.kill(t)
					noticed(t)
					client.want(t, run, "select 1", "", 'I')
				})
				t.Run("idle transaction then statement, "+how, func(t *testing.T) {
					open(t, run)
					client.want(t, run, "select 2", k.code, 'E')
					client.want(t, run, "select 3", "25P02", 'E')
					if a := client.want(t, run, "COMMIT", "", 'I'); a.tags[0] != "ROLLBACK" {
						t.Errorf("COMMIT of a lost transaction: %s", a)
					}
					client.want(t, run, "select 4", "", 'I')
				})
				t.Run("idle transaction then COMMIT, "+how, func(t *testing.T) {
					open(t, run)
					client.want(t, run, "COMMIT", k.code, 'I')
					client.want(t, run, "select 5", "", 'I')
				})
				t.Run("idle transaction then ROLLBACK, "+how, func(t *testing.T) {
					open(t, run)
					if a := client.want(t, run, "ROLLBACK", "", 'I'); len(a.tags) != 1 || a.tags[0] != "ROLLBACK" {
						t.Errorf("ROLLBACK: %s", a)
					}
					client.want(t, run, "select 6", "", 'I')
				})
				t.Run("deferred BEGIN, "+how, func(t *testing.T) {
					client.want(t, run, "BEGIN", "", 'T')
					k.kill(t)
					noticed(t)
					client.want(t, run, "select 7", "", 'T')
					client.want(t, run, "COMMIT", "", 'I')
				})
			}
			t.Run("savepoints", func(t *testing.T) {
				open(t, simple)
				client.want(t, simple, "SAVEPOINT a", k.code, 'E')
				client.want(t, simple, "ROLLBACK TO SAVEPOINT a", "25P02", 'E')
				client.want(t, simple, "ROLLBACK", "", 'I')
			})
			t.Run("pinned", func(t *testing.T) {
				pinned := g.call(t)
				pinned.want(t, pinned.query, "SET statement_timeout = '5s'", "", 'I')
				k.kill(t)
				typ, body, err := pinned.next()
				f, _ := wire.ParseError(body)
				if err != nil || typ != wire.ErrorResponse || !f.Fatal() || string(f.Code) != k.code {
					t.Errorf("got %c %s %s %v, want FATAL %s", typ, f.Severity, f.Code, err, k.code)
				}
				if _, _, err := pinned.next(); err == nil {
					t.Error("the connection is open after FATAL")
				}
			})
			g.atRest(t)
		})
	}
	if n := admin.one(t, "select count(*) from kept"); n != "0" {
		t.Errorf("%s rows of lost transactions are there", n)
	}
}

// TestServerLostWhileAStatementRuns ends a server in the middle of a statement: the answer says whether the statement
// may be repeated, and the client stays.
func TestServerLostWhileAStatementRuns(t *testing.T) {
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
		{"whole transaction in one text", "", "BEGIN; select pg_sleep(%d); COMMIT", "08007", 'I'},
	} {
		for _, terminated := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, terminated=%v", tc.name, terminated), func(t *testing.T) {
				client := g.call(t)
				if tc.begin != "" {
					client.want(t, client.query, tc.begin, "", 'T')
				}
				n++
				_ = client.send(simple(fmt.Sprintf(tc.text, n)))
				running(t, admin, fmt.Sprintf("pg_sleep(%d)", n))
				want := tc.cut
				if terminated {
					want = "57P01"
					admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pgguard'")
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

// TestServerLostWithPipeline loses a server with several batches under way: every ReadyForQuery that the client expects
// comes, and none without an error before it.
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
	running(t, admin, "pg_sleep(70)")
	tap.Cut()
	if a, err := client.answer(); err != nil || len(a.codes) > 0 || len(a.rows) != 1 {
		t.Errorf("before the loss: %v %s", err, a)
	}
	for i := range 2 {
		if a, err := client.answer(); err != nil || len(a.codes) != 1 || a.status != 'I' {
			t.Errorf("batch %d: %v %s", i+2, err, a)
		}
	}
	_ = client.send(append(batchOf("select 4"), sync...)) // belongs to the lost batch and is skipped with it
	if a, err := client.answer(); err != nil || len(a.codes) != 1 || len(a.rows) != 0 || a.status != 'I' {
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
