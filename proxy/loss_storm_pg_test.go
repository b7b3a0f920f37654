//go:build pg

package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestServersLostInAStorm ends servers at random while clients of every kind use them. Whoever keeps session state in a
// server may be closed, nobody else; nobody gets an answer that is not his; and the pool's books balance in the end.
func TestServersLostInAStorm(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 6; cfg.Limit = 3 })
	seed := seeded(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var done, closed, lost atomic.Int64
	for i := range 24 {
		rnd := rand.New(rand.NewPCG(seed.Uint64(), 3))
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := oneLife(g, rnd, i, i%8 == 0, &done, &lost); err != nil {
					if i%8 != 0 {
						t.Errorf("client %d without session state: %v", i, err)
						return
					}
					closed.Add(1)
				}
			}
		})
	}
	weak := func() bool { return done.Load() < 100 || lost.Load() == 0 || closed.Load() == 0 }
	for start := time.Now(); time.Since(start) < 3*time.Second || weak() && time.Since(start) < patience; {
		admin.one(t, "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity "+
			"where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'pgguard-watch%' order by state = 'idle', random() limit 2) a")
		time.Sleep(time.Duration(seed.IntN(20)) * time.Millisecond) // between two blows
	}
	close(stop)
	wg.Wait()
	t.Logf("%d answers, %d losses told, %d clients with state closed", done.Load(), lost.Load(), closed.Load())
	if weak() {
		t.Error("the storm was too weak to show anything")
	}
	eventually(t, "all clients gone", func() bool { return g.clients() == 0 })
	g.atRest(t)
}

// oneLife is one client from login to goodbye: twenty statements or transactions, each checked for being its own.
func oneLife(g *guard, rnd *rand.Rand, me int, pinned bool, done, lost *atomic.Int64) error {
	c, err := call(g.addr, "postgres", "postgres")
	if err != nil {
		if strings.Contains(err.Error(), "57P03") {
			return nil // before the first server ever answered
		}
		return err
	}
	defer func() { _ = c.Close() }()
	if pinned {
		if _, err := c.query("CREATE TEMP TABLE kept_here (a int)"); err != nil {
			return err
		}
	}
	for n := range 20 {
		texts := []string{fmt.Sprintf("select '%d-%d' from pg_sleep(0.002)", me, n)}
		if rnd.IntN(2) == 0 {
			texts = []string{"BEGIN", texts[0], texts[0], "COMMIT"}
		}
		run := c.query
		if rnd.IntN(2) == 0 {
			run = c.extended
		}
		for _, text := range texts {
			a, err := run(text)
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", text, err)
			case a.fatal:
				return fmt.Errorf("%s: FATAL %s", text, a)
			case len(a.codes) > 0:
				lost.Add(1)
				if !strings.Contains("57P01 08006 08007 25P02", a.code()) {
					return fmt.Errorf("%s: %s", text, a)
				}
			case text[0] == 's' && (len(a.rows) != 1 || a.rows[0] != fmt.Sprintf("%d-%d", me, n)):
				return fmt.Errorf("%s: another's answer: %v", text, a.rows)
			default:
				done.Add(1)
			}
		}
		if c.status != 'I' {
			return fmt.Errorf("state %c after the end of a transaction", c.status)
		}
	}
	return nil
}
