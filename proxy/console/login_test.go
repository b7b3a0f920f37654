package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/upstream"
)

// guarded is a proxy with a console in front of the server at up, on TCP and on a unix socket.
func guarded(t *testing.T, up string, change func(c *proxy.Config)) (srv *proxy.Server, address, socket string) {
	t.Helper()
	parsed, err := upstream.Parse(up)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgguard") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := proxy.Default()
	cfg.Upstream = parsed
	cfg.Listen = []proxy.Listener{{Addr: "127.0.0.1:0"}, {Addr: "unix:" + dir}}
	cfg.Admin = proxy.Admin{Users: []string{"ops"}, StatsUsers: []string{"exporter"}}
	cfg.Console = New(Config{Version: "test", Settings: func() []Setting { return nil }}).Serve
	if change != nil {
		change(&cfg)
	}
	if srv, err = proxy.New(cfg); err == nil {
		err = srv.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(context.Background()) }()
	t.Cleanup(func() { _ = srv.Close(); <-served })
	return srv, srv.Addrs()[0].String(), srv.Addrs()[1].String()
}

// nowhere is an upstream that refuses connections.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return fmt.Sprintf("postgres://postgres@%s/postgres", l.Addr())
}

// last is what is said last but one, before the end or the next command.
func last(told []string) string { return strings.Join(told[max(0, len(told)-2):], "; ") }

// TestConsoleIsForThoseWhoAreNamed also shows that it needs no database: there is none.
func TestConsoleIsForThoseWhoAreNamed(t *testing.T) {
	srv, address, socket := guarded(t, nowhere(t), nil)
	for _, c := range []struct{ network, address, user, database, want string }{
		{"tcp", address, "ops", "pgguard", "key; ready I"},
		{"tcp", address, "ops", "pgbouncer", "key; ready I"},
		{"tcp", address, "exporter", "pgbouncer", "key; ready I"},
		{"tcp", address, "somebody", "pgbouncer", "error FATAL FATAL 08P01: not allowed; closed"},
		{"tcp", address, "pgbouncer", "pgbouncer", "error FATAL FATAL 08P01: not allowed; closed"},
		{"unix", socket, "pgbouncer", "pgbouncer", "key; ready I"},
		{"unix", socket, "pgguard", "pgbouncer", "key; ready I"},
		{"unix", socket, "somebody", "pgguard", "error FATAL FATAL 08P01: not allowed; closed"},
	} {
		k, told := call(t, c.network, c.address, c.user, c.database)
		if got := last(told); got != c.want {
			t.Errorf("%s by %s to %s: %s, want %s", c.user, c.network, c.database, got, c.want)
		}
		if strings.HasSuffix(c.want, "I") {
			fds := k.ask(t, "show fds")
			if mayChange := len(fds) > 3; mayChange == (c.user == "exporter") {
				t.Errorf("%s by %s: SHOW FDS says %q", c.user, c.network, fds)
			}
		}
	}
	if n := srv.Stats().Refusals[proxy.ReasonClass{Reason: "console", Class: "high"}]; n != 3 {
		t.Errorf("%d refusals are counted, want 3", n)
	}
}

// TestOperatorsProveWhoTheyAre as clients do, but for whoever runs the guard.
func TestOperatorsProveWhoTheyAre(t *testing.T) {
	_, address, socket := guarded(t, nowhere(t), func(c *proxy.Config) {
		c.Auth.Policy.Method = auth.MethodSCRAM
		c.Auth.Users = map[string]proxy.User{"ops": {Secret: auth.Plain("right")}, "app": {Secret: auth.Plain("right")}}
	})
	for url, code := range map[string]string{
		"postgres://ops:right@" + address + "/pgguard": "", "postgres://ops:wrong@" + address + "/pgguard": "28P01",
		"postgres://app:right@" + address + "/pgguard": "08P01", "postgres://exporter:right@" + address + "/pgguard": "28P01",
	} {
		ctx, stop := context.WithTimeout(t.Context(), patience)
		c, err := pgx.Connect(ctx, url+"?sslmode=disable")
		var said *pgconn.PgError
		if got := ""; err != nil && (!errors.As(err, &said) || said.Code != code) || err == nil && code != got {
			t.Errorf("%s: %v, want %q", url, err, code)
		}
		if c != nil {
			_ = c.Close(ctx)
		}
		stop()
	}
	if _, told := call(t, "unix", socket, "pgguard", "pgguard"); last(told) != "key; ready I" {
		t.Errorf("its own user is told %q", told)
	}
}

// TestOperatorsAreBounded: however many come, few are in, and whoever leaves makes room.
func TestOperatorsAreBounded(t *testing.T) {
	srv, address, _ := guarded(t, nowhere(t), func(c *proxy.Config) { c.MaxClients = 1 })
	var in []*talk
	for range proxy.MaxOperators {
		k, told := call(t, "tcp", address, "ops", "pgguard")
		if last(told) != "key; ready I" {
			t.Fatalf("operator %d is told %q", len(in), told)
		}
		in = append(in, k)
	}
	for range 3 * proxy.MaxOperators {
		if _, told := call(t, "tcp", address, "ops", "pgguard"); last(told) != "error FATAL FATAL 53300: guard: as many operators are in the console as may be; closed" {
			t.Fatalf("one too many is told %q", told)
		}
	}
	if st := srv.Stats(); st.Clients["idle"] != 0 || len(srv.ClientList()) != 0 {
		t.Errorf("operators are counted as clients: %v", st.Clients)
	}
	_ = in[0].nc.Close()
	for end := time.Now().Add(patience); len(srv.Operators()) == proxy.MaxOperators; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the place of an operator who has gone is not free")
		}
	}
	if _, told := call(t, "tcp", address, "ops", "pgguard"); last(told) != "key; ready I" {
		t.Errorf("when one has left another is told %q", told)
	}
	if names := srv.UserNames(); !slices.Contains(names, "ops") {
		t.Errorf("users are %q", names)
	}
}

// TestCloseEndsConsoles whatever they are at.
func TestCloseEndsConsoles(t *testing.T) {
	srv, address, _ := guarded(t, nowhere(t), nil)
	k, _ := call(t, "tcp", address, "ops", "pgguard")
	closed := make(chan struct{})
	go func() { defer close(closed); _ = srv.Close() }()
	_ = k.nc.SetDeadline(time.Now().Add(patience))
	if said := k.hear(t); last(said) != "closed" {
		t.Errorf("it is told %q", said)
	}
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close does not end")
	}
}
