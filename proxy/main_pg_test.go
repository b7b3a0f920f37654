//go:build pg

package proxy

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"pgguard/proxy/pgtest"
)

// shared is the cluster of every test that does no harm to it: its server lives as long as the tests do.
var shared *pgtest.Cluster

// fixtures are what the tests find in database postgres of the shared cluster.
var fixtures = []string{
	`create table items (id serial primary key, name text)`,
	`create table keyed (id int primary key)`,
	`insert into keyed values (1)`,
	`create function shout(text) returns void language plpgsql as $$ begin raise notice '%', $1; end $$`,
	`create database other`,
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withShared(m))
}

// withShared runs the tests with a shared cluster and looks for goroutines that are left after it.
func withShared(m *testing.M) int {
	ctx := context.Background()
	var err error
	if shared, err = pgtest.Start(ctx, pgtest.Options{}); err == nil {
		err = prepare(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		return 1
	}
	return code
}

// prepare runs the fixtures.
func prepare(ctx context.Context) error {
	for _, text := range fixtures {
		if err := shared.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}
