//go:build rails

package rails

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"pgguard/proxy/pgtest"
)

// unlike are lines of pg_dump that differ from run to run.
var unlike = regexp.MustCompile(`(?m)^\\(un)?restrict .*\n`)

// dump is a database as text.
func (w *world) dump(at place, database string, options ...string) string {
	w.t.Helper()
	out, err := w.client(at, database, "pg_dump", options...)
	if err != nil {
		w.t.Fatalf("pg_dump: %v\n%s", err, out)
	}
	return unlike.ReplaceAllString(out, "")
}

// deploy has Rails make its databases, migrate, prepare the tests' and drop all again. It returns what is in them.
func (w *world) deploy(at place) (development, test, schema string) {
	w.t.Helper()
	w.t.Log(w.rails(at, "development", "db:create", "db:migrate", "db:test:prepare"))
	b, err := os.ReadFile(filepath.Join(w.app(), "db", "schema.rb"))
	if err != nil {
		w.t.Fatal(err)
	}
	development, test = w.dump(at, "shop_development", "--schema-only"), w.dump(at, "shop_test", "--schema-only")
	if out, err := w.client(at, "shop_development", "psql", "-Atc", "select count(*) from schema_migrations"); err != nil || out != "3\n" {
		w.t.Errorf("the migrations that were made: %s %v", out, err)
	}
	w.t.Log(w.rails(at, "development", "db:drop"))
	for _, gone := range []string{"shop_development", "shop_test"} {
		if out, err := w.client(at, gone, "psql", "-c", "select 1"); err == nil || !regexp.MustCompile(`database "`+gone+`" does not exist`).MatchString(out) {
			w.t.Errorf("after db:drop: %s %v", out, err)
		}
	}
	return development, test, string(b)
}

// TestDeployThroughTheGuard: with Rails's own settings the tasks of a deploy do what they do on a direct connection.
func TestDeployThroughTheGuard(t *testing.T) {
	w := newWorld(t, pgtest.Options{})
	w.exec("create database app owner app")
	want, wantTest, wantSchema := w.deploy(w.direct())
	at, _ := w.guard(w.upstream("?sslmode=disable"))
	got, gotTest, gotSchema := w.deploy(at)
	if got != want || gotTest != wantTest || gotSchema != wantSchema {
		t.Errorf("direct:\n%s\n%s\n%s\nguarded:\n%s\n%s\n%s", want, wantTest, wantSchema, got, gotTest, gotSchema)
	}
	kept, err := os.ReadFile(filepath.Join(source, "db", "schema.rb"))
	if err != nil || string(kept) != gotSchema {
		t.Errorf("%v: the schema is now\n%s", err, gotSchema)
	}
}
