//go:build pg

package proxy

import (
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestBreaker takes the database away for as long as it takes to be sure, and gives it back.
func TestBreaker(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create role other login", "", 'I')
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), func(cfg *Config) { cfg.Pool.Classes[0].MaxWait = 30 * time.Second })
	client := g.call(t)
	client.want(t, client.query, "select 1", "", 'I')
	tap.Refuse(true)
	tap.Cut()
	// A server comes back a moment after its answer: it must be neither idle nor still lent.
	eventually(t, "noticed", func() bool { s := g.pool().Servers; return s["idle"]+s["active"] == 0 })

	start := time.Now()
	a := client.want(t, client.query, "select 2", "53000", 'I') // waits until the breaker opens
	if d := time.Since(start); d < 5*time.Second || d > 10*time.Second {
		t.Errorf("opened after %s, want about 6 s", d)
	}
	if len(a.hints) != 1 || a.hints[0] != hintSafe {
		t.Errorf("hints %q, want %q", a.hints, hintSafe)
	}
	if !g.pool().BreakerOpen || g.pool().BreakerTrips != 1 || g.Ready() == nil {
		t.Errorf("the breaker's state is not shown: %+v, ready %v", g.pool(), g.Ready())
	}
	start = time.Now()
	for range 100 {
		client.want(t, client.extended, "select 3", "53000", 'I')
	}
	client.want(t, client.query, "BEGIN", "", 'T')
	client.want(t, client.query, "select 4", "53000", 'E')
	client.want(t, client.query, "ROLLBACK", "", 'I')
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("102 refusals took %s", d)
	}

	late := g.call(t) // from remembered parameters
	late.want(t, late.query, "select 5", "53000", 'I')
	if _, err := call(g.addr, "other", "postgres"); err == nil || !strings.Contains(err.Error(), "57P03") ||
		strings.Contains(err.Error(), "other") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("first login of a user: %v, want 57P03 without a name", err)
	}

	setup := late.later("SET statement_timeout = '10s'")
	eventually(t, "set-up waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	tap.Refuse(false)
	within(t, 3*time.Second, "closed", func() bool { return !g.pool().BreakerOpen })
	client.want(t, client.query, "select 6", "", 'I')
	select {
	case a := <-setup:
		if len(a.codes) > 0 || a.status != 'I' {
			t.Errorf("set-up: %s", a)
		}
	case <-time.After(patience):
		dump(t, "the set-up statement hangs")
	}
	mustCall(t, g.addr, "other", "postgres")
}

// later runs a query in a goroutine and sends its answer, with the reason for which there is none as its message.
func (c *caller) later(text string) chan answer {
	done := make(chan answer, 1)
	go func() {
		a, err := c.query(text)
		if err != nil {
			a.message = err.Error()
		}
		done <- a
	}()
	return done
}
