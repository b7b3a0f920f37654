//go:build pg

package proxy

import (
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestWhileASlotIsFreeNobodyWaitsForOne: a program opens 20 connections of the 45 that a fresh guard may open, runs a statement in a
// transaction on each, and lets them idle. Each is served at once, as by PostgreSQL itself; so are as many as there are slots.
func TestWhileASlotIsFreeNobodyWaitsForOne(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Pool = Default().Pool
		cfg.Pool.Classes[0].MaxWait = 500 * time.Millisecond // too soon for any transaction to be reaped
	})
	g.measured(t)
	if n := g.pool().Cap; n != 45 {
		t.Fatalf("the cap is %d, want 45", n)
	}
	all := make([]*caller, 45)
	for i := range all {
		all[i] = g.call(t)
		all[i].want(t, all[i].query, "BEGIN", "", 'T')
		all[i].want(t, all[i].query, "select 1", "", 'T')
	}
	late := g.call(t)
	a := late.want(t, late.query, "select 1", "53300", 'I')
	if !strings.Contains(a.message, "45 of 45 are in use, 45 of them by transactions that do nothing") {
		t.Errorf("refused with %q, want the true reason with true numbers", a.message)
	}
	for _, c := range all {
		c.want(t, c.query, "COMMIT", "", 'I')
	}
}

// TestInteractiveWorkKeepsItsRoom: jobs that sit idle in transactions take three quarters of the slots, and no more.
func TestInteractiveWorkKeepsItsRoom(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Pool = Default().Pool
		cfg.Pool.MaxServers, cfg.Pool.Classes[1].MaxWait = 20, 500*time.Millisecond
	})
	g.measured(t)
	var jobs []*caller
	for range 15 {
		jobs = append(jobs, g.low(t))
	}
	for _, c := range jobs {
		c.want(t, c.query, "BEGIN", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
	}
	late := g.low(t)
	a := late.want(t, late.query, "select 1", "53300", 'I')
	if !strings.Contains(a.message, `class "low" has 15 of 20`) {
		t.Errorf("refused with %q, want the share named", a.message)
	}
	for range 5 {
		web := g.call(t)
		web.want(t, web.query, "BEGIN", "", 'T')
		web.want(t, web.query, "select 1", "", 'T')
	}
}

// low logs in as one of the low class.
func (g *guard) low(t *testing.T) *caller {
	t.Helper()
	return mustCall(t, g.addr, "postgres", "postgres", "options", "-c guard.class=low")
}
