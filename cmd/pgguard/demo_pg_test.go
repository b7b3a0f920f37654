//go:build pg

package main

import (
	"context"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/pgtest"
)

// TestGuardOfTheDemoServes starts the guard as the demo does and asks a real PostgreSQL something through it.
func TestGuardOfTheDemoServes(t *testing.T) {
	t.Setenv(asPgguard, "1")
	ctx := context.Background()
	c := pgtest.New(t, pgtest.Options{})
	listen := mustFree(t)
	g, err := startServe(ctx, c.URL("postgres"), listen, mustFree(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer g.stop()
	conn, err := pgx.Connect(ctx, "postgres://postgres@"+listen+"/postgres?sslmode=disable&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	var answer int
	if err := conn.QueryRow(ctx, "select 6 * 7").Scan(&answer); err != nil || answer != 42 {
		t.Errorf("got %d, %v", answer, err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
	g.stop()
	if c, err := net.Dial("tcp", listen); err == nil {
		_ = c.Close()
		t.Error("the guard still runs")
	}
}
