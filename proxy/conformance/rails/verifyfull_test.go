//go:build rails

package rails

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// small is the application of somebody who has just begun.
var small = size{pumas: 1, threads: 2, sidekiqs: 1, jobs: 2}

// command runs the guard's program for what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), guardBinary(), args...).Output()
	if err != nil {
		t.Fatalf("pgguard %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// production is a world whose server is as production has it: passwords by SCRAM, an authority of its own, nobody without TLS.
func production(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, pgtest.Options{
		HBA:      []string{"hostssl all app all scram-sha-256", "host all all all reject"},
		Settings: map[string]string{"password_encryption": "scram-sha-256"},
	})
	command(t, "cert", "--dir", w.dir, "localhost")
	for _, name := range []string{"server.crt", "server.key"} {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.pg.WriteFile(name, text); err != nil {
			t.Fatal(err)
		}
	}
	w.exec("create database app owner app", "alter system set ssl = on", "select pg_reload_conf()")
	for end := time.Now().Add(patience); w.pg.Exec(t.Context(), "do $$ begin if current_setting('ssl') <> 'on' then raise 'not yet'; end if; end $$") != nil; {
		if time.Now().After(end) {
			t.Fatal("TLS does not come on")
		}
	}
	return w
}

// goesThrough has Rails deploy and work, and psql and pg_dump see the same as on a direct connection.
func (w *world) goesThrough(name string, at place) {
	w.t.Helper()
	w.rails(at, "production", "db:create", "db:migrate")
	cmd := w.command(at, "production", "db:seed")
	cmd.Env = append(cmd.Env, "SEED_ORDERS=100")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	app := w.serve(name, at, small)
	app.use(w.t, at)
	app.stop()
	direct := place{host: "localhost", port: w.pg.Port(), user: "app", password: "secret", more: []string{"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + w.path("ca.crt")}}
	if got, want := w.dump(at, "shop"), w.dump(direct, "shop"); got != want {
		w.t.Errorf("direct:\n%s\nguarded:\n%s", want, got)
	}
	const encrypted = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
	if out, err := w.client(at, "shop", "psql", "-Atc", encrypted); err != nil || !strings.HasPrefix(out, "t|TLSv1.") {
		w.t.Errorf("the connection to PostgreSQL: %s %v", out, err)
	}
	w.rails(at, "production", "db:drop", "DISABLE_DATABASE_ENVIRONMENT_CHECK=1")
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// TestOneLineOverVerifyFull: README's one line serves Rails, psql and pg_dump in front of a server that takes TLS and passwords alone.
func TestOneLineOverVerifyFull(t *testing.T) {
	w := production(t)
	if out, err := w.client(place{host: "127.0.0.1", port: w.pg.Port(), user: "app", password: "secret", more: []string{"PGSSLMODE=disable"}}, "app", "psql", "-c", "select 1"); err == nil {
		t.Fatalf("the server takes clients without TLS: %s", out)
	}
	at, _ := w.guard(w.upstream("?sslmode=verify-full&sslrootcert=" + w.path("ca.crt")))
	w.goesThrough("oneline", at)
}

// TestFourLinesOverTLS: the same with README's file of four lines, by which clients come with their own password over TLS, too.
func TestFourLinesOverTLS(t *testing.T) {
	w := production(t)
	lookup := exec.CommandContext(t.Context(), "psql", "-v", "ON_ERROR_STOP=1", "-h", w.pg.SocketDir(), "-p", fmt.Sprint(w.pg.Port()), "-U", "postgres", "-d", "app")
	lookup.Stdin = strings.NewReader(command(t, "auth-query", "--role", "app"))
	if out, err := lookup.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := w.path("pgguard.yaml")
	var text bytes.Buffer
	fmt.Fprintf(&text, "upstream: %q\n", w.upstream("?sslmode=verify-full&sslrootcert="+w.path("ca.crt")))
	fmt.Fprintf(&text, "listen: [\"0.0.0.0:6432\"]\nauth: {query: auto}\ntls: {mode: require, cert: %s, key: %s}\n", w.path("server.crt"), w.path("server.key"))
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	at, _ := w.guard("", "-c", file)
	at.host, at.password, at.more = "localhost", "secret", []string{"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + w.path("ca.crt")}
	w.goesThrough("fourlines", at)
	at.password = "wrong"
	if out, err := w.client(at, "app", "psql", "-c", "select 1"); err == nil || !strings.Contains(out, `password authentication failed for user "app"`) {
		t.Errorf("with another password: %s %v", out, err)
	}
}
