package feature

import (
	"context"
	"fmt"
	"slices"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Servers is how many server connections a pooler should have for a trial: few enough that neighbours keep them busy,
// enough that those a feature needs for itself leave some.
const Servers = 6

// QueueWait is how long, in seconds, a pooler's queue should let a client wait in a trial, so that a refusal can be seen
// soon. Neighbours wait milliseconds.
const QueueWait = 2

// Feature is something a client of PostgreSQL can rely on.
type Feature struct {
	Group string
	Name  string
	try   func(t *trial)
	alone bool // without neighbours
	own   bool // it restarts the server
}

// NeedsOwnServer reports whether the feature restarts the server, so that it can only be tried with Bench.Own.
func (f Feature) NeedsOwnServer() bool { return f.own }

// Users are those that features log in as, beside the URL's. They have no password. A proxy may have to be told of them.
var Users = []string{roleName}

// Result is what became of one Feature. Wrong is empty when the client has it, else it says in few words what was
// different.
type Result struct {
	Wrong string
}

// All returns the features, group by group, in the order of the table.
func All() []Feature {
	return slices.Concat(statements, settings, objects, protocol, world)
}

// setupSQL makes what the features use. Every feature that changes a table has its own.
const setupSQL = `
DROP TABLE IF EXISTS feature_rows, feature_ddl, feature_copy, feature_serial, feature_multi, feature_kept, feature_mood;
DROP TYPE IF EXISTS feature_mood_type;
DROP SCHEMA IF EXISTS feature_path CASCADE;
CREATE TABLE feature_rows (id int PRIMARY KEY);
INSERT INTO feature_rows SELECT generate_series(1, 10);
CREATE TABLE feature_ddl (id int);
INSERT INTO feature_ddl VALUES (1);
CREATE TABLE feature_copy (id int PRIMARY KEY, word text);
CREATE TABLE feature_multi (id int PRIMARY KEY);
CREATE TABLE feature_serial (id serial PRIMARY KEY, word text);
CREATE SCHEMA feature_path;
CREATE TABLE feature_path.hidden (id int);
INSERT INTO feature_path.hidden VALUES (42);
CREATE OR REPLACE FUNCTION feature_set(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', $1, false) $$;
DO $$ BEGIN
 CREATE ROLE feature_role;
EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT USAGE ON SCHEMA public, feature_path TO feature_role;
GRANT SELECT ON feature_rows TO feature_role`

// Bench is the server that features are tried on, directly or through a target.
type Bench struct {
	server  string
	own     Demoter
	seen    string // lookSQL on an untouched session
	version int
	workMem string
}

// NewBench connects to the server itself as a superuser and makes what the features use, again if it is there.
func NewBench(ctx context.Context, serverURL string) (*Bench, error) {
	b := &Bench{server: serverURL}
	return b, b.reset(ctx)
}

// Demoter is a PostgreSQL that can be started again as a standby; pgtest.Cluster is one.
type Demoter interface{ Demote() error }

// Own says that the server is ours to restart.
func (b *Bench) Own(d Demoter) { b.own = d }

// reset makes the tables anew and looks at what a neighbour should see.
func (b *Bench) reset(ctx context.Context) error {
	conn, err := load.ConnectSide(ctx, b.server)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := prepare(ctx, conn); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&b.version); err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	cfg, err := pgconn.ParseConfig(b.server)
	if err != nil {
		return fmt.Errorf("read the server's URL: %w", err)
	}
	t := &trial{ctx: ctx, cfg: cfg}
	defer t.close()
	c := t.client()
	b.seen, b.workMem = c.run(lookSQL).value(), c.run("SHOW work_mem").value()
	if t.wrong != "" {
		return fmt.Errorf("look at the server: %s", t.wrong)
	}
	return nil
}

func prepare(ctx context.Context, conn *pgx.Conn) error {
	// Tables that clients of an earlier feature still hold would block us for ever.
	for _, sql := range []string{"SET lock_timeout = '10s'", "SET client_min_messages = warning", setupSQL} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare the server for features: %w", err)
		}
	}
	return nil
}

// Version is the server's, as PostgreSQL writes it: 15.4 is 150004.
func (b *Bench) Version() int { return b.version }

// Run tries a feature on the target at url, which must be fresh and reach the server of NewBench. Its error means that
// nothing could be tried; what a target does wrong is in the result.
func (b *Bench) Run(ctx context.Context, url string, f Feature) (Result, error) {
	if err := b.reset(ctx); err != nil {
		return Result{}, err
	}
	cfg, err := load.ParseURL(url, "")
	if err != nil {
		return Result{}, err
	}
	t := &trial{ctx: ctx, cfg: cfg, own: b.own, version: b.version, workMem: b.workMem}
	if t.server, err = load.ParseURL(b.server, ""); err != nil {
		return Result{}, err
	}
	n := neighbours
	if f.alone {
		n = 0
	}
	s := moveIn(ctx, cfg, n, b.seen)
	if n > 0 {
		s.awaitWork(ctx)
	}
	f.try(t)
	t.close()
	t.tidy()
	if trouble := s.leave(); trouble != "" && ctx.Err() == nil {
		t.fail("a neighbour: %s", trouble)
	}
	return Result{Wrong: t.wrong}, ctx.Err()
}
