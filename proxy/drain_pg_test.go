//go:build pg

package proxy

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// shutdown starts a Shutdown and returns a channel that is closed at its end.
func (g *guard) shutdown(t *testing.T, ctx context.Context) chan struct{} {
	t.Helper()
	done := make(chan struct{})
	go func() { _ = g.Shutdown(ctx); close(done) }()
	eventually(t, "draining", func() bool { return g.Stats().Draining })
	return done
}

func ended(t *testing.T, done chan struct{}, d time.Duration) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(d):
		dump(t, "Shutdown has not ended after %s", d)
	}
}

// fatalSoon is fatal of a client that may be answered before.
func (c *caller) fatalSoon(t *testing.T, code string) {
	t.Helper()
	c.lastWords(t, code, true)
}

// fatal reads the last words to a client and the end of its connection.
func (c *caller) fatal(t *testing.T, code string) {
	t.Helper()
	c.lastWords(t, code, false)
}

// lastWords reads them, after an answer where there may be one.
func (c *caller) lastWords(t *testing.T, code string, answered bool) {
	t.Helper()
	typ, body, err := c.next()
	for answered && err == nil && typ != wire.ErrorResponse {
		typ, body, err = c.next()
	}
	if err != nil || typ != wire.ErrorResponse {
		t.Fatalf("got %c %v, want FATAL %s", typ, err, code)
	}
	if f, _ := wire.ParseError(body); !f.Fatal() || string(f.Code) != code {
		t.Errorf("got %s %s, want FATAL %s", f.Severity, f.Code, code)
	}
	if _, _, err := c.next(); err == nil {
		t.Error("the connection goes on after FATAL")
	}
}

// TestDrainServesOn: a guard that drains serves whom it has until they leave, and ends when the last has left.
func TestDrainServesOn(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	for _, accept := range []bool{false, true} {
		g := newGuard(t, address(c), func(cfg *Config) { cfg.AcceptWhileDraining = accept })
		idle, busy := g.call(t), g.call(t)
		busy.want(t, busy.query, "BEGIN", "", 'T')
		busy.want(t, busy.query, "select 1", "", 'T')
		done := g.shutdown(t, context.Background())
		idle.want(t, idle.query, "select 2", "", 'I')
		busy.want(t, busy.query, "select 3", "", 'T')
		if accept {
			late := g.call(t)
			late.want(t, late.query, "select 4", "", 'I')
			_ = late.Close()
		} else {
			eventually(t, "closed to new clients", func() bool {
				nc, err := net.Dial("tcp", g.addr)
				if err == nil {
					_ = nc.Close()
				}
				return err != nil
			})
		}
		if err := g.Ready(); err == nil {
			t.Error("Ready while draining")
		}
		busy.want(t, busy.query, "COMMIT", "", 'I')
		_ = busy.Close()
		_ = idle.Close()
		ended(t, done, 5*time.Second)
	}
}

// TestDrainEndsWithGrace: towards the end of the grace time those between transactions are closed and the others may
// finish; at its end all are.
func TestDrainEndsWithGrace(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Grace = 1500 * time.Millisecond })
	idle, finishing, stuck, deferred := g.call(t), g.call(t), g.call(t), g.call(t)
	for _, c := range []*caller{finishing, stuck} {
		c.want(t, c.query, "BEGIN", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
	}
	deferred.want(t, deferred.query, "BEGIN", "", 'T')
	start := time.Now()
	done := g.shutdown(t, context.Background())
	idle.fatal(t, "57P01")
	if d := time.Since(start); d < 500*time.Millisecond {
		t.Errorf("an idle client was closed after %s, want it served for two thirds of the grace time", d)
	}
	finishing.want(t, finishing.query, "select 2", "", 'T')
	finishing.want(t, finishing.query, "COMMIT", "", 'I')
	finishing.fatal(t, "57P01")
	stuck.fatal(t, "57P01")
	ended(t, done, 5*time.Second)
	if d := time.Since(start); d < 1400*time.Millisecond {
		t.Errorf("ended after %s, before the grace time was over", d)
	}
	admin := direct(t, c)
	eventually(t, "no server left", func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()") == "0"
	})
}

// TestDrainTellsWhoWaitsForAnOperator: while a database is paused nobody in it can be served, so that a guard that is told to stop has nothing
// to wait for: who waits is told to go, and nothing of what was asked for is run.
func TestDrainTellsWhoWaitsForAnOperator(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := askedTable(t, c)
	for _, name := range []string{"", "postgres"} {
		g := newGuard(t, address(c), nil)
		query, batch, begun, holds := g.call(t), g.call(t), g.call(t), g.call(t)
		holds.want(t, holds.query, "begin; select 1", "", 'T')
		begun.want(t, begun.query, "begin", "", 'T')
		ctx, stop := context.WithCancel(t.Context())
		paused := make(chan error, 1)
		go func() { paused <- g.Pause(ctx, name) }()
		eventually(t, "paused", func() bool { return g.isPaused(g.known("postgres")[0]) })
		_ = query.send(simple(inserting("query")))
		_ = batch.send(append(ext(inserting("batch")), msgSync...))
		_ = begun.send(simple(inserting("begun")))
		eventually(t, "waiting", func() bool { return g.Stats().Clients["waiting"] == 3 })
		done := make(chan struct{})
		go func() { _ = g.Drain(context.Background(), 0); close(done) }()
		for _, c := range []*caller{query, batch, begun} {
			c.fatal(t, "57P01")
		}
		holds.want(t, holds.query, inserting("held"), "", 'T')
		holds.want(t, holds.query, "commit", "", 'I')
		holds.fatal(t, "57P01")
		ended(t, done, 10*time.Second)
		stop()
		<-paused
	}
	if got := fmt.Sprint(rows(t, admin)); got != "map[held:2]" {
		t.Errorf("rows %s", got)
	}
}

// TestCloseDuringDrain: a second signal ends everything at once, whatever runs and whoever does not read.
func TestCloseDuringDrain(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 3 })
	runs, deaf, holds, waits := g.call(t), g.call(t), g.call(t), g.call(t)
	_ = runs.send(simple("select pg_sleep(80)"))
	awaitRunning(t, admin, "pg_sleep(80)")
	_ = deaf.Conn.(*net.TCPConn).SetReadBuffer(4096)
	_ = deaf.send(simple("select repeat('x', 1000) from generate_series(1, 100000)"))
	holds.want(t, holds.query, "BEGIN", "", 'T')
	holds.want(t, holds.query, "select 1", "", 'T')
	_ = waits.send(simple("select 1"))
	eventually(t, "waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	done := g.shutdown(t, context.Background())
	start := time.Now()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("Close took %s", d)
	}
	ended(t, done, 5*time.Second)
	runs.fatal(t, "57P01")
	holds.fatal(t, "57P01")
	waits.fatalSoon(t, "57P01") // it may have had its answer before its turn to be closed came
	eventually(t, "no server left", func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()") == "0"
	})
}

// TestDrainHeedsItsContext: the end of the context ends a drain before its grace time.
func TestDrainHeedsItsContext(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), nil)
	idle := g.call(t)
	ctx, stop := context.WithCancel(context.Background())
	done := g.shutdown(t, ctx)
	idle.want(t, idle.query, "select 1", "", 'I')
	stop()
	ended(t, done, 5*time.Second)
	idle.fatal(t, "57P01")
}
