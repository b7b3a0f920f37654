//go:build pg

// Package pq has the tests of lib/pq with database/sql, its pool.
package pq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/lib/pq"
)

// patience bounds one test.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("DRIVERS_URL") == "" {
		fmt.Fprintln(os.Stderr, "DRIVERS_URL names no database; run sh proxy/conformance/drivers/run.sh pq")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// formats are the two ways of lib/pq to send parameters: after a Describe, or at once in binary.
var formats = map[string]string{"described": "", "binary": "&binary_parameters=yes"}

// each runs the test in both formats.
func each(t *testing.T, test func(ctx context.Context, t *testing.T, db *sql.DB)) {
	for name, more := range formats {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(context.Background(), patience)
			defer stop()
			test(ctx, t, open(t, more))
		})
	}
}

// open returns a pool that is closed when the test ends.
func open(t *testing.T, more string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", os.Getenv("DRIVERS_URL")+more)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(8)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// take returns one connection of the pool, given back when the test ends.
func take(ctx context.Context, t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it
	return c
}

// session is a *sql.DB, *sql.Conn or *sql.Tx.
type session interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func run(ctx context.Context, t *testing.T, s session, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := s.ExecContext(ctx, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func want[V comparable](ctx context.Context, t *testing.T, s session, want V, text string, args ...any) {
	t.Helper()
	var got V
	if err := s.QueryRowContext(ctx, text, args...).Scan(&got); err != nil || got != want {
		t.Fatalf("%s: got %v, %v; want %v", text, got, err, want)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *pq.Error
	if !errors.As(err, &e) || string(e.Code) != code {
		t.Fatalf("got error %v, want SQLSTATE %s", err, code)
	}
}
