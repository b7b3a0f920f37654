//go:build pg

package pgx

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

// More texts than the cache holds, over and over: statements are prepared, dropped and prepared again.
func TestStatementsBeyondCache(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		for round := range 3 {
			for i := range 30 {
				want(ctx, t, c, i*1000+round, fmt.Sprintf("select %d + $1::int", i*1000), round)
			}
		}
	})
}

func TestSameTextOnManyConnections(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		conns := []*pgx.Conn{c}
		for range 7 {
			conns = append(conns, connect(ctx, t, func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = c.Config().DefaultQueryExecMode }))
		}
		for round := range 5 {
			for i, c := range conns {
				want(ctx, t, c, round*10+i, "select $1::int * 10 + $2::int", round, i)
			}
		}
	})
}

// One name stands for another text in every connection, and for a second one after it was dropped.
func TestNamedStatements(t *testing.T) {
	ctx := bound(t)
	for i := range 4 {
		c := connect(ctx, t, nil)
		for j := range 3 {
			if _, err := c.Prepare(ctx, "named", fmt.Sprintf("select %d + $1::int", 100*i+10*j)); err != nil {
				t.Fatal(err)
			}
			want(ctx, t, c, 100*i+10*j+1, "named", 1)
			_, err := c.PgConn().Prepare(ctx, "named", "select 'taken'", nil)
			wantCode(t, err, "42P05")
			want(ctx, t, c, 100*i+10*j+2, "named", 2)
			if err := c.Deallocate(ctx, "named"); err != nil {
				t.Fatal(err)
			}
			res := c.PgConn().ExecPrepared(ctx, "named", [][]byte{[]byte("1")}, nil, nil).Read()
			wantCode(t, res.Err, "26000")
		}
	}
}

func TestDeallocateAll(t *testing.T) {
	ctx := bound(t)
	c := connect(ctx, t, nil)
	for i := range 5 {
		want(ctx, t, c, i, fmt.Sprintf("select %d", i))
	}
	if err := c.DeallocateAll(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		want(ctx, t, c, i, fmt.Sprintf("select %d", i))
	}
}

func TestSQLPrepare(t *testing.T) {
	ctx := bound(t)
	c := connect(ctx, t, func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeExec })
	run(ctx, t, c, "prepare p (int) as select $1 + 1")
	want(ctx, t, c, 8, "execute p (7)")
	want(ctx, t, c, 1, "select count(*)::int from pg_prepared_statements where name = 'p'")
	run(ctx, t, c, "deallocate p")
	_, err := c.Exec(ctx, "execute p (7)")
	wantCode(t, err, "26000")
}

// Two modes recover from a changed table by themselves: those that do not remember the columns.
func TestChangedTableUnderStatements(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		run(ctx, t, c, "drop table if exists changing", "create table changing (a int)", "insert into changing values (1)")
		mode := c.Config().DefaultQueryExecMode
		for i := range 4 {
			columns := func() (int, error) {
				rows, err := c.Query(ctx, "select * from changing")
				if err != nil {
					return 0, err
				}
				defer rows.Close()
				for rows.Next() {
				}
				return len(rows.FieldDescriptions()), rows.Err()
			}
			n, err := columns()
			if err != nil && i > 0 && (mode == pgx.QueryExecModeCacheStatement || mode == pgx.QueryExecModeCacheDescribe) {
				n, err = columns() // pgx forgets the statement when it fails, and says so
			}
			if err != nil || n != i+1 && mode != pgx.QueryExecModeCacheDescribe {
				t.Fatalf("round %d: %d columns, %v; want %d", i, n, err, i+1)
			}
			run(ctx, t, c, fmt.Sprintf("alter table changing add column b%d int", i))
		}
	})
}

func TestArraysAndBinaryValues(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		numbers, texts, raw := []int32{1, -2, 3}, []string{"a", `b "c"`, "", "ü"}, []byte{0, 1, 255, 10}
		var n []int32
		var s []string
		var b []byte
		var f float64
		err := c.QueryRow(ctx, "select $1::int4[], $2::text[], $3::bytea, $4::float8", numbers, texts, raw, 0.1).Scan(&n, &s, &b, &f)
		if err != nil || !slices.Equal(n, numbers) || !slices.Equal(s, texts) || !slices.Equal(b, raw) || f != 0.1 {
			t.Fatalf("got %v, %q, %v, %v, %v", n, s, b, f, err)
		}
	})
}

func TestErrorKeepsConnection(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		run(ctx, t, c, "set app.mark = 'mine'")
		for _, bad := range []struct{ text, code string }{
			{"select 1/0", "22012"}, {"selec", "42601"}, {"select * from nowhere", "42P01"}, {"select nothing", "42703"},
		} {
			_, err := c.Exec(ctx, bad.text)
			wantCode(t, err, bad.code)
			want(ctx, t, c, "mine", "select current_setting('app.mark')")
		}
		_, err := c.Exec(ctx, "select 1/$1::int", 0)
		wantCode(t, err, "22012")
		want(ctx, t, c, 5, "select 5/$1::int", 1)
	})
}
