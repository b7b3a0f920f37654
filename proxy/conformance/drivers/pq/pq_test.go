//go:build pg

package pq

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

// A *sql.Stmt is prepared again on every connection that it meets; lib/pq names them 1, 2, 3 in each.
func TestStatementsOnManyConnections(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		var stmts []*sql.Stmt
		for i := range 20 {
			s, err := db.PrepareContext(ctx, fmt.Sprintf("select $1::int + %d", i*100))
			if err != nil {
				t.Fatal(err)
			}
			stmts = append(stmts, s)
		}
		var tasks sync.WaitGroup
		for task := range 8 {
			tasks.Go(func() {
				for i, s := range stmts {
					var got int
					if err := s.QueryRowContext(ctx, task).Scan(&got); err != nil || got != task+i*100 {
						t.Errorf("task %d, statement %d: got %d, %v", task, i, got, err)
					}
				}
			})
		}
		tasks.Wait()
		for _, s := range stmts {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		want(ctx, t, db, 3, "select $1::int + 2", 1)
	})
}

func TestTransactionsAndSavepoints(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		run(ctx, t, db, "drop table if exists accounts", "create table accounts (id int primary key)")
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
		if err != nil {
			t.Fatal(err)
		}
		want(ctx, t, tx, "serializable", "show transaction_isolation")
		run(ctx, t, tx, "insert into accounts values (1)", "savepoint s", "insert into accounts values (2)")
		_, err = tx.ExecContext(ctx, "insert into accounts values ($1)", 1)
		wantCode(t, err, "23505")
		_, err = tx.ExecContext(ctx, "select 1")
		wantCode(t, err, "25P02")
		run(ctx, t, tx, "rollback to s", "insert into accounts values (3)")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		want(ctx, t, db, 4, "select sum(id) from accounts")
		tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(ctx, "insert into accounts values (4)")
		wantCode(t, err, "25006")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		want(ctx, t, db, "off", "show transaction_read_only")
	})
}

func TestSettings(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		c := take(ctx, t, db)
		run(ctx, t, c, "drop schema if exists mine cascade", "create schema mine", "create table mine.here (a int)",
			"insert into mine.here values (5)", "set search_path to mine", "set time zone 'Asia/Tokyo'", "set work_mem = '5MB'")
		for range 3 {
			want(ctx, t, c, 5, "select a from here where a = $1", 5)
			var at time.Time
			if err := c.QueryRowContext(ctx, "select '2020-01-02 03:00Z'::timestamptz").Scan(&at); err != nil || at.Format(time.RFC3339) != "2020-01-02T12:00:00+09:00" {
				t.Fatalf("got %v, %v", at, err)
			}
			want(ctx, t, c, "5MB", "show work_mem")
		}
		run(ctx, t, c, "reset all")
		want(ctx, t, c, "4MB", "show work_mem")
		want(ctx, t, c, `"$user", public`, "show search_path")
	})
}

// lib/pq sends what it does not know in the URL as startup parameters.
func TestStartupParameters(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	db := open(t, "&work_mem=9MB&timezone=America/New_York&search_path=pg_catalog")
	for range 3 {
		want(ctx, t, db, "9MB", "show work_mem")
		want(ctx, t, db, "America/New_York", "show timezone")
		want(ctx, t, db, "pg_catalog", "show search_path")
	}
	c := take(ctx, t, db)
	run(ctx, t, c, "set work_mem = '5MB'", "reset work_mem")
	want(ctx, t, c, "9MB", "show work_mem")
}

func TestCopyIn(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		run(ctx, t, db, "drop table if exists copied", "create table copied (id int check (id <> 13), name text)")
		copyRows := func(from, n int) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // after a commit there is nothing to undo
			stmt, err := tx.Prepare("copy copied (id, name) from stdin")
			if err != nil {
				return err
			}
			for i := range n {
				if _, err := stmt.Exec(from+i, "row"); err != nil {
					return err
				}
			}
			if _, err := stmt.Exec(); err != nil {
				return err
			}
			if err := stmt.Close(); err != nil {
				return err
			}
			return tx.Commit()
		}
		if err := copyRows(100, 20_000); err != nil {
			t.Fatal(err)
		}
		wantCode(t, copyRows(1, 100), "23514")
		want(ctx, t, db, 20_000, "select count(*) from copied")
	})
}

