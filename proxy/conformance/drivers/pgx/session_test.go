//go:build pg

package pgx

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"os"
)

func TestSettings(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		run(ctx, t, c, "drop schema if exists mine cascade", "create schema mine", "create table mine.here (a int)", "insert into mine.here values (5)")
		run(ctx, t, c, "set search_path to mine", "set time zone 'Asia/Tokyo'", "set work_mem = '5MB'", "set datestyle to 'SQL, DMY'")
		for range 3 {
			want(ctx, t, c, 5, "select a from here")
			want(ctx, t, c, "Asia/Tokyo", "show timezone")
			want(ctx, t, c, "2020-01-02 12:00:00", "select to_char('2020-01-02 03:00Z'::timestamptz, 'YYYY-MM-DD HH24:MI:SS')")
			want(ctx, t, c, "01/02/2020", "select ('01/02/2020'::date)::text")
			want(ctx, t, c, "5MB", "show work_mem")
		}
		if got := c.PgConn().ParameterStatus("TimeZone"); got != "Asia/Tokyo" {
			t.Errorf("parameter status %q", got)
		}
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		run(ctx, t, tx, "set work_mem = '6MB'", "set local time zone 'UTC'")
		want(ctx, t, tx, "6MB", "show work_mem")
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		want(ctx, t, c, "5MB", "show work_mem")
		want(ctx, t, c, "Asia/Tokyo", "show timezone")
		run(ctx, t, c, "reset work_mem", "reset search_path")
		want(ctx, t, c, "4MB", "show work_mem")
		want(ctx, t, c, `"$user", public`, "show search_path")
		run(ctx, t, c, "select set_config('work_mem', '7MB', false)")
		want(ctx, t, c, "7MB", "show work_mem")
		run(ctx, t, c, "reset all")
		want(ctx, t, c, "4MB", "show work_mem")
	})
}

func TestStartupOptions(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		c = connect(ctx, t, func(cfg *pgx.ConnConfig) {
			cfg.DefaultQueryExecMode = c.Config().DefaultQueryExecMode
			cfg.RuntimeParams["timezone"] = "America/New_York"
			cfg.RuntimeParams["options"] = "-c work_mem=9MB -c app.mark=start"
		})
		for range 3 {
			want(ctx, t, c, "America/New_York", "show timezone")
			want(ctx, t, c, "9MB", "show work_mem")
			want(ctx, t, c, "start", "select current_setting('app.mark')")
		}
		run(ctx, t, c, "set work_mem = '5MB'", "reset work_mem")
		want(ctx, t, c, "9MB", "show work_mem")
	})
}

func TestListen(t *testing.T) {
	ctx := bound(t)
	listener, other := connect(ctx, t, nil), connect(ctx, t, nil)
	run(ctx, t, listener, "listen news")
	for i := range 5 {
		if _, err := other.Exec(ctx, "select pg_notify('news', $1)", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		n, err := listener.WaitForNotification(ctx)
		if err != nil || n.Channel != "news" || n.Payload != fmt.Sprint(i) {
			t.Fatalf("got %v, %v", n, err)
		}
	}
	run(ctx, t, listener, "unlisten news")
}

func TestAdvisoryLocks(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		other := connect(ctx, t, nil)
		run(ctx, t, c, "select pg_advisory_lock(7)")
		for range 3 {
			want(ctx, t, other, false, "select pg_try_advisory_lock(7)")
			want(ctx, t, c, 1, "select 1")
		}
		want(ctx, t, c, true, "select pg_advisory_unlock(7)")
		want(ctx, t, other, true, "select pg_try_advisory_lock(7)")
		want(ctx, t, c, false, "select pg_try_advisory_lock(7)")
		want(ctx, t, other, true, "select pg_advisory_unlock(7)")
		want(ctx, t, other, false, "select pg_advisory_unlock(7)")
	})
}

func TestTemporaryTables(t *testing.T) {
	eachMode(t, func(ctx context.Context, t *testing.T, c *pgx.Conn) {
		other := connect(ctx, t, nil)
		run(ctx, t, c, "create temp table scratch (a int)")
		for i := range 5 {
			if _, err := c.Exec(ctx, "insert into scratch values ($1)", i); err != nil {
				t.Fatal(err)
			}
			want(ctx, t, c, i+1, "select count(*)::int from scratch")
			_, err := other.Exec(ctx, "select * from scratch")
			wantCode(t, err, "42P01")
		}
		run(ctx, t, c, "drop table scratch")
		_, err := c.Exec(ctx, "insert into scratch values ($1)", 1)
		wantCode(t, err, "42P01")
	})
}

// Many goroutines share a pool: sums are right, and what one connection set only it has.
func TestPool(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			ctx := bound(t)
			cfg, err := pgxpool.ParseConfig(os.Getenv("DRIVERS_URL"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.MaxConns = 10
			cfg.ConnConfig.DefaultQueryExecMode = mode
			cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
				_, err := c.Exec(ctx, "set app.mark = 'pooled'")
				return err
			}
			pool, err := pgxpool.NewWithConfig(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			run(ctx, t, pool, "drop table if exists pooled", "create table pooled (id int)")
			var tasks sync.WaitGroup
			failed := make(chan error, 20)
			for task := range 20 {
				tasks.Go(func() { failed <- work(ctx, pool, task) })
			}
			tasks.Wait()
			for range 20 {
				if err := <-failed; err != nil {
					t.Error(err)
				}
			}
			want(ctx, t, pool, 20*10, "select count(*)::int from pooled")
		})
	}
}

// work does ten short transactions.
func work(ctx context.Context, pool *pgxpool.Pool, task int) error {
	for i := range 10 {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "insert into pooled values ($1)", task*100+i); err != nil {
				return err
			}
			var n int
			var mark string
			err := tx.QueryRow(ctx, fmt.Sprintf("select count(*)::int, current_setting('app.mark') from pooled where id between %d and $1", task*100), task*100+99).Scan(&n, &mark)
			if err == nil && (n != i+1 || mark != "pooled") {
				return fmt.Errorf("task %d sees %d rows after %d, mark %q", task, n, i+1, mark)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
