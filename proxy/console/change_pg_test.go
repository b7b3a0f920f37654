//go:build pg

package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy"
	"pgguard/proxy/pgtest"
)

// background runs a statement of a client and says when it has ended.
func background(c *pgx.Conn, text string) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := c.Exec(context.Background(), text); done <- err }()
	return done
}

// hasEnded waits for what background runs.
func hasEnded(t *testing.T, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s does not end", what)
		return nil
	}
}

// still fails the test if what background runs has ended.
func still(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("%s has ended: %v", what, err)
	default:
	}
}

// waits are the pools in which so many clients wait.
func waits(n int) func(rows []map[string]any) bool {
	return func(rows []map[string]any) bool {
		sum := 0
		for _, r := range rows {
			sum += int(r["cl_waiting"].(int32))
		}
		return sum == n
	}
}

// TestPauseWaitsForTransactionsAndHoldsClients: what is under way ends by itself, nothing else begins, nobody is refused however short his class's
// patience is, the database has no connection of a client's then, and everybody goes on at RESUME, those who came meanwhile, too.
func TestPauseWaitsForTransactionsAndHoldsClients(t *testing.T) {
	const longest = 300 * time.Millisecond // a login at RESUME takes less, on a loaded machine, too
	cluster := pgtest.New(t, pgtest.Options{})
	for _, name := range []string{"", " postgres"} {
		_, address, _ := guarded(t, cluster.URL("postgres"), func(c *proxy.Config) {
			for i := range c.Pool.Classes {
				c.Pool.Classes[i].MaxWait = longest
			}
		})
		k, other := connectOps(t, address), connectOps(t, address)
		works, comes := connect(t, address, "postgres", "works"), connect(t, address, "postgres", "comes")
		exec1(t, works, "begin")
		exec1(t, works, "select 1")
		paused := background(k, "pause"+name)
		await(t, other, "show databases", func(rows []map[string]any) bool {
			return name == "" || len(with(with(rows, "name", "postgres"), "paused", 1)) == 1
		})
		if name == "" {
			await(t, other, "show state", func(rows []map[string]any) bool { return with(rows, "key", "paused")[0]["value"] == "yes" })
		}
		waiting := background(comes, "select 2")
		await(t, other, "show pools", waits(1))
		exec1(t, works, "select 3") // inside a transaction nobody waits
		still(t, "PAUSE", paused)
		exec1(t, works, "commit")
		if err := hasEnded(t, "PAUSE", paused); err != nil {
			t.Fatal(err)
		}
		if servers := ask(t, other, "show servers"); len(servers) != 0 {
			t.Errorf("after PAUSE there are %v", servers)
		}
		late := connect(t, address, "postgres", "late") // what a client is told is known
		lateWaits := background(late, "select 4")
		await(t, other, "show pools", waits(2))
		for end := time.Now().Add(3 * longest); time.Now().Before(end); {
			still(t, "a client of a paused database", waiting)
			still(t, "a client of a paused database", lateWaits)
			ask(t, other, "show version")
		}
		exec1(t, k, "resume"+name)
		for _, done := range []<-chan error{waiting, lateWaits} {
			if err := hasEnded(t, "a client", done); err != nil {
				t.Error(err)
			}
		}
		if events := with(ask(t, k, "show events"), "kind", "operate"); len(events) != 2 || events[0]["by"] != "ops" || events[0]["cause"] != "resume" {
			t.Errorf("events are %v", events)
		}
	}
}

// TestPauseHoldsWhoLogsIn where nothing is known yet of what a client is told, and who is cancelled or leaves meanwhile is forgotten.
func TestPauseHoldsWhoLogsIn(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), func(c *proxy.Config) { c.Databases = map[string]proxy.Database{"postgres": {Upstream: c.Upstream}} })
	k := connectOps(t, address)
	exec1(t, k, "pause postgres")
	type came struct {
		c   *pgx.Conn
		err error
	}
	in := make(chan came, 1)
	go func() {
		c, err := pgx.Connect(context.Background(), "postgres://postgres@"+address+"/postgres?sslmode=disable")
		in <- came{c, err}
	}()
	await(t, k, "show lists", func(rows []map[string]any) bool { return with(rows, "list", "login_clients")[0]["items"] == int32(1) })
	if servers := ask(t, k, "show servers"); len(servers) != 0 {
		t.Errorf("a login has opened %v", servers)
	}
	exec1(t, k, "resume postgres")
	var c came
	select {
	case c = <-in:
	case <-time.After(patience):
		t.Fatal("the login does not end")
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer func() { _ = c.c.Close(context.Background()) }()
	exec1(t, c.c, "select 1")
	exec1(t, k, "pause postgres")
	waiting := background(c.c, "select 2")
	await(t, k, "show pools", waits(1))
	if err := c.c.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	var said *pgconn.PgError
	if err := hasEnded(t, "a cancelled statement", waiting); !errors.As(err, &said) || said.Code != "57014" {
		t.Errorf("it is told %v", err)
	}
	waiting = background(c.c, "select 3")
	await(t, k, "show pools", waits(1))
	_ = c.c.PgConn().Conn().Close()
	_ = hasEnded(t, "a statement whose client has left", waiting)
	await(t, k, "show clients", func(rows []map[string]any) bool { return len(rows) == 1 })
	exec1(t, k, "resume postgres")
}

