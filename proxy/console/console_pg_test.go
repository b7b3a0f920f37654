//go:build pg

package console

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"pgguard/proxy"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// connect is a client of the guard at address.
func connect(t *testing.T, address, database, name string) *pgx.Conn {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, err := pgx.Connect(ctx, "postgres://postgres@"+address+"/"+database+"?sslmode=disable&application_name="+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func exec1(t *testing.T, c *pgx.Conn, text string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if _, err := c.Exec(ctx, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// ask returns the rows of a view, by the names of its columns.
func ask(t *testing.T, c *pgx.Conn, command string) []map[string]any {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	rows, err := c.Query(ctx, command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return list
}

// await looks at a view until ok says so of its rows.
func await(t *testing.T, c *pgx.Conn, command string, ok func(rows []map[string]any) bool) {
	t.Helper()
	var rows []map[string]any
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if rows = ask(t, c, command); ok(rows) {
			return
		}
	}
	t.Fatalf("%s: %v", command, rows)
}

// with picks the rows in which a column has a value.
func with(rows []map[string]any, column string, value any) []map[string]any {
	return slices.DeleteFunc(slices.Clone(rows), func(r map[string]any) bool { return fmt.Sprint(r[column]) != fmt.Sprint(value) })
}

// TestConsoleShowsWhatGoesOn: who runs, who waits, who is pinned, and what was done, with one server for all.
func TestConsoleShowsWhatGoesOn(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), func(c *proxy.Config) {
		c.Pool.MaxServers, c.MaxPinned = 1, 1
		c.Databases = map[string]proxy.Database{"alias": {Upstream: mustParse(t, cluster.URL("postgres"))}}
	})
	holder := connect(t, address, "alias", "holder")
	exec1(t, holder, "create temp table kept (id int)")
	waiter := connect(t, address, "postgres", "waiter")
	var work sync.WaitGroup
	work.Go(func() { _, _ = waiter.Exec(context.Background(), "select 1") })
	k := connectOps(t, address)
	await(t, k, "show pools", func(rows []map[string]any) bool { return len(with(rows, "cl_waiting", 1)) == 1 })
	clients := ask(t, k, "show clients")
	h, w := with(clients, "application_name", "holder"), with(clients, "application_name", "waiter")
	if len(h) != 1 || len(w) != 1 || h[0]["database"] != "alias" || h[0]["state"] != "active" || w[0]["state"] != "waiting" || h[0]["link"] == "" || w[0]["link"] != "" {
		t.Errorf("clients are %v", clients)
	}
	servers := ask(t, k, "show servers")
	if len(servers) != 1 || servers[0]["link"] != h[0]["ptr"] || servers[0]["ptr"] != h[0]["link"] || servers[0]["state"] != "active" || servers[0]["database"] != "alias" {
		t.Errorf("servers are %v", servers)
	}
	if pins := ask(t, k, "show pins"); len(pins) != 1 || pins[0]["reasons"] != "temp_table" || pins[0]["application_name"] != "holder" || pins[0]["client_id"] != h[0]["id"] {
		t.Errorf("pins are %v", pins)
	}
	exec1(t, holder, "drop table kept")
	work.Wait()
	await(t, k, "show stats_totals", func(rows []map[string]any) bool {
		alias, direct := with(rows, "database", "alias"), with(rows, "database", "postgres")
		return len(alias) == 1 && len(direct) == 1 && number(t, alias[0]["query_count"]) == 2 && number(t, direct[0]["query_count"]) == 1 && number(t, direct[0]["wait_time"]) > 0 &&
			number(t, alias[0]["bytes_received"]) > 0 && number(t, alias[0]["server_assignment_count"]) == 1
	})
	if pins := ask(t, k, "show pins"); len(pins) != 0 {
		t.Errorf("without a reason pins are %v", pins)
	}
	if d := with(ask(t, k, "show databases"), "name", "alias"); len(d) != 1 || d[0]["database"] != "postgres" || number(t, d[0]["max_connections"]) != 1 || number(t, d[0]["current_connections"]) != 1 {
		t.Errorf("database alias is %v", d)
	}
}

// TestConsoleTakesNothing: with the only server held and the last client in, the console works, and is neither.
func TestConsoleTakesNothing(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	srv, address, _ := guarded(t, cluster.URL("postgres"), func(c *proxy.Config) { c.Pool.MaxServers, c.MaxClients = 1, 1 })
	client := connect(t, address, "postgres", "only")
	exec1(t, client, "begin")
	exec1(t, client, "select 1")
	if _, told := call(t, "tcp", address, "postgres", "postgres"); last(told) != "error FATAL FATAL 53300: guard: client connection limit reached; closed" {
		t.Errorf("one client too many is told %q", told)
	}
	k := connectOps(t, address)
	for name := range views {
		ask(t, k, "show "+name)
	}
	st := srv.Stats()
	if p := st.Pools[0]; p.Servers["active"] != 1 || p.Servers["idle"]+p.Servers["opening"] != 0 || p.Running != 0 || st.Clients["idle_in_transaction"] != 1 || len(srv.ClientList()) != 1 {
		t.Errorf("with a console: servers %v, running %d, clients %v", p.Servers, p.Running, st.Clients)
	}
	exec1(t, client, "commit")
}

// TestThousandConsolesHarmNobody: most are refused, all say something, and a client is served meanwhile.
func TestThousandConsolesHarmNobody(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), nil)
	client := connect(t, address, "postgres", "client")
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			for range 50 {
				nc, err := net.DialTimeout("tcp", address, patience)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = nc.Close() }()
				_, _ = nc.Write([]byte("\x00\x00\x00\x23\x00\x03\x00\x00user\x00ops\x00database\x00pgguard\x00\x00"))
				_, _ = nc.Write(append([]byte("Q\x00\x00\xf0\x05"), strings.Repeat("x", 0xf000)+"\x00"...))
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		exec1(t, client, "select 1")
	}
}

// TestPsqlRunsEveryCommand that shows something.
func TestPsqlRunsEveryCommand(t *testing.T) {
	cluster := pgtest.New(t, pgtest.Options{})
	_, address, _ := guarded(t, cluster.URL("postgres"), nil)
	for name := range views {
		out, err := psql(t, address, "pgbouncer", "SHOW "+name+";")
		if err != nil || !strings.Contains(out, views[name].columns[0].name) {
			t.Errorf("psql, SHOW %s: %v\n%s", name, err, out)
		}
	}
	if out, err := psql(t, address, "pgguard", "show help"); err != nil || !strings.Contains(out, "SHOW LIMITS|CLASSES|PINS|QUERIES") {
		t.Errorf("psql, SHOW HELP: %v\n%s", err, out)
	}
}

// psql runs a command in a console and returns all it prints.
func psql(t *testing.T, address, database, command string) (string, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	out, err := exec.CommandContext(ctx, "psql", "-X", "-h", host, "-p", port, "-U", "ops", "-d", database, "-v", "ON_ERROR_STOP=1", "-c", command).CombinedOutput()
	return string(out), err
}

func connectOps(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	return open(t, address, pgx.QueryExecModeCacheStatement)
}

// number is a value of a numeric or integer column.
func number(t *testing.T, v any) int64 {
	t.Helper()
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(v), &n); err == nil {
		return n
	}
	if d, is := v.(interface{ Int64Value() (pgtype.Int8, error) }); is {
		if i, err := d.Int64Value(); err == nil {
			return i.Int64
		}
	}
	t.Fatalf("%v is no number", v)
	return 0
}

func mustParse(t *testing.T, url string) upstream.Upstream {
	t.Helper()
	up, err := upstream.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return up
}
