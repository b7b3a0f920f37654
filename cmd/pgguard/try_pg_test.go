//go:build pg

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
)

// TestCheckTriesTheLookupOfUsers: check --connect says whether auth.query works, and what is lacking.
func TestCheckTriesTheLookupOfUsers(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	if err := c.Exec(context.Background(), "create role app login"); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"postgres": "auth.query: users are looked up", "app": "auth.query: auto needs a superuser, or the function pgguard.user_lookup"} {
		file := filepath.Join(t.TempDir(), "pgguard.yaml")
		text := fmt.Sprintf("upstream: postgres://%s@%s:%d/postgres?sslmode=disable\nauth: {query: auto}\n", user, c.Host(), c.Port())
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, told bytes.Buffer
		code := run(t.Context(), []string{"check", "--connect", file}, streams{strings.NewReader(""), &out, &told})
		if !strings.Contains(told.String(), want) || (code == exitOK) != (user == "postgres") {
			t.Errorf("%s: exit code %d, told %s", user, code, told.String())
		}
	}
}

// TestCheckSaysWhatEachHostIs: check --connect says of each host of an upstream what it met there, and what to do about it.
func TestCheckSaysWhatEachHostIs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	ours, err := auth.NewAuthority("ours", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := auth.NewAuthority("other", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	good := secured(t, ours, "localhost", time.Now())
	expired := secured(t, ours, "localhost", time.Now().Add(-48*time.Hour))
	named := secured(t, ours, "db.internal", time.Now())
	strange := secured(t, other, "localhost", time.Now())
	ca, err := ours.Pair()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(file, ca.Cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what, rest string
		list       []*pgtest.Cluster
		want       []string
	}{
		{"all good", "user=app password=secret sslmode=verify-full sslrootcert=" + file, []*pgtest.Cluster{good}, []string{", a primary, over TLS 1.3"}},
		{"hosts", "user=app password=secret sslmode=verify-full sslrootcert=" + file, []*pgtest.Cluster{good, expired, named, strange}, []string{
			at(good, "logged in to PostgreSQL"), at(expired, "server's certificate is valid from", "renew it"),
			at(named, "it is for db.internal", "sslmode=verify-ca"), at(strange, "signed by an authority that sslrootcert does not have"),
		}},
		{"missing file", "user=app password=secret sslmode=verify-full sslrootcert=" + file + ".old", []*pgtest.Cluster{good}, []string{"sslrootcert: open " + file + ".old: no such file", "give its path"}},
		{"wrong password", "user=app password=wrong sslmode=require", []*pgtest.Cluster{good}, []string{"28P01", "there is no user \"app\", or his password is another"}},
		{"unknown user", "user=nobody password=secret sslmode=require", []*pgtest.Cluster{good}, []string{"28P01", "there is no user \"nobody\", or"}},
		{"unknown user, trusted", "user=gone sslmode=require", []*pgtest.Cluster{good}, []string{"28000", "create the user there"}},
		{"not let in", "user=barred sslmode=disable", []*pgtest.Cluster{good}, []string{"pg_hba.conf", "hostssl"}},
		{"no database", "user=app password=secret dbname=none sslmode=require", []*pgtest.Cluster{good}, []string{"3D000", "no database \"none\""}},
	} {
		var names, addrs, ports []string
		for _, c := range x.list {
			names, addrs, ports = append(names, "localhost"), append(addrs, "127.0.0.1"), append(ports, strconv.Itoa(c.Port()))
		}
		dsn := fmt.Sprintf("host=%s hostaddr=%s port=%s %s", strings.Join(names, ","), strings.Join(addrs, ","), strings.Join(ports, ","), x.rest)
		if !strings.Contains(dsn, "dbname=") {
			dsn += " dbname=postgres"
		}
		var out, told bytes.Buffer
		code := run(t.Context(), []string{"check", "--connect", "--upstream", dsn}, streams{strings.NewReader(""), &out, &told})
		if (code == exitOK) != (x.what == "all good") {
			t.Errorf("%s: exit code %d", x.what, code)
		}
		for _, want := range x.want {
			if !regexp.MustCompile("(?m)" + want).MatchString(told.String()) {
				t.Errorf("%s: told %s; want %q", x.what, told.String(), want)
			}
		}
		if strings.Contains(told.String(), "secret") || strings.Contains(told.String(), "wrong") {
			t.Errorf("%s: the password is told: %s", x.what, told.String())
		}
	}
}

// at is a line about a host that says these things, in this order.
func at(c *pgtest.Cluster, says ...string) string {
	return "^host 127.0.0.1:" + strconv.Itoa(c.Port()) + ": .*" + strings.Join(says, ".*")
}

// secured is a PostgreSQL with a certificate of an authority for a name.
func secured(t *testing.T, by *auth.Authority, name string, from time.Time) *pgtest.Cluster {
	t.Helper()
	c, err := pgtest.Start(t.Context(), pgtest.Options{HBA: []string{
		"hostnossl all barred all reject", "host all gone all trust", "host all app all scram-sha-256", "host all nobody all scram-sha-256",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	p, err := by.Issue(name, []string{name}, from, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"server.crt": p.Cert, "server.key": p.Key} {
		if _, err := c.WriteFile(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"create role app login password 'secret'", "alter system set ssl = on", "select pg_reload_conf()"} {
		if err := c.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(30 * time.Second); c.Exec(t.Context(), "do $$ begin if current_setting('ssl') <> 'on' then raise exception 'not yet'; end if; end $$") != nil; {
		if time.Now().After(end) {
			t.Fatal("TLS does not come on")
		}
	}
	return c
}

// TestCheckKnowsThePasswordsThatServeKnows: check --connect logs in with a password wherever serve would find it.
func TestCheckKnowsThePasswordsThatServeKnows(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	ours, err := auth.NewAuthority("ours", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := secured(t, ours, "localhost", time.Now())
	password, list := filepath.Join(dir, "password"), filepath.Join(dir, "userlist.txt")
	for path, text := range map[string]string{password: "secret\n", list: "\"app\" \"secret\"\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, keys := range map[string]string{
		"nowhere":                   "mode: enforce",
		"upstream_password.file":    "upstream_password: {file: " + password + "}",
		"upstream_password.command": "upstream_password: {command: [cat, " + password + "]}",
		"auth.users":                "auth: {method: scram-sha-256, users: {app: {password: secret}}}",
		"auth.users, in a file":     "auth: {method: scram-sha-256, users: {app: {password_file: " + password + "}}}",
		"auth.users_file":           "auth: {method: scram-sha-256, users_file: " + list + "}",
	} {
		file := filepath.Join(dir, "pgguard.yaml")
		text := fmt.Sprintf("upstream: postgres://app@127.0.0.1:%d/postgres?sslmode=require\n%s\n", c.Port(), keys)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, told bytes.Buffer
		code := run(t.Context(), []string{"check", "--connect", file}, streams{strings.NewReader(""), &out, &told})
		if (code == exitOK) != (what != "nowhere") {
			t.Errorf("a password in %s: exit code %d, told %s", what, code, told.String())
		}
	}
}