// TestPauseOfOneNameLeavesOthersAlone though they lead to the same database.
func TestPauseOfOneNameLeavesOthersAlone(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), func(c *proxy.Config) {
		c.Databases = map[string]proxy.Database{"alias": {Upstream: mustParse(t, cluster.URL("postgres"))}}
	})
	k := connectOps(t, address)
	direct, alias := connect(t, address, "postgres", "direct"), connect(t, address, "alias", "alias")
	exec1(t, direct, "select 1")
	exec1(t, alias, "select 1")
	exec1(t, k, "pause alias")
	waiting := background(alias, "select 2")
	await(t, k, "show pools", waits(1))
	for range 10 {
		exec1(t, direct, "select 3")
	}
	still(t, "a client of the paused name", waiting)
	exec1(t, k, "resume alias")
	if err := hasEnded(t, "a client", waiting); err != nil {
		t.Error(err)
	}
}

// pid is the server that runs a client's statement.
func pid(t *testing.T, c *pgx.Conn) (n int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := c.QueryRow(ctx, "select pg_backend_pid()").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReconnectRetiresServersGently: who is in a transaction keeps his until its end, which WAIT_CLOSE waits for.
func TestReconnectRetiresServersGently(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), nil)
	k := connectOps(t, address)
	client, busy := connect(t, address, "postgres", "client"), connect(t, address, "postgres", "busy")
	exec1(t, busy, "begin")
	held := pid(t, busy)
	idle := pid(t, client)
	exec1(t, k, "reconnect postgres")
	if now := pid(t, busy); now != held {
		t.Errorf("a transaction changed its server from %d to %d", held, now)
	}
	if now := pid(t, client); now == idle || now == held {
		t.Errorf("after RECONNECT server %d is used again", now)
	}
	closed := background(connectOps(t, address), "wait_close postgres")
	await(t, k, "show servers", func(rows []map[string]any) bool { // when the other, which nobody had, is closed
		rows = with(rows, "close_needed", 1)
		return len(rows) == 1 && rows[0]["remote_pid"] == int32(held)
	})
	still(t, "WAIT_CLOSE", closed)
	exec1(t, busy, "commit")
	if err := hasEnded(t, "WAIT_CLOSE", closed); err != nil {
		t.Error(err)
	}
	if now := pid(t, busy); now == held {
		t.Error("the retired server is used again")
	}
}

// TestKillEndsClientsAndServersAtOnce, says why, and holds who comes then.
func TestKillEndsClientsAndServersAtOnce(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), nil)
	k := connectOps(t, address)
	var dead []<-chan error
	for i := range 3 {
		c := connect(t, address, "postgres", fmt.Sprint("client", i))
		exec1(t, c, "select 1")
		dead = append(dead, background(c, "select pg_sleep(60)"))
	}
	idle, _ := call(t, "tcp", address, "postgres", "postgres")
	await(t, k, "show servers", func(rows []map[string]any) bool { return len(with(rows, "state", "active")) == 3 })
	await(t, k, "show clients", func(rows []map[string]any) bool { return len(with(rows, "database", "postgres")) == 4 }) // told that it is in is not yet in
	exec1(t, k, "kill postgres")
	for _, done := range dead {
		var said *pgconn.PgError
		if err := hasEnded(t, "a killed client", done); !errors.As(err, &said) || said.Code != "57P01" || said.Message != "admin forced disconnect" {
			t.Errorf("it is told %v", err)
		}
	}
	if said := strings.Join(idle.hear(t), "; "); said != "error FATAL FATAL 57P01: admin forced disconnect; closed" {
		t.Errorf("an idle client is told %s", said)
	}
	await(t, k, "show servers", func(rows []map[string]any) bool { return len(rows) == 0 })
	var work sync.WaitGroup
	work.Go(func() {
		c, err := pgx.Connect(context.Background(), "postgres://postgres@"+address+"/postgres?sslmode=disable")
		if err == nil {
			_, err = c.Exec(context.Background(), "select 1")
			_ = c.Close(context.Background())
		}
		if err != nil {
			t.Errorf("after RESUME: %v", err)
		}
	})
	await(t, k, "show pools", waits(1))
	exec1(t, k, "resume postgres")
	work.Wait()
}

// TestKillClientEndsOne, and DISABLE keeps others out while who is in stays.
func TestKillClientEndsOneAndDisableKeepsOut(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), nil)
	k := connectOps(t, address)
	stays, goes := connect(t, address, "postgres", "stays"), connect(t, address, "postgres", "goes")
	exec1(t, stays, "select 1")
	done := background(goes, "select pg_sleep(60)")
	await(t, k, "show clients", func(rows []map[string]any) bool {
		return len(with(with(rows, "application_name", "goes"), "state", "active")) == 1
	})
	id := with(ask(t, k, "show clients"), "application_name", "goes")[0]["id"]
	exec1(t, k, fmt.Sprint("kill_client ", id))
	var said *pgconn.PgError
	if err := hasEnded(t, "the client", done); !errors.As(err, &said) || said.Message != "admin forced disconnect" {
		t.Errorf("it is told %v", err)
	}
	exec1(t, k, "disable postgres")
	_, told := call(t, "tcp", address, "postgres", "postgres")
	if got := last(told); got != "error FATAL FATAL 08004: guard: the database is disabled; closed" {
		t.Errorf("a new client is told %s", got)
	}
	exec1(t, stays, "select 2")
	exec1(t, k, "enable postgres")
	exec1(t, connect(t, address, "postgres", "new"), "select 3")
}
