//go:build rails

package rails

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

// source is the application.
const source = "../../../examples/rails"

// place is a PostgreSQL, or a guard before it.
type place struct {
	host           string
	port           int
	user, password string
	more           []string // libpq's own variables
}

// world is a copy of the application, and what it needs.
type world struct {
	t   *testing.T
	dir string
	pg  *pgtest.Cluster
}

func newWorld(t *testing.T, o pgtest.Options) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), pg: pgtest.New(t, o)}
	if err := os.CopyFS(w.app(), os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	w.exec("create role app login createdb password 'secret'", "grant pg_monitor to app")
	return w
}

func (w *world) app() string { return filepath.Join(w.dir, "app") }

// exec has the superuser do something in PostgreSQL itself.
func (w *world) exec(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if err := w.pg.Exec(w.t.Context(), text); err != nil {
			w.t.Fatalf("%s: %v", text, err)
		}
	}
}

func (w *world) direct() place { return place{host: "127.0.0.1", port: w.pg.Port(), user: "app"} }

// guardBinary is the built program.
func guardBinary() string { return cmp.Or(os.Getenv("RAILS_GUARD"), "../../../bin/pgguard") }

// guard starts the built program with an upstream, if it is told one, and whatever flags are said.
func (w *world) guard(upstream string, flags ...string) (place, *process) {
	w.t.Helper()
	port, pages := freePort(w.t), freePort(w.t)
	args := append([]string{guardBinary(), "serve", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--http", fmt.Sprintf("127.0.0.1:%d", pages)}, flags...)
	env := append(os.Environ(), "XDG_CACHE_HOME="+w.t.TempDir())
	if upstream != "" {
		env = append(env, "PGGUARD_UPSTREAM="+upstream)
	}
	p := start(w.t, "pgguard", "", env, apart(args...)...)
	p.listens(port)
	return place{host: "127.0.0.1", port: port, user: "app"}, p
}

// upstream is the address of PostgreSQL as the README has it.
func (w *world) upstream(rest string) string {
	return fmt.Sprintf("postgres://app:secret@localhost:%d/app%s", w.pg.Port(), rest)
}

// env is what the application's programs are started with.
func (w *world) env(at place, more ...string) []string {
	env := append(os.Environ(), "DB_HOST="+at.host, "DB_PORT="+strconv.Itoa(at.port), "DB_USER="+at.user, "RAILS_LOG_LEVEL=warn", "SEED_ORDERS=100000")
	if at.password != "" {
		env = append(env, "DB_PASSWORD="+at.password)
	}
	return append(append(env, at.more...), more...)
}

// command is bin/rails with tasks.
func (w *world) command(at place, environment string, tasks ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), "bin/rails", tasks...)
	cmd.Dir, cmd.Env = w.app(), w.env(at, "RAILS_ENV="+environment)
	return cmd
}

// rails runs bin/rails with tasks, and returns what it prints.
func (w *world) rails(at place, environment string, tasks ...string) string {
	w.t.Helper()
	out, err := w.command(at, environment, tasks...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("rails %s: %v\n%s", strings.Join(tasks, " "), err, out)
	}
	return string(out)
}

// client runs one of PostgreSQL's own clients.
func (w *world) client(at place, database, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+at.host, "PGPORT="+strconv.Itoa(at.port), "PGUSER="+at.user, "PGPASSWORD="+at.password, "PGDATABASE="+database)
	cmd.Env = append(cmd.Env, at.more...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
