//go:build pg && faults

package witness_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/witness"
)

// A fault is injected behind so much ordinary load, and must be named within so long.
const (
	ordinary = 15 * time.Second
	named    = 10 * time.Second
)

// crowd runs one statement after another on clients of its own until it is stopped, each with a pause after it.
type crowd struct {
	stop func()
	n    atomic.Int64
}

// texts is what the client number i runs the n-th time; several are a transaction's worth.
func (sc *scene) crowd(application string, clients int, pause time.Duration, texts func(i, n int) []string) *crowd {
	sc.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	k := &crowd{}
	var conns []*pgx.Conn
	for range clients {
		conns = append(conns, sc.enter(application))
	}
	for i, c := range conns {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				for _, text := range texts(i, n) {
					if _, err := c.Exec(ctx, text); err != nil {
						_, _ = c.Exec(ctx, "rollback")
						if c.IsClosed() {
							return
						}
						break
					}
					k.n.Add(1)
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	k.stop = sync.OnceFunc(func() { stop(); work.Wait() })
	sc.t.Cleanup(k.stop)
	return k
}

// beside logs a client in past the guard.
func (sc *scene) beside(application string) *pgx.Conn {
	sc.t.Helper()
	return sc.connect(sc.db.URL("postgres"), application)
}

// tables are what the ordinary load works on.
var tables = []string{
	"create table orders as select i as id, i % 100 as customer, repeat('x', 80) as what from generate_series(1, 200000) i",
	"create index orders_id on orders (id)", "create index orders_customer on orders (customer)",
	"create table stock as select i as id, 0 as n from generate_series(1, 1000) i", "create index stock_id on stock (id)", "vacuum analyze",
}

// works sets the ordinary load to work and waits until it is usual: a web application and jobs, that use a part of what there is.
func (sc *scene) works() {
	sc.t.Helper()
	c := sc.enter("setup")
	sc.run(c, tables...)
	sc.crowd("puma", 8, 20*time.Millisecond, func(i, n int) []string {
		return []string{fmt.Sprintf("select what from orders where id = %d /*controller='orders',action='show'*/", 1+(i*7919+n*31)%200_000),
			"select count(*) from stock where id < 200 /*controller='stock',action='index'*/"}
	})
	sc.crowd("sidekiq 7 shop", 4, 30*time.Millisecond, func(i, n int) []string {
		return []string{"begin", fmt.Sprintf("update stock set n = n + 1 where id = %d /*job='Restock'*/", 1+i*100+n%90), "commit"}
	})
	time.Sleep(ordinary)
	if v := sc.see.Verdict(); !v.State.Healthy() {
		sc.t.Fatalf("before the fault: %s: %s", v.State, v.Sentence)
	}
}

// names waits for a verdict of which right is true, and logs what is said, and when. began is when the fault was injected.
func (sc *scene) names(began time.Time, right func(v *diagnosis.Verdict) bool) {
	sc.t.Helper()
	for {
		v := sc.see.Verdict()
		if took := time.Since(began); !v.State.Healthy() && right(&v) {
			sc.t.Logf("after %.1f s, %.0f %% sure: %s\n    %s", took.Seconds(), 100*v.Confidence, v.Sentence, v.Advice)
			return
		} else if took > named {
			sc.t.Fatalf("after %s: %s (%s): %s\n%+v", named, v.State, v.Cause, v.Sentence, v.Culprit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestFaultCPUHog(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	sc.works()
	began := time.Now()
	for range 12 {
		hog := exec.Command("yes")
		hog.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the scheduler shares the machine between sessions
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hog.Process.Kill(); _ = hog.Wait() })
	}
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.Strangers && v.Culprit.Process == "yes" && v.Culprit.PID > 0
	})
}

func TestFaultOneRow(t *testing.T) {
	sc := open(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}}, nil)
	sc.works()
	sc.run(sc.enter("setup"), "create table counters as select 1 as id, 0 as n")
	began := time.Now()
	sc.crowd("api", 200, 0, func(int, int) []string {
		return []string{"begin", "update counters set n = n + 1 where id = 1 /*controller='likes',action='create'*/", "select pg_sleep(0.002)", "commit"}
	})
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.Locks && v.Culprit.Statement == "update counters" && v.Culprit.Tags["controller"] == "likes"
	})
}

func TestFaultAlterBehindReport(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	sc.works()
	report, migration := sc.beside("metabase"), sc.beside("rails db:migrate")
	began := time.Now()
	var work sync.WaitGroup
	work.Go(func() { _, _ = report.Exec(context.Background(), "select count(*), pg_sleep(25) from orders") })
	time.Sleep(500 * time.Millisecond)
	work.Go(func() { _, _ = migration.Exec(context.Background(), "alter table orders add column color text") })
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.Locks && v.Culprit.Application == "metabase" && v.Culprit.Through != nil && v.Culprit.Through.Application == "rails db:migrate"
	})
	work.Wait()
}

