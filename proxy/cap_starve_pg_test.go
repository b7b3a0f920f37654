//go:build pg

package proxy

import (
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestNobodyStarvesForWantOfAServer: while clients of one kind keep the only servers busy without a pause, a client of
// another kind logs in and is served.
func TestNobodyStarvesForWantOfAServer(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create role other login", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 2 })
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 8 {
		c := g.call(t)
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a, err := c.query("select pg_sleep(0.005)"); err != nil || len(a.codes) > 0 {
					t.Errorf("%v %s", err, a)
					return
				}
			}
		})
	}
	eventually(t, "busy", func() bool { return g.Stats().Queries["high"] > 50 })
	start := time.Now()
	other, err := call(g.addr, "other", "postgres")
	if err != nil {
		t.Errorf("login of another user after %s: %v", time.Since(start), err)
	} else {
		start = time.Now()
		if a, err := other.query("select 1"); err != nil || len(a.codes) > 0 {
			t.Errorf("statement of another user after %s: %v %s", time.Since(start), err, a)
		}
		_ = other.Close()
	}
	close(stop)
	busy.Wait()
}
