//go:build pg

package proxy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgguard/pool/limit"
	"pgguard/proxy/pgtest"
)

// The side channel sees who waits for a lock, who holds it up, and who is a stranger.
func TestSideChannelSeesLocks(t *testing.T) {
	g := narrow(t, 6, nil)
	setup, _ := enter(t, g.addr)
	setup.ask("drop table if exists fought; create table fought as select 1 as id, 0 as n")
	holder, _ := enter(t, g.addr)
	holder.ask("begin; update fought set n = n + 1")
	var waiters []*speaker
	for range 4 {
		p, _ := enter(t, g.addr)
		p.write(textQuery("update fought set n = n + 1 where id = 1"))
		waiters = append(waiters, p)
	}
	in := g.the(t)
	within(t, 10*time.Second, "waiters seen", func() bool { s := in.Seen(); return s != nil && s.Blocked == 4 })
	s := in.Seen()
	if s.Foreign != 0 || s.Peers != 0 {
		t.Errorf("%d strangers and %d statements of other guards are seen", s.Foreign, s.Peers)
	}
	if g.pool().Blocked != 4 {
		t.Errorf("the pool takes %d to be blocked", g.pool().Blocked)
	}
	most := 0
	for _, n := range s.Blocks {
		most = max(most, n)
	}
	if most < 1 {
		t.Errorf("nobody is known to hold up others: %v", s.Blocks)
	}
	holder.ask("commit")
	for _, p := range waiters {
		p.read("Z")
	}
	within(t, 10*time.Second, "nobody waits", func() bool { return in.Seen().Blocked == 0 })
}

// TestCommitsWaitForTheDisk: where many commit, one writes the log to disk for all, and the others wait for it at a lock of PostgreSQL's own. That is
// no crowding, which would lower the limit.
func TestCommitsWaitForTheDisk(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Durable: true, Settings: map[string]string{
		"commit_delay": "100000", "commit_siblings": "1", // who writes holds the lock for a tenth of a second
	}})
	g := newGuard(t, address(c), func(c *Config) { c.Pool.MaxServers = 12 })
	setup, _ := enter(t, g.addr)
	setup.ask("create table committed as select i, 0 as n from generate_series(1, 8) i")
	done := make(chan struct{})
	var clients sync.WaitGroup
	defer clients.Wait()
	defer close(done)
	for i := range 8 {
		p, _ := enter(t, g.addr)
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					p.ask(fmt.Sprintf("update committed set n = n + 1 where i = %d", i+1))
				}
			}
		})
	}
	in := g.the(t)
	in.Pool.SetLimit(limit.Frozen(plenty))
	within(t, 20*time.Second, "commits that wait for the disk", func() bool { s := in.Seen(); return s != nil && s.Waits.IO >= 4 })
	if s := in.Seen(); s.LWLock >= 0.25 {
		t.Errorf("%.2f of the statements are taken to wait for locks of PostgreSQL's own: %+v", s.LWLock, s.Waits)
	}
}