func TestListener(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	db := open(t, "")
	l := pq.NewListener(os.Getenv("DRIVERS_URL"), time.Second, time.Second, nil)
	defer func() { _ = l.Close() }() // closed twice says so
	if err := l.Listen("news"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := db.ExecContext(ctx, "select pg_notify('news', $1)", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-l.Notify:
			if n == nil || n.Channel != "news" || n.Extra != fmt.Sprint(i) {
				t.Fatalf("got %v, want %d", n, i)
			}
		case <-ctx.Done():
			t.Fatalf("notification %d has not come", i)
		}
		if err := l.Ping(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdvisoryLocksAndTemporaryTables(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		a, b := take(ctx, t, db), take(ctx, t, db)
		run(ctx, t, a, "select pg_advisory_lock(7)", "create temp table scratch (n int)")
		for i := range 5 {
			want(ctx, t, b, false, "select pg_try_advisory_lock($1)", 7)
			if _, err := a.ExecContext(ctx, "insert into scratch values ($1)", i); err != nil {
				t.Fatal(err)
			}
			want(ctx, t, a, i+1, "select count(*) from scratch")
			_, err := b.ExecContext(ctx, "select * from scratch")
			wantCode(t, err, "42P01")
		}
		run(ctx, t, a, "drop table scratch")
		want(ctx, t, a, true, "select pg_advisory_unlock($1)", 7)
		want(ctx, t, b, true, "select pg_try_advisory_lock($1)", 7)
		want(ctx, t, b, true, "select pg_advisory_unlock($1)", 7)
	})
}

func TestArraysAndBytes(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		numbers, texts, raw := []int64{1, -2, 3}, []string{"a", `b "c"`, "", "ü"}, []byte{0, 1, 255, 10}
		var n []int64
		var s []string
		var b []byte
		err := db.QueryRowContext(ctx, "select $1::int8[], $2::text[], $3::bytea", pq.Array(numbers), pq.Array(texts), raw).
			Scan(pq.Array(&n), pq.Array(&s), &b)
		if err != nil || !slices.Equal(n, numbers) || !slices.Equal(s, texts) || !bytes.Equal(b, raw) {
			t.Fatalf("got %v, %q, %v, %v", n, s, b, err)
		}
	})
}

// The driver cancels a statement when its context ends; the pool goes on.
func TestCancelByContext(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		defer stop()
		from := time.Now()
		if _, err := db.ExecContext(short, "select pg_sleep(20)"); err == nil || time.Since(from) > 10*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(from))
		}
		c := take(ctx, t, db)
		run(ctx, t, c, "set statement_timeout = 100")
		_, err := c.ExecContext(ctx, "select pg_sleep($1)", 20)
		wantCode(t, err, "57014")
		run(ctx, t, c, "reset statement_timeout")
		want(ctx, t, c, "0", "show statement_timeout")
	})
}

func TestErrorKeepsConnection(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		c := take(ctx, t, db)
		run(ctx, t, c, "set app.mark = 'mine'")
		for text, code := range map[string]string{"select 1/0": "22012", "selec": "42601", "select * from nowhere": "42P01"} {
			_, err := c.ExecContext(ctx, text)
			wantCode(t, err, code)
			want(ctx, t, c, "mine", "select current_setting('app.mark')")
		}
		_, err := c.ExecContext(ctx, "select 1/$1::int", 0)
		wantCode(t, err, "22012")
		want(ctx, t, c, "mine", "select current_setting('app.mark')")
	})
}

func TestSeveralResults(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	rows, err := open(t, "").QueryContext(ctx, "select 1; begin; select 2; commit; select 3")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []int
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
	}
	if err := rows.Err(); err != nil || !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// lib/pq does not recover from a changed table under a *sql.Stmt: the error is what a direct connection gives, once, and
// a new statement works.
func TestChangedTable(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB) {
		run(ctx, t, db, "drop table if exists changing", "create table changing (a int)", "insert into changing values (1)")
		for i := range 3 {
			rows, err := db.QueryContext(ctx, "select * from changing where a = $1", 1)
			if err != nil {
				t.Fatal(err)
			}
			columns, err := rows.Columns()
			if err != nil || len(columns) != i+1 {
				t.Errorf("columns %v, %v; want %d", columns, err, i+1)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			run(ctx, t, db, fmt.Sprintf("alter table changing add column b%d int", i))
		}
	})
}
