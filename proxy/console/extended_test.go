package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// open is a driver at a console, in one of its modes.
func open(t *testing.T, address string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig("postgres://ops@" + address + "/pgguard?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = mode
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// steady are the views that say the same each time, of a guard in which nothing happens.
var steady = []string{"config", "dns_hosts", "events", "fds", "limits", "classes", "pressure", "incidents", "peers", "servers", "state", "version"}

// TestDriversReadEveryViewInEveryMode: by simple queries, by prepared statements, with text and with binary values, which all say the same.
func TestDriversReadEveryViewInEveryMode(t *testing.T) {
	address := desk(t, world())
	for name := range views {
		first := ""
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec} {
			c := open(t, address, mode)
			rows, err := c.Query(t.Context(), "SHOW "+name)
			if err != nil {
				t.Fatalf("%s in mode %s: %v", name, mode, err)
			}
			said := fmt.Sprintln("what is in", name)
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					t.Fatalf("%s in mode %s: %v", name, mode, err)
				}
				said += fmt.Sprintln(values...)
			}
			if rows.Err() != nil || rows.CommandTag().String() != "SHOW" {
				t.Fatalf("%s in mode %s: %v, tag %q", name, mode, rows.Err(), rows.CommandTag())
			}
			if first == "" {
				first = said
			}
			if said != first && slices.Contains(steady, name) {
				t.Errorf("%s in mode %s:\n%s\nby simple queries:\n%s", name, mode, said, first)
			}
			_ = c.Close(t.Context())
		}
	}
}

func TestNumbersAreWhatTheyAreInEveryFormat(t *testing.T) {
	for _, n := range []int64{0, 1, 9_999, 10_000, 10_001, 123_456_789, 100_000_000, math.MaxInt64, -5} {
		c := open(t, desk(t, world()), pgx.QueryExecModeCacheStatement)
		var got int64
		if err := c.TypeMap().Scan(numeric.oid, pgx.BinaryFormatCode, numeric.encode(n, asBinary), &got); err != nil || got != n {
			t.Errorf("numeric %d is read as %d, %v", n, got, err)
		}
	}
	if got := int4.encode(uint64(math.MaxUint64), asText); string(got) != "2147483647" {
		t.Errorf("more than a column has room for is %s", got)
	}
}

// TestExtendedProtocolIsPostgreSQLs: errors skip up to Sync, portals go on where they stopped, what does not exist is said so.
func TestExtendedProtocolIsPostgreSQLs(t *testing.T) {
	k, _ := call(t, "tcp", desk(t, world()), "ops", "pgguard")
	for _, c := range []struct {
		name string
		send []pgproto3.FrontendMessage
		want []string
	}{
		{"an error skips to Sync", []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "nonsense"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}},
			[]string{"error ERROR ERROR 08P01: invalid command 'nonsense', use SHOW HELP;", "ready I"}},
		{"a portal goes on", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Name: "s", Query: "show state"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Bind{PreparedStatement: "s"},
			&pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Sync{},
		}, []string{
			"*pgproto3.ParseComplete", "*pgproto3.ParameterDescription", "column key 25 size -1 mod -1 format 0 table 0.0", "column value 25 size -1 mod -1 format 0 table 0.0",
			"*pgproto3.BindComplete", "row active|yes", "row paused|no", "*pgproto3.PortalSuspended", "row suspended|no", "tag SHOW", "ready I",
		}},
		{"a name is taken", []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "s", Query: "show state"}, &pgproto3.Sync{}},
			[]string{`error ERROR ERROR 42P05: prepared statement "s" already exists`, "ready I"}},
		{"and free again", []pgproto3.FrontendMessage{
			&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Parse{Name: "s", Query: "show help"}, &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"},
			&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Close{ObjectType: 'P', Name: "p"}, &pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{},
		}, []string{"*pgproto3.CloseComplete", "*pgproto3.ParseComplete", "*pgproto3.BindComplete", "*pgproto3.NoData", "*pgproto3.CloseComplete",
			`error ERROR ERROR 34000: portal "p" does not exist`, "ready I"}},
		{"no statement", []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "none"}, &pgproto3.Sync{}},
			[]string{`error ERROR ERROR 26000: prepared statement "none" does not exist`, "ready I"}},
		{"no parameters", []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("1")}}, &pgproto3.Sync{}},
			[]string{"error ERROR ERROR 08P01: commands of the console have no parameters", "ready I"}},
		{"a format for each column", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Query: "show state"}, &pgproto3.Bind{ResultFormatCodes: []int16{0, 1, 0}}, &pgproto3.Sync{},
		}, []string{"*pgproto3.ParseComplete", "error ERROR ERROR 08P01: bind message has 3 result formats but query has 2 columns", "ready I"}},
	} {
		k.send(t, c.send...)
		if got := k.hear(t); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestConsoleBoundsWhatAnOperatorPrepares(t *testing.T) {
	c := open(t, desk(t, world()), pgx.QueryExecModeSimpleProtocol)
	var err error
	for i := 0; i <= maxPrepared && err == nil; i++ {
		_, err = c.PgConn().Prepare(t.Context(), fmt.Sprint("s", i), "show state", nil)
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code != "53400" {
		t.Errorf("more than %d statements: %v", maxPrepared, err)
	}
}

// TestLongAndBrokenCommandsEndNobodyElse: a long command is an error, what is no message ends the connection, and others are served.
func TestLongAndBrokenCommandsEndNobodyElse(t *testing.T) {
	address := desk(t, world())
	k, _ := call(t, "tcp", address, "ops", "pgguard")
	for _, command := range []string{strings.Repeat("x", 60<<10), "show " + strings.Repeat("é", 30<<10), strings.Repeat(" ", 60<<10) + "show version"} {
		said := k.ask(t, command)
		if len(said) != 2 || !strings.HasPrefix(said[0], "error ERROR ERROR 08P01: invalid command '") || len(said[0]) > 1200 || said[1] != "ready I" {
			t.Errorf("a command of %d bytes: %.200q", len(command), said)
		}
	}
	for _, broken := range []string{"Q\x00\x00\x00\x03", "Q\x7f\xff\xff\xff", "Q\x00\x00\x00\x05x", "P\x00\x00\x00\x04", "d\x00\x00\x00\x04", "\x00\x00\x00\x00\x00", "B\x00\x00\x00\x06\x00\x00"} {
		b, _ := call(t, "tcp", address, "ops", "pgguard")
		_ = b.nc.SetDeadline(time.Now().Add(patience))
		if _, err := b.nc.Write([]byte(broken)); err != nil {
			t.Fatal(err)
		}
		if said := b.hear(t); said[len(said)-1] != "closed" || len(said) != 2 || !strings.HasPrefix(said[0], "error FATAL") {
			t.Errorf("%q: %q", broken, said)
		}
	}
	if said := k.ask(t, "show version"); len(said) != 4 {
		t.Errorf("after that another is told %q", said)
	}
}
