//go:build pg

package proxy

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/pgtest"
)

// pair is a primary and its standby behind one address, which means the primary until it is aimed elsewhere.
type pair struct {
	old, next *pgtest.Cluster
	tap       *pgtest.Tap
}

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{old: pgtest.New(t, pgtest.Options{})}
	p.next = pgtest.NewStandby(t, p.old)
	if err := p.old.Exec(t.Context(), "create table written (client int, n int)"); err != nil {
		t.Fatal(err)
	}
	standby := direct(t, p.next)
	eventually(t, "the standby has the table", func() bool {
		a, err := standby.query("select from written")
		return err == nil && len(a.codes) == 0
	})
	p.tap = pgtest.NewTap(t, address(p.old))
	return p
}

// failOver promotes the standby, which the address means from then on; the old primary lives on, as after a split.
func (p pair) failOver(t *testing.T) {
	t.Helper()
	if err := p.next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.tap.Aim(address(p.next))
}

// failovers is how many the guard has seen.
func (g *guard) failovers() (n int) {
	events, _ := g.Events(0)
	for _, e := range events {
		if e.Kind == event.Server && e.Cause == "failover" {
			n++
		}
	}
	return n
}

// identified waits until the side channel knows who answers.
func (g *guard) identified(t *testing.T) {
	t.Helper()
	eventually(t, "the side channel works", func() bool {
		for _, in := range g.allInstances() {
			if in.Seen() != nil {
				return true
			}
		}
		return false
	})
}

// writes is a client that writes until it is told to stop, and remembers who acknowledged what it sent after the failover was known.
type writes struct {
	stop, known chan struct{}
	mu          sync.Mutex
	after       map[string]int // guarded by mu: by the server's port
}

func (w *writes) run(g *guard, id int) {
	c, err := call(g.addr, "postgres", "postgres")
	for n := 0; ; n++ {
		select {
		case <-w.stop:
			if err == nil {
				_ = c.Close()
			}
			return
		default:
		}
		if err != nil {
			c, err = call(g.addr, "postgres", "postgres")
			continue
		}
		known := false
		select {
		case <-w.known:
			known = true
		default:
		}
		var a answer
		a, err = c.query(fmt.Sprintf("insert into written values (%d, %d) returning current_setting('port')", id, n))
		if err == nil && a.fatal {
			_ = c.Close()
			err = fmt.Errorf("%s", a)
		}
		if err == nil && len(a.codes) == 0 && known {
			w.mu.Lock()
			w.after[a.rows[0]]++
			w.mu.Unlock()
		}
	}
}

// TestOldPrimaryAcknowledgesNothing: from the moment at which a failover is known no write is acknowledged by the primary of before, which lives
// on: not of clients that come and go, nor of a transaction that was open, nor of a client that keeps its server.
func TestOldPrimaryAcknowledgesNothing(t *testing.T) {
	for name, cut := range map[string]func(g *guard, tap *pgtest.Tap){
		"all cut":  func(_ *guard, tap *pgtest.Tap) { tap.Cut() },
		"half cut": func(_ *guard, tap *pgtest.Tap) { tap.CutHalf() },
		"a new connection is the only sign": func(g *guard, _ *pgtest.Tap) {
			for range 40 {
				c, err := call(g.addr, "postgres", "template1")
				if err == nil {
					_, _ = c.query("select 1")
					_ = c.Close()
				}
				if g.failovers() > 0 {
					return
				}
				<-time.After(250 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { oldPrimary(t, cut) })
	}
}

func oldPrimary(t *testing.T, cut func(*guard, *pgtest.Tap)) {
	p := newPair(t)
	g := newGuard(t, p.tap.Addr(), func(cfg *Config) { cfg.Pool.MaxServers, cfg.Pool.IdleTimeout = 12, time.Second })
	g.identified(t)
	open, keeps := g.call(t), g.call(t)
	open.want(t, open.query, "BEGIN", "", 'T')
	open.want(t, open.query, "insert into written values (-1, 0)", "", 'T')
	keeps.want(t, keeps.query, "select pg_advisory_lock(7)", "", 'I')
	w := &writes{stop: make(chan struct{}), known: make(chan struct{}), after: map[string]int{}}
	var clients sync.WaitGroup
	for id := range 6 {
		clients.Go(func() { w.run(g, id) })
	}
	p.failOver(t)
	cut(g, p.tap)
	within(t, 10*time.Second, "the failover is known", func() bool { return g.failovers() > 0 })
	close(w.known)
	if a, err := open.query("COMMIT"); err == nil && len(a.codes) == 0 {
		t.Errorf("the old primary acknowledged a transaction: %s", a)
	}
	if a, err := keeps.query("insert into written values (-2, 0)"); err == nil && len(a.codes) == 0 {
		t.Errorf("the old primary acknowledged a write of a client that keeps its server: %s", a)
	}
	next := strconv.Itoa(p.next.Port())
	eventually(t, "the new primary serves", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.after[next] >= 100
	})
	close(w.stop)
	clients.Wait()
	if n := w.after[strconv.Itoa(p.old.Port())]; n > 0 {
		t.Errorf("the old primary acknowledged %d writes that were sent after the failover was known", n)
	}
	if got := direct(t, p.old).one(t, "select count(*) from pg_stat_activity where application_name like 'pgguard%' and state <> 'active'"); got != "0" {
		t.Errorf("%s connections to the old primary are left", got)
	}
}

// TestDemotedPrimaryIsFoundByItsUse: a primary that became a standby, at first the only one there is, turns writers away in its own words. Once its
// address means the new primary, they are served within five seconds although the standby goes on and nothing was cut.
func TestDemotedPrimaryIsFoundByItsUse(t *testing.T) {
	p := newPair(t)
	if err := p.old.Demote(); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, p.tap.Addr(), nil)
	g.identified(t)
	held := g.call(t)
	held.want(t, held.query, "BEGIN", "", 'T')
	held.want(t, held.query, "select count(*) from written", "", 'T')
	var clients []*caller
	for range 4 {
		c := g.call(t)
		c.want(t, c.query, "insert into written values (1, 1)", "25006", 'I')
		clients = append(clients, c)
	}
	p.failOver(t)
	start := time.Now()
	for i, c := range clients {
		within(t, 5*time.Second, fmt.Sprintf("client %d writes", i), func() bool {
			a, err := c.query("insert into written values (1, 1)")
			return err == nil && len(a.codes) == 0
		})
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("found after %s", d)
	}
	held.want(t, held.query, "select count(*) from written", "", 'T') // what only reads is not cut off
	held.want(t, held.query, "COMMIT", "", 'I')
}

// TestPromotedInPlace: a standby that becomes a primary under its clients retires the servers of before, and interrupts nobody.
func TestPromotedInPlace(t *testing.T) {
	p := newPair(t)
	g := newGuard(t, address(p.next), func(cfg *Config) { cfg.Pool.MaxServers = 4 })
	g.identified(t)
	idle, holds := g.call(t), g.call(t)
	holds.want(t, holds.query, "BEGIN", "", 'T')
	holds.want(t, holds.query, "select 1", "", 'T')
	before := idle.one(t, "select pg_backend_pid()")
	if err := p.next.Promote(context.Background()); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "the failover is known", func() bool { return g.failovers() > 0 })
	if after := idle.one(t, "select pg_backend_pid()"); after == before {
		t.Error("a server of before the promotion is lent")
	}
	idle.want(t, idle.query, "insert into written values (1, 1)", "", 'I')
	holds.want(t, holds.query, "select 1", "", 'T')
	holds.want(t, holds.query, "COMMIT", "", 'I')
}
