//go:build pg

// Package pgx has the tests of pgx v5 and pgxpool, in each of pgx's ways of sending a statement.
package pgx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// patience bounds one test.
const patience = 30 * time.Second

// modes are pgx's ways of sending a statement.
var modes = map[string]pgx.QueryExecMode{
	"cache_statement": pgx.QueryExecModeCacheStatement,
	"cache_describe":  pgx.QueryExecModeCacheDescribe,
	"describe_exec":   pgx.QueryExecModeDescribeExec,
	"exec":            pgx.QueryExecModeExec,
	"simple_protocol": pgx.QueryExecModeSimpleProtocol,
}

func TestMain(m *testing.M) {
	if os.Getenv("DRIVERS_URL") == "" {
		fmt.Fprintln(os.Stderr, "DRIVERS_URL names no database; run sh proxy/conformance/drivers/run.sh pgx")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// eachMode runs the test in every mode, on a connection with a small cache.
func eachMode(t *testing.T, test func(ctx context.Context, t *testing.T, c *pgx.Conn)) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			ctx := bound(t)
			test(ctx, t, connect(ctx, t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode }))
		})
	}
}

func bound(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	t.Cleanup(stop)
	return ctx
}

// connect opens a connection that is closed when the test ends.
func connect(ctx context.Context, t *testing.T, change func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(os.Getenv("DRIVERS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 8, 8
	if change != nil {
		change(cfg)
	}
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		_ = c.Close(ctx) // a test may have closed it
	})
	return c
}

// run runs statements that must not fail.
func run(ctx context.Context, t *testing.T, c interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := c.Exec(ctx, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// want runs a query of one row with one value.
func want[V comparable](ctx context.Context, t *testing.T, c interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, want V, text string, args ...any) {
	t.Helper()
	var got V
	if err := c.QueryRow(ctx, text, args...).Scan(&got); err != nil || got != want {
		t.Fatalf("%s: got %v, %v; want %v", text, got, err, want)
	}
}

// wantCode wants the error to have this SQLSTATE.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want SQLSTATE %s", err, code)
	}
}