func TestFaultIdleTransactions(t *testing.T) {
	sc := open(t, pgtest.Options{}, func(c *proxy.Config) { c.Pool.MaxServers = 30 })
	sc.works()
	began := time.Now()
	for range 30 {
		c := sc.enter("sidekiq 7 push")
		go func() {
			_, _ = c.Exec(context.Background(), "begin")
			_, _ = c.Exec(context.Background(), "select count(*) from stock where id = 5 /*job='PushWorker'*/")
		}()
	}
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.IdleInTx && v.Culprit.Tags["job"] == "PushWorker"
	})
}

func TestFaultMissingIndex(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	sc.crowdOfReaders()
	began := time.Now()
	sc.run(sc.beside("psql"), "drop index orders_id")
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.Cause == "slow_statement" && v.Culprit.Statement == "select orders" && v.Culprit.Tags["action"] == "show"
	})
}

// crowdOfReaders is the ordinary load with more who read orders.
func (sc *scene) crowdOfReaders() {
	sc.t.Helper()
	sc.run(sc.enter("setup"), append([]string{"create table pages as select i as id from generate_series(1, 1000) i"}, tables...)...)
	sc.crowd("puma", 24, 40*time.Millisecond, func(i, n int) []string {
		return []string{fmt.Sprintf("select what from orders where id = %d /*controller='orders',action='show'*/", 1+(i*7919+n*31)%200_000)}
	})
	sc.crowd("sidekiq 7 shop", 4, 30*time.Millisecond, func(i, n int) []string {
		return []string{fmt.Sprintf("update stock set n = n + 1 where id = %d /*job='Restock'*/", 1+i*100+n%90), "select count(*) from pages where id < 300"}
	})
	time.Sleep(ordinary)
	if v := sc.see.Verdict(); !v.State.Healthy() {
		sc.t.Fatalf("before the fault: %s: %s", v.State, v.Sentence)
	}
}

func TestFaultOthersTakeConnections(t *testing.T) {
	sc := open(t, pgtest.Options{Settings: map[string]string{"max_connections": "50"}}, nil)
	sc.works()
	began := time.Now()
	for range 36 {
		sc.beside("nightly export")
	}
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.CapReached && v.Culprit.Application == "nightly export"
	})
}

func TestFaultDatabaseStopped(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	sc.works()
	began := time.Now()
	if err := sc.db.Shutdown("immediate"); err != nil {
		t.Fatal(err)
	}
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.Down && strings.Contains(v.Sentence, fmt.Sprint(sc.db.Port()))
	})
}

func TestFaultNetworkDelay(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	way := newWay(t, fmt.Sprintf("%s:%d", db.Host(), db.Port()))
	sc := behind(t, db, way.addr, nil)
	sc.works()
	began := time.Now()
	way.delay.Store(int64(20 * time.Millisecond)) // each way
	sc.names(began, func(v *diagnosis.Verdict) bool { return v.State == diagnosis.Network })
}

func TestFaultClientsDoNotRead(t *testing.T) {
	sc := open(t, pgtest.Options{}, func(c *proxy.Config) { c.Pool.MaxServers = 16 })
	sc.works()
	began := time.Now()
	for range 14 {
		c := sc.enter("export.py")
		c.PgConn().Frontend().Send(&pgproto3.Query{String: "select o.what from orders o, stock s where s.id < 50"})
		if err := c.PgConn().Frontend().Flush(); err != nil {
			t.Fatal(err)
		}
	}
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.State == diagnosis.SlowReaders && v.Culprit.Application == "export.py"
	})
}

func TestFaultDeploymentAsksThreeTimes(t *testing.T) {
	sc := open(t, pgtest.Options{}, func(c *proxy.Config) { c.Limit = 4 }) // so that how much fits does not depend on the machine
	sc.run(sc.enter("setup"), tables...)
	var deployed atomic.Bool
	sc.crowd("puma", 24, 100*time.Millisecond, func(i, n int) []string {
		menu := "select pg_sleep(0.004), count(*) from stock where id < 20 /*controller='menu',action='show'*/"
		texts := []string{fmt.Sprintf("select what from orders where id = %d", 1+(i*7919+n*31)%200_000), menu}
		if deployed.Load() {
			texts = append(texts, menu, menu)
		}
		return texts
	})
	time.Sleep(ordinary)
	if v := sc.see.Verdict(); !v.State.Healthy() {
		t.Fatalf("before the fault: %s: %s", v.State, v.Sentence)
	}
	began := time.Now()
	deployed.Store(true)
	sc.names(began, func(v *diagnosis.Verdict) bool {
		return v.Cause == "statement_flood" && v.Culprit.Statement == "select stock" && v.Culprit.Tags["controller"] == "menu"
	})
}

// TestHealthyLoadRaisesNothing: for HEALTHY (2m) of the ordinary load no verdict but calm and busy, no incident, and no line about either in the log.
func TestHealthyLoadRaisesNothing(t *testing.T) {
	length := 2 * time.Minute
	if text := os.Getenv("HEALTHY"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	sc := open(t, pgtest.Options{}, nil)
	sc.works()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(witness.LookEvery / 2) {
		if v := sc.see.Verdict(); !v.State.Healthy() {
			t.Errorf("%s: %s", v.State, v.Sentence)
		}
	}
	if n := len(sc.see.Incidents()); n > 0 || strings.Contains(sc.log.String(), "verdict") {
		t.Errorf("%d incidents; the log: %s", n, sc.log)
	}
}
