//go:build pg

package proxy

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// worker is a client that works through restarts.
type worker struct {
	mu     sync.Mutex
	errors map[string]int // guarded by mu: by SQLSTATE
	lost   error          // guarded by mu: why its connection ended
	done   atomic.Int64   // statements and transactions that succeeded
}

// work runs short reads and transactions by turns until end closes.
func (w *worker) work(c *caller, end chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-end:
			return
		default:
		}
		texts := []string{"select n from kept limit 1"}
		if i%2 == 1 {
			texts = []string{"BEGIN", "select n from kept limit 1", "insert into kept values (1)", "COMMIT"}
		}
		run := c.query
		if i%4 >= 2 {
			run = c.extended
		}
		failed := false
		for _, text := range texts {
			a, err := run(text)
			if err == nil && a.fatal {
				err = fmt.Errorf("FATAL %s", a)
			}
			w.mu.Lock()
			if err != nil {
				w.lost = fmt.Errorf("%s: %w", text, err)
				w.mu.Unlock()
				return
			}
			for _, code := range a.codes {
				w.errors[code]++
				failed = true
			}
			w.mu.Unlock()
			if failed {
				break
			}
		}
		if c.status != 'I' {
			if a, err := c.query("ROLLBACK"); err != nil || a.status != 'I' || len(a.codes) > 0 {
				w.mu.Lock()
				w.lost = fmt.Errorf("ROLLBACK after a loss: %v %s", err, a)
				w.mu.Unlock()
				return
			}
		}
		if !failed {
			w.done.Add(1)
		}
	}
}

// TestRestartUnderLoad restarts and crashes PostgreSQL under 50 working clients: who has something in flight is told
// once, as an ERROR; who has nothing in flight waits and is served.
func TestRestartUnderLoad(t *testing.T) {
	for _, how := range []string{"fast", "immediate", "kill"} {
		t.Run(how, func(t *testing.T) { restartUnderLoad(t, how) })
	}
}

func restartUnderLoad(t *testing.T, how string) {
	const clients, idlers = 50, 30
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "set synchronous_commit = on; create table kept (n int); insert into kept values (0)", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 15 })
	end := make(chan struct{})
	var wg sync.WaitGroup
	w := worker{errors: map[string]int{}}
	for range clients {
		c := g.call(t)
		wg.Go(func() { w.work(c, end) })
	}
	var between []*caller
	for i := range idlers {
		c := g.call(t)
		if i%2 == 0 {
			c.want(t, c.query, "BEGIN", "", 'T') // deferred: nothing is at the server
		}
		between = append(between, c)
	}
	eventually(t, "at work", func() bool { return w.done.Load() > 200 })
	down := c.Kill
	if how != "kill" {
		down = func() error { return c.Shutdown(how) }
	}
	if err := down(); err != nil {
		t.Fatal(err)
	}
	for _, c := range between {
		wg.Go(func() {
			a, err := c.query("select n from kept limit 1")
			if err != nil || len(a.codes) > 0 || len(a.rows) != 1 {
				t.Errorf("a client between transactions was troubled: %v %s", err, a)
			}
			if a, err = c.query("COMMIT"); err != nil || len(a.codes) > 0 {
				t.Errorf("a client between transactions was troubled at its COMMIT: %v %s", err, a)
			}
		})
	}
	if err := c.StartAgain(); err != nil {
		t.Fatal(err)
	}
	up := time.Now()
	before := w.done.Load()
	within(t, 2*time.Second, "served again", func() bool { return w.done.Load() > before+50 })
	t.Logf("50 transactions %s after the server was up", time.Since(up))
	close(end)
	wg.Wait()
	w.check(t, 15)
	g.atRest(t)
}

// check fails the test if a client was lost, told something else than what happened, or more were told than had anything
// in flight.
func (w *worker) check(t *testing.T, inFlight int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d done, errors %v", w.done.Load(), w.errors)
	if w.lost != nil {
		t.Errorf("a client was lost: %v", w.lost)
	}
	total := 0
	allowed := map[string]bool{"57P01": true, "57P02": true, "08006": true, "08007": true}
	for code, n := range maps.All(w.errors) {
		total += n
		if !allowed[code] {
			t.Errorf("%d errors %s", n, code)
		}
	}
	if total > inFlight {
		t.Errorf("%d errors, but only %d statements can have been in flight", total, inFlight)
	}
}
