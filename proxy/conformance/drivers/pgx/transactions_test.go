//go:build pg

package pgx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestTransactionsAndSavepoints(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		run(ctx, t, c, "drop table if exists accounts", "create table accounts (id int primary key)")
		err := pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			run(ctx, t, tx, "insert into accounts values (1)")
			want(ctx, t, tx, "repeatable read", "show transaction_isolation")
			inner := pgx.BeginFunc(ctx, tx, func(sp pgx.Tx) error { // a savepoint
				run(ctx, t, sp, "insert into accounts values (2)")
				_, err := sp.Exec(ctx, "insert into accounts values ($1)", 1)
				return err
			})
			wantCode(t, inner, "23505")
			want(ctx, t, tx, 1, "select count(*)::int from accounts")
			return pgx.BeginFunc(ctx, tx, func(sp pgx.Tx) error {
				_, err := sp.Exec(ctx, "insert into accounts values ($1)", 3)
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		want(ctx, t, c, 4, "select sum(id)::int from accounts")
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(ctx, "select 1/0")
		wantCode(t, err, "22012")
		_, err = tx.Exec(ctx, "select 1")
		wantCode(t, err, "25P02")
		if err := tx.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
			t.Fatalf("commit of an aborted transaction: %v", err)
		}
		want(ctx, t, c, 1, "select 1")
	})
}

func TestDeferredConstraintFailsCommit(t *testing.T) {
	ctx := bound(t)
	c := connect(ctx, t, nil)
	run(ctx, t, c, "drop table if exists late", "create table late (id int unique deferrable initially deferred)")
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	run(ctx, t, tx, "insert into late values (1)", "insert into late values (1)")
	wantCode(t, tx.Commit(ctx), "23505")
	want(ctx, t, c, 0, "select count(*)::int from late")
}

func TestCopy(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		run(ctx, t, c, "drop table if exists copied", "create table copied (id int check (id <> 13), name text)")
		source := func(n, from int) pgx.CopyFromSource {
			return pgx.CopyFromSlice(n, func(i int) ([]any, error) { return []any{from + i, fmt.Sprint("row ", i)}, nil })
		}
		if n, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "name"}, source(20_000, 100)); err != nil || n != 20_000 {
			t.Fatalf("copied %d, %v", n, err)
		}
		_, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "name"}, source(1000, 1))
		wantCode(t, err, "23514")
		var out bytes.Buffer
		if tag, err := c.PgConn().CopyTo(ctx, &out, "copy copied to stdout"); err != nil || tag.RowsAffected() != 20_000 {
			t.Fatalf("copied out %s, %v", tag, err)
		}
		if _, err := c.PgConn().CopyFrom(ctx, &out, "copy copied from stdin"); err != nil {
			t.Fatal(err)
		}
		want(ctx, t, c, 40_000, "select count(*)::int from copied")
	})
}

func TestBatch(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		var b pgx.Batch
		for i := range 40 {
			b.Queue(fmt.Sprintf("select $1::int + %d", i%6), i).QueryRow(func(row pgx.Row) error {
				var got int
				if err := row.Scan(&got); err != nil || got != i+i%6 {
					return fmt.Errorf("got %d, want %d: %w", got, i+i%6, err)
				}
				return nil
			})
		}
		for range 3 {
			if err := c.SendBatch(ctx, &b).Close(); err != nil {
				t.Fatal(err)
			}
		}
		var broken pgx.Batch
		broken.Queue("create table never ()")
		broken.Queue("select 1/$1::int", 0)
		broken.Queue("select 1")
		wantCode(t, c.SendBatch(ctx, &broken).Close(), "22012")
		want(ctx, t, c, true, "select to_regclass('never') is null")
	})
}

// Several syncs are in flight before the first answer is read; an error ends its own part only.
func TestPipeline(t *testing.T) {
	ctx := bound(t)
	pc := connect(ctx, t, nil).PgConn()
	p := pc.StartPipeline(ctx)
	p.SendPrepare("p0", "select $1::int + 1", nil)
	p.SendQueryPrepared("p0", [][]byte{[]byte("1")}, nil, nil)
	p.SendFlushRequest()
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.GetResults(); err != nil { // the statement's description
		t.Fatal(err)
	}
	if _, err := p.GetResults(); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		p.SendQueryPrepared("p0", [][]byte{fmt.Append(nil, i)}, nil, nil)
		p.SendQueryParams("select 1/$1::int", [][]byte{fmt.Append(nil, i%2)}, nil, nil, nil)
		p.SendQueryPrepared("p0", [][]byte{fmt.Append(nil, i)}, nil, nil)
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	var rows, failures, syncs int
	for syncs < 10 { // the sync of the flushed part comes with the first of these
		res, err := p.GetResults()
		if err != nil {
			wantCode(t, err, "22012")
			failures++
			continue
		}
		switch r := res.(type) {
		case *pgconn.ResultReader:
			if got := r.Read(); got.Err == nil {
				rows += len(got.Rows)
			} else {
				wantCode(t, got.Err, "22012")
				failures++
			}
		case *pgconn.PipelineSync:
			syncs++
		}
	}
	if rows != 5+15 || failures != 5 {
		t.Errorf("%d rows, %d failures; want 20 and 5", rows, failures)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.Exec(ctx, "select 1").ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestCursors(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		run(ctx, t, tx, "declare c cursor for select n from generate_series(1, 25) n")
		var total int
		for _, size := range []int{10, 10, 5, 0} {
			rows, err := tx.Query(ctx, "fetch 10 from c")
			if err != nil {
				t.Fatal(err)
			}
			got, err := pgx.CollectRows(rows, pgx.RowTo[int])
			if err != nil || len(got) != size {
				t.Fatalf("fetched %v, %v; want %d", got, err, size)
			}
			for _, n := range got {
				total += n
			}
		}
		if total != 325 {
			t.Errorf("total %d", total)
		}
		run(ctx, t, tx, "declare held cursor with hold for select 42")
		if err := tx.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		want(ctx, t, c, 42, "fetch 1 from held")
		run(ctx, t, c, "close held")
	})
}

// A statement that takes too long is cancelled by the driver; a cancelled connection is closed, another is fine.
func TestCancel(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		_, err := c.Exec(ctx, "set statement_timeout = '200ms'")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Exec(ctx, "select pg_sleep(20)")
		wantCode(t, err, "57014")
		run(ctx, t, c, "reset statement_timeout")
		want(ctx, t, c, "0", "show statement_timeout")
		done := make(chan error, 1)
		go func() {
			_, err := c.Exec(ctx, "select pg_sleep(20)")
			done <- err
		}()
		for len(done) == 0 { // until it has reached the server
			if err := c.PgConn().CancelRequest(ctx); err != nil {
				t.Fatal(err)
			}
			select {
			case err = <-done:
				done <- err
			case <-time.After(100 * time.Millisecond):
			}
		}
		wantCode(t, <-done, "57014")
		want(ctx, t, c, 1, "select 1")
	})
}
