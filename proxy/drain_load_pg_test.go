//go:build pg

package proxy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestIdleClientsAreToldToGo: five idle clients do not hold the end up longer than the idle grace.
func TestIdleClientsAreToldToGo(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Second} {
		g := newGuard(t, address(shared), func(cfg *Config) { cfg.IdleGrace = grace })
		var idle []*caller
		for i := range 5 {
			c := g.call(t)
			c.want(t, c.query, "select 1", "", 'I')
			if i == 0 { // keeps its server
				c.want(t, c.query, "select pg_advisory_lock(42)", "", 'I')
			}
			idle = append(idle, c)
		}
		silent, err := dialCaller(g.addr) // never says a word
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		done := g.shutdown(t, context.Background())
		for _, c := range idle {
			c.fatal(t, "57P01")
			if d := time.Since(start); d < grace {
				t.Errorf("told to go after %s, want it served for %s", d, grace)
			}
			_ = c.Close()
		}
		ended(t, done, 5*time.Second)
		if d := time.Since(start); d > grace+3*time.Second {
			t.Errorf("ended after %s with an idle grace of %s", d, grace)
		}
		_ = silent.Close()
	}
}

// drainedLife is a client of TestDrainUnderLoad: transactions of one UPDATE, one after the other, until it is told to go. It returns an error if that
// comes at another place than between two transactions.
func drainedLife(c *caller, id int, implicit bool, committed *atomic.Int64) error {
	update := fmt.Sprintf("update drained set n = n + 1 where id = %d", id)
	texts := []string{"BEGIN", update, "select pg_sleep(0.001)", "COMMIT"}
	run := c.query
	if id%2 == 1 {
		run = c.extended
	}
	if implicit {
		texts = []string{update}
	}
	for {
		for i, text := range texts {
			a, err := run(text)
			if err == nil && len(a.codes) == 0 {
				continue
			}
			if i == 0 && a.fatal && a.code() == "57P01" {
				return nil
			}
			return fmt.Errorf("%s: %v %s", text, err, a)
		}
		committed.Add(1)
	}
}

// TestDrainUnderLoad: none of 60 busy clients loses an UPDATE or a COMMIT of a transaction that has begun; each is told to go between two, and
// what it was told is in the table.
func TestDrainUnderLoad(t *testing.T) {
	admin := direct(t, shared)
	for _, implicit := range []bool{false, true} {
		const clients = 60
		admin.want(t, admin.query, "drop table if exists drained", "", 'I')
		admin.want(t, admin.query, fmt.Sprintf("create table drained as select id, 0 as n from generate_series(0, %d) id", clients-1), "", 'I')
		g := newGuard(t, address(shared), func(cfg *Config) { cfg.IdleGrace, cfg.Grace = 300*time.Millisecond, 30*time.Second })
		var lives sync.WaitGroup
		counts := make([]atomic.Int64, clients)
		faults := make(chan error, clients)
		for id := range clients {
			c := g.call(t)
			lives.Go(func() { faults <- drainedLife(c, id, implicit, &counts[id]); _ = c.Close() })
		}
		eventually(t, "under load", func() bool { return counts[clients-1].Load() > 3 })
		start := time.Now()
		ended(t, g.shutdown(t, context.Background()), 20*time.Second)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("busy clients held the end up for %s", d)
		}
		lives.Wait()
		for range clients {
			if err := <-faults; err != nil {
				t.Error(err)
			}
		}
		for id := range clients {
			want := fmt.Sprint(counts[id].Load())
			if got := admin.one(t, fmt.Sprintf("select n from drained where id = %d", id)); got != want {
				t.Errorf("client %d was told of %s commits, %s are in the table", id, want, got)
			}
		}
	}
}

// TestDrainEndsWithinGrace: whoever sleeps in a statement, or in a transaction, the end comes before the grace time is over.
func TestDrainEndsWithinGrace(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Grace, cfg.IdleGrace = 4*time.Second, 0 })
	runs, holds := g.call(t), g.call(t)
	_ = runs.send(simple("select pg_sleep(80)"))
	awaitRunning(t, direct(t, c), "pg_sleep(80)")
	holds.want(t, holds.query, "BEGIN", "", 'T')
	holds.want(t, holds.query, "select 1", "", 'T')
	start := time.Now()
	done := g.shutdown(t, context.Background())
	ended(t, done, 8*time.Second)
	if d := time.Since(start); d > 4*time.Second || d < 3*time.Second {
		t.Errorf("ended after %s with a grace time of 4s", d)
	}
	runs.fatal(t, "57P01")
	holds.fatal(t, "57P01")
}
