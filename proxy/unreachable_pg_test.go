//go:build pg

package proxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// TestClientIsToldWhatKeepsTheGuardOut: who logs in while the guard cannot log in to the database is told why, and nobody's name.
func TestClientIsToldWhatKeepsTheGuardOut(t *testing.T) {
	d, other := newDoors(t), newDoors(t)
	c := pgtest.New(t, pgtest.Options{HBA: []string{"host all app all scram-sha-256"}})
	present := func(name string, from time.Time) {
		t.Helper()
		p, err := d.ca.Issue(name, []string{name}, from, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string][]byte{"server.crt": p.Cert, "server.key": p.Key} {
			if _, err := c.WriteFile(file, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	present("localhost", time.Now())
	for _, text := range []string{"create role app login password 'secret'", "alter system set ssl = on"} {
		if err := c.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Restart("fast"); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("hostaddr=127.0.0.1 port=%d user=app dbname=postgres", c.Port())
	told := func(dsn string) *pgconn.PgError {
		t.Helper()
		up, err := upstream.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		g := newGuard(t, address(c), func(cfg *Config) { cfg.Upstream, cfg.LoginTimeout = up, time.Second })
		var said *pgconn.PgError
		within(t, patience, "an answer with its reason", func() bool { // the guard's own login may take longer than the client's
			_, err := pgconn.Connect(t.Context(), fmt.Sprintf("postgres://app@%s/postgres?sslmode=disable", g.addr))
			if !errors.As(err, &said) {
				t.Fatalf("%s: %v", dsn, err)
			}
			return said.Detail != "" || said.Code != "57P03"
		})
		return said
	}
	ca := " password=secret sslmode=verify-full sslrootcert="
	for what, x := range map[string]struct{ dsn, code, want string }{
		"wrong CA":       {"host=localhost " + at + ca + other.path("ca.crt"), "57P03", "signed by an authority that the guard does not have (sslrootcert)"},
		"wrong name":     {"host=elsewhere " + at + ca + d.path("ca.crt"), "57P03", "for another name"},
		"missing file":   {"host=localhost " + at + ca + d.path("missing.crt"), "57P03", "no certificate or key"},
		"nobody there":   {"host=localhost hostaddr=127.0.0.1 port=1 user=app dbname=postgres", "57P03", "Nobody listens"},
		"wrong password": {"host=localhost " + at + " password=wrong", "28P01", `password authentication failed for user "app"`},
		"unknown user":   {"host=localhost " + strings.Replace(at, "user=app", "user=nobody", 1) + " password=secret", "28P01", "none is configured"},
	} {
		said := told(x.dsn)
		if words := said.Message + " " + said.Detail; said.Code != x.code || !strings.Contains(words, x.want) {
			t.Errorf("%s: %s %s; want %s %q", what, said.Code, words, x.code, x.want)
		}
		if x.code == "57P03" {
			namesNobody(t, what, said, "app", "postgres", "localhost", "elsewhere", "127.0.0.1", d.dir, other.dir, "secret")
		}
	}
	present("localhost", time.Now().Add(-48*time.Hour))
	if err := c.Restart("fast"); err != nil {
		t.Fatal(err)
	}
	if said := told("host=localhost " + at + ca + d.path("ca.crt")); said.Code != "57P03" || !strings.Contains(said.Detail, "expired") {
		t.Errorf("expired: %+v", said)
	}
}

// namesNobody holds that a refusal has none of these words: Rails takes a message with the name of its database for one that there is no such database.
func namesNobody(t *testing.T, what string, said *pgconn.PgError, words ...string) {
	t.Helper()
	for _, part := range []string{said.Message, said.Detail, said.Hint} {
		for _, w := range words {
			if strings.Contains(part, w) {
				t.Errorf("%s: %q has %q in it", what, part, w)
			}
		}
	}
	if !strings.Contains(said.Hint, "check --connect") {
		t.Errorf("%s: the hint is %q", what, said.Hint)
	}
}
