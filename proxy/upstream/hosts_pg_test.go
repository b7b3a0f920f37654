//go:build pg

package upstream_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// choose logs in as the side channel does, and returns the port of the server.
func choose(t *testing.T, dsn string) (port string, err error) {
	t.Helper()
	up, err := upstream.Parse(dsn)
	if err != nil {
		return "", err
	}
	h := upstream.Handshake{User: up.User, Password: up.Password, Chooses: true, Params: map[string]string{"user": up.User, "database": "postgres"}}
	if err := upstream.NewDoor(up).LogIn(t.Context(), &h); err != nil {
		return "", err
	}
	_, port, err = net.SplitHostPort(h.At.String())
	return port, errors.Join(err, h.Conn.Close())
}

// closed is a port at which nobody listens.
func closed(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// TestHostsAreTriedAsByLibpq: of a primary, a standby and a host that is down the guard takes the one that psql takes, or fails where psql does.
func TestHostsAreTriedAsByLibpq(t *testing.T) {
	f := newFiles(t)
	primary := pgtest.New(t, pgtest.Options{HBA: []string{"host all app all scram-sha-256"}})
	f.do(primary, "create role app login password 'secret'", "create role reader login", "alter role reader set default_transaction_read_only = on")
	standby := pgtest.NewStandby(t, primary)
	caughtUp(t, standby, "reader")
	p, s, down := strconv.Itoa(primary.Port()), strconv.Itoa(standby.Port()), strconv.Itoa(closed(t))
	for _, ports := range [][]string{{p, s}, {s, p}, {down, p, s}, {s, down, p}, {down, s}, {down}, {p}, {s}} {
		for _, target := range []string{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"} {
			for _, user := range []string{"postgres", "reader"} {
				dsn := fmt.Sprintf("host=%s port=%s user=%s dbname=postgres target_session_attrs=%s",
					strings.TrimSuffix(strings.Repeat("127.0.0.1,", len(ports)), ","), strings.Join(ports, ","), user, target)
				out, psql := exec.CommandContext(t.Context(), "psql", "-XAtw", dsn, "-c", "select inet_server_port()").CombinedOutput()
				got, err := choose(t, dsn)
				if (err == nil) != (psql == nil) || (err == nil && got != strings.TrimSpace(string(out))) {
					t.Errorf("%v (primary %s, standby %s), %s, %s: guard %q, %v; psql %s", ports, p, s, target, user, got, err, out)
				}
			}
		}
	}
	wrong := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%s,%s user=app password=wrong dbname=postgres", p, s)
	if _, err := choose(t, wrong); err == nil || strings.Contains(err.Error(), s) || !upstream.ForPassword(err) {
		t.Errorf("a wrong password: %v", err)
	}
	both := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%s,%s user=postgres dbname=postgres target_session_attrs=standby", down, p)
	_, err := choose(t, both)
	for _, want := range []string{"127.0.0.1:" + down + ": connect: ", "connection refused", "127.0.0.1:" + p + ": server is no standby, and target_session_attrs=standby"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing fits: %v does not say %q", err, want)
		}
	}
}

// caughtUp waits until the standby has a role.
func caughtUp(t *testing.T, standby *pgtest.Cluster, role string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		err := standby.Exec(t.Context(), "do $$ begin if to_regrole('"+role+"') is null then raise exception 'not yet'; end if; end $$")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestPasswordOfEachHost: the password file is asked for each host and port.
func TestPasswordOfEachHost(t *testing.T) {
	f := newFiles(t)
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host all app all scram-sha-256"}})
	f.do(c, "create role app login password 'secret'")
	down := closed(t)
	file := f.write("pass", []byte(fmt.Sprintf("127.0.0.1:%d:*:app:wrong\n127.0.0.1:%d:*:app:secret\n", down, c.Port())))
	dsn := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=app dbname=postgres passfile=%s", down, c.Port(), file)
	if _, err := choose(t, dsn); err != nil {
		t.Error(err)
	}
}

// TestEveryAddressOfANameIsTried: where a name has several addresses the next one serves if the first cannot be reached, and is the first to be
// tried from then on.
func TestEveryAddressOfANameIsTried(t *testing.T) {
	newFiles(t)
	c := pgtest.New(t, pgtest.Options{})
	set := pgtest.Names(t, map[string][]string{"db.test": {"127.0.0.9", "127.0.0.1"}})
	up, err := upstream.Parse(fmt.Sprintf("host=db.test port=%d user=postgres dbname=postgres", c.Port()))
	if err != nil {
		t.Fatal(err)
	}
	d := upstream.NewDoor(up)
	for range 2 {
		h := upstream.Handshake{User: "postgres", Chooses: true, Params: map[string]string{"user": "postgres", "database": "postgres"}}
		if err := d.LogIn(t.Context(), &h); err != nil {
			t.Fatal(err)
		}
		if got := h.At.String(); got != address(c) || d.Current().String() != got {
			t.Errorf("at %s, and the current address is %s", got, d.Current())
		}
		_ = h.Conn.Close()
	}
	if d.Moved(t.Context()) {
		t.Error("the address is not the name's any more")
	}
	set(map[string][]string{"db.test": {"127.0.0.9"}})
	if !d.Moved(t.Context()) {
		t.Error("the address is still the name's")
	}
}

func address(c *pgtest.Cluster) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port())) }

// TestCancelGoesToTheServersHost: a cancel request goes to where the server is, wherever others are logged in to meanwhile.
func TestCancelGoesToTheServersHost(t *testing.T) {
	newFiles(t)
	primary := pgtest.New(t, pgtest.Options{})
	standby := pgtest.NewStandby(t, primary)
	up, err := upstream.Parse(fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres dbname=postgres", standby.Port(), primary.Port()))
	if err != nil {
		t.Fatal(err)
	}
	d := upstream.NewDoor(up)
	logIn := func(chooses bool) *upstream.Handshake {
		h := &upstream.Handshake{User: "postgres", Chooses: chooses, Params: map[string]string{"user": "postgres", "database": "postgres"}}
		if err := d.LogIn(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Conn.Close() })
		return h
	}
	h := logIn(false)
	d.Upstream.Session = "primary"
	logIn(true)
	if h.At.String() != address(standby) || d.Current().String() != address(primary) {
		t.Fatalf("at %s and %s", h.At, d.Current())
	}
	if _, err := h.Conn.Write(wire.AppendText(nil, wire.Query, "select pg_sleep(60)")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	deadline, _ := ctx.Deadline()
	_ = h.Conn.SetReadDeadline(deadline)
	told := make(chan error, 1)
	go func() { told <- readError(h.Conn, "57014") }()
	for {
		if err := d.Cancel(h.At, h.PID, h.Secret); err != nil { // it may come ahead of the statement
			t.Fatal(err)
		}
		select {
		case err := <-told:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// readError reads to an error with this code.
func readError(nc net.Conn, code string) error {
	var in []byte
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return err
		}
		in = append(in, buf[:n]...)
		for len(in) >= 5 {
			size := int(binary.BigEndian.Uint32(in[1:])) + 1
			if size > len(in) {
				break
			}
			if in[0] == wire.ErrorResponse {
				if !strings.Contains(string(in[:size]), "C"+code+"\x00") {
					return fmt.Errorf("answered %q", in[:size])
				}
				return nil
			}
			in = in[size:]
		}
	}
}
